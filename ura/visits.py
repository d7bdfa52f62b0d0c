"""Visits: a technician goes to a customer, in a slot that is theirs alone.

1. A visit is L2's to book, once the ticket is there; a retrieval of equipment L1's too. L3 books nothing.
2. A slot is one of the technician's hours, to come, and nobody else's; a ticket has one visit to come at the most.
3. The customer may put it off so often, and so long before; the provider as it must, and says why.
4. It ends: done or missed, with what came of it, or cancelled, with a reason. Its ticket is closed afterwards.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import paging, technicians, ticket_moves, tickets
from ura.errors import NotFound, Refused
from ura.models import Ticket, TicketEvent, TicketEventKind, TicketStatus, Tier, Visit
from ura.models.visit import TO_COME, VisitKind, VisitStatus
from ura.paging import Page
from ura.settings import Settings
from ura.technicians import Calendar
from ura.ticket_moves import TicketChanged
from ura.ticket_refusals import OfAnotherTier, TicketAlreadyClosed
from ura.ticket_rules import OF_TIER
from ura.users import Actor

Json = Any
SPEAK_WITH_CUSTOMERS = (Tier.L1, Tier.L2)


class VisitNotFound(NotFound):
    code = "visit-not-found"


class VisitAlreadyBooked(Refused):
    code = "visit-already-booked"


class VisitIsOver(Refused):
    code = "visit-is-over"


class VisitNotBegun(Refused):
    code = "visit-not-begun"


class VisitChanged(Refused):
    code = "visit-changed"


class PutOffTooOften(Refused):
    code = "put-off-too-often"


class PutOffTooLate(Refused):
    code = "put-off-too-late"


class WhyMissing(Refused):
    code = "why-missing"


class AskedBy(StrEnum):
    CUSTOMER = "customer"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How often a customer may put a visit off, and how long before it at the latest."""

    most_changes: int = 2
    notice: timedelta = timedelta(hours=4)

    @classmethod
    def of(cls, settings: Settings) -> "Policy":
        return cls(most_changes=settings.visit_changes, notice=timedelta(hours=settings.visit_notice_hours))


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitFilter:
    """`starts_from`: the soonest first; else the latest first."""

    status: VisitStatus | None = None
    kind: VisitKind | None = None
    technician_id: int | None = None
    ticket_id: str = ""
    starts_from: datetime | None = None
    starts_before: datetime | None = None


async def book(
    session: AsyncSession,
    ticket: Ticket,
    *,
    kind: VisitKind,
    technician_id: int,
    starts_at: datetime,
    actor: Actor,
    now: datetime,
    where: Calendar,
    address: str = "",
    note: str = "",
    visit_id: str = "",
) -> Visit:
    """By its id: asked twice, the first stays and is given back. Raises OfAnotherTier, TicketAlreadyClosed,
    TechnicianNotFound, NoSuchSlot, SlotTaken, VisitAlreadyBooked, TicketChanged."""
    if visit_id and (known := await session.get(Visit, visit_id)):
        return known
    check_may_book(ticket, kind, actor)
    try:
        await ticket_moves.touch(session, ticket)
    except TicketChanged:
        if visit_id and (known := await session.get(Visit, visit_id)):  # the same wish, a moment before
            return known
        raise
    slot = await technicians.take(session, technician_id, starts_at, now=now, where=where)
    if await find_to_come(session, ticket.id):
        raise VisitAlreadyBooked("A visit is booked for this ticket. Put that one off, or cancel it.")
    visit = Visit(
        id=visit_id or uuid4().hex,
        ticket_id=ticket.id,
        kind=kind,
        technician_id=technician_id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        address=address.strip(),
        note=note.strip(),
        booked_by=actor.name,
        booked_at=now,
    )
    session.add(visit)
    await session.flush()
    await _tell(session, visit, TicketEventKind.VISIT_BOOKED, note, actor, now)
    return visit


def check_may_book(ticket: Ticket, kind: VisitKind, actor: Actor) -> None:
    """Raises OfAnotherTier, TicketAlreadyClosed."""
    if ticket.status is TicketStatus.CLOSED:
        raise TicketAlreadyClosed("This ticket is closed. Reopen it before you book a visit.")
    tiers = (Tier.L2,) if kind is VisitKind.VISIT else SPEAK_WITH_CUSTOMERS
    if ticket.tier not in tiers or not actor.may(OF_TIER[ticket.tier]):
        names = " or ".join(tier.upper() for tier in tiers)
        at = ticket.tier.upper()
        raise OfAnotherTier(f"A {kind.value} is booked at {names}, by somebody of that tier. The ticket is at {at}.")


async def confirm(session: AsyncSession, visit: Visit, *, actor: Actor, now: datetime, event_id: str = "") -> Visit:
    """The customer said that somebody will be there."""
    if await was_done(session, event_id):
        await session.refresh(visit)
        return visit
    _check_to_come(visit, actor)
    await _change(session, visit, status=VisitStatus.CONFIRMED)
    await _tell(session, visit, TicketEventKind.VISIT_CHANGED, "", actor, now, event_id)
    return visit


