"""When is work due, and why then? Only time in which somebody works, and which nothing holds up, is counted. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from ura.queues import Span, moments

LOOK_AHEAD = timedelta(days=400)
NOTHING = timedelta()
DAY = Span(0, time(0), time(0))


class Why(StrEnum):
    """Is an interval counted, and if not, why not?"""

    COUNTED = "counted"
    CLOSED = "closed"
    HOLIDAY = "holiday"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Interval:
    """In UTC, `to_at` not included. `name`: the holiday's, or the reason of the pause."""

    from_at: datetime
    to_at: datetime
    why: Why
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """`to_at` None: it goes on."""

    from_at: datetime
    to_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """`spans` None: somebody always works, on holidays too. `holiday`: the name of a day's; "" on any other day."""

    spans: tuple[Span, ...] | None
    zone: ZoneInfo
    holiday: Callable[[date], str]


@dataclass(frozen=True, slots=True)
class Reading:
    """`due_at` (UTC) None: not as long as a pause goes on, or as nobody works. `left` is never less than nothing.
    `intervals`: from the beginning to `due_at`, or to the moment of the reading where there is none."""

    due_at: datetime | None
    worked: timedelta
    left: timedelta
    intervals: tuple[Interval, ...]


def read(calendar: Calendar, start: datetime, budget: timedelta, pauses: Iterable[Pause], *, now: datetime) -> Reading:
    """All that the clock says at `now`."""
    pauses = list(pauses)
    due_at = due(calendar, start, budget, pauses)
    done = worked(calendar, start, now, pauses)
    shown = intervals(calendar, start, due_at or max(now, start), pauses)
    return Reading(due_at, done, max(budget - done, NOTHING), tuple(shown))


def due(calendar: Calendar, start: datetime, budget: timedelta, pauses: Iterable[Pause]) -> datetime | None:
    """The first moment (UTC) at which `budget` has been worked since `start`.

    1. Nothing to work: at once.
    2. Time that is closed, a holiday or paused does not count (see `intervals`).
    3. None when a pause has no end before that, or when the hours do not add up within 400 days of work to come.
    """
    start, left = start.astimezone(UTC), budget
    if left <= NOTHING:
        return start
    stops = _stops(pauses)
    last = max([start, *(pause.to_at for pause in stops if pause.to_at)])
    for each in intervals(calendar, start, last + LOOK_AHEAD, stops):
        if each.why is not Why.COUNTED:
            continue
        if left <= each.to_at - each.from_at:
            return each.from_at + left
        left -= each.to_at - each.from_at
    return None


def worked(calendar: Calendar, start: datetime, until: datetime, pauses: Iterable[Pause]) -> timedelta:
    counted = (each for each in intervals(calendar, start, until, pauses) if each.why is Why.COUNTED)
    return sum((each.to_at - each.from_at for each in counted), NOTHING)


def intervals(calendar: Calendar, start: datetime, end: datetime, pauses: Iterable[Pause] = ()) -> Iterator[Interval]:
    """From `start` to `end` without a gap, one after the other, none empty; neighbours differ.

    1. While it is paused it is paused, whatever the calendar says.
    2. Otherwise a holiday is a holiday for the whole local day, and counts nowhere.
    3. Otherwise the spans of the weekday count, each moment once, and the rest of the day is closed.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    yield from _joined(_held_up(_by_calendar(calendar, start, end), _stops(pauses)))


def _by_calendar(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Interval]:
    reached = start
    if calendar.spans is None:
        if start < end:
            yield Interval(start, end, Why.COUNTED)
        return
    day = start.astimezone(calendar.zone).date()
    while reached < end:
        _, midnight = moments(DAY, day, calendar.zone)
        midnight = min(midnight, end)
        holiday = calendar.holiday(day)
        for opens, closes in [] if holiday else _open(calendar.spans, day, calendar.zone):
            opens, closes = max(opens, reached), min(closes, midnight)
            if opens < closes:
                if reached < opens:
                    yield Interval(reached, opens, Why.CLOSED)
                yield Interval(opens, closes, Why.COUNTED)
                reached = closes
        if reached < midnight:
            yield Interval(reached, midnight, Why.HOLIDAY if holiday else Why.CLOSED, holiday)
            reached = midnight
        day += timedelta(days=1)


def _open(spans: Iterable[Span], day: date, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """In UTC: clocks are put back and forward."""
    return sorted(moments(span, day, zone) for span in spans if span.weekday == day.weekday())


def _held_up(of_calendar: Iterable[Interval], stops: list[Pause]) -> Iterator[Interval]:
    for each in of_calendar:
        reached = each.from_at
        for pause in stops:
            begins = max(pause.from_at, reached)
            ends = each.to_at if pause.to_at is None else min(pause.to_at, each.to_at)
            if begins < ends:
                if reached < begins:
                    yield replace(each, from_at=reached, to_at=begins)
                yield Interval(begins, ends, Why.PAUSED, pause.reason)
                reached = ends
        if reached < each.to_at:
            yield replace(each, from_at=reached)


def _stops(pauses: Iterable[Pause]) -> list[Pause]:
    """By beginning, in UTC; of two at once the first one counts. One that ends before it begins is none: clocks of two
    machines differ."""
    found: list[Pause] = []
    for pause in sorted(pauses, key=lambda pause: pause.from_at):
        begins, ends = pause.from_at.astimezone(UTC), pause.to_at and pause.to_at.astimezone(UTC)
        if found:
            before = found[-1].to_at
            if before is None:
                break
            begins = max(begins, before)
        if ends is None or begins < ends:
            found.append(Pause(begins, ends, pause.reason))
    return found


def _joined(parts: Iterable[Interval]) -> Iterator[Interval]:
    """A weekend is one interval, not two days."""
    held: Interval | None = None
    for part in parts:
        if held and (held.why, held.name) == (part.why, part.name):
            held = replace(held, to_at=part.to_at)
            continue
        if held:
            yield held
        held = part
    if held:
        yield held
