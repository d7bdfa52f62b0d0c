"""A house on SQLite that is wrecked: its database moved away (R37), a flow in it damaged beyond reading, everything
killed at once, again and again (R36); and a phone door whose queue of connections is full (R04)."""

import asyncio
import os
import random
import re
import signal
import socket
import sqlite3
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from prosa import asterisk as asterisks
from prosa.caller import Caller, CallerError
from prosa.heard import Fingerprints
from tests.bench.measure import family
from tests.conftest import free_port
from tests.live.conftest import House, eventually, start_house, stop_house
from tests.live.drills.tools import (
    LANDLINE,
    calls_of,
    choose_by_letters,
    complain,
    tickets_of,
    until,
    waiting_records,
)
from ura.prompts import name_key
from ura.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

KILLS, PHONES = int(os.environ.get("DRILL_KILLS", "10")), 2  # at night: 200
RTP = {"rtp_first_port": 47000, "rtp_last_port": 47999}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


async def test_a_database_file_that_is_moved_away_and_a_damaged_flow_cost_callers_nothing(state: Path) -> None:
    """Open connections must not go on with the moved file: what they wrote there would be lost with it."""
    house, file = start_house(state, **RTP), state / "prosa.db"
    numbers = [f"+551998400000{n}" for n in range(4)]
    try:
        async with house.caller() as phone:
            damage_the_flow(file)
            await until(lambda: house.log("agi").count("published flow cannot be read") >= 2, 15, "both workers say so")
            asking = await phone.dial(LANDLINE, from_=numbers[0])
            await choose_by_letters(asking)
            assert {"agi", "worker"} <= doors_that_hold(house, file)
            away = rename(file, "away.db")
            await asking.press("7256#")
            await asking.heard("sales.lookup_failed", timeout_s=5)  # no false "not covered"
            left = contents(away)
            calls = [await phone.dial(LANDLINE, from_=number) for number in numbers[1:3]]
            await asyncio.gather(*map(complain, calls), asking.heard("sales.transferring", timeout_s=10))
            for call in (asking, *calls):
                await call.hang_up()
            assert await waiting_records(house) > 10
            assert contents(away) == left
            assert not file.exists()
            rename(away, "prosa.db")
            after = await phone.dial(LANDLINE, from_=numbers[3])
            await choose_by_letters(after)
            await after.press("7256#")
            await after.heard(name_key("Jardim das Palmeiras"))
            await after.hang_up()

        async def there() -> bool:
            found = await calls_of(house, numbers)
            return len(found) == 4 and all(call.ended_at for call in found) and not await waiting_records(house)

        await eventually(there, 30)
        assert await tickets_of(house, numbers) == dict.fromkeys(numbers[1:3], 1)
        assert house.log("agi").count("published flow cannot be read") == house.settings.agi_workers
    finally:
        stop_house(house)
    house = start_house(state, **RTP)  # nor does it keep us from starting
    try:
        async with house.caller() as phone:
            call = await phone.dial(LANDLINE, from_="+5519984000009")
            await complain(call)
            await call.hang_up()
    finally:
        stop_house(house)


def doors_that_hold(house: House, file: Path) -> set[str]:
    """Doors of which a process has this file open."""
    doors = {pid: door for door in ("agi", "api", "worker") for pid in family(house.pid(door))}
    return {doors[pid] for pid in doors for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.readlink() == file.resolve()}


def parts(file: Path) -> list[Path]:
    """A database, its log, and the index of the log."""
    return [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))]


def rename(file: Path, name: str) -> Path:
    for part, to in zip(parts(file), parts(file.with_name(name)), strict=True):
        if part.exists():
            part.rename(to)
    return file.with_name(name)


def contents(file: Path) -> list[bytes]:
    return [part.read_bytes() for part in parts(file)[:2] if part.exists()]


def damage_the_flow(file: Path) -> None:
    """As a bad disk block would: what is in force is no JSON any more."""
    with sqlite3.connect(file, timeout=10) as database:
        database.execute("UPDATE flow_version SET document = substr(document, 1, 1000), checksum = 'damaged'")


