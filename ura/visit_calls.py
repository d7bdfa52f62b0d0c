"""A visit and the telephone: may this caller put it off, when could it be instead, and was it done?

1. The house's own rule holds (`visits.Policy`), and is asked when the caller asks: before any slot is told.
2. What is told is few: one slot each half day, the visit's own technician's before another's, none sooner than the
   notice that the caller has to give.
3. The wish is written down first and done a moment later. If somebody else changed the visit meanwhile, or has the
   slot, nothing changes, and the ticket's history says what was wanted.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from ura import place, summaries, technicians, ticket_moves, tickets, visits
from ura.errors import UraError
from ura.models import TicketEvent, TicketEventKind, Visit
from ura.technicians import Calendar
from ura.upsert import Row
from ura.visit_slots import Slot
from ura.visits import AskedBy, Policy, VisitChanged

CALLER = "caller"
DAYS = 7
MOST = 4
NOON = 12


class May(StrEnum):
    FREE = "free"
    NO_VISIT = "no_visit"
    TOO_OFTEN = "too_often"
    TOO_LATE = "too_late"
    NO_SLOTS = "no_slots"


def may_put_off(visit: Visit | None, *, policy: Policy, now: datetime) -> May:
    """As `visits.put_off` decides for a customer."""
    if visit is None:
        return May.NO_VISIT
    if visit.customer_changes >= policy.most_changes:
        return May.TOO_OFTEN
    return May.TOO_LATE if visit.starts_at - now < policy.notice else May.FREE


async def list_choices(session: AsyncSession, visit: Visit, *, policy: Policy, now: datetime) -> list[Slot]:
    """The soonest first."""
    where = _calendar(session)
    free = await technicians.list_slots(session, now=now, where=where, not_before=now + policy.notice, days=DAYS)
    free = [slot for slot in free if slot.starts_at != visit.starts_at]
    halves: dict[tuple[object, bool], Slot] = {}
    for slot in sorted(free, key=lambda slot: (slot.technician_id != visit.technician_id, slot)):
        local = slot.starts_at.astimezone(where.zone)
        halves.setdefault((local.date(), local.hour < NOON), slot)
    return sorted(halves.values())[:MOST]


async def find_outcome(session: AsyncSession, event_id: str) -> str:
    """Of this wish: "moved", "refused", or "" while it has not been done yet."""
    line = await session.get(TicketEvent, event_id)
    if line is None:
        return ""
    return "moved" if line.kind is TicketEventKind.VISIT_CHANGED else "refused"


async def write_moves(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows: `id` of the wish, `visit_id`, `technician_id`, `starts_at`, `changes` (how often the customer had put it
    off when they were told that they may), `call_id`, `at`."""
    for row in rows:
        visit = await session.get(Visit, row["visit_id"])
        if visit is None or await visits.was_done(session, row["id"]):
            continue
        try:
            async with session.begin_nested():
                await _put_off(session, visit, row)
        except UraError as error:
            await _refuse(session, visit.ticket_id, row, error.code)


async def _put_off(session: AsyncSession, visit: Visit, row: Row) -> None:
    """The rule was asked during the call, of this very state of the visit: it is not asked again of a later one."""
    if visit.customer_changes != row["changes"]:
        raise VisitChanged("The visit was put off meanwhile.")
    await visits.put_off(
        session,
        visit,
        starts_at=row["starts_at"],
        technician_id=row["technician_id"],
        asked_by=AskedBy.CUSTOMER,
        actor=ticket_moves.the_house(CALLER),
        now=row["at"],
        where=_calendar(session),
        policy=Policy(most_changes=row["changes"] + 1, notice=timedelta(0)),
        event_id=row["id"],
    )


async def _refuse(session: AsyncSession, ticket_id: str, row: Row, code: str) -> None:
    ticket = await tickets.get_ticket(session, ticket_id)
    wanted = row["starts_at"].isoformat()
    await tickets.add_event(
        session,
        ticket,
        kind=TicketEventKind.REPORTED,
        text=summaries.said("visit"),
        detail={"said": "visit", "call_id": row["call_id"], "wanted": wanted, "refused": code},
        actor=CALLER,
        now=row["at"],
        event_id=row["id"],
    )


def _calendar(session: AsyncSession) -> Calendar:
    here = place.of(session.info)
    return Calendar(zone=here.zone, state_uf=here.state_uf)
