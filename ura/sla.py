"""By when is something due? Only hours in which somebody works are counted."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from ura import queues
from ura.queues import Span

LOOK_AHEAD = timedelta(days=400)
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
    start, left = start.astimezone(UTC), worked
    if spans is None:
        return _on_the_hour(start + left, zone)
    for opens, closes in _worked(spans, start, zone, is_holiday):
        if left <= closes - opens:
            return min(_on_the_hour(opens + left, zone), closes.astimezone(zone))
        left -= closes - opens
    return None


def _worked(
    spans: Iterable[Span], start: datetime, zone: ZoneInfo, is_holiday: Callable[[date], bool]
) -> Iterator[tuple[datetime, datetime]]:
    """From `start` on, one after the other, in UTC; none overlaps the one before."""
    spans = list(spans)
    first, counted_to = start.astimezone(zone).date(), start
    for ahead in range(LOOK_AHEAD.days + 1):
        day = first + timedelta(days=ahead)
        if is_holiday(day):
            continue
        today = sorted(queues.moments(span, day, zone) for span in spans if span.weekday == day.weekday())
        for opens, closes in today:
            begins = max(opens, counted_to)
            if begins < closes:
                yield begins, closes
                counted_to = closes


def _on_the_hour(moment: datetime, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return (moment + (HOUR - past if past else past)).astimezone(zone)
