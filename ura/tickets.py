"""Tickets: what somebody was promised. Opened, found, and a history that only grows; ura.ticket_moves moves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from ura import events, paging, ticket_clock, ticket_news, upsert
from ura.errors import BadInput, NotFound
from ura.models import Ticket, TicketEvent, TicketEventKind, TicketStatus, Tier
from ura.paging import Page
from ura.upsert import Row

Json = Any
WHOLE_PROTOCOL = 12


class TicketNotFound(NotFound):
    code = "ticket-not-found"


class CommentIsEmpty(BadInput):
    code = "comment-is-empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFilter:
    """`protocol`: whole, or how it begins. `due_before`: only those that are not closed, the longest due first."""

    status: TicketStatus | None = None
    category: str = ""
    tier: Tier | None = None
    queue: str = ""
    phone: str = ""
    protocol: str = ""
    call_id: str = ""
    contract_ref: str = ""
    assignee_id: int | None = None
    incident_id: str = ""
    due_before: datetime | None = None
    opened_from: datetime | None = None
    opened_before: datetime | None = None


async def open_tickets(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with the columns of Ticket, without status and closing. A ticket that is there stays as it is. Every ticket
    that there is has come through here."""
    complete = await _complete(session, rows)
    await upsert.add_new(session, Ticket, complete)
    await _begin_histories(session, complete)


async def _complete(session: AsyncSession, rows: Sequence[Row]) -> list[dict[str, Json]]:
    blank: dict[str, Json] = {
        "tier": Tier.L1,
        "contract_ref": "",
        "segment": "",
        "report": "",
        "form": {},
        "told_deadline_at": None,
    }
    return await ticket_clock.wound_up(session, [{**blank, **row, "status": TicketStatus.OPEN} for row in rows])


async def _begin_histories(session: AsyncSession, rows: Sequence[Row]) -> None:
    first_lines = [_first_line(row) for row in rows]
    await upsert.add_new(session, TicketEvent, first_lines)
    await ticket_news.tell(session, first_lines, tickets=rows)


def _first_line(row: Row) -> dict[str, Json]:
    return {
        "id": row["id"],
        "ticket_id": row["id"],
        "at": row["opened_at"],
        "actor": row["opened_by"],
        "kind": TicketEventKind.OPENED,
        "text": row["summary"],
        "detail": {},
        "internal": False,
    }


def history_of_new(ticket: Ticket) -> list[TicketEvent]:
    """Of a ticket that this transaction opened: what is written down, without asking for it."""
    row = {name: getattr(ticket, name) for name in ("id", "opened_at", "opened_by", "summary")}
    return [TicketEvent(**_first_line(row))]


async def open_ticket(
    session: AsyncSession,
    *,
    ticket_id: str,
    protocol: str,
    category: str,
    summary: str,
    phone: str,
    queue: str,
    opened_by: str,
    now: datetime,
    call_id: str | None = None,
    contract_ref: str = "",
    tier: Tier = Tier.L1,
    segment: str = "",
    report: str = "",
    told_deadline_at: datetime | None = None,
    form: Mapping[str, Json] | None = None,
) -> Ticket:
    """Open one, by its id: asked twice, the first stays and is given back. Who opens one at L2 has asked
    `ticket_rules.check_promise`."""
    row = {
        "id": ticket_id,
        "protocol": protocol,
        "call_id": call_id,
        "category": category,
        "summary": summary.strip(),
        "phone": phone,
        "queue": queue,
        "opened_by": opened_by,
        "opened_at": now,
        "contract_ref": contract_ref,
        "tier": tier,
        "segment": segment,
        "report": report.strip(),
        "told_deadline_at": told_deadline_at,
        "form": dict(form or {}),
    }
    [complete] = await _complete(session, [row])
    ticket = await upsert.add_one(session, Ticket, complete)
    if ticket is None:
        return await get_ticket(session, ticket_id)
    await _begin_histories(session, [complete])
    await events.ring(session, {"tickets": {"ids": [ticket_id]}}, now=now)
    return ticket


