"""The live line: what a browser missed it is told, and nothing is read while nobody looks."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from api.call_views import CallView, Names, view
from api.live import Broadcaster, Figures, Hint, Message
from tests.api.conftest import PASSWORD
from ura import users
from ura.db import Sessions
from ura.models import Call, Door, Event, Role
from ura.settings import ROOT, Settings


class FakeSource:
    """Bells and calls in memory; counts how often it is asked."""

    def __init__(self) -> None:
        self.rung: list[Event] = []
        self.asked = 0
        self.down = False

    def ring(self, *ids: str) -> None:
        self.rung.append(Event(id=len(self.rung) + 1, kind="calls", data={"ids": list(ids)}, at=datetime.now(UTC)))

    async def last_bell(self) -> int:
        return len(self.rung)

    async def bells(self, after: int) -> list[Event]:
        self.asked += 1
        if self.down:
            raise ConnectionError("away")
        return self.rung[after:]

    async def calls(self, ids: Iterable[str]) -> list[CallView]:
        now = datetime.now(UTC)
        made = [
            Call(id=each, opened_at=now, door=Door.FLOW, caller="", did="", flow_key="", queue="", attendant="")
            for each in ids
        ]
        return [view(call, [], Names(), now) for call in made]

    async def figures(self) -> Figures:
        return Figures()

    async def waiting(self) -> int:
        return 0


@asynccontextmanager
async def running(source: FakeSource) -> AsyncIterator[Broadcaster]:
    broadcaster = Broadcaster(source)
    task = asyncio.create_task(broadcaster.run())
    try:
        yield broadcaster
    finally:
        task.cancel()


async def next_call(stream: AsyncIterator[Message | Hint]) -> tuple[str, list[str]]:
    async with asyncio.timeout(10):
        async for message in stream:
            if isinstance(message, Message):
                return message.id, [call.id for call in message.calls]
    raise AssertionError("the stream ended")


async def test_a_browser_is_told_what_it_missed_and_only_that() -> None:
    source = FakeSource()
    async with running(source) as broadcaster:
        start = await broadcaster.position()
        stream = broadcaster.follow(start)
        source.ring("a")
        first, calls = await next_call(stream)
        assert calls == ["a"]
        source.ring("b", "c")
        _, calls = await next_call(stream)
        assert calls == ["b", "c"]
        again = broadcaster.follow(first)
        assert (await next_call(again))[1] == ["b", "c"]
        assert (await next_call(broadcaster.follow(start)))[1] == ["a"]


@pytest.mark.parametrize("since", ["", "other-3", "nonsense", "-", "x-y-z"])
async def test_a_browser_that_was_away_too_long_reads_its_lists_again(since: str) -> None:
    async with running(FakeSource()) as broadcaster:
        stream = broadcaster.follow(since)
        assert await anext(stream) is Hint.AGAIN


async def test_nothing_is_read_while_nobody_looks_and_one_reader_serves_all() -> None:
    source = FakeSource()
    now = [0.0]
    broadcaster = Broadcaster(source, clock=lambda: now[0])
    task = asyncio.create_task(broadcaster.run())
    position = await broadcaster.position()
    streams = [broadcaster.follow(position) for _ in range(50)]
    readers = [asyncio.create_task(next_call(stream)) for stream in streams]
    await asyncio.sleep(0)
    source.ring("a")
    told = await asyncio.gather(*readers)
    assert {tuple(calls) for _, calls in told} == {("a",)}
    assert source.asked < 50
    for stream in streams:
        await stream.aclose()
    assert broadcaster.followers == 0
    now[0] += 1000
    while (await broadcaster.position()) == position:  # a new count begins once the old one was given up
        now[0] += 1000
        await asyncio.sleep(0.05)
    task.cancel()


async def test_a_database_that_was_away_is_caught_up_with() -> None:
    source = FakeSource()
    async with running(source) as broadcaster:
        stream = broadcaster.follow(await broadcaster.position())
        source.down = True
        source.ring("a")
        reading = asyncio.create_task(next_call(stream))
        while not source.asked:
            await asyncio.sleep(0.01)
        source.down = False
        assert (await reading)[1] == ["a"]


async def test_streams_end_when_the_server_is_about_to_stop() -> None:
    async with running(FakeSource()) as broadcaster:
        stream = broadcaster.follow(await broadcaster.position())
        reading = asyncio.create_task(anext(stream, None))
        await asyncio.sleep(0)
        broadcaster.close()
        async with asyncio.timeout(2):
            assert await reading is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_door_stops_at_once_though_a_live_page_is_open(settings: Settings, sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await users.create_user(session, email="a", name="A", role=Role.ADMIN, password=PASSWORD, actor="t")
    given = {
        "PROSA_STATE_DIR": str(settings.state_dir),
        "PROSA_DATABASE_URL": settings.db_url,
        "PROSA_HTTP_PORT": str(settings.http_port),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", cwd=ROOT, env=os.environ | given)
    try:
        async with asyncio.timeout(40), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}") as client:
            while True:
                try:
                    await client.get("/api/v1/health")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
            await client.post(
                "/panel/login", data={"email": "a", "password": PASSWORD}, headers={"Sec-Fetch-Site": "none"}
            )
            async with client.stream("GET", "/panel/events") as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                lines = stream.aiter_lines()
                assert await anext(lines) == "event: again"
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(4):
                    assert await process.wait() in (0, -signal.SIGTERM)
    finally:
        if process.returncode is None:
            process.kill()
