"""One call's socket: lines in, bytes out. Every wait has a deadline, every buffer a limit."""

import asyncio
from collections.abc import Callable
from typing import cast

MAX_BUFFERED = 16 * 1024  # no header and no reply comes near it
MAX_HEADER_LINES = 64


class TooMuch(Exception):
    """The other side sent more than any Asterisk sends."""


class Wire(asyncio.Protocol):
    """The server's half of a FastAGI connection. `on_connect` is called once, when it is open."""

    def __init__(self, on_connect: Callable[["Wire"], None]) -> None:
        self._on_connect = on_connect
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._flooded = False

    # -- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._on_connect(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > MAX_BUFFERED:
            self._flooded = True
            self.abort()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._wake()

    # -- the session calls these

    @property
    def ended(self) -> bool:
        return self._ended

    async def header(self) -> list[bytes]:
        """The lines up to the blank one. Raises TooMuch beyond 64 lines or 16 KiB, EOFError when it ends before."""
        lines: list[bytes] = []
        while line := await self.readline():
            if line in (b"\n", b"\r\n"):
                return lines
            lines.append(line)
            if len(lines) > MAX_HEADER_LINES or sum(map(len, lines)) > MAX_BUFFERED:
                raise TooMuch
        raise EOFError

    async def readline(self, timeout_s: float | None = None) -> bytes:
        """The next line with its end; b"" when the other side has gone. Raises TimeoutError, TooMuch. `timeout_s` is
        for the whole line: bytes that come one by one do not begin it anew."""
        ends = None if timeout_s is None else self._loop.time() + timeout_s
        while (end := self._buffer.find(b"\n")) < 0:
            if self._flooded:
                raise TooMuch
            if self._ended:
                return b""
            await self._more(ends)
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._ended:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    async def _more(self, ends: float | None) -> None:
        if ends is not None and self._loop.time() >= ends:
            raise TimeoutError
        self._waiter = waiter = self._loop.create_future()
        timer = None if ends is None else self._loop.call_at(ends, _expire, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())
