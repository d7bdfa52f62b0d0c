"""Asterisk's manager interface: one connection, guarded. The only import of panoramisk.

    async with ami.connected() as link:                    raises AmiUnavailable, AmiRefused
        rows = await link.ask("CoreShowChannels")          the events of a list, or the one response
        async for event in link.events(): ...              typed, in order; ends when the connection does

panoramisk 1.4 (P: manager.py, ami_protocol.py) supplies parser, ActionID matching, list responses and log-in. It is
used for one connection and thrown away: its own reconnect goes on after `close()` (P:283) and sends unanswered actions
again (P:115). What it is not trusted with: half lines (`_Protocol`), our callbacks (one, that only fills a queue),
deadlines, line breaks in values and dead peers (`AmiLink`). tests/contracts/test_panoramisk_quirks.py pins why.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from panoramisk import Manager
from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol

from ura.errors import Unavailable
from ura.settings import Settings

CONNECT_S = 3.0
ASK_S = 5.0
BEAT_S = 5.0
MAX_EVENTS = 20_000  # a reader this far behind has lost: it starts again and asks for the state
MAX_BUFFERED = 1024 * 1024
NEVER = 10**7

_FORBIDDEN = re.compile("[\r\n\0]")
_EVENT = re.compile(rb"Event: (\w+)")
_silent = logging.getLogger("panoramisk.silent")
_silent.disabled = True  # it logs whole actions, the log-in with its secret among them


class AmiUnavailable(Unavailable):
    code = "ami-unavailable"


class AmiRefused(Unavailable):
    """Asterisk is there and says no: a wrong secret, or an action that our account may not do."""

    code = "ami-refused"


# -- what happened, in our words


@dataclass(frozen=True, slots=True)
class CorporateCall:
    """A call that goes straight to its queue; the dialplan tells (UserEvent UraCorporate)."""

    uniqueid: str
    caller: str
    did: str
    at: datetime


@dataclass(frozen=True, slots=True)
class QueueEntered:
    uniqueid: str
    queue: str
    at: datetime


@dataclass(frozen=True, slots=True)
class QueueAnswered:
    """An attendant speaks with the caller. `attendant`: the member's name in the queue, which is the extension."""

    uniqueid: str
    queue: str
    attendant: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CallerGone:
    """A caller's own channel is hung up. `cause` as in Q.850; 16 is a normal end."""

    uniqueid: str
    cause: int
    at: datetime


AmiEvent = CorporateCall | QueueEntered | QueueAnswered | CallerGone


class Headers(Protocol):
    """A panoramisk message: a mapping whatever the case of the names."""

    def get(self, key: str, default: Any = None) -> Any: ...


def header(message: Headers, name: str) -> str:
    """ "" when it is missing, the first when it is there twice (a UserEvent may repeat the channel's)."""
    value = message.get(name, "")
    return str(value[0]) if isinstance(value, list) else str(value)


def read_event(message: Headers, now: datetime) -> AmiEvent | None:
    """None for what does not concern us. Total: an event with odd values is one that does not concern us."""
    at = _moment(header(message, "Timestamp"), now)
    uniqueid = header(message, "Uniqueid")
    if not uniqueid:
        return None
    match header(message, "Event"):
        case "UserEvent" if header(message, "UserEvent") == "UraCorporate":
            return CorporateCall(uniqueid, header(message, "Caller"), header(message, "Did"), at)
        case "QueueCallerJoin":
            return QueueEntered(uniqueid, header(message, "Queue"), at)
        case "AgentConnect":
            return QueueAnswered(uniqueid, header(message, "Queue"), header(message, "MemberName"), at)
        case "Hangup" if is_caller(message):
            cause = header(message, "Cause")
            return CallerGone(uniqueid, int(cause) if cause.isdecimal() else 0, at)
    return None


def is_caller(message: Headers) -> bool:
    """The first channel of a call, and not one that an attendant's phone began."""
    return (
        header(message, "Uniqueid") == header(message, "Linkedid")
        and header(message, "Context") != "from-attendant"
        and header(message, "Channel").startswith("PJSIP/")
    )


