"""What is promised can be kept: hours count only while somebody works."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ura import sla
from ura.db import Sessions
from ura.errors import NotFound
from ura.models import BusinessHours, Holiday, Queue
from ura.queues import Span, moments
from ura.sla import deadline_of

ZONE = ZoneInfo("America/Sao_Paulo")
WEEK = [Span(day, time(8), time(18)) for day in range(5)] + [Span(5, time(8), time(12))]


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def never(day: date) -> bool:
    return False


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-11-23T10:00", 4, "2026-11-23T14:00"),
        ("2026-11-23T10:20", 4, "2026-11-23T15:00"),  # on the hour
        ("2026-11-23T10:00", 10, "2026-11-24T10:00"),
        ("2026-11-23T02:00", 10, "2026-11-23T18:00"),  # at two in the morning nobody has begun
        ("2026-11-22T02:00", 10, "2026-11-23T18:00"),  # on a Sunday neither
        (
            "2026-11-20T17:30",
            6,
            "2026-11-23T10:00",
        ),  # Friday evening: half an hour, Saturday's four, Monday's one and a half
        ("2026-11-20T17:59", 1, "2026-11-21T09:00"),
        ("2026-12-24T17:00", 2, "2026-12-26T09:00"),  # Christmas
        ("2026-12-31T17:00", 6, "2027-01-04T09:00"),  # into a year whose holidays are others
    ],
)
def test_hours_count_only_while_somebody_works(start: str, hours: int, due: str) -> None:
    feasts = {date(2026, 12, 25), date(2027, 1, 1)}
    found = deadline_of(WEEK, local(start), timedelta(hours=hours), zone=ZONE, is_holiday=feasts.__contains__)
    assert found == local(due)


def test_where_somebody_always_works_every_hour_counts() -> None:
    assert deadline_of(None, local("2026-11-22T02:10"), timedelta(hours=5), zone=ZONE, is_holiday=never) == local(
        "2026-11-22T08:00"
    )


def test_not_past_closing_time_even_for_a_round_hour() -> None:
    half = [Span(0, time(8), time(12, 30))]
    found = deadline_of(half, local("2026-11-23T08:10"), timedelta(hours=4), zone=ZONE, is_holiday=never)
    assert found == local("2026-11-23T12:30")


def test_spans_that_overlap_count_once() -> None:
    twice = [Span(0, time(8), time(12)), Span(0, time(10), time(14)), Span(0, time(9), time(11))]
    found = deadline_of(twice, local("2026-11-23T08:00"), timedelta(hours=6), zone=ZONE, is_holiday=never)
    assert found == local("2026-11-23T14:00")


def test_where_nobody_ever_comes_nothing_is_promised() -> None:
    assert deadline_of([], local("2026-11-23T08:00"), timedelta(hours=1), zone=ZONE, is_holiday=never) is None
    assert (
        deadline_of(WEEK, local("2026-11-23T08:00"), timedelta(hours=1), zone=ZONE, is_holiday=lambda day: True) is None
    )


def test_an_hour_that_the_clock_repeats_is_two() -> None:
    """Lisbon, 25 October 2026: two o'clock comes back as one. From midnight to four it is five hours."""
    lisbon = ZoneInfo("Europe/Lisbon")
    sunday = [Span(6, time(0), time(4))]
    start = datetime(2026, 10, 25, 0, 0, tzinfo=lisbon)
    found = deadline_of(sunday, start, timedelta(hours=5), zone=lisbon, is_holiday=never)
    assert found == datetime(2026, 10, 25, 4, 0, tzinfo=lisbon)


@st.composite
def span(draw: st.DrawFn) -> Span:
    opens = draw(st.integers(0, 95))
    closes = draw(st.integers(opens + 1, 96)) % 96
    return Span(draw(st.integers(0, 6)), time(opens // 4, opens % 4 * 15), time(closes // 4, closes % 4 * 15))


weeks = st.lists(span(), min_size=1, max_size=8)
zones = st.sampled_from([ZONE, ZoneInfo("Europe/Lisbon"), ZoneInfo("UTC")])  # Brazil itself had summer time until 2019
starts = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
lengths = st.integers(1, 240 * 60).map(lambda minutes: timedelta(minutes=minutes))
closed_days = st.sets(st.integers(0, 40))


@given(weeks, starts, lengths, lengths, zones, closed_days)
def test_a_promise_can_be_kept(
    week: list[Span], start: datetime, hours: timedelta, more: timedelta, zone: ZoneInfo, closed: set[int]
) -> None:
    """Never before its hours are over, always while somebody works, never earlier for who asks later or needs more."""
    first = start.astimezone(zone).date()
    feasts = {first + timedelta(days=ahead) for ahead in closed}

    def promised(moment: datetime, length: timedelta) -> datetime | None:
        return deadline_of(week, moment, length, zone=zone, is_holiday=feasts.__contains__)

    due = promised(start, hours)
    later, longer = promised(start + more, hours), promised(start, hours + more)
    if due is None:
        assert longer is None
        return
    assert due >= start + hours
    day = (due - timedelta(microseconds=1)).astimezone(zone).date()  # one that is due at midnight is that day's
    spans = [moments(one, day, zone) for one in week if one.weekday == day.weekday()]
    assert day not in feasts
    assert any(opens < due <= closes for opens, closes in spans)
    assert later is None or later >= due
    assert longer is None or longer >= due


@given(starts, lengths, zones)
def test_around_the_clock_a_promise_is_kept_within_the_hour(start: datetime, hours: timedelta, zone: ZoneInfo) -> None:
    due = deadline_of(None, start, hours, zone=zone, is_holiday=never)
    assert due is not None
    assert timedelta() <= due - (start + hours) < timedelta(hours=1)
    assert (due.minute, due.second) == (0, 0)


async def test_the_queues_own_hours_and_the_days_of_the_town_are_kept(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add_all(
            [
                Queue(key="l1", title="Atendimento", business_hours="week"),
                Queue(key="noc", title="Plantão", business_hours=""),
                Queue(key="nobody", title="?", business_hours="missing"),
                *(
                    BusinessHours(timetable="week", weekday=one.weekday, opens=one.opens, closes=one.closes)
                    for one in WEEK
                ),
                Holiday(on_day=date(2026, 11, 23), name="Aniversário da cidade"),
            ]
        )

    async def due(queue: str, start: str, hours: float) -> datetime | None:
        async with sessions() as session:
            now = local(start).astimezone(UTC)
            return await sla.deadline(session, queue, now=now, hours=hours, zone=ZONE, state_uf="SP")

    assert await due("l1", "2026-11-21T11:00", 3) == local("2026-11-24T10:00")
    assert await due("l1", "2026-07-08T17:00", 3) == local("2026-07-10T10:00")  # 9 July is kept in São Paulo
    assert await due("noc", "2026-11-21T11:00", 3) == local("2026-11-21T14:00")
    assert await due("nobody", "2026-11-21T11:00", 3) is None
    with pytest.raises(NotFound):
        await due("gone", "2026-11-21T11:00", 3)
