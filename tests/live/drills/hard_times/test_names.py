"""Names that nobody resolves, and no database behind them (R19 R37)."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from tests.bench.probe import Probe, Timing
from tests.live.conftest import eventually
from tests.live.drills.hard_times.house import HardTimes
from tests.live.drills.stalls import LOOK_S, Stalls
from tests.live.drills.tools import LANDLINE, calls_of, complain, no_channels, tickets_of, waiting_records, workers
from ura import outbox
from ura.models import OutboxMessage, OutboxState

pytestmark = [pytest.mark.live, pytest.mark.alone, pytest.mark.timeout(180)]

AWAY_S = 30
LAG_S = 0.05  # no event loop may stand still for longer (R19)


def ring(times: HardTimes) -> Timing:
    probe = Probe("127.0.0.1", times.settings.sip_port)
    try:
        return probe.call(LANDLINE, "4")
    finally:
        probe.close()


async def test_half_a_minute_without_database_and_names_is_not_noticed_on_the_phone(times: HardTimes) -> None:
    """R37 and R19 in one: the server is gone, and every try to reach it asks a name server that never answers."""
    house, at = times.house, len(times.house.log("worker"))
    async with times.house.sessions() as session:
        message = await outbox.enqueue(
            session, kind="plans", to="+5519981000049", payload={"plan_ids": [1]}, now=datetime.now(UTC)
        )
        await session.commit()
    numbers = [f"+551998100004{n}" for n in range(4)]
    loops = [*workers(house), house.pid("api"), house.pid("worker")]
    async with Stalls(loops) as stalls, house.caller() as phone:
        times.resolve_database(yes=False)
        times.postgres.stop()
        gone_at = time.monotonic()
        calls = [await phone.dial(LANDLINE, from_=number) for number in numbers]
        ringing = [asyncio.to_thread(ring, times) for _ in range(6)]
        timings, _ = await asyncio.gather(asyncio.gather(*ringing), asyncio.gather(*map(complain, calls)))
        waiting = await waiting_records(house)
        while time.monotonic() - gone_at < AWAY_S:
            await asyncio.sleep(0.2)
        for call in calls:
            await call.hang_up()
    times.resolve_database(yes=True)
    times.postgres.start()

    # While it was away: answered at once, spoken to at once, each key answered soon. The loop never stood still.
    assert max(timing.answer_ms for timing in timings) < 200
    assert max(call.first_sound_ms for call in calls) < 700  # 300 of them: has this caller rung before?
    # Whether there is an outage at home was asked before the greeting, and given up while it was said.
    assert max(ms for timing in timings for ms in timing.keys_ms) < 500
    assert waiting > 10
    assert max(stalls.worst_s.values()) <= LAG_S, stalls.worst_s
    assert stalls.looks > AWAY_S / LOOK_S / 2

    async def drained() -> bool:
        found = await calls_of(house, numbers)
        return len(found) == 4 and all(call.ended_at for call in found) and not await waiting_records(house)

    await eventually(drained, 30)
    assert await tickets_of(house, numbers) == dict.fromkeys(numbers, 1)
    assert len({call.protocol for call in await calls_of(house, numbers)}) == 4
    assert len(times.told("worker", "database away; the journal keeps", at)) == 1
    assert len(times.told("worker", "database back", at)) == 1
    assert "stands still" not in house.log("agi")
    async with house.sessions() as session:
        queued = await session.get_one(OutboxMessage, message)
        assert queued.state in (OutboxState.QUEUED, OutboxState.SENDING)  # not lost, not pretended
    await no_channels(house)
