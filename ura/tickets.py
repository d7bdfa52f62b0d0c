"""Tickets: what somebody was promised. Open → closed; the history only grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import paging, upsert
from ura.errors import BadInput, NotFound, Refused
from ura.models import Category, Ticket, TicketEvent, TicketEventKind, TicketStatus, Tier
from ura.paging import Page
from ura.upsert import Row


class TicketNotFound(NotFound):
    code = "ticket-not-found"


class TicketAlreadyClosed(Refused):
    code = "ticket-already-closed"


class CommentIsEmpty(BadInput):
    code = "comment-is-empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFilter:
    status: TicketStatus | None = None
    category: Category | None = None
    tier: Tier | None = None
    queue: str = ""
    phone: str = ""
    protocol: str = ""
    call_id: str = ""
    opened_from: datetime | None = None
    opened_before: datetime | None = None


async def open_tickets(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with the columns of Ticket, without status and closing. A ticket that is there stays as it is."""
    complete = [{"tier": Tier.L1, "contract_ref": "", **row, "status": TicketStatus.OPEN} for row in rows]
    await upsert.add_new(session, Ticket, complete)
    first_lines = [
        {
            "id": row["id"],
            "ticket_id": row["id"],
            "at": row["opened_at"],
            "actor": row["opened_by"],
            "kind": TicketEventKind.OPENED,
            "text": row["summary"],
        }
        for row in rows
    ]
    await upsert.add_new(session, TicketEvent, first_lines)


async def open_ticket(
    session: AsyncSession,
    *,
    ticket_id: str,
    protocol: str,
    category: Category,
    summary: str,
    phone: str,
    queue: str,
    opened_by: str,
    now: datetime,
    call_id: str | None = None,
    contract_ref: str = "",
) -> Ticket:
    """Open one, by its id: asked twice, the first stays and is given back."""
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
    }
    await open_tickets(session, [row])
    return await get_ticket(session, ticket_id)


async def comment(
    session: AsyncSession, ticket: Ticket, *, text: str, actor: str, now: datetime, event_id: str = ""
) -> TicketEvent:
    """Add a line to the history, also after closing. `event_id` makes a repeated request harmless."""
    if not text.strip():
        raise CommentIsEmpty("A comment needs text.")
    return await _add_event(session, ticket, TicketEventKind.COMMENTED, text, actor, now, event_id)


async def close_ticket(
    session: AsyncSession, ticket: Ticket, *, text: str, actor: str, now: datetime, event_id: str = ""
) -> Ticket:
    """Close it. Raises TicketAlreadyClosed when it is, also when somebody else was faster by a moment."""
    change = (
        update(Ticket)
        .where(Ticket.id == ticket.id, Ticket.status == TicketStatus.OPEN)
        .values(status=TicketStatus.CLOSED, closed_at=now)
        .returning(Ticket.id)
        .execution_options(synchronize_session=False)
    )
    closed = await session.scalar(change)
    await session.refresh(ticket)
    if closed is None:
        raise TicketAlreadyClosed("This ticket is closed. Comment on it, or open a new one.")
    await _add_event(session, ticket, TicketEventKind.CLOSED, text, actor, now, event_id)
    return ticket


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
    """Newest first."""
    wanted = filters or TicketFilter()
    conditions = paging.equal(Ticket, wanted, ("status", "category", "tier", "queue", "phone", "protocol", "call_id"))
    if wanted.opened_from:
        conditions.append(Ticket.opened_at >= wanted.opened_from)
    if wanted.opened_before:
        conditions.append(Ticket.opened_at < wanted.opened_before)
    return await paging.fetch(session, Ticket, conditions, by=(Ticket.opened_at, Ticket.id), cursor=cursor, limit=limit)


async def list_events(session: AsyncSession, ticket: Ticket) -> Sequence[TicketEvent]:
    """The history, oldest first."""
    query = select(TicketEvent).where(TicketEvent.ticket_id == ticket.id).order_by(TicketEvent.at, TicketEvent.id)
    return (await session.scalars(query)).all()


async def _add_event(
    session: AsyncSession, ticket: Ticket, kind: TicketEventKind, text: str, actor: str, now: datetime, event_id: str
) -> TicketEvent:
    row = {
        "id": event_id or uuid4().hex,
        "ticket_id": ticket.id,
        "at": now,
        "actor": actor,
        "kind": kind,
        "text": text.strip(),
    }
    await upsert.add_new(session, TicketEvent, [row])
    return await session.get_one(TicketEvent, row["id"])
