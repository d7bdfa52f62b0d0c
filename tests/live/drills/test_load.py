"""R64: a hundred two-way calls, five new ones a second, through the real flow with keys, on SQLite, on one machine.

The common pass line: none failed, none dropped, no channel left after 10 s, 99 % answered within 200 ms, 99 % of keys
answered within 100 ms, under 80 % of the cores for Asterisk and all of ours, no datagram dropped at our sockets, and no
process that grows.
"""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.bench.measure import cpu_s, family, memory_mb, open_files, percentile
from tests.bench.probe import Probe, Timing
from tests.live.conftest import House, eventually, start_house, stop_house
from tests.live.drills.crowd import Crowd
from tests.live.drills.tools import LANDLINE, drops, no_channels
from ura.models import Call

LASTS_S = 300
PER_SECOND, LENGTH_S = 5, 20  # a hundred at once
WARM_CALLS = 1000  # memory and files are compared with what they are after these: what is kept of callers is full then
PROBES = 2
GROWTH = 1.05
CORES_SHARE = 0.8
# Sales, home, first city, from the list, first neighbourhood: lookups, an act, five keys.
KEYS = [(1.5, "1"), (4, "1"), (7, "1"), (10, "1"), (14, "1")]

pytestmark = [pytest.mark.live, pytest.mark.alone, pytest.mark.timeout(LASTS_S + 240)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = start_house(tmp_path / "state", rtp_first_port=48000, rtp_last_port=48999)
    try:
        yield house
    finally:
        stop_house(house)


def probe(house: House, over: threading.Event) -> list[Timing]:
    """One call after another, four keys each: how long until the answer, the first sound, what follows a key."""
    timings = []
    while not over.is_set():
        phone = Probe(house.settings.sip_host, house.settings.sip_port)
        try:
            timings.append(phone.call(LANDLINE, "1111"))
        finally:
            phone.close()
    return timings


def grown(house: House) -> tuple[dict[str, float], int]:
    """MB of each door, and open files of all."""
    doors = {door: family(house.pid(door)) for door in ("asterisk", "agi", "api", "worker")}
    return {door: memory_mb(pids) for door, pids in doors.items()}, sum(open_files(pids) for pids in doors.values())


async def quiet(crowd: Crowd, house: House) -> float:
    """The crowd's calls have ended, and so has everything about them; 99 % were answered within so many ms."""
    result = await crowd.ended(LASTS_S + 60)
    assert result.failed == 0, crowd.complaints()
    await no_channels(house)
    return result.answer_p99_ms


async def test_a_hundred_calls_for_five_minutes(house: House, tmp_path: Path) -> None:
    async with Crowd(tmp_path / "warm", house.settings.sip_port, first_number=5511960000000) as crowd:
        crowd.dial(LANDLINE, KEYS, LENGTH_S, calls=WARM_CALLS, per_second=12, at_once=150)
        await quiet(crowd, house)
    memory_before, files_before = grown(house)
    doors = [pid for door in ("asterisk", "agi", "api", "worker") for pid in family(house.pid(door))]

    calls, over = LASTS_S * PER_SECOND, threading.Event()
    async with Crowd(tmp_path / "load", house.settings.sip_port, first_number=5511970000000) as crowd:
        crowd.dial(LANDLINE, KEYS, LENGTH_S, calls=calls, per_second=PER_SECOND, at_once=2 * PER_SECOND * LENGTH_S)
        await crowd.held(int(0.9 * PER_SECOND * LENGTH_S))
        with ThreadPoolExecutor(PROBES) as pool:
            loop = asyncio.get_running_loop()
            probing = [loop.run_in_executor(pool, probe, house, over) for _ in range(PROBES)]
            try:
                with drops(house) as lost:
                    began, used_s = time.monotonic(), cpu_s(doors)
                    answer_p99_ms = await quiet_but_for_probes(crowd)
                    share = (cpu_s(doors) - used_s) / (time.monotonic() - began) / (os.cpu_count() or 1)
            finally:
                over.set()
            timings = [timing for several in await asyncio.gather(*probing) for timing in several]
    await no_channels(house)

    keys_ms = [ms for timing in timings for ms in timing.keys_ms]
    memory_after, files_after = grown(house)
    print(f"{calls} calls, 99 % answered in {answer_p99_ms:.0f} ms; {share:.0%} of the cores;", end=" ")
    print(f"{len(keys_ms)} keys, 99 % in", end=" ")
    print(
        f"{percentile(keys_ms, 0.99):.1f} ms; MB {memory_before} → {memory_after}; files {files_before} → {files_after}"
    )
    assert len(keys_ms) >= LASTS_S / 15
    assert [timing for timing in timings if timing.silent] == []
    assert answer_p99_ms <= 200
    assert percentile(keys_ms, 0.99) <= 100, sorted(keys_ms)[-5:]
    assert lost.count == 0
    assert share < CORES_SHARE, f"Asterisk and our doors took {share:.0%} of the cores"
    assert "stands still" not in house.log("agi")

    async def all_recorded() -> bool:
        async with house.sessions() as session:
            ended = await session.scalar(
                select(func.count()).where(Call.caller.like("+551197%"), Call.ended_at.is_not(None))
            )
            return ended == calls

    await eventually(all_recorded, 20)
    assert files_after <= files_before * GROWTH + 2
    for door, before in memory_before.items():
        assert memory_after[door] <= before * GROWTH + 2, f"{door}: {before:.1f} MB, now {memory_after[door]:.1f} MB"


async def quiet_but_for_probes(crowd: Crowd) -> float:
    result = await crowd.ended(LASTS_S + 60)
    assert result.failed == 0, crowd.complaints()
    return result.answer_p99_ms
