from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON, call_opened, later, make_id, make_record
from ura import queues
from ura.db import Sessions
from ura.journal import Record
from ura.models import Attendant, BusinessHours, CallbackState, Holiday, Queue
from ura.projection import apply_batch
from ura.prompts import load_texts
from ura.queues import (
    CallbackAlreadySettled,
    CallbackFilter,
    CallbackNotFound,
    Opening,
    QueueNotFound,
    Span,
    expected_wait_s,
    is_overfull,
    opening_of,
    wait_prompt,
)
from ura.settings import ROOT

ZONE = ZoneInfo("America/Sao_Paulo")
WEEK = [Span(day, time(8), time(18)) for day in range(5)] + [Span(5, time(8), time(12))]


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


async def fill(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add_all(
            [
                Queue(key="l1", title="Atendimento", business_hours="week"),
                Queue(key="corporativo", title="Empresas", business_hours=""),
                Queue(key="nobody", title="?", business_hours="missing"),
                Holiday(on_day=date(2026, 11, 24), name="Aniversário da cidade"),
                Attendant(name="Bruno", extension="201", queues=["corporativo"]),
                Attendant(name="Ana", extension="101", queues=["l1"]),
                Attendant(name="Caio", extension="102", queues=["l1"], active=False),
            ]
        )
        session.add_all(
            BusinessHours(timetable="week", weekday=span.weekday, opens=span.opens, closes=span.closes) for span in WEEK
        )


@pytest.mark.parametrize(
    ("now", "opens_at"),
    [
        ("2026-11-23T08:00", None),
        ("2026-11-23T17:59:59", None),
        ("2026-11-23T07:59:59", "2026-11-23T08:00"),
        ("2026-11-23T18:00", "2026-11-25T08:00"),  # the town keeps the 24th
        ("2026-11-24T10:00", "2026-11-25T08:00"),
        ("2026-11-20T10:00", "2026-11-21T08:00"),  # Zumbi's day, a Friday; the Saturday is open
        ("2026-11-21T12:00", "2026-11-23T08:00"),
        ("2026-12-24T18:00", "2026-12-26T08:00"),  # Christmas
        ("2026-07-08T19:00", "2026-07-10T08:00"),  # São Paulo's own day
        ("2026-02-17T10:00", None),  # Carnival is no public holiday
    ],
)
async def test_the_queue_says_whether_it_is_open_and_when_next(
    sessions: Sessions, now: str, opens_at: str | None
) -> None:
    await fill(sessions)
    async with sessions() as session:
        found = await queues.opening(session, "l1", local(now).astimezone(UTC), zone=ZONE, state_uf="SP")
    assert found == Opening(open=opens_at is None, opens_at=local(opens_at) if opens_at else None)


async def test_another_state_keeps_other_days(sessions: Sessions) -> None:
    await fill(sessions)
    async with sessions() as session:
        assert (await queues.opening(session, "l1", local("2026-07-09T10:00"), zone=ZONE, state_uf="MG")).open


async def test_a_branch_keeps_the_days_of_its_town_and_of_its_state(sessions: Sessions) -> None:
    await fill(sessions)
    async with sessions.begin() as session:
        session.add_all(
            [
                Queue(key="vendas_mg", title="Vendas", business_hours="mg", state_uf="MG"),
                Holiday(on_day=date(2026, 11, 25), timetable="mg", name="Dia da padroeira"),
                *(BusinessHours(timetable="mg", weekday=day, opens=time(8), closes=time(18)) for day in range(5)),
            ]
        )

    async def is_open(queue: str, day: str) -> bool:
        async with sessions() as session:
            return (await queues.opening(session, queue, local(f"{day}T10:00"), zone=ZONE, state_uf="SP")).open

    # everybody's day, the branch's own day, São Paulo's day, a day like any other
    days = ("2026-11-24", "2026-11-25", "2026-07-09", "2026-11-26")
    assert [await is_open("l1", day) for day in days] == [False, True, False, True]
    assert [await is_open("vendas_mg", day) for day in days] == [False, False, True, True]


@pytest.mark.parametrize(
    ("ahead", "ready", "attendants", "per_attendant", "overfull"),
    [
        (4, 0, 1, 5, False),  # this caller is the fifth
        (5, 0, 1, 5, True),
        (9, 0, 2, 5, False),
        (10, 0, 2, 5, True),
        (10, 0, 2, 0, False),  # no limit
        (10, 0, 0, 5, False),  # nobody is logged in: the queue itself says so
        (2, 3, 3, 1, False),  # somebody is free for this caller, too
        (3, 1, 3, 1, True),
    ],
)
def test_a_queue_takes_so_many_callers_for_each_attendant(
    ahead: int, ready: int, attendants: int, per_attendant: int, overfull: bool
) -> None:
    found = is_overfull(ahead=ahead, ready=ready, attendants=attendants, per_attendant=per_attendant)
    assert found is overfull


async def test_a_queue_without_hours_is_always_open_and_one_without_spans_never(sessions: Sessions) -> None:
    await fill(sessions)
    async with sessions() as session:
        sunday = local("2026-12-25T03:00")
        assert await queues.opening(session, "corporativo", sunday, zone=ZONE, state_uf="SP") == Opening(open=True)
        assert await queues.opening(session, "nobody", sunday, zone=ZONE, state_uf="SP") == Opening(open=False)
        with pytest.raises(QueueNotFound, match="'gone'"):
            await queues.opening(session, "gone", sunday, zone=ZONE, state_uf="SP")


def test_a_night_shift_runs_over_midnight() -> None:
    night = [Span(4, time(22), time(0)), Span(5, time(0), time(6))]

    def at(text: str) -> Opening:
        return opening_of(night, local(text), zone=ZONE, is_holiday=lambda day: False)

    assert at("2026-11-27T23:59:59").open
    assert at("2026-11-28T00:00").open
    assert at("2026-11-28T06:00") == Opening(open=False, opens_at=local("2026-12-04T22:00"))


def test_a_clock_that_is_put_back_opens_once() -> None:
    """Brazil may have summer time again; Lisbon has it: 25 October 2026, 02:00 is 01:00 again."""
    lisbon = ZoneInfo("Europe/Lisbon")
    sunday = [Span(6, time(1, 30), time(3))]
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 01:30 for the first time
    assert opening_of(sunday, first, zone=lisbon, is_holiday=lambda day: False).open
    before = opening_of(sunday, first - timedelta(minutes=1), zone=lisbon, is_holiday=lambda day: False)
    assert before.opens_at is not None
    assert before.opens_at.astimezone(UTC) == first
    assert opening_of(sunday, first + timedelta(hours=2, minutes=29), zone=lisbon, is_holiday=lambda day: False).open


spans = st.builds(
    lambda weekday, first, last: Span(
        weekday, time(min(first, last)), time(max(first, last) + 1) if last < 23 else time(0)
    ),
    st.integers(0, 6),
    st.integers(0, 22),
    st.integers(0, 22),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))
