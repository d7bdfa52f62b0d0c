import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from tests.factories import NOON, later, make_record, messages_by_state
from ura import claims, outbox
from ura.db import Sessions, make_engine, make_sessions
from ura.models import OutboxMessage, OutboxState, Problem
from ura.projection import apply_batch


async def put(sessions: Sessions, count: int = 1) -> None:
    rows = [
        {
            "id": f"{number:032x}",
            "kind": "plans",
            "to": "+5511987654321",
            "payload": {"plan_ids": [number]},
            "call_id": None,
            "created_at": later(number / 1000),
        }
        for number in range(count)
    ]
    async with sessions.begin() as session:
        await outbox.enqueue_rows(session, rows)


async def claim(sessions: Sessions, worker: str = "w1", seconds: float = 100, limit: int = 20) -> list[OutboxMessage]:
    async with sessions.begin() as session:
        return await outbox.claim(session, worker=worker, now=later(seconds), limit=limit)


@pytest.mark.parametrize("workers", [2, 5])
async def test_of_ten_thousand_messages_each_goes_out_once(database_url: str, workers: int) -> None:
    """R42: workers with connections of their own, claiming the same rows as fast as they can."""
    engines = [make_engine(database_url) for _ in range(workers)]
    await put(make_sessions(engines[0]), 10_000)
    effects: Counter[str] = Counter()

    async def work(number: int) -> int:
        sessions, done = make_sessions(engines[number]), 0
        while taken := await claim(sessions, f"w{number}", limit=100):
            effects.update(message.id for message in taken)
            done += len(taken)
        return done

    shares = await asyncio.gather(*(work(number) for number in range(workers)))
    assert sum(shares) == 10_000
    assert set(effects.values()) == {1}
    async with make_sessions(engines[0])() as session:
        assert await messages_by_state(session) == {OutboxState.SENDING: 10_000}
    for engine in engines:
        await engine.dispose()


async def test_a_message_goes_out_only_if_its_cause_was_committed(sessions: Sessions) -> None:
    async with sessions() as session:
        await outbox.enqueue(session, kind="plans", to="+5511", payload={}, now=NOON)
        await session.rollback()
    assert await claim(sessions) == []
    async with sessions.begin() as session:
        message_id = await outbox.enqueue(session, kind="plans", to="+5511", payload={"a": 1}, now=NOON)
    (message,) = await claim(sessions)
    assert (message.id, message.payload, message.attempts) == (message_id, {"a": 1}, 1)
    assert (message.state, message.claimed_by, message.claimed_at) == (OutboxState.SENDING, "w1", later(100))


async def test_a_record_applied_twice_queues_one_message(sessions: Sessions) -> None:
    record = make_record(
        "message_queued",
        message_id="d" * 32,
        call_id="c" * 32,
        kind="plans",
        to="+5511",
        payload={"plan_ids": [1]},
        at=NOON,
    )
    async with sessions.begin() as session:
        await apply_batch(session, [record, record])
    assert [(message.call_id, message.payload) for message in await claim(sessions)] == [("c" * 32, {"plan_ids": [1]})]


async def test_the_oldest_due_go_first_and_none_before_its_time(sessions: Sessions) -> None:
    await put(sessions, 5)
    assert [int(message.id, 16) for message in await claim(sessions, seconds=0.002, limit=2)] == [0, 1]
    assert [int(message.id, 16) for message in await claim(sessions, seconds=0.002)] == [2]


async def test_a_failure_is_tried_again_later_and_later_until_given_up(sessions: Sessions) -> None:
    await put(sessions)
    now = NOON
    for attempt in range(1, outbox.MOST_ATTEMPTS + 1):
        async with sessions.begin() as session:
            (message,) = await outbox.claim(session, worker="w1", now=now)
            assert message.attempts == attempt
            assert await outbox.mark_failed(session, message, error="504", now=now)
        async with sessions.begin() as session:
            assert await outbox.claim(session, worker="w1", now=now) == []
        now += claims.pause_after(attempt)
    async with sessions.begin() as session:
        assert await outbox.claim(session, worker="w1", now=now + timedelta(days=9)) == []
        assert await messages_by_state(session) == {OutboxState.FAILED: 1}
        assert await outbox.send_again(session, message.id, now=now)
        assert not await outbox.send_again(session, message.id, now=now)
    async with sessions.begin() as session:
        (message,) = await outbox.claim(session, worker="w1", now=now)
        assert (message.attempts, message.last_error) == (1, "504")
        assert await outbox.mark_failed(session, message, error="never", now=now, problem=Problem.REFUSED)
    async with sessions() as session:
        assert await messages_by_state(session) == {OutboxState.FAILED: 1}


def test_pauses_grow_to_a_day() -> None:
    assert claims.pause_after(1) == timedelta(seconds=30)
    assert claims.pause_after(3) == timedelta(minutes=2)
    assert claims.pause_after(60) == timedelta(hours=24)


async def test_what_a_dead_worker_held_is_given_back_and_its_late_word_does_not_count(sessions: Sessions) -> None:
    await put(sessions)
    (held,) = await claim(sessions, "dead", seconds=100)
    async with sessions.begin() as session:
        assert await outbox.release_stale(session, claimed_before=later(100), now=later(150)) == 0
        assert await outbox.release_stale(session, claimed_before=later(101), now=later(160)) == 1
    (taken,) = await claim(sessions, "alive", seconds=160)
    async with sessions.begin() as session:
        assert not await outbox.mark_sent(session, held, now=later(170))
        assert not await outbox.mark_failed(session, held, error="late", now=later(170))
        assert await outbox.mark_sent(session, taken, now=later(171))
    async with sessions() as session:
        stored = await session.get_one(OutboxMessage, taken.id)
        assert (stored.state, stored.sent_at, stored.attempts) == (OutboxState.SENT, later(171), 2)


async def test_what_still_waits_after_its_time_has_failed_and_is_not_sent_again(sessions: Sessions) -> None:
    await put(sessions, 3)
    (sending,) = await claim(sessions, limit=1)
    async with sessions.begin() as session:
        assert len(await outbox.forget(session, before=later(50), now=later(60), limit=1)) == 1
        assert len(await outbox.forget(session, before=later(50), now=later(60))) == 1
        assert await outbox.forget(session, before=later(50), now=later(70)) == []
    async with sessions.begin() as session:
        assert await messages_by_state(session) == {OutboxState.SENDING: 1, OutboxState.FAILED: 2}
        failed = (await outbox.list_messages(session, filters=outbox.MessageFilter(state=OutboxState.FAILED))).items
        told = {(message.problem, message.forgotten_at) for message in failed}
        assert told == {(Problem.OUT_OF_DATE, later(60))}
        with pytest.raises(outbox.MessageForgotten):
            await outbox.send_again(session, failed[0].id, now=later(80))
        assert await outbox.mark_sent(session, sending, now=later(101), text="Planos")
    async with sessions.begin() as session:
        assert await outbox.forget(session, before=later(50), now=later(200)) == [sending.id]
