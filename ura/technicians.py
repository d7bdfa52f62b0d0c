"""Who visits customers, in which hours, and which of their slots are free."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import queues, timetables, visit_slots
from ura.errors import BadInput, NotFound, Refused
from ura.models import Technician, User, Visit
from ura.models.visit import TO_COME
from ura.visit_slots import Slot

SLOT_MIN, SLOT_MAX = 15, 600
MOST_DAYS = 31


class TechnicianNotFound(NotFound):
    code = "technician-not-found"


class NoSuchSlot(Refused):
    code = "no-such-slot"


class SlotTaken(Refused):
    code = "slot-taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Where the house is: its local time, and the state whose holidays it keeps."""

    zone: ZoneInfo
    state_uf: str


async def save(session: AsyncSession, user: User, *, timetable: str, slot_min: int, active: bool) -> None:
    """Raises TimetableNotFound, BadInput."""
    await timetables.get_hours(session, timetable)
    if not SLOT_MIN <= slot_min <= SLOT_MAX:
        raise BadInput(f"A slot takes {SLOT_MIN} to {SLOT_MAX} minutes.")
    row = await session.get(Technician, user.id) or Technician(user_id=user.id, bookings=0)
    row.timetable, row.slot_min, row.active = timetable, slot_min, active
    session.add(row)
    await session.flush()


async def list_all(session: AsyncSession) -> Sequence[tuple[Technician, User]]:
    """By name; those too who make no visits now."""
    query = select(Technician, User).join(User, User.id == Technician.user_id).order_by(User.name, User.id)
    return [(technician, user) for technician, user in await session.execute(query)]


async def list_slots(
    session: AsyncSession,
    *,
    now: datetime,
    where: Calendar,
    not_before: datetime | None = None,
    days: int = 7,
    technician_id: int | None = None,
) -> list[Slot]:
    """Free ones of the next `days` local days from `not_before` (now), the soonest first."""
    begins = max(now, not_before or now)
    query = select(Technician).join(User, User.id == Technician.user_id).where(Technician.active, User.active)
    if technician_id is not None:
        query = query.where(Technician.user_id == technician_id)
    found: list[Slot] = []
    for technician in await session.scalars(query):
        slots = await _slots(session, technician, begins, days=min(days, MOST_DAYS), where=where)
        if slots:
            taken = await _taken(session, technician.user_id, slots[0].starts_at, slots[-1].ends_at)
            found += visit_slots.free(slots, taken, not_before=begins)
    return sorted(found)


async def take(
    session: AsyncSession,
    technician_id: int,
    starts_at: datetime,
    *,
    now: datetime,
    where: Calendar,
    but: Visit | None = None,
) -> Slot:
    """The technician's slot that begins then, if nobody has it (`but` this visit). From here to the commit nobody else
    books this technician: the row is changed first, which both databases let only one do at a time."""
    mine = update(Technician).where(Technician.user_id == technician_id, Technician.active)
    locked = await session.scalar(
        mine.values(bookings=Technician.bookings + 1)
        .returning(Technician.user_id)
        .execution_options(synchronize_session=False)
    )
    user = await session.get(User, technician_id) if locked is not None else None
    if user is None or not user.active:
        raise TechnicianNotFound("There is no such technician. /api/v1/technicians lists those who make visits.")
    technician = await session.get_one(Technician, technician_id)
    slots = await _slots(session, technician, starts_at, days=1, where=where)
    slot = next((each for each in slots if each.starts_at == starts_at), None)
    if slot is None or starts_at <= now:
        raise NoSuchSlot("No slot of this technician begins then. /api/v1/orders/slots lists those that are free.")
    others = Visit.id != but.id if but else None
    if await _taken(session, technician_id, slot.starts_at, slot.ends_at, others):
        raise SlotTaken("This slot is taken. /api/v1/orders/slots lists those that are free.")
    return slot


async def _slots(
    session: AsyncSession, technician: Technician, begins: datetime, *, days: int, where: Calendar
) -> list[Slot]:
    first = begins.astimezone(where.zone).date()
    last = first + timedelta(days=days)
    found = await queues.hours_of(session, technician.timetable, first=first, last=last, state_uf=where.state_uf)
    cut = visit_slots.cut(
        found.spans or (),
        technician.user_id,
        first=first,
        days=days,
        slot=timedelta(minutes=technician.slot_min),
        zone=where.zone,
        is_holiday=found.is_holiday,
    )
    return list(cut)


async def _taken(
    session: AsyncSession,
    technician_id: int,
    begins: datetime,
    ends: datetime,
    others: ColumnElement[bool] | None = None,
) -> list[tuple[datetime, datetime]]:
    query = select(Visit.starts_at, Visit.ends_at).where(
        Visit.technician_id == technician_id,
        Visit.status.in_(TO_COME),
        Visit.starts_at < ends,
        Visit.ends_at > begins,
    )
    rows = await session.execute(query if others is None else query.where(others))
    return [(row.starts_at, row.ends_at) for row in rows]
