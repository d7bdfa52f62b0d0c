"""When could somebody come? Pure: from the hours of a technician to slots, and which of them are free."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ura import queues
from ura.queues import Span


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """UTC; `ends_at` not included."""

    starts_at: datetime
    ends_at: datetime
    technician_id: int

    def overlaps(self, starts_at: datetime, ends_at: datetime) -> bool:
        return self.starts_at < ends_at and starts_at < self.ends_at


def cut(
    spans: Iterable[Span],
    technician_id: int,
    *,
    first: date,
    days: int,
    slot: timedelta,
    zone: ZoneInfo,
    is_holiday: Callable[[date], bool],
) -> Iterator[Slot]:
    """Each span of each local day, cut from its beginning; what is left at its end is too short for a visit."""
    spans = list(spans)
    for ahead in range(days):
        day = first + timedelta(days=ahead)
        if is_holiday(day):
            continue
        for opens, closes in sorted(queues.moments(span, day, zone) for span in spans if span.weekday == day.weekday()):
            while opens + slot <= closes:
                yield Slot(opens, opens + slot, technician_id)
                opens += slot


def free(slots: Iterable[Slot], taken: Iterable[tuple[datetime, datetime]], *, not_before: datetime) -> list[Slot]:
    """Those that nobody has, from `not_before` on."""
    taken = list(taken)
    return [
        slot for slot in slots if slot.starts_at >= not_before and not any(slot.overlaps(*other) for other in taken)
    ]
