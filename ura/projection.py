"""From a journal record to rows. Applying a record twice, or two records in the other order, gives the same rows.

`apply_batch` reads all records first (a bad one raises before anything is written), then writes kind by kind, many rows
a statement. Who calls it commits, with the place reached in the journal.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from ura import (
    billing,
    call_events,
    calls,
    domain_events,
    dropped,
    erp_requests,
    events,
    leads,
    outages,
    outbox,
    queues,
    surveys,
    ticket_calls,
    tickets,
    visit_calls,
    waiting_list,
)
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.journal import Record
from ura.models import Audience, Category, Door, LeadStatus, Operation, Outcome, StepResult, Witness
from ura.ticket_calls import Said
from ura.upsert import Row

Data = dict[str, Any]
CALLER = "caller"  # who opened the tickets that the phone opens
WITNESSES = {"agi": Witness.FLOW, "ami": Witness.ASTERISK}


class UnknownKind(BadInput):
    code = "unknown-record-kind"


class BadRecord(BadInput):
    code = "bad-record"


@dataclass(frozen=True, slots=True)
class Projection:
    """`row` reads one record, `write` stores many; `bell` is rung once a batch, with the ids in the column `about`
    (see ura.events); `tell` makes of a row what other programs are told."""

    row: Callable[[Data], Row]
    write: Callable[[AsyncSession, Sequence[Row]], Awaitable[None]]
    bell: str = ""
    about: str = "id"
    tell: Callable[[Row], Row] | None = None


async def apply(session: AsyncSession, record: Record) -> None:
    await apply_batch(session, [record])


async def apply_batch(session: AsyncSession, records: Iterable[Record], *, mirror: bool = False) -> None:
    """`mirror`: tickets are to stand in the provider's own system, too. Raises UnknownKind or BadRecord, naming the
    record, before it writes anything."""
    rows: dict[str, list[Row]] = {}
    touched: dict[str, dict[str, None]] = {}
    for record in records:
        projection = PROJECTIONS.get(record.kind)
        if projection is None:
            raise UnknownKind(f"no table takes records of kind {record.kind!r} (key {record.key})")
        try:
            row = projection.row(record.data)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadRecord(f"{record.kind} {record.key} cannot be read: {error!r}") from error
        rows.setdefault(record.kind, []).append(row)
        if projection.bell:
            touched.setdefault(projection.bell, {})[row[projection.about]] = None
    for kind, projection in PROJECTIONS.items():
        if kind in rows:
            await projection.write(session, rows[kind])
    if mirror:
        opened = [*rows.get("ticket_opened", []), *rows.get("invoice_disputed", [])]
        await erp_requests.mirror_tickets(session, opened)
    told = [
        projection.tell(row)
        for kind, projection in PROJECTIONS.items()
        if projection.tell
        for row in rows.get(kind, ())
    ]
    await domain_events.record_rows(session, told)
    bells = {bell: {"ids": list(ids)} for bell, ids in touched.items()}
    await events.ring(session, bells, now=datetime.now(UTC))


async def _close_calls(session: AsyncSession, rows: Sequence[Row]) -> None:
    await calls.close(session, rows)
    await dropped.note(session, rows)
    await call_events.tell_ended(session, [row["id"] for row in rows])


# -- one record → one row --------------------------------------------------------------------------------------------


def _opened(data: Data) -> Row:
    return {
        "id": _id(data["call_id"]),
        "uniqueid": _text(data.get("uniqueid"), 64),
        "linkedid": _text(data.get("linkedid"), 64),
        "protocol": _text(data.get("protocol"), 12) or None,
        "caller": _text(data.get("caller"), 20),
        "did": _text(data.get("did"), 20),
        "door": Door(data["door"]),
        "flow_key": _text(data.get("flow_key"), 64),
        "flow_version": _number(data.get("flow_version")),
        "opened_at": _moment(data["opened_at"]),
    }


def _step(data: Data) -> Row:
    return {
        "call_id": _id(data["call_id"]),
        "seq": int(data["seq"]),
        "node": _text(data.get("node"), 200),
        "event": _text(data["event"], 40),
        "detail": data.get("detail") or {},
        "at": _moment(data["at"]),
    }


def _queued(data: Data) -> Row:
    return {"id": _id(data["call_id"]), "queue": _text(data["queue"], 64), "queued_at": _moment(data["at"])}


def _answered(data: Data) -> Row:
    return {
        "id": _id(data["call_id"]),
        "attendant": _text(data.get("attendant"), 80),
        "answered_at": _moment(data["at"]),
    }


def _closed(data: Data) -> Row:
    return {
        "id": _id(data["call_id"]),
        "outcome": Outcome(data["outcome"]),
        "outcome_by": WITNESSES[data.get("by", "agi")],
        "outcome_at": _moment(data["ended_at"]),
        "last_node": _text(data.get("last_node"), 200),
    }


def _recording(data: Data) -> Row:
    return {
        "id": _id(data["recording_id"]),
        "call_id": _id(data["call_id"]),
        "path": _text(data["path"], 255),
        "seconds": float(data["seconds"]),
        "at": _moment(data["at"]),
    }


def _steps_answered(data: Data) -> Row:
    return {
        "call_id": _id(data["call_id"]),
        "node": _text(data["node"], 200),
        "answers": {_text(step, 64): StepResult(answer) for step, answer in data["answers"].items()},
        "at": _moment(data["at"]),
    }


def _lead(data: Data) -> Row:
    at = _moment(data["at"])
    return {
        "id": _id(data["lead_id"]),
        "call_id": data.get("call_id") or None,
        "phone": _text(data.get("phone"), 20),
        "audience": Audience(data["audience"]) if data.get("audience") else None,
        "city_id": _number(data.get("city_id")),
        "neighbourhood_id": _number(data.get("neighbourhood_id")),
        "plan_id": _number(data.get("plan_id")),
        "status": LeadStatus(data["status"]),
        "wants_message": bool(data.get("wants_message")),
        "created_at": at,
        "updated_at": at,
    }


def _waiting(data: Data) -> Row:
    return {
        "id": _id(data["entry_id"]),
        "call_id": data.get("call_id") or None,
        "phone": _text(data.get("phone"), 20),
        "neighbourhood_id": int(data["neighbourhood_id"]),
        "created_at": _moment(data["at"]),
    }


def _ticket(data: Data) -> Row:
    return {
        "id": _id(data["ticket_id"]),
        "call_id": data.get("call_id") or None,
        "protocol": _text(data["protocol"], 12),
        "category": Category(data["category"]),
        "summary": _text(data.get("summary"), 500),
        "phone": _text(data.get("phone"), 20),
        "queue": _text(data.get("queue"), 64),
        "contract_ref": _text(data.get("contract_id"), 64),
        "opened_at": _moment(data["at"]),
        "opened_by": CALLER,
    }


def _disputed(data: Data) -> Row:
    """The complaint, and what it is about."""
    ticket = _ticket({**data, "category": Category.COMPLAINT})
    return {**ticket, "source": _text(data["source"], 20), "invoice_ref": _text(data["invoice_id"], 64)}


def _callback(data: Data) -> Row:
    at = _moment(data["at"])
    return {
        "id": _id(data["callback_id"]),
        "call_id": data.get("call_id") or None,
        "phone": _text(data["phone"], 20),
        "queue": _text(data["queue"], 64),
        "not_before_at": _moment(data["not_before"]) if data.get("not_before") else at,
        "created_at": at,
    }


def _message(data: Data) -> Row:
    return {
        "id": _id(data["message_id"]),
        "call_id": data.get("call_id") or None,
        "channel": SendChannel(data.get("channel") or SendChannel.SMS),
        "kind": _text(data["kind"], 40),
        "to": _text(data["to"], 120),
        "payload": data.get("payload") or {},
        "created_at": _moment(data["at"]),
    }


def _survey(data: Data) -> Row:
    return {
        "id": _id(data["answer_id"]),
        "call_id": _id(data["call_id"]),
        "question": _text(data["question"], 64),
        "value": _text(data["value"], 40),
        "at": _moment(data["at"]),
    }


def _erp_request(data: Data) -> Row:
    return {
        "id": _id(data["request_id"]),
        "operation": Operation(data["operation"]),
        "args": dict(data["args"]),
        "protocol": _text(data.get("protocol"), 12),
        "call_id": data.get("call_id") or None,
        "created_at": _moment(data["at"]),
    }


def _outage_heard(data: Data) -> Row:
    return {
        "outage_id": _id(data["outage_id"]),
        "call_id": _id(data["call_id"]),
        "contract_id": _text(data.get("contract_id"), 64),
        "phone": _text(data.get("phone"), 20),
        "wants_news": bool(data["wants_news"]),
        "created_at": _moment(data["at"]),
        "notice": _notice(data),
    }


def _notice(data: Data) -> Row | None:
    """Of an outage that only the provider's system knows."""
    told = data.get("notice")
    if told is None:
        return None
    return {
        "outage_id": _id(data["outage_id"]),
        "source": _text(told["source"], 20),
        "reference": _text(told["reference"], 200),
        "subscriber_ref": _text(data.get("subscriber_id"), 64),
        "contract_ref": _text(data.get("contract_id"), 64),
        "text": _text(told.get("text"), 500),
        "ends_at": _moment(told["ends_at"]) if told.get("ends_at") else None,
        "at": _moment(data["at"]),
    }


