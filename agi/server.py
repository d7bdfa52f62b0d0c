"""The FastAGI server: who may come in, how many, for how long. What a call then does is `agi.routes`.

Anybody on the machine can connect, so until a whole header is there nothing is believed: 3 seconds, 16 KiB, 64 lines,
and what every Asterisk says of every call. Who is no Asterisk takes no caller's place and no line of the log.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import structlog

from agi.session import LineLost, Session
from agi.variables import CallStart, parse_environment
from agi.wire import TooMuch, Wire
from ura.errors import HungUp

log = structlog.get_logger("agi.server")

HEADER_S = 3.0
MAX_WAITING = 2000  # connections that have not sent their header yet
BACKLOG = 1024
SAID_BY_ASTERISK = {"agi_network", "agi_uniqueid"}  # res_agi.c 22: launch_netscript, setup_env

# Perform one call, to its end. HungUp ends it quietly.
Answer = Callable[[Session, CallStart], Awaitable[None]]


class Server:
    def __init__(self, answer: Answer, *, max_calls: int) -> None:
        self._answer = answer
        self._max_calls = max_calls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.calls = 0
        self.draining = False

    async def listen(self, sock: socket.socket) -> None:
        """Accept on a socket that is bound already; other processes may share it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._connected), sock=sock, backlog=BACKLOG)

    def drain(self) -> None:
        """Take no new call. Calls in progress see `draining` and move to another process at their next menu border."""
        self.draining = True
        if self._server is not None:
            self._server.close()

    async def drained(self, limit_s: float) -> None:
        """Return when no call is left; after `limit_s` the rest are cut, and Asterisk takes them to another process."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=limit_s)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _connected(self, wire: Wire) -> None:
        if len(self._tasks) - self.calls >= MAX_WAITING:
            wire.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, wire: Wire) -> None:
        try:
            async with asyncio.timeout(HEADER_S):
                start = parse_environment(await wire.header())
        except (TimeoutError, TooMuch, EOFError):
            wire.abort()  # a port scan or a health check: not worth a line in the log
            return
        if not start.environment.keys() >= SAID_BY_ASTERISK:
            wire.abort()
            return
        if self.calls >= self._max_calls:
            log.warning("full: the dialplan takes the caller to a person", calls=self.calls, uniqueid=start.uniqueid)
            wire.write(b"FAILURE full\n")  # res_agi.c 22:4442: AGISTATUS=FAILURE
            wire.close()
            return
        self.calls += 1
        try:
            await self._perform(wire, start)
        finally:
            self.calls -= 1
            wire.close()

    async def _perform(self, wire: Wire, start: CallStart) -> None:
        if start.oddities:
            log.warning("odd AGI header: caller taken as unknown", uniqueid=start.uniqueid, what=start.oddities)
        try:
            await self._answer(Session(wire, start.environment), start)
        except LineLost as lost:
            log.warning("lost the call's line to Asterisk", uniqueid=start.uniqueid, reason=str(lost))
        except HungUp:
            return
        except Exception:
            log.exception(
                "call failed: the dialplan resumes it or takes the caller to a person", uniqueid=start.uniqueid
            )
