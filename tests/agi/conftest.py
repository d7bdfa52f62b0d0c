"""A real socket with the server's half of a call on it, and Asterisk's half in the test's hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from agi.session import Session
from agi.sounds import SILENCE, Sound, Sounds
from agi.wire import Wire


class Apart(Sounds):
    """Says nothing in one breath with the question after it: so what is played can be told by its name."""

    def run_on(self, first: Sequence[str], then: Sequence[str]) -> tuple[Sound, float]:
        return SILENCE, 0.0


@dataclass
class Line:
    """`session` is ours; what the test `says` is what Asterisk says; `asked()` is the next command."""

    session: Session
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def says(self, text: str | bytes) -> None:
        self.writer.write(text if isinstance(text, bytes) else text.encode())

    async def asked(self) -> str:
        return (await self.reader.readline()).decode().rstrip("\n")

    async def hangs_up(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    wires: asyncio.Queue[Wire] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Wire(wires.put_nowait), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    wire = await wires.get()
    yield Line(Session(wire, {}), reader, writer)
    wire.abort()
    writer.close()
    server.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[], Awaitable[tuple[Wire, asyncio.StreamReader, asyncio.StreamWriter]]]]:
    """A bare wire, for the header's tests."""
    wires: asyncio.Queue[Wire] = asyncio.Queue()
    server = await asyncio.get_running_loop().create_server(lambda: Wire(wires.put_nowait), "127.0.0.1", 0)
    opened: list[Wire] = []

    async def open_one() -> tuple[Wire, asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        opened.append(wire := await wires.get())
        return wire, reader, writer

    yield open_one
    for wire in opened:
        wire.abort()
    server.close()