async def put_off(
    session: AsyncSession,
    visit: Visit,
    *,
    starts_at: datetime,
    asked_by: AskedBy,
    actor: Actor,
    now: datetime,
    where: Calendar,
    reason: str = "",
    technician_id: int | None = None,
    policy: Policy | None = None,
    event_id: str = "",
) -> Visit:
    """To another slot, of another technician perhaps. Raises PutOffTooOften and PutOffTooLate when the customer asks,
    WhyMissing when the provider does not say why, and what `book` raises."""
    if await was_done(session, event_id):
        await session.refresh(visit)
        return visit
    _check_to_come(visit, actor)
    policy = policy or Policy()
    if asked_by is AskedBy.PROVIDER and not reason.strip():
        raise WhyMissing("The customer was promised this slot. Say in `reason` why somebody comes at another time.")
    if asked_by is AskedBy.CUSTOMER and visit.customer_changes >= policy.most_changes:
        raise PutOffTooOften(f"The customer has put this visit off {visit.customer_changes} times: that is the limit.")
    if asked_by is AskedBy.CUSTOMER and visit.starts_at - now < policy.notice:
        hours = policy.notice.total_seconds() / 3600
        raise PutOffTooLate(f"A visit is put off {hours:g} hours before it at the latest. Cancel it, or let it be.")
    who = technician_id or visit.technician_id
    slot = await technicians.take(session, who, starts_at, now=now, where=where, but=visit)
    await _change(
        session,
        visit,
        status=VisitStatus.BOOKED,
        technician_id=slot.technician_id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        customer_changes=visit.customer_changes + (asked_by is AskedBy.CUSTOMER),
    )
    more = {"asked_by": asked_by.value}
    await _tell(session, visit, TicketEventKind.VISIT_CHANGED, reason, actor, now, event_id, **more)
    return visit


async def end(
    session: AsyncSession,
    visit: Visit,
    *,
    status: VisitStatus,
    outcome: str,
    actor: Actor,
    now: datetime,
    event_id: str = "",
) -> Visit:
    """DONE or MISSED, once it has begun, or CANCELLED. Raises VisitIsOver, VisitNotBegun, WhyMissing, VisitChanged."""
    assert status not in TO_COME
    if await was_done(session, event_id):
        await session.refresh(visit)
        return visit
    _check_to_come(visit, actor)
    if not outcome.strip():
        raise WhyMissing("Say in `outcome` what was done, or why not.")
    if status is not VisitStatus.CANCELLED and now < visit.starts_at:
        raise VisitNotBegun("This visit has not begun. Cancel it, put it off, or say what came of it afterwards.")
    await _change(session, visit, status=status, outcome=outcome.strip(), ended_at=now)
    await _tell(session, visit, TicketEventKind.VISIT_ENDED, outcome, actor, now, event_id)
    return visit


async def get_visit(session: AsyncSession, visit_id: str) -> Visit:
    visit = await session.get(Visit, visit_id)
    if visit is None:
        raise VisitNotFound("There is no such visit.")
    return visit


async def find_to_come(session: AsyncSession, ticket_id: str) -> Visit | None:
    found: Visit | None = await session.scalar(
        select(Visit).where(Visit.ticket_id == ticket_id, Visit.status.in_(TO_COME))
    )
    return found


async def list_visits(
    session: AsyncSession, *, filters: VisitFilter | None = None, cursor: str = "", limit: int = 100
) -> Page[Visit]:
    wanted = filters or VisitFilter()
    conditions = paging.equal(Visit, wanted, ("status", "kind", "technician_id", "ticket_id"))
    if wanted.starts_from:
        conditions.append(Visit.starts_at >= wanted.starts_from)
    if wanted.starts_before:
        conditions.append(Visit.starts_at < wanted.starts_before)
    soonest_first, by = wanted.starts_from is not None, (Visit.starts_at, Visit.id)
    return await paging.fetch(session, Visit, conditions, by=by, cursor=cursor, limit=limit, oldest_first=soonest_first)


# -- inside ------------------------------------------------------------------------------------------------------------


def _check_to_come(visit: Visit, actor: Actor) -> None:
    if not any(actor.may(OF_TIER[tier]) for tier in SPEAK_WITH_CUSTOMERS):
        raise OfAnotherTier("Visits are agreed on with customers: that is for L1 and L2.")
    if visit.status not in TO_COME:
        raise VisitIsOver(f"This visit is {visit.status.value}. Book another one.")


async def _change(session: AsyncSession, visit: Visit, **values: Any) -> None:
    """The one place where a visit that is there changes."""
    changed = await session.scalar(
        update(Visit)
        .where(Visit.id == visit.id, Visit.version == visit.version)
        .values(**values, version=Visit.version + 1)
        .returning(Visit.id)
        .execution_options(synchronize_session=False)
    )
    await session.refresh(visit)
    if changed is None:
        raise VisitChanged("Somebody changed this visit meanwhile. Read it again, then decide.")


async def was_done(session: AsyncSession, event_id: str) -> bool:
    """Was this wish heard before? Then it is not done again."""
    return bool(event_id) and await session.get(TicketEvent, event_id) is not None


async def _tell(
    session: AsyncSession,
    visit: Visit,
    kind: TicketEventKind,
    text: str,
    actor: Actor,
    now: datetime,
    event_id: str = "",
    **more: Json,
) -> None:
    detail = {
        "visit_id": visit.id,
        "kind": visit.kind.value,
        "status": visit.status.value,
        "technician_id": visit.technician_id,
        "starts_at": visit.starts_at.isoformat(),
        **more,
    }
    ticket = await tickets.get_ticket(session, visit.ticket_id)
    await tickets.add_event(
        session, ticket, kind=kind, text=text, detail=detail, actor=actor.name, now=now, event_id=event_id
    )
