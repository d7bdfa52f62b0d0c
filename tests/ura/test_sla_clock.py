"""The SLA clock: it never runs while paused, never goes back, and is the same in every zone and over summer time."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ura import sla_clock
from ura.queues import Span, public_holidays
from ura.sla_clock import Calendar, Interval, Pause, Why, due, intervals, read, worked

ZONE = ZoneInfo("America/Sao_Paulo")
WEEK = (*(Span(day, time(8), time(18)) for day in range(5)), Span(5, time(8), time(12)))
TOWN = {date(2027, 1, 25): "Aniversário da cidade"}
HOUR = timedelta(hours=1)


def holiday(day: date) -> str:
    return TOWN.get(day) or public_holidays("SP", day.year).get(day, "")


OFFICE = Calendar(WEEK, ZONE, holiday)
ALWAYS = Calendar(None, ZONE, holiday)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def told(lines: Iterable[Interval]) -> list[str]:
    def clock(moment: datetime) -> str:
        return f"{moment.astimezone(ZONE):%d/%m %H:%M}"

    return [f"{clock(each.from_at)} {clock(each.to_at)} {each.why} {each.name}".rstrip() for each in lines]


def test_a_ticket_over_friday_the_weekend_a_town_holiday_and_a_storm_is_told_line_by_line() -> None:
    storm = Pause(local("2027-01-26T14:00"), local("2027-01-27T09:30"), "weather")
    found = read(OFFICE, local("2027-01-22T16:30"), 16 * HOUR, [storm], now=local("2027-01-27T10:00"))
    assert told(found.intervals) == [
        "22/01 16:30 22/01 18:00 counted",
        "22/01 18:00 23/01 08:00 closed",
        "23/01 08:00 23/01 12:00 counted",
        "23/01 12:00 25/01 00:00 closed",  # Saturday afternoon and Sunday
        "25/01 00:00 26/01 00:00 holiday Aniversário da cidade",
        "26/01 00:00 26/01 08:00 closed",
        "26/01 08:00 26/01 14:00 counted",
        "26/01 14:00 27/01 09:30 paused weather",
        "27/01 09:30 27/01 14:00 counted",
    ]
    assert found.due_at == local("2027-01-27T14:00")
    assert (found.worked, found.left) == (12 * HOUR, 4 * HOUR)


def test_while_a_pause_goes_on_nothing_is_due_and_all_is_told_until_now() -> None:
    found = read(OFFICE, local("2027-01-22T08:00"), 4 * HOUR, [Pause(local("2027-01-22T09:00"), None, "customer")],
                 now=local("2027-01-24T10:00"))  # fmt: skip
    assert found.due_at is None
    assert told(found.intervals) == ["22/01 08:00 22/01 09:00 counted", "22/01 09:00 24/01 10:00 paused customer"]
    assert (found.worked, found.left) == (HOUR, 3 * HOUR)


def test_a_pause_after_the_deadline_undoes_nothing() -> None:
    late = [Pause(local("2027-01-22T13:00"), None, "parts")]
    assert due(OFFICE, local("2027-01-22T08:00"), 4 * HOUR, late) == local("2027-01-22T12:00")


def test_what_is_due_at_once_is_due_at_once_whoever_works() -> None:
    assert due(OFFICE, local("2027-01-24T03:00"), timedelta(), []) == local("2027-01-24T03:00")


def test_where_nobody_ever_works_nothing_is_due() -> None:
    assert due(Calendar((), ZONE, holiday), local("2027-01-22T08:00"), HOUR, []) is None


def test_it_looks_as_far_ahead_after_a_long_pause_as_without_one() -> None:
    pause = Pause(local("2027-01-22T09:00"), local("2029-01-22T09:00"), "access")
    assert due(OFFICE, local("2027-01-22T08:00"), 2 * HOUR, [pause]) == local("2029-01-22T10:00")


@pytest.mark.parametrize(
    ("zone", "start", "due_at"),
    [
        # Summer time begins in São Paulo on Sunday, 4 November 2018: midnight is one o'clock, and the day has 23 hours.
        ("America/Sao_Paulo", "2018-11-03T20:00", "2018-11-04T05:00"),
        ("America/Sao_Paulo", "2018-02-17T20:00", "2018-02-18T03:00"),  # it ends: the hour before midnight comes twice
        ("America/Noronha", "2018-11-03T20:00", "2018-11-04T04:00"),  # no summer time since 2002
        ("America/Manaus", "2018-11-03T20:00", "2018-11-04T04:00"),
    ],
)
def test_eight_hours_are_eight_hours_over_summer_time(zone: str, start: str, due_at: str) -> None:
    there = ZoneInfo(zone)
    night = tuple(Span(day, time(0), time(0)) for day in range(7))
    begins = datetime.fromisoformat(start).replace(tzinfo=there)
    found = due(Calendar(night, there, lambda day: ""), begins, 8 * HOUR, [])
    assert found == datetime.fromisoformat(due_at).replace(tzinfo=there)
    assert found == begins.astimezone(UTC) + 8 * HOUR


# -- what always holds ------------------------------------------------------------------------------------------------


@st.composite
def span(draw: st.DrawFn) -> Span:
    opens = draw(st.integers(0, 95))
    closes = draw(st.integers(opens + 1, 96)) % 96
    return Span(draw(st.integers(0, 6)), time(opens // 4, opens % 4 * 15), time(closes // 4, closes % 4 * 15))


zones = st.sampled_from(
    [ZONE, *map(ZoneInfo, ("America/Noronha", "America/Manaus", "America/Rio_Branco", "Europe/Lisbon", "UTC"))]
)
starts = st.one_of(
    st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)),
    st.datetimes(datetime(2018, 2, 14), datetime(2018, 2, 20)),  # summer time ends in São Paulo
    st.datetimes(datetime(2018, 11, 1), datetime(2018, 11, 6)),  # and begins
).map(lambda moment: moment.replace(tzinfo=UTC))
minutes = st.integers(0, 10 * 24 * 60).map(lambda number: timedelta(minutes=number))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    week = draw(st.one_of(st.none(), st.lists(span(), min_size=1, max_size=8).map(tuple)))
    closed = draw(st.sets(st.integers(0, 365), max_size=30))
    return Calendar(week, draw(zones), lambda day: "x" if day.timetuple().tm_yday in closed else "")


@st.composite
def stops(draw: st.DrawFn, start: datetime, *, ended: bool = False) -> list[Pause]:
    found = []
    for _ in range(draw(st.integers(0, 4))):
        begins = start + draw(minutes) - timedelta(days=1)
        goes_on = not ended and draw(st.booleans()) and draw(st.booleans())
        found.append(Pause(begins, None if goes_on else begins + draw(minutes), draw(st.sampled_from("ab"))))
    return found


@given(st.data(), calendars(), starts, minutes)
def test_every_moment_is_told_once_and_none_that_is_paused_counts(
    data: st.DataObject, calendar: Calendar, start: datetime, length: timedelta
) -> None:
    pauses = data.draw(stops(start))
    found = list(intervals(calendar, start, start + length, pauses))
    reached = start
    for each in found:
        assert reached == each.from_at < each.to_at
        reached = each.to_at
    assert reached == start + length
    for each in found:
        for pause in pauses:
            ends = pause.to_at or each.to_at
            overlap = min(ends, each.to_at) > max(pause.from_at, each.from_at)
            assert not (overlap and each.why is not Why.PAUSED)
    assert all(before.why is not after.why or before.name != after.name for before, after in pairwise(found))


@given(st.data(), calendars(), starts, minutes, minutes)
def test_it_never_goes_back_and_never_runs_faster_than_time(
    data: st.DataObject, calendar: Calendar, start: datetime, length: timedelta, more: timedelta
) -> None:
    pauses = data.draw(stops(start))
    then = worked(calendar, start, start + length, pauses)
    later = worked(calendar, start, start + length + more, pauses)
    assert timedelta() <= then <= later <= then + more
    assert then <= length


@given(st.data(), calendars(), starts, minutes, minutes)
def test_what_is_due_is_due_when_it_has_been_worked_and_not_a_moment_before(
    data: st.DataObject, calendar: Calendar, start: datetime, budget: timedelta, more: timedelta
) -> None:
    pauses = data.draw(stops(start))
    found = due(calendar, start, budget, pauses)
    longer = due(calendar, start, budget + more, pauses)
    if found is None:
        assert longer is None
        return
    assert worked(calendar, start, found, pauses) == budget
    if budget:
        moment = timedelta(microseconds=1)
        assert worked(calendar, start, found - moment, pauses) == budget - moment
    assert longer is None or longer >= found


@given(st.data(), calendars(), starts, minutes, minutes, minutes)
def test_a_pause_more_never_makes_it_earlier_and_one_in_pieces_is_one(
    data: st.DataObject, calendar: Calendar, start: datetime, budget: timedelta, first: timedelta, second: timedelta
) -> None:
    pauses = data.draw(stops(start, ended=True))
    begins = start + data.draw(minutes)
    whole = [*pauses, Pause(begins, begins + first + second, "a")]
    pieces = [Pause(begins + first, begins + first + second, "a"), *pauses, Pause(begins, begins + first, "a")]
    without, held_up = due(calendar, start, budget, pauses), due(calendar, start, budget, whole)
    assert held_up == due(calendar, start, budget, pieces)
    assert (without is None) == (held_up is None)
    if without and held_up:
        assert held_up >= without


@given(st.data(), calendars(), starts, minutes, zones)
def test_it_is_the_same_in_whatever_zone_a_moment_is_written(
    data: st.DataObject, calendar: Calendar, start: datetime, budget: timedelta, elsewhere: ZoneInfo
) -> None:
    pauses = data.draw(stops(start))
    moved = [
        Pause(each.from_at.astimezone(elsewhere), each.to_at and each.to_at.astimezone(elsewhere), each.reason)
        for each in pauses
    ]
    now = start + timedelta(days=2)
    here = read(calendar, start, budget, pauses, now=now)
    assert here == read(calendar, start.astimezone(elsewhere), budget, moved, now=now.astimezone(elsewhere))
    assert all(each.from_at.tzinfo is UTC for each in here.intervals)


@given(st.data(), starts, minutes, zones, zones)
def test_day_and_night_no_zone_and_no_summer_time_matters(
    data: st.DataObject, start: datetime, budget: timedelta, one: ZoneInfo, other: ZoneInfo
) -> None:
    pauses = data.draw(stops(start, ended=True))
    here = due(Calendar(None, one, lambda day: ""), start, budget, pauses)
    assert here == due(Calendar(None, other, lambda day: ""), start, budget, pauses)
    round_the_clock = tuple(Span(day, time(0), time(0)) for day in range(7))
    assert here == due(Calendar(round_the_clock, one, lambda day: ""), start, budget, pauses)


@given(st.data(), calendars(), starts, minutes, minutes)
def test_who_looks_later_sees_no_less_worked_and_the_same_deadline(
    data: st.DataObject, calendar: Calendar, start: datetime, budget: timedelta, more: timedelta
) -> None:
    pauses = data.draw(stops(start))
    then, later = (read(calendar, start, budget, pauses, now=start + after) for after in (more, more + more))
    assert then.due_at == later.due_at
    assert then.worked <= later.worked
    assert then.left >= later.left >= sla_clock.NOTHING
