"""The application asked over ASGI by hand: a stream is read as it comes, which httpx's transport cannot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from httpx import AsyncClient


@dataclass
class Stream:
    """`status` once it began. Iterated: the events of it, comments left out, until it ends."""

    status: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    chunks: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    reads: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: the reader takes nothing

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.began.set()
            return
        await self.reads.wait()
        self.chunks.put_nowait(message.get("body", b""))

    async def events(self) -> AsyncIterator[dict[str, str]]:
        text = b""
        while (chunk := await self.chunks.get()) is not None:
            text += chunk
            while b"\n\n" in text:
                block, text = text.split(b"\n\n", 1)
                lines = [line for line in block.decode().splitlines() if not line.startswith(":")]
                if lines:
                    yield dict(line.split(": ", 1) if ": " in line else (line.rstrip(":"), "") for line in lines)

    async def body(self) -> bytes:
        found = b""
        while (chunk := await self.chunks.get()) is not None:
            found += chunk
        return found


@asynccontextmanager
async def follow(app: FastAPI, client: AsyncClient, path: str, /, **asked: Any) -> AsyncIterator[Stream]:
    """With the client's headers and cookies. `last`: Last-Event-ID; others are parameters."""
    stream = Stream()
    stream.reads.set()
    last = asked.pop("last", None)
    headers = [(name.lower(), value) for name, value in client.headers.raw if name.lower() != b"host"]
    headers.append((b"host", b"panel.test"))
    if client.cookies:
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
        headers.append((b"cookie", cookies.encode()))
    if last is not None:
        headers.append((b"last-event-id", str(last).encode()))
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not asked_for.is_set():
            asked_for.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    asked_for = asyncio.Event()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(asked, doseq=True).encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("panel.test", 80),
    }

    async def run() -> None:
        try:
            await app(scope, receive, stream.send)  # type: ignore[arg-type]  # a plain dict is typed apart from Starlette's Message
        finally:
            stream.chunks.put_nowait(None)

    task = asyncio.create_task(run())
    try:
        async with asyncio.timeout(20):
            await stream.began.wait()
        yield stream
    finally:
        gone.set()
        stream.reads.set()
        async with asyncio.timeout(20):
            await asyncio.gather(task, return_exceptions=True)
