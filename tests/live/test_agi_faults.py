"""What callers hear when the server's processes die, stand still or are replaced under them (R02 R03 R05 R06 R16)."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from prosa.caller import Caller
from tests.live.conftest import House, eventually
from ura.call_ids import call_id
from ura.models import Call, Category, Ticket

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

LANDLINE = "551133330001"


def workers(house: House) -> list[int]:
    parent = house.pid("agi")
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


async def new_workers(house: House, old: list[int]) -> None:
    """All of them replaced, and able to take calls."""

    async def replaced() -> bool:
        try:
            now = workers(house)
        except FileNotFoundError:  # the door was killed as a whole, and is not back yet
            return False
        ready = house.log("agi")
        return len(now) == len(old) and not set(now) & set(old) and all(f"pid={pid}" in ready for pid in now)

    await eventually(replaced, 20)


async def calls_of(house: House, number: str) -> list[Call]:
    async with house.sessions() as session:
        return list(await session.scalars(select(Call).where(Call.caller == number)))


def lines(log: str, words: str, pids: list[int]) -> list[int]:
    """How many lines with these words are about each process."""
    return [len(re.findall(rf"^.*{words}.*\bpid={pid}\b", log, re.MULTILINE)) for pid in pids]


@pytest.mark.parametrize(
    ("how", "heard_within_s", "number", "logged"),
    [
        (signal.SIGKILL, 3, "+5519987670001", "agi worker died"),
        (signal.SIGSTOP, 5, "+5519987670002", "agi worker stands still; killed"),
    ],
    ids=["killed", "frozen"],
)
async def test_every_caller_hears_the_menu_again_when_all_workers_die_or_freeze(
    house: House, how: signal.Signals, heard_within_s: float, number: str, logged: str
) -> None:
    async with house.caller() as phone:
        calls = [await phone.dial(LANDLINE, from_=number) for _ in range(3)]
        for call in calls:
            await call.heard("menu.main", "menu.main.short")
        old = workers(house)
        struck_at = time.monotonic()
        for pid in old:
            os.kill(pid, how)
        for call in calls:
            again = await call.heard("menu.main", "menu.main.short", since=struck_at)
            assert call.moment(again.started_s) - struck_at < heard_within_s
            await call.press("9")
        for call in calls:
            await call.heard("protocol.intro")
            await call.hang_up()
    await new_workers(house, old)
    assert lines(house.log("agi"), logged, old) == [1] * len(old)

    async def closed() -> list[Call]:
        found = await calls_of(house, number)
        return found if len(found) == 3 and all(call.ended_at for call in found) else []

    found = await eventually(closed, 20)
    assert len({call.protocol for call in found}) == 3


async def test_a_rolling_deploy_drops_nobody(house: House) -> None:
    async with house.caller() as phone:
        calls = [await phone.dial(LANDLINE, from_=f"+551998768000{n}") for n in range(3)]
        for call in calls:
            await call.heard("menu.main", "menu.main.short")
        old, logged = workers(house), len(house.log("agi"))
        for pid in old:
            os.kill(pid, signal.SIGTERM)
        for call in calls:
            await call.press("0")  # a menu border: here the call moves
            await call.heard("menu.main", "menu.main.short")
            assert call.ended_at is None
        await new_workers(house, old)
        for call in calls:
            await call.hang_up()
    said = house.log("agi")[logged:]
    assert "stands still" not in said
    assert "agi worker died" not in said
    assert lines(said, "agi worker ready", workers(house)) == [1] * len(old)


async def test_a_door_that_stands_still_as_a_whole_is_heard_within_five_seconds_and_leads_to_a_person_and_a_ticket(
    house: House,
) -> None:
    """Parent and workers: the kernel accepts, nobody answers, and nobody in there can say so."""
    number, old, printed = "+5519987690001", workers(house), len(house.lines)
    async with house.caller() as phone:
        at_the_menu = await phone.dial(LANDLINE, from_="+5519987690004")
        await at_the_menu.heard("menu.main", "menu.main.short")
        struck_at = time.monotonic()
        os.killpg(house.pid("agi"), signal.SIGSTOP)
        call = await phone.dial(LANDLINE, from_=number)
        again = await at_the_menu.heard("system.one_moment", "menu.main", "menu.main.short", since=struck_at)
        assert at_the_menu.moment(again.started_s) - struck_at < 5
        await at_the_menu.hang_up()
        first = await call.heard("system.one_moment", "greeting.welcome")
        assert call.moment(first.started_s) - (call.dialled_at or 0) < 5
        await call.heard("rescue.menu", timeout_s=10)
        await call.press("1")
        await call.hang_up()
    await new_workers(house, old)

    async def opened() -> list[Ticket]:
        async with house.sessions() as session:
            return list(await session.scalars(select(Ticket).where(Ticket.phone == number)))

    (ticket,) = await eventually(opened)
    assert sum("agi stood still for" in line for line in house.lines[printed:]) == 1
    assert ticket.category == Category.FALLBACK
    (record,) = await calls_of(house, number)
    assert (record.id, str(record.door)) == (call_id(record.uniqueid), "rescue")


async def test_strangers_at_the_port_cost_no_caller_anything(house: House, caller: Caller) -> None:
    where = (house.settings.agi_host, house.settings.agi_port)
    silent = [await asyncio.open_connection(*where) for _ in range(200)]
    for _, writer in silent[:100]:
        writer.close()
    for _, writer in silent[100:150]:
        writer.write(b"\xff\0" * 20_000)
    call = await caller.dial(LANDLINE, from_="+5519987690002")
    await call.heard("greeting.welcome")
    await call.hang_up()
    for reader, writer in silent[150:]:
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_a_joined_sentence_that_is_lost_is_heard_in_pieces(house: House, caller: Caller) -> None:
    call = await caller.dial(LANDLINE, from_="+5519987690003")
    await call.heard("menu.main", "menu.main.short")
    folder = house.settings.rendered_dir / "joined"
    folder.rename(folder.with_name("gone"))
    folder.touch()
    try:
        await call.press("1")
        await call.heard("protocol.intro")
        await call.heard("menu.keys", timeout_s=25)
        await call.heard("sales.audience", timeout_s=25)
    finally:
        folder.unlink()
        folder.with_name("gone").rename(folder)
    await call.hang_up()
