"""FastAGI servers with one fault each, for the dialplan to deal with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Session:
    """One connection: what Asterisk said about the call, and a way to give it commands."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.environment.get("agi_network_script", "")

    async def read_environment(self) -> None:
        while line := (await self.reader.readline()).decode("utf-8", "replace").rstrip("\n"):
            name, _, value = line.partition(": ")
            self.environment[name] = value

    async def command(self, line: str) -> str:
        self.writer.write(line.encode() + b"\n")
        return (await self.reader.readline()).decode().rstrip("\n")

    async def finish(self, **variables: str) -> None:
        for name, value in variables.items():
            await self.command(f'SET VARIABLE {name} "{value}"')


Handler = Callable[[Session], Awaitable[None]]


@dataclass
class FakeAgi:
    """Remembers every session; `handler` says what it does with one and can be changed at any time."""

    handler: Handler
    sessions: list[Session] = field(default_factory=list)
    gone: int = 0  # connections that Asterisk closed or that were dealt with

    @property
    def paths(self) -> list[str]:
        return [session.path for session in self.sessions]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer)
        try:
            await session.read_environment()
            self.sessions.append(session)
            await self.handler(session)
        except ConnectionError:
            pass
        finally:
            self.gone += 1
            writer.close()


@asynccontextmanager
async def listening(handler: Handler, port: int) -> AsyncIterator[FakeAgi]:
    fake = FakeAgi(handler)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", port)
    try:
        yield fake
    finally:
        server.close()


async def speak_never(session: Session) -> None:
    """Takes the call and says nothing until Asterisk closes."""
    while await session.reader.readline():
        pass


async def refuse(session: Session) -> None:
    """A worker that has all the calls it may have, in the words of agi/server.py."""
    session.writer.write(b"FAILURE full\n")
    await session.writer.drain()


async def die(session: Session) -> None:
    """A worker that crashes in mid-call: Asterisk calls that SUCCESS."""
    await session.command("ANSWER")


def then_queue(queue: str, **more: str) -> Handler:
    async def handler(session: Session) -> None:
        await session.command("SET VARIABLE TIMEOUT(absolute) 3600")
        await session.command("ANSWER")
        await session.finish(URA_QUEUE=queue, **more, URA_RESULT="queue")

    return handler


async def then_end(session: Session) -> None:
    await session.command("SET VARIABLE TIMEOUT(absolute) 3600")
    await session.command("ANSWER")
    await session.finish(URA_RESULT="end")