async def comment(
    session: AsyncSession,
    ticket: Ticket,
    *,
    text: str,
    actor: str,
    now: datetime,
    event_id: str = "",
    internal: bool = False,
) -> TicketEvent:
    """Add a line to the history, also after closing. `event_id` makes a repeated request harmless. `internal`: for
    colleagues (`ticket_rules.is_internal`)."""
    if not text.strip():
        raise CommentIsEmpty("A comment needs text.")
    kind = TicketEventKind.COMMENTED
    return await add_event(
        session, ticket, kind=kind, text=text, actor=actor, now=now, event_id=event_id, internal=internal
    )


async def find_ticket(session: AsyncSession, ticket_id: str) -> Ticket | None:
    return await session.get(Ticket, ticket_id)


async def get_ticket(session: AsyncSession, ticket_id: str) -> Ticket:
    ticket = await find_ticket(session, ticket_id)
    if ticket is None:
        raise TicketNotFound("There is no such ticket.")
    return ticket


async def list_tickets(
    session: AsyncSession, *, filters: TicketFilter | None = None, cursor: str = "", limit: int = 100
) -> Page[Ticket]:
    """Newest first, or by what is due."""
    wanted = filters or TicketFilter()
    exact = ("status", "category", "tier", "queue", "phone", "call_id", "contract_ref", "assignee_id", "incident_id")
    conditions = paging.equal(Ticket, wanted, exact)
    if wanted.protocol:
        conditions.append(_protocol(wanted.protocol))
    if wanted.opened_from:
        conditions.append(Ticket.opened_at >= wanted.opened_from)
    if wanted.opened_before:
        conditions.append(Ticket.opened_at < wanted.opened_before)
    if wanted.due_before is None:
        by = (Ticket.opened_at, Ticket.id)
        return await paging.fetch(session, Ticket, conditions, by=by, cursor=cursor, limit=limit)
    conditions += [Ticket.due_at < wanted.due_before, Ticket.status.in_((TicketStatus.OPEN, TicketStatus.WAITING))]
    by = (cast(InstrumentedAttribute[datetime], Ticket.due_at), Ticket.id)
    return await paging.fetch(session, Ticket, conditions, by=by, cursor=cursor, limit=limit, oldest_first=True)


_HISTORY = (
    select(TicketEvent)
    .where(TicketEvent.ticket_id == bindparam("of"))
    .order_by(TicketEvent.at, TicketEvent.kind != TicketEventKind.OPENED, TicketEvent.id)
)


async def list_events(session: AsyncSession, ticket: Ticket) -> Sequence[TicketEvent]:
    """The history, oldest first; what came with the opening stands behind it."""
    return (await session.scalars(_HISTORY, {"of": ticket.id})).all()


async def add_event(
    session: AsyncSession,
    ticket: Ticket,
    *,
    kind: TicketEventKind,
    actor: str,
    now: datetime,
    text: str = "",
    detail: Mapping[str, Json] | None = None,
    internal: bool = False,
    event_id: str = "",
) -> TicketEvent:
    row = {
        "id": event_id or uuid4().hex,
        "ticket_id": ticket.id,
        "at": now,
        "actor": actor,
        "kind": kind,
        "text": text.strip(),
        "detail": dict(detail or {}),
        "internal": internal,
    }
    await add_events(session, [row])
    await events.ring(session, {"tickets": {"ids": [ticket.id]}}, now=now)
    return await session.get_one(TicketEvent, row["id"])


async def add_events(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with the columns of TicketEvent: every line of a history but its first."""
    await upsert.add_new(session, TicketEvent, rows)
    await ticket_news.tell(session, rows)


def _protocol(text: str) -> ColumnElement[bool]:
    """Protocols are digits, so those that begin so lie between two of them, and the index finds them."""
    if len(text) >= WHOLE_PROTOCOL:
        return Ticket.protocol == text
    end = text.rstrip("9")
    from_here = Ticket.protocol >= text
    return from_here & (Ticket.protocol < end[:-1] + str(int(end[-1]) + 1)) if end else from_here
