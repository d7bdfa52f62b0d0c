"""The database in the way of a call: a question that gets no answer in time, a flow in it that cannot run (R07 R37)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import delete, select, update

from prosa.caller import Caller
from tests.live.conftest import eventually
from tests.live.drills.hard_times.house import HardTimes
from tests.live.drills.tools import LANDLINE, calls_of, choose_by_letters, until
from ura.models import FlowState, FlowVersion

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


@contextmanager
def locked(times: HardTimes, table: str) -> Iterator[None]:
    """Whoever asks this table has to wait."""
    with psycopg.connect(f"postgresql://prosa@127.0.0.1:{times.postgres.port}/prosa") as lock:
        lock.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
        yield
        lock.rollback()


async def test_a_slow_lookup_is_bridged_with_words_and_a_caller_may_leave_meanwhile(
    times: HardTimes, caller: Caller
) -> None:
    """By letters, because what they find is never remembered: each caller's question goes to the database."""
    stay = await caller.dial(LANDLINE, from_="+5519981000020")
    leave = await caller.dial(LANDLINE, from_="+5519981000021")
    await asyncio.gather(*map(choose_by_letters, (stay, leave)))
    with locked(times, "neighbourhood"):
        await asyncio.gather(stay.press("7256#"), leave.press("7256#"))
        for call in (stay, leave):
            moment = await call.heard("system.one_moment", since=call.keys[-1][0], timeout_s=5)
            assert call.moment(moment.started_s) - call.keys[-1][0] < 2
        await leave.hang_up()
        await stay.heard("sales.lookup_failed", timeout_s=10)
    await stay.hang_up()

    async def closed() -> bool:
        found = await calls_of(times.house, ["+5519981000020", "+5519981000021"])
        return len(found) == 2 and all(call.ended_at for call in found)

    await eventually(closed)


async def test_keys_typed_while_the_database_thinks_are_taken(times: HardTimes, caller: Caller) -> None:
    """Asterisk throws away what is pressed between two commands; so there is always one while we wait."""
    calls = [await caller.dial(LANDLINE, from_=f"+551998100002{n}") for n in range(5, 9)]
    await asyncio.gather(*map(choose_by_letters, calls))
    with locked(times, "neighbourhood"):
        await asyncio.gather(*(call.press("7256#1") for call in calls))  # and the one place that has these letters
        for call in calls:
            await call.heard("system.one_moment", timeout_s=5)
    for call in calls:
        await call.heard("sales.covered")
        await call.hang_up()


async def test_a_flow_that_cannot_run_changes_nothing_for_callers_and_is_told_once(
    times: HardTimes, caller: Caller
) -> None:
    at = len(times.house.log("agi"))
    async with times.house.sessions() as session:
        sound = await session.scalar(select(FlowVersion).where(FlowVersion.state == FlowState.PUBLISHED))
        assert sound is not None
        broken = {**sound.document, "nodes": [{"key": "greeting", "type": "nonsense"}]}
        await session.execute(update(FlowVersion).where(FlowVersion.id == sound.id).values(state=FlowState.RETIRED))
        session.add(
            FlowVersion(
                flow_key=sound.flow_key,
                number=sound.number + 1,
                state=FlowState.PUBLISHED,
                document=broken,
                checksum="0" * 64,
                created_at=datetime.now(UTC),
                published_at=datetime.now(UTC),
                author="drill",
            )
        )
        await session.commit()
        sound_id, number = sound.id, sound.number
    await until(lambda: len(times.told("agi", "published flow cannot run", at)) >= 2, 10, "both workers say so")
    call = await caller.dial(LANDLINE, from_="+5519981000030")
    await call.heard("greeting.welcome")
    await call.heard("menu.main", timeout_s=20)
    await call.hang_up()
    lines = times.told("agi", "published flow cannot run", at)
    assert len(lines) == times.settings.agi_workers, lines  # once each, however often they look
    assert all(f"version={number + 1}" in line for line in lines)
    async with times.house.sessions() as session:
        await session.execute(delete(FlowVersion).where(FlowVersion.checksum == "0" * 64))
        await session.execute(update(FlowVersion).where(FlowVersion.id == sound_id).values(state=FlowState.PUBLISHED))
        await session.commit()