holidays = st.sets(st.integers(0, 20))


@given(st.lists(spans, max_size=8), moments, holidays)
def test_what_is_promised_is_kept(week: list[Span], now: datetime, closed: set[int]) -> None:
    """The next opening is in the future, somebody is there then, and nobody between now and then."""
    days = {now.astimezone(ZONE).date() + timedelta(days=ahead) for ahead in closed}

    def ask(moment: datetime) -> Opening:
        return opening_of(week, moment, zone=ZONE, is_holiday=days.__contains__)

    found = ask(now)
    if found.open:
        assert found.opens_at is None
        assert now.astimezone(ZONE).date() not in days
    elif found.opens_at:
        assert found.opens_at > now
        assert found.opens_at - now <= timedelta(days=queues.LOOK_AHEAD_DAYS + 1)
        assert ask(found.opens_at).open
        assert not ask(found.opens_at - timedelta(seconds=1)).open
        half_way = now + (found.opens_at - now) / 2
        assert not ask(half_way).open
        assert ask(half_way).opens_at == found.opens_at
    else:
        assert not any(ask(now + timedelta(hours=hours)).open for hours in range(14 * 24))


async def test_queues_and_their_people_are_listed(sessions: Sessions) -> None:
    await fill(sessions)
    async with sessions() as session:
        assert [queue.key for queue in await queues.list_queues(session)] == ["corporativo", "l1", "nobody"]
        assert [each.name for each in await queues.list_attendants(session)] == ["Ana", "Bruno"]
        assert [each.name for each in await queues.list_attendants(session, queue="l1")] == ["Ana"]