def _ticket_reported(data: Data) -> Row:
    return {
        "id": _id(data["event_id"]),
        "ticket_id": _id(data["ticket_id"]),
        "said": Said(data["said"]),
        "call_id": _id(data["call_id"]),
        "recording_id": _text(data.get("recording_id"), 32),
        "at": _moment(data["at"]),
    }


def _visit_move(data: Data) -> Row:
    return {
        "id": _id(data["event_id"]),
        "visit_id": _id(data["visit_id"]),
        "technician_id": int(data["technician_id"]),
        "starts_at": _moment(data["starts_at"]),
        "changes": int(data["changes"]),
        "call_id": _id(data["call_id"]),
        "at": _moment(data["at"]),
    }


def _still_down(data: Data) -> Row:
    return {
        "id": _id(data["complaint_id"]),
        "incident_id": _id(data["incident_id"]),
        "protocol": _text(data["protocol"], 12),
        "phone": _text(data["phone"], 20),
        "call_id": _id(data["call_id"]),
        "at": _moment(data["at"]),
    }


# -- reading values --------------------------------------------------------------------------------------------------


def _id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 32:
        raise ValueError(f"{value!r} is no id")
    return value


def _text(value: Any, longest: int) -> str:
    """PostgreSQL refuses NUL and text that is too long; a record must not be lost for that."""
    return "" if value is None else str(value).replace("\0", "")[:longest]


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return moment


