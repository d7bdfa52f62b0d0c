"""A ticket goes on: the rule is asked (ura.ticket_rules), the row is changed, the history gets its line.

Two people at once: the row is changed by whoever still has its `version`; the other is told what is the case now.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import ticket_categories, ticket_clock, ticket_rules, tickets, users
from ura.errors import BadInput, Refused
from ura.models import Ticket, TicketEvent, TicketEventKind, TicketStatus, Tier, User, Visit
from ura.models.visit import TO_COME
from ura.ticket_rules import Assign, Change, Close, Contact, Facts, Move, Report, ToL2
from ura.users import Actor, Permission

CHANGED = "Somebody changed this ticket meanwhile. Read it again, then decide."
REOPEN_WITHIN = timedelta(days=7)
ARRIVALS = (TicketEventKind.OPENED, TicketEventKind.MOVED, TicketEventKind.REOPENED)
NOTHING_ELSE = frozenset(
    {Permission.TICKETS_READ, Permission.TICKETS_WRITE, *ticket_rules.OF_TIER.values()}
)  # what the house itself may do with tickets


class TicketChanged(Refused):
    code = "ticket-changed"


class MoveKeyReused(BadInput):
    code = "idempotency-key-reused"


def the_house(name: str) -> Actor:
    """Nobody in person: the worker, or the caller on the telephone. It may act on every tier; the rules hold for it."""
    return Actor(name=name, permissions=NOTHING_ELSE)


async def move(
    session: AsyncSession,
    ticket: Ticket,
    wanted: Move,
    *,
    actor: Actor,
    now: datetime,
    event_id: str = "",
    version: int | None = None,
    reopen_within: timedelta = REOPEN_WITHIN,
) -> TicketEvent:
    """The line in the history; `ticket` is as it is now. `event_id`: of this wish for ever, so asked again it is not
    done again. `version`: the one that the actor saw; None: the one that `ticket` has.

    Raises TicketChanged when somebody was faster, and what `ticket_rules.decide` raises.
    """
    if event_id and (done := await find_done(session, ticket, wanted, event_id)):
        await session.refresh(ticket)  # it may have been done after the ticket was read
        return done
    seen = ticket.version if version is None else version
    change = ticket_rules.decide(ticket, wanted, actor, await facts(session, ticket, wanted, now, reopen_within))
    if not await _apply(session, ticket, change, version=seen, now=now):
        await session.refresh(ticket)
        if event_id and (done := await find_done(session, ticket, wanted, event_id)):
            return done
        ticket_rules.decide(ticket, wanted, actor, await facts(session, ticket, wanted, now, reopen_within))
        raise TicketChanged(CHANGED)
    return await tickets.add_event(
        session,
        ticket,
        kind=change.kind,
        text=change.text,
        detail=change.detail,
        internal=change.internal,
        actor=actor.name,
        now=now,
        event_id=event_id,
    )


async def close_many(session: AsyncSession, ids: Sequence[str], *, now: datetime) -> list[str]:
    """With one statement, whatever their tier: what explained them all is over (ura.incident_news, which writes the
    lines). Those that it closed; one for which a visit is booked is a person's to close."""
    visited = select(Visit.id).where(Visit.ticket_id == Ticket.id, Visit.status.in_(TO_COME)).exists()
    change = (
        update(Ticket)
        .where(Ticket.id.in_(ids), Ticket.status != TicketStatus.CLOSED, ~visited)
        .values(status=TicketStatus.CLOSED, closed_at=now, version=Ticket.version + 1)
        .returning(Ticket.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(await session.scalars(change))


async def touch(session: AsyncSession, ticket: Ticket) -> None:
    """Something that belongs to it changed. Raises TicketChanged when somebody was faster: what was decided about this
    ticket was decided about the one that was read."""
    if not await _change(session, ticket, version=ticket.version):
        raise TicketChanged(CHANGED)


async def _apply(session: AsyncSession, ticket: Ticket, change: Change, *, version: int, now: datetime) -> bool:
    """The one place, beside `close_many`, where a ticket that is there changes its tier or its status, and its clock
    with them. False: it has another version now."""
    clock = await ticket_clock.after(session, ticket, change.kind, change.values, now)
    return await _change(session, ticket, version=version, **{**change.values, **clock})


async def _change(session: AsyncSession, ticket: Ticket, *, version: int, **values: Any) -> bool:
    changed = await session.scalar(
        update(Ticket)
        .where(Ticket.id == ticket.id, Ticket.version == version)
        .values(**values, version=Ticket.version + 1)
        .returning(Ticket.id)
        .execution_options(synchronize_session=False)
    )
    if changed is not None:
        await session.refresh(ticket)
    return changed is not None


async def find_done(session: AsyncSession, ticket: Ticket, wanted: Move, event_id: str) -> TicketEvent | None:
    """What this wish has led to, if it was heard before. Raises MoveKeyReused when its id was another wish's."""
    found = await session.get(TicketEvent, event_id)
    if found is not None and (found.ticket_id, found.detail.get("move")) != (ticket.id, wanted.type):
        raise MoveKeyReused("This Idempotency-Key was sent before with another move. Use a new key for a new one.")
    return found


async def facts(session: AsyncSession, ticket: Ticket, wanted: Move, now: datetime, reopen_within: timedelta) -> Facts:
    """What `ticket_rules.decide` has to know. Only what this move asks for is looked up."""
    asks_form = isinstance(wanted, Report | ToL2)
    return Facts(
        now=now,
        reopen_within=reopen_within,
        fields=await ticket_categories.form_of(session, ticket.category) if asks_form else (),
        tried=isinstance(wanted, Contact) and await _has_tried(session, ticket),
        has_visit=isinstance(wanted, Close) and await _has_visit(session, ticket),
        assignee=await _assignee(session, wanted) if isinstance(wanted, Assign) else None,
        due_at_l2=await ticket_clock.due_at_tier(session, ticket, Tier.L2, now) if isinstance(wanted, ToL2) else None,
    )


async def _has_tried(session: AsyncSession, ticket: Ticket) -> bool:
    """Since the ticket came where it is."""
    own = select(TicketEvent.id).where(TicketEvent.ticket_id == ticket.id)
    came = select(func.max(TicketEvent.at)).where(TicketEvent.ticket_id == ticket.id, TicketEvent.kind.in_(ARRIVALS))
    tried = own.where(TicketEvent.kind == TicketEventKind.TRIED, TicketEvent.at >= came.scalar_subquery()).limit(1)
    return await session.scalar(tried) is not None


async def _has_visit(session: AsyncSession, ticket: Ticket) -> bool:
    to_come = select(Visit.id).where(Visit.ticket_id == ticket.id, Visit.status.in_(TO_COME)).limit(1)
    return await session.scalar(to_come) is not None


async def _assignee(session: AsyncSession, wanted: Assign) -> Actor | None:
    user = await session.get(User, wanted.assignee_id) if wanted.assignee_id is not None else None
    if user is None or not user.active:
        return None
    return Actor(name=user.email, permissions=users.GRANTS[user.role], role=user.role, user_id=user.id)