async def test_a_callback_is_due_when_the_caller_was_told(sessions: Sessions) -> None:
    record = make_record(
        "callback_requested",
        callback_id="b" * 32,
        call_id=None,
        phone="+5511",
        queue="l1",
        not_before=later(60),
        at=NOON,
    )
    at_once = make_record(
        "callback_requested", callback_id="a" * 32, call_id=None, phone="+5512", queue="l1", not_before=None, at=NOON
    )
    async with sessions.begin() as session:
        await apply_batch(session, [record, at_once, record])
    async with sessions.begin() as session:

        async def due(now: datetime) -> list[str]:
            page = await queues.list_callbacks(session, filters=CallbackFilter(due_at=now))
            return [each.phone for each in page.items]

        assert await due(NOON) == ["+5512"]
        assert await due(later(60)) == ["+5512", "+5511"]
        assert await queues.settle_callback(session, "a" * 32, state=CallbackState.DONE, now=later(61))
        assert not await queues.settle_callback(session, "a" * 32, state=CallbackState.DONE, now=later(99))
        with pytest.raises(CallbackAlreadySettled):
            await queues.settle_callback(session, "a" * 32, state=CallbackState.CANCELLED, now=later(99))
        settled = await queues.get_callback(session, "a" * 32)
        assert (settled.state, settled.done_at) == (CallbackState.DONE, later(61))
        assert await due(later(99)) == ["+5511"]
        with pytest.raises(CallbackNotFound):
            await queues.settle_callback(session, "nobody", state=CallbackState.DONE, now=NOON)


@pytest.mark.parametrize(("configured", "rules"), [(45, 45), (0, 1), (-5, 1), (86_400, 3600)])
async def test_the_longest_wait_is_the_configured_one_within_reason(
    sessions: Sessions, configured: int, rules: int
) -> None:
    async with sessions.begin() as session:
        session.add(Queue(key="l1", title="Atendimento", max_wait_s=configured))
    async with sessions() as session:
        assert (await queues.wait_limits(session, "l1")).max_wait_s == rules
        with pytest.raises(QueueNotFound):
            await queues.wait_limits(session, "l2")


def talk(queue: str, seconds: float, *, began_s: float = 0) -> list[Record]:
    """A call that was answered and has ended."""
    call_id, began = make_id(), later(began_s)
    return [
        call_opened(call_id, at=began),
        make_record("call_queued", call_id=call_id, queue=queue, at=began),
        make_record("call_answered", call_id=call_id, attendant="101", at=began),
        make_record(
            "call_closed", call_id=call_id, outcome="done", ended_at=later(began_s + seconds), last_node="", by="ami"
        ),
    ]


async def test_a_conversation_takes_as_long_as_the_last_ones_in_this_queue(sessions: Sessions) -> None:
    records = [record for seconds in (60, 120, 300) for record in talk("l1", seconds)]
    records += [record for seconds in (10, 10) for record in talk("vendas", seconds)]
    records.append(call_opened(make_id()))  # never in a queue
    async with sessions.begin() as session:
        await apply_batch(session, records)
    async with sessions() as session:
        assert await queues.mean_talk_s(session, "l1", later(600)) == 160
        assert await queues.mean_talk_s(session, "vendas", later(600)) is None  # two are no experience
        assert await queues.mean_talk_s(session, "l1", later(31 * 86_400)) is None


async def test_only_the_newest_conversations_count(sessions: Sessions) -> None:
    long_ago = [record for n in range(10) for record in talk("l1", 1000, began_s=n)]
    lately = [record for n in range(50) for record in talk("l1", 100, began_s=5000 + n)]
    async with sessions.begin() as session:
        await apply_batch(session, lately + long_ago)
    async with sessions() as session:
        assert await queues.mean_talk_s(session, "l1", later(9000)) == 100


@pytest.mark.parametrize(
    ("ahead", "ready", "attendants", "seconds"),
    [(0, 1, 1, 0), (2, 3, 3, 0), (0, 0, 1, 100), (3, 0, 1, 400), (3, 0, 4, 100), (2, 1, 2, 100), (5, 0, 0, 0)],
)
def test_the_wait_grows_with_who_is_ahead_and_shrinks_with_who_answers(
    ahead: int, ready: int, attendants: int, seconds: float
) -> None:
    assert expected_wait_s(ahead=ahead, ready=ready, attendants=attendants, talk_s=100) == seconds


SENTENCES = load_texts(ROOT / "prompts" / "catalogue.yaml")


@given(st.floats(0, 86_400))
def test_every_wait_has_a_sentence_that_does_not_promise_too_much(seconds: float) -> None:
    key = wait_prompt(seconds)
    assert key in SENTENCES
    word, minutes = key.removeprefix("queue.wait.").split("_")
    assert seconds < int(minutes) * 60 if word == "under" else seconds >= int(minutes) * 60