async def _write_step_answers(session: AsyncSession, rows: Sequence[Row]) -> None:
    for row in rows:
        await calls.answer_steps(session, **row)


async def _write_disputes(session: AsyncSession, rows: Sequence[Row]) -> None:
    charge = ("source", "invoice_ref")
    complaints = [{name: value for name, value in row.items() if name not in charge} for row in rows]
    await tickets.open_tickets(session, complaints)
    about = ("id", "opened_at", "source", "contract_ref", "invoice_ref")
    disputes = [{name: row[name] for name in about} | {"ticket_id": row["id"]} for row in rows]
    await billing.open_disputes(session, disputes)


async def _write_outages_heard(session: AsyncSession, rows: Sequence[Row]) -> None:
    await outages.learn_notices(session, [row["notice"] for row in rows if row["notice"]])
    await outages.add_calls(session, [{name: row[name] for name in row if name != "notice"} for row in rows])


# In the order of writing: a call before what happened in it, for whoever reads in between.
PROJECTIONS: dict[str, Projection] = {
    "call_opened": Projection(_opened, calls.open_calls, bell="calls", tell=call_events.opened),
    "call_step": Projection(_step, calls.add_steps, bell="calls", about="call_id"),
    "call_queued": Projection(_queued, calls.enter_queue, bell="calls", tell=call_events.queued),
    "call_answered": Projection(_answered, calls.answer, bell="calls", tell=call_events.answered),
    "call_closed": Projection(_closed, _close_calls, bell="calls"),
    "recording_saved": Projection(_recording, calls.add_recordings),
    "steps_answered": Projection(_steps_answered, _write_step_answers),
    "lead_saved": Projection(_lead, leads.save_leads, bell="leads", tell=call_events.lead_saved),
    "waiting_list_joined": Projection(_waiting, waiting_list.join, bell="leads"),
    "ticket_opened": Projection(_ticket, tickets.open_tickets, bell="tickets"),
    "invoice_disputed": Projection(_disputed, _write_disputes, bell="tickets"),
    "callback_requested": Projection(_callback, queues.request_callbacks, bell="callbacks"),
    "message_queued": Projection(_message, outbox.enqueue_rows),
    "erp_requested": Projection(_erp_request, erp_requests.add_requests),
    "outage_heard": Projection(_outage_heard, _write_outages_heard, bell="outages", about="outage_id"),
    "ticket_reported": Projection(_ticket_reported, ticket_calls.write_reports, bell="tickets", about="ticket_id"),
    "visit_move_wanted": Projection(_visit_move, visit_calls.write_moves),
    "still_down": Projection(_still_down, ticket_calls.write_still_down, bell="callbacks"),
    "survey_answered": Projection(_survey, surveys.add_answers),
}
