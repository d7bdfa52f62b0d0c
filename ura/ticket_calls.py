"""A ticket and the telephone: which one may a caller mean, and what did they say of it?

1. By number alone: the newest that is not closed. A number with many is a switchboard: there nobody's is told.
2. A cancellation is never asked about: it holds from when it was asked for.
3. What is said is a line in the history. "It takes too long" is one priority more, at most once a call, and an alarm
   for the supervisors.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, events, incidents, outages, queues, summaries, ticket_alarms, tickets
from ura.errors import UraError
from ura.models import Category, IncidentComplaint, Ticket, TicketEvent, TicketEventKind, TicketStatus
from ura.upsert import Row

MOST_OF_A_NUMBER = 3
OVER_WITHIN = timedelta(hours=48)  # so long after its end a caller is asked whether it works again
CALLER = "caller"


class Said(StrEnum):
    """Of a ticket, by telephone."""

    CALLED = "called"  # about it; the ticket's protocol is this call's
    MESSAGE = "message"
    DELAY = "delay"  # it takes too long


async def find_open(session: AsyncSession, phone: str) -> Ticket | None:
    """None for a number that is withheld, has none, or has so many that they are not one person's."""
    if not phone:
        return None
    query = select(Ticket).where(
        Ticket.phone == phone,
        Ticket.status.in_(ticket_alarms.NOT_CLOSED),
        Ticket.category != Category.CANCELLATION,
    )
    newest = query.order_by(Ticket.opened_at.desc(), Ticket.id).limit(MOST_OF_A_NUMBER + 1)
    found = (await session.scalars(newest)).all()
    return found[0] if 0 < len(found) <= MOST_OF_A_NUMBER else None


async def find_of_caller(session: AsyncSession, ticket_id: str, phone: str) -> Ticket | None:
    """The one that this number was asked about; None when it was closed meanwhile."""
    ticket = await tickets.find_ticket(session, ticket_id)
    open_still = ticket is not None and ticket.status is not TicketStatus.CLOSED
    return ticket if open_still and phone and ticket and ticket.phone == phone else None


async def find_over(session: AsyncSession, phone: str, *, now: datetime) -> str:
    """The incident whose end this caller may doubt, "" when there is none."""
    found = await incidents.find_recent(session, phone, now=now, within=OVER_WITHIN)
    return found.id if found else ""


async def waits_for(session: AsyncSession, ticket: Ticket) -> str:
    """Why it stands still, a `ticket_rules.WaitFor`; "" when it does not."""
    if ticket.status is not TicketStatus.WAITING:
        return ""
    lines = select(TicketEvent.detail).where(
        TicketEvent.ticket_id == ticket.id, TicketEvent.kind == TicketEventKind.WAITING
    )
    detail = await session.scalar(lines.order_by(TicketEvent.at.desc(), TicketEvent.id.desc()).limit(1))
    return str((detail or {}).get("reason", ""))


async def write_reports(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows: `id` of the line, `ticket_id`, `said`, `call_id`, `recording_id`, `at`. Of a ticket that is not there any
    more nothing is written."""
    for row in rows:
        ticket = await tickets.find_ticket(session, row["ticket_id"])
        if ticket is not None and await session.get(TicketEvent, row["id"]) is None:
            await _report(session, ticket, row)


async def _report(session: AsyncSession, ticket: Ticket, row: Row) -> None:
    said, now = Said(row["said"]), row["at"]
    detail = {"said": said.value, "call_id": row["call_id"]}
    if row["recording_id"]:
        detail["recording_id"] = row["recording_id"]
    if said is Said.DELAY:
        await _raise(session, ticket)
    await tickets.add_event(
        session,
        ticket,
        kind=TicketEventKind.REPORTED,
        text=summaries.said(said.value),
        detail=detail,
        actor=CALLER,
        now=now,
        event_id=row["id"],
    )
    if said is Said.DELAY:
        about = {"call_id": row["call_id"], "tier": ticket.tier.value, "category": ticket.category}
        await events.ring(session, {ticket_alarms.BELL: {"ids": [ticket.id], "kind": "complained"}}, now=now)
        await audit.record(session, actor=CALLER, action=ticket_alarms.DELAY, subject=ticket.id, detail=about, at=now)


async def _raise(session: AsyncSession, ticket: Ticket) -> None:
    """As with a deadline that was missed, the version stays: whoever is about to act saw nothing that is wrong now."""
    more = update(Ticket).where(Ticket.id == ticket.id).values(priority=Ticket.priority + 1)
    await session.execute(more.execution_options(synchronize_session=False))
    await session.refresh(ticket)


async def write_still_down(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows: `id`, `incident_id`, `protocol`, `phone`, `call_id`, `at`. The caller was promised a call back: where the
    incident does not take the complaint any more, there is one all the same, and a ticket."""
    for row in rows:
        said = select(IncidentComplaint.id).where(
            IncidentComplaint.incident_id == row["incident_id"], IncidentComplaint.call_id == row["call_id"]
        )
        if await session.scalar(said.limit(1)) is not None or await tickets.find_ticket(session, row["id"]):
            continue
        try:
            async with session.begin_nested():
                await incidents.still_not_working(
                    session,
                    row["incident_id"],
                    protocol=row["protocol"],
                    now=row["at"],
                    phone=row["phone"],
                    call_id=row["call_id"],
                    actor=CALLER,
                )
        except UraError:
            await _call_back(session, row)


async def _call_back(session: AsyncSession, row: Row) -> None:
    back = {"id": row["id"], "call_id": row["call_id"], "phone": row["phone"], "queue": outages.CALLBACK_QUEUE}
    await queues.request_callbacks(session, [{**back, "not_before_at": row["at"], "created_at": row["at"]}])
    await tickets.open_tickets(
        session,
        [
            {
                **back,
                "protocol": row["protocol"],
                "category": Category.SUPPORT,
                "summary": summaries.still_down(),
                "opened_by": CALLER,
                "opened_at": row["at"],
            }
        ],
    )