def _moment(timestamp: str, now: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(float(timestamp), UTC)
    except (ValueError, OverflowError, OSError):
        return now


# -- the connection


class Ami:
    """Where Asterisk's manager is, and who we are there."""

    def __init__(self, host: str, port: int, user: str, secret: str) -> None:
        self._config = {"host": host, "port": port, "username": user, "secret": secret}

    @classmethod
    def from_settings(cls, settings: Settings) -> "Ami":
        return cls(settings.ami_host, settings.ami_port, settings.ami_user, settings.secret("ami_secret"))

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["AmiLink"]:
        """One connection, logged in. Raises AmiUnavailable, AmiRefused."""
        link = AmiLink(self._config)
        try:
            await link.open()
            yield link
        finally:
            link.close()


class AmiLink:
    """One connection, from log-in to its end."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._lost = asyncio.Event()
        self._heart: asyncio.Task[None] | None = None
        self._manager = _OneConnection(
            self._end,
            **config,
            loop=self._loop,
            log=_silent,
            protocol_factory=_Protocol,
            ping_delay=NEVER,
            ping_interval=NEVER,
        )
        self._manager.register_event("*", self._queue)

    async def open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._manager.connect()
                await asyncio.sleep(0)  # panoramisk sends the log-in from a done-callback
                welcome = await asyncio.shield(self._manager.authenticated_future)
        except (OSError, TimeoutError) as error:
            raise AmiUnavailable(f"Asterisk's manager does not answer: {type(error).__name__}") from error
        if not welcome.success:
            raise AmiRefused(f"Asterisk's manager refuses the log-in: {header(welcome, 'Message')}")
        self._heart = self._loop.create_task(self._beat())

    async def ask(self, action: str, *, many: bool = False, timeout_s: float = ASK_S, **fields: str) -> list[Headers]:
        """Perform one action. `many`: a list, without its first and last message. Raises AmiUnavailable, AmiRefused."""
        for name, value in {"Action": action, **fields}.items():
            if _FORBIDDEN.search(value):
                raise AmiRefused(f"{name} has a line break in it")
        if self._lost.is_set():
            raise AmiUnavailable("the connection to Asterisk's manager is lost")
        asked = self._manager.send_action(
            (_Listing if many else Action)({"Action": action, **fields}), as_list=many or None
        )
        try:
            async with asyncio.timeout(timeout_s):
                answer = await asked
        except TimeoutError as error:
            raise AmiUnavailable(f"Asterisk's manager did not answer {action} in {timeout_s:g} s") from error
        messages: list[Headers] = answer if isinstance(answer, list) else [answer]
        if header(messages[0], "Response") not in ("Success", "Goodbye"):
            raise AmiRefused(f"{action}: {header(messages[0], 'Message')}")
        return messages[1:-1] if many else messages

    async def events(self) -> AsyncIterator[AmiEvent]:
        """Until the connection ends."""
        while (message := await self._events.get()) is not None:
            if event := read_event(message, datetime.now(UTC)):
                yield event

    def close(self) -> None:
        if self._heart is not None:
            self._heart.cancel()
        self._manager.close()
        self._end()

    def _queue(self, _manager: Manager, message: Any) -> None:
        """Runs inside panoramisk's reader, where an exception would cut the connection."""
        if self._events.qsize() >= MAX_EVENTS:
            self._end()
        elif not self._lost.is_set():
            self._events.put_nowait(message)

    def _end(self) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self._events.put_nowait(None)

    async def _beat(self) -> None:
        """A peer that is dead without saying so is found out here."""
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self.ask("Ping")
            except Unavailable:
                self._manager.close()
                self._end()
                return


class _OneConnection(Manager):  # type: ignore[misc]  # panoramisk has no types
    """A Manager that connects once. P:72 and P:283 would connect again, after `close()` too."""

    def __init__(self, on_end: Any, **config: Any) -> None:
        super().__init__(**config)
        self._on_end = on_end

    def connection_made(self, opening: "asyncio.Task[Any]") -> None:
        if not opening.cancelled() and opening.exception() is None:
            super().connection_made(opening)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._on_end()


class _Listing(Action):  # type: ignore[misc]  # panoramisk has no types
    """A list that Asterisk refuses has one message. Upstream waits for its end for ever."""

    def add_message(self, message: Any) -> bool:
        if not self.responses and not message.success:
            self.future.set_result([message])
            return True
        return bool(super().add_message(message))


class _Protocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """Hands upstream whole messages, and of the events only ours: it decodes each packet by itself, so that a letter
    which is split over two packets is lost (P:41), and it takes 100 µs for an event that nobody reads."""

    WANTED = frozenset({b"UserEvent", b"QueueCallerJoin", b"AgentConnect", b"Hangup", b"Shutdown"})

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._pending = bytearray()

    def data_received(self, data: bytes) -> None:
        self._pending += data
        end = self._pending.rfind(b"\r\n\r\n") + 4
        if end < 4:
            if len(self._pending) > MAX_BUFFERED:
                self.transport.abort()
            return
        whole = bytes(self._pending[: end - 4])
        del self._pending[:end]
        for message in whole.split(b"\r\n\r\n"):
            if self._concerns_us(message):
                super().data_received(message + b"\r\n\r\n")

    def _concerns_us(self, message: bytes) -> bool:
        event = _EVENT.match(message)
        return event is None or event[1] in self.WANTED or b"\r\nActionID: " in message
