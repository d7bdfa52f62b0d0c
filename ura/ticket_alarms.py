"""Which tickets are about to miss their deadline, and which have? Each is told once. And of which did callers complain
that they take too long?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, events, ticket_clock, tickets
from ura.models import AuditEntry, Ticket, TicketEvent, TicketEventKind, TicketStatus
from ura.ticket_clock import Calendars

ACTOR = "prosa"
NOT_CLOSED = (TicketStatus.OPEN, TicketStatus.WAITING)
AT_ONCE = timedelta(hours=1)
MOST = 10_000
BELL = "sla"
DELAY = "ticket-delay"
DELAYS_OF = timedelta(days=1)
NOBODYS_DOING = (TicketEventKind.REPORTED, TicketEventKind.WARNED, TicketEventKind.BREACHED, TicketEventKind.INCIDENT)


@dataclass(frozen=True, slots=True)
class Delay:
    """Callers said that it takes too long, `times` within a day, last at `at`; nobody has done anything since."""

    ticket: Ticket
    at: datetime
    times: int


def _missed(now: datetime) -> ColumnElement[bool]:
    """Due, and not done. What is due at once is warned of at once, and missed an hour later: somebody has
    to read it."""
    return (Ticket.due_at < now) & ((Ticket.due_at > Ticket.opened_at) | (Ticket.due_at < now - AT_ONCE))


async def list_due(session: AsyncSession, *, now: datetime) -> Sequence[str]:
    """Ids of tickets to be warned of or missed, the longest due first; at most 10,000 at a time."""
    alive = select(Ticket.id).where(Ticket.status.in_(NOT_CLOSED), Ticket.breached_at.is_(None))
    missed = alive.where(_missed(now)).order_by(Ticket.due_at, Ticket.id).limit(MOST)
    near = alive.where(Ticket.warned_at.is_(None), Ticket.warn_at <= now).order_by(Ticket.warn_at, Ticket.id)
    found = [*await session.scalars(missed), *await session.scalars(near.limit(MOST))]
    return list(dict.fromkeys(found))


async def list_delays(session: AsyncSession, *, now: datetime, limit: int = 10) -> list[Delay]:
    """The newest first. Whoever does anything with the ticket, a comment too, has answered the alarm."""
    at = func.max(AuditEntry.at, type_=AuditEntry.at.type)
    complained = (
        select(AuditEntry.subject, at.label("at"), func.count().label("times"))
        .where(AuditEntry.at > now - DELAYS_OF, AuditEntry.action == DELAY)
        .group_by(AuditEntry.subject)
        .subquery()
    )
    answered = exists().where(
        TicketEvent.ticket_id == Ticket.id,
        TicketEvent.at > complained.c.at,
        TicketEvent.kind.not_in(NOBODYS_DOING),
    )
    query = (
        select(Ticket, complained.c.at, complained.c.times)
        .join(complained, complained.c.subject == Ticket.id)
        .where(Ticket.status.in_(NOT_CLOSED), ~answered)
        .order_by(complained.c.at.desc(), Ticket.id)
        .limit(limit)
    )
    return [Delay(ticket, said_at, times) for ticket, said_at, times in await session.execute(query)]


async def tell(session: AsyncSession, ids: Sequence[str], *, now: datetime) -> tuple[int, int]:
    """Warn of these, or write down that they were missed: how many of each. One that has changed meanwhile, or that
    another worker has told, is left alone.

    1. By the calendars of today: a holiday that came since puts a deadline off, and nobody is alarmed.
    2. Missed: a line, an alarm on the supervisors' panel, one priority more. Otherwise warned: a line and a bell.
    """
    calendars, told = Calendars(session), {TicketEventKind.WARNED: 0, TicketEventKind.BREACHED: 0}
    for ticket_id in ids:
        ticket = await session.get(Ticket, ticket_id, populate_existing=True)
        kind = ticket and await _tell(session, ticket, calendars, now)
        if kind:
            told[kind] += 1
    return told[TicketEventKind.WARNED], told[TicketEventKind.BREACHED]


async def _tell(session: AsyncSession, ticket: Ticket, calendars: Calendars, now: datetime) -> TicketEventKind | None:
    found = await ticket_clock.explain(session, ticket, now=now, calendars=calendars)
    if found.due_at and ticket.due_at and found.due_at > ticket.due_at:
        await _change(session, ticket, Ticket.warned_at.is_(None), due_at=found.due_at, warn_at=found.warn_at)
        return None
    due_at = ticket.due_at.isoformat() if ticket.due_at else None
    detail = {"due_at": due_at, "tier": ticket.tier.value, "category": ticket.category}
    kind = TicketEventKind.BREACHED
    priority = Ticket.priority + 1
    if not await _change(session, ticket, _missed(now), breached_at=now, warned_at=now, priority=priority):
        kind = TicketEventKind.WARNED
        if not await _change(session, ticket, Ticket.warned_at.is_(None), Ticket.warn_at <= now, warned_at=now):
            return None
    await tickets.add_event(session, ticket, kind=kind, detail=detail, actor=ACTOR, now=now, internal=True)
    await events.ring(session, {BELL: {"ids": [ticket.id], "kind": kind.value}}, now=now)
    if kind is TicketEventKind.BREACHED:
        await audit.record(session, actor=ACTOR, action="ticket-breached", subject=ticket.id, detail=detail, at=now)
    return kind


async def _change(session: AsyncSession, ticket: Ticket, *still: ColumnElement[bool], **values: object) -> bool:
    """False: somebody was faster. The version stays: whoever is about to act on the ticket saw nothing that is wrong
    now."""
    changed = await session.scalar(
        update(Ticket)
        .where(Ticket.id == ticket.id, Ticket.version == ticket.version, Ticket.status.in_(NOT_CLOSED))
        .where(Ticket.breached_at.is_(None), *still)
        .values(**values)
        .returning(Ticket.id)
        .execution_options(synchronize_session=False)
    )
    if changed is not None:
        await session.refresh(ticket)
    return changed is not None
