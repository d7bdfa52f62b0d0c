"""By when is something due? Only hours in which somebody works are counted."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from ura import queues
from ura.queues import Span
from ura.sla_clock import LOOK_AHEAD, Calendar, Why, intervals

ANY_HOLIDAY = "holiday"
HOUR = timedelta(hours=1)


async def deadline(
    session: AsyncSession, queue: str, *, now: datetime, hours: float, zone: ZoneInfo, state_uf: str
) -> datetime | None:
    """`hours` (more than none) of this queue's opening hours from `now`, local; None when nobody comes in time to keep
    any promise. Raises QueueNotFound."""
    first = now.astimezone(zone).date()
    found = await queues.timetable(session, queue, first=first, last=first + LOOK_AHEAD, state_uf=state_uf)
    return deadline_of(found.spans, now, timedelta(hours=hours), zone=zone, is_holiday=found.is_holiday)


def deadline_of(
    spans: Iterable[Span] | None,
    start: datetime,
    worked: timedelta,
    *,
    zone: ZoneInfo,
    is_holiday: Callable[[date], bool],
) -> datetime | None:
    """The rule itself, without a database; `worked` is more than none. Counted in UTC: clocks are put back.

    1. `spans` None: somebody always works, and every hour counts.
    2. Otherwise only the time inside a span of the weekday counts, on days that are no holiday; overlaps count once.
    3. On the hour, rounded up, because nobody remembers minutes; but not past closing time.
    4. None when the hours do not add up within 400 days.
    """
    calendar = Calendar(
        spans=None if spans is None else tuple(spans),
        zone=zone,
        holiday=lambda day: ANY_HOLIDAY if is_holiday(day) else "",
    )
    start, left = start.astimezone(UTC), worked
    for each in intervals(calendar, start, start + LOOK_AHEAD):
        if each.why is not Why.COUNTED:
            continue
        if left <= each.to_at - each.from_at:
            return min(_on_the_hour(each.from_at + left, zone), each.to_at.astimezone(zone))
        left -= each.to_at - each.from_at
    return None


def _on_the_hour(moment: datetime, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return (moment + (HOUR - past if past else past)).astimezone(zone)