def kill_everything(house: House) -> None:
    """prosa run and every process under it, Asterisk too, at once."""
    for pid in family(house.process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    house.process.wait(10)


@pytest.mark.timeout(60 + 30 * KILLS)
async def test_everything_is_killed_again_and_again_and_no_confirmed_complaint_is_lost_or_doubled(
    state: Path, tmp_path: Path
) -> None:
    chance, confirmed, callers = random.Random(36), set[str](), list[str]()
    for life in range(KILLS):
        house = start_house(state, **RTP)
        async with AsyncExitStack() as stack:
            phones = [await stack.enter_async_context(house.caller()) for _ in range(PHONES)]
            numbers = [f"+55199{life:03}{n:05}" for n in range(4 * PHONES)]
            callers += numbers
            enough = chance.randrange(1, len(numbers))

            async def ring(phone: Caller, number: str) -> None:
                call = await phone.dial(LANDLINE, from_=number)
                try:
                    await complain(call)
                except CallerError:
                    return
                confirmed.add(number)

            before = len(confirmed)
            ringing = [asyncio.create_task(ring(phones[n % PHONES], number)) for n, number in enumerate(numbers)]
            try:
                await until(lambda before=before, enough=enough: len(confirmed) - before >= enough, 60, "complaints")
            finally:
                kill_everything(house)
                for task in ringing:
                    task.cancel()
                await asyncio.gather(*ringing, return_exceptions=True)
    house = start_house(state, **RTP)
    try:

        async def drained() -> bool:
            tickets = await tickets_of(house, callers)
            return confirmed <= set(tickets)

        await eventually(drained, 30)
        tickets = await tickets_of(house, callers)
        assert set(tickets.values()) == {1}
        assert len(confirmed) >= KILLS
        found = await calls_of(house, callers)
        protocols = [call.protocol for call in found if call.protocol]
        assert len(protocols) == len(set(protocols))
        with sqlite3.connect(state / "prosa.db", timeout=10) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert list((state / "journal").glob("*.bad")) == []
    finally:
        stop_house(house)


async def test_a_full_queue_of_connections_is_left_after_two_seconds(tmp_path: Path) -> None:
    """R04, 20 callers: nobody accepts, SYNs are dropped. 2 s are Asterisk's own (res_agi.c); one address, so once."""
    settings = Settings(
        state_dir=tmp_path / "state",
        sip_port=free_port(socket.SOCK_DGRAM),
        ami_port=free_port(),
        agi_port=free_port(),
        rtp_first_port=41400,
        rtp_last_port=41499,
    )
    running = asterisks.start(settings)
    filling: list[socket.socket] = []
    try:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", settings.agi_port))
            deaf.listen(0)
            while True:  # until the kernel lets nobody in any more
                filling.append(socket.socket())
                filling[-1].settimeout(0.3)
                try:
                    filling[-1].connect(("127.0.0.1", settings.agi_port))
                except TimeoutError:
                    break
            index = Fingerprints.of_folders(asterisks.PROMPTS)
            async with AsyncExitStack() as stack:
                phones = [await stack.enter_async_context(Caller(settings.sip_port, index=index)) for _ in range(5)]
                calls = [await phone.dial(LANDLINE) for _ in range(4) for phone in phones]
                for call in calls:
                    await call.heard("system.one_moment", timeout_s=6)
                    first = min(call.moment(one.started_s) for one in call.hearings())
                    assert 1.9 < first - (call.dialled_at or 0) < 3
                    await call.heard("rescue.menu")
                for call in calls:
                    await call.hang_up()
            deadline = time.monotonic() + 10
            while "0 active channels" not in running.command("core show channels"):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        log = (settings.state_dir / "asterisk/log/messages.log").read_text(errors="replace")
        late = re.findall(r"FastAGI connection to '[^']*/inbound' timed out after MAX_AGI_CONNECT \(2000\)", log)
        assert len(late) == len(calls)
    finally:
        for each in filling:
            each.close()
        asterisks.stop(running)
