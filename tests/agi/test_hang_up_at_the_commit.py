"""R08: the caller hangs up in the same millisecond in which their ticket is committed, a thousand times.

The real server, journal and projector; the callers are sockets that press 1 ("register it") and are gone at a moment
spread over the milliseconds around the commit.
"""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from agi.live import LivePositions
from agi.routes import Routes, Tools
from agi.server import Server
from tests.agi.conftest import Apart
from tests.agi.fake_asterisk import FakeAsterisk, header
from ura.call_ids import call_id
from ura.db import Sessions
from ura.errors import Unavailable
from ura.flows.engine import CompiledFlow
from ura.flows.published import shipped_flow
from ura.journal import Journal
from ura.models import Call, Ticket
from ura.protocol import Protocols
from worker.projector import Projector

CALLS, AT_ONCE = 1000, 20


class Prompts:
    """Every prompt is a file of its own; never joined, so that a play can be told by its name."""

    def playable(self, keys: Sequence[str]) -> list[str]:
        return [f"prosa/{key}" for key in keys[-1:]]


class Flows:
    def get(self, did: str) -> CompiledFlow:
        return shipped_flow()

    def find(self, key: str, number: int) -> CompiledFlow | None:
        return shipped_flow()

    def find_number(self, did: str) -> None:
        return None


async def no_lookups(name: str, args: dict[str, Any]) -> dict[str, Any]:
    raise Unavailable("not in this test")


@dataclass
class Leaver(FakeAsterisk):
    """Presses 4 and 1; hangs up `after_s` the second key, whatever is being done then."""

    after_s: float = 0.0
    played: list[str] = field(default_factory=list)
    pressed_at: float = 0.0
    answered_at: float = 0.0

    def _get_data(self, file: str) -> list[str]:
        if file.endswith("complaint.offer"):
            loop = asyncio.get_running_loop()
            self.pressed_at = loop.time()
            loop.call_later(self.after_s, self._leave)
            return ["200 result=1"]
        if not self.dead:
            self.played.append(file)
        if file.endswith("complaint.registered"):
            self.answered_at = asyncio.get_running_loop().time()
        return ["200 result=4"] if file.endswith("menu.main") else ["200 result= (timeout)"]

    def _leave(self) -> None:
        if not self.dead:
            self.dead = True
            self.status = "HANGUP"
            self.writer.write(b"HANGUP\n")
            self.writer.close()


@dataclass
class House:
    server: Server
    journal: Journal
    port: int
    folder: Path


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    journal = Journal(tmp_path / "journal", "agi")
    tools = Tools(
        flows=Flows(),
        lookups=no_lookups,
        journal=journal,
        protocols=Protocols(tmp_path / "protocol", 0),
        sounds=Apart(Prompts(), {"prosa": tmp_path, "dyn": tmp_path / "dyn"}),
        live=LivePositions(tmp_path / "live"),
        recordings=tmp_path / "recordings",
        zone=ZoneInfo("America/Sao_Paulo"),
    )
    server = Server(Routes(tools), max_calls=100)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.listen(sock)
    yield House(server, journal, sock.getsockname()[1], tmp_path)
    server.drain()
    await server.drained(0)
    journal.close()


@pytest.mark.timeout(240)
async def test_one_ticket_or_none_and_never_a_promise_without_one(house: House, sessions: Sessions) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def ring(caller: Leaver) -> Leaver:
        async with room:
            await caller.call()
        return caller

    # Those who stay tell how long it takes from the key to "registered": the others leave around that moment.
    first = [Leaver(house.port, header=header(agi_uniqueid=f"stays-{n}"), after_s=10) for n in range(AT_ONCE)]
    took_s = median(caller.answered_at - caller.pressed_at for caller in await asyncio.gather(*map(ring, first)))
    chance = random.Random(8)
    callers = [
        Leaver(house.port, header=header(agi_uniqueid=f"r08-{n}"), after_s=chance.uniform(0, 2 * took_s))
        for n in range(CALLS)
    ]
    await asyncio.gather(*map(ring, callers))
    async with asyncio.timeout(10):
        while house.server._tasks:
            await asyncio.wait(house.server._tasks)

    projector = Projector(house.folder / "journal", sessions)
    while await projector.step():
        pass
    async with sessions() as session:
        tickets = Counter(await session.scalars(select(Ticket.call_id)))
        calls = {call.id: call for call in await session.scalars(select(Call))}
    assert max(tickets.values()) == 1
    promised = 0
    for n, caller in enumerate(callers):
        identity = call_id(f"r08-{n}")
        assert calls[identity].ended_at is not None
        if "prosa/complaint.registered" in caller.played:
            promised += 1
            assert tickets[identity] == 1
    assert len(calls) == CALLS + AT_ONCE
    # The moment was met from both sides: some were gone before they heard it, some after.
    assert 0 < promised < CALLS
    assert list((house.folder / "live").glob("*.json")) == []
