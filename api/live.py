"""The live line: one reader of the database for all browsers.

The bells of `ura/events.py` say which calls changed; the calls are then read once, and every open page gets the same
message. Of the rest it is told only which: each page reads those that its reader may see. Nothing is read
while nobody looks. A browser that comes back says which message it saw last (`Last-Event-ID`); when that is too long
ago it is told to fetch its lists again.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Protocol

import structlog

from api.call_views import CallView
from ura.models import Event

log = structlog.get_logger(__name__)

POLL_EVERY_S = 0.1
FIGURES_EVERY_S = 1.0
LOOKED_AT_FOR_S = 30.0  # after the last page was built or the last browser left
KEPT_MESSAGES = 400
BELL_EVERY_S = 1.0
ALL = "all"
TOLD_BY_ID = ("tickets", "outages", "person_requests")
IDLE_TICK_S = 2.0  # how often a quiet stream looks whether its session is still good


class Hint(Enum):
    AGAIN = auto()  # the browser was away for too long: read the lists again
    QUIET = auto()  # nothing new for a while


@dataclass(frozen=True, slots=True)
class Figures:
    live: int = 0
    queued: int = 0
    calls_today: int = 0
    abandoned_today: int = 0
    today: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    id: str
    calls: tuple[CallView, ...]  # as they are now
    figures: Figures
    waiting: int
    rung: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of TOLD_BY_ID, what changed
    pages: dict[str, str] = field(default_factory=dict)  # rendered once for each way of seeing it


class Source(Protocol):
    """Where the broadcaster reads: api/reader.py, or a fake."""

    async def last_bell(self) -> int: ...
    async def bells(self, after: int) -> list[Event]: ...
    async def calls(self, ids: Iterable[str]) -> list[CallView]: ...
    async def figures(self) -> Figures: ...
    async def waiting(self) -> int: ...


class Broadcaster:
    def __init__(self, source: Source, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._messages: deque[Message] = deque(maxlen=KEPT_MESSAGES)
        self._sequence = 0
        self._epoch = ""  # empty: nobody looks, nothing is followed
        self._bell = 0
        self._figures = Figures()
        self._figures_at = 0.0
        self._waiting = 0
        self._looked_at_until = 0.0
        self._closed = False
        self.followers = 0

    async def run(self) -> None:
        """Read on for as long as somebody looks. Ends when cancelled."""
        while True:
            await self._wake.wait()
            if not self.followers and self._clock() > self._looked_at_until:
                self._wake.clear()
                self._epoch = ""
                continue
            await self._unless_away(self._poll)
            await asyncio.sleep(POLL_EVERY_S)

    def close(self) -> None:
        """End every stream: the server is about to stop."""
        self._closed = True
        self._ring()

    async def position(self) -> str:
        """The id of the newest message. What a page reads from the database after this, it need not be told again."""
        self._looked_at_until = self._clock() + LOOKED_AT_FOR_S
        async with self._lock:
            if not self._epoch:
                await self._begin()
        self._wake.set()
        return f"{self._epoch}-{self._sequence}"

    async def follow(self, since: str) -> AsyncIterator[Message | Hint]:
        """Messages after `since`, with hints between. Ends when the server stops or nothing is followed any more."""
        self.followers += 1
        try:
            seen = await self._sequence_of(since)
            if seen is None:
                yield Hint.AGAIN
                seen = self._sequence
            epoch = self._epoch
            while not self._closed and epoch == self._epoch:
                changed = self._changed
                fresh = [message for message in self._messages if _number(message.id) > seen]
                for message in fresh:
                    yield message
                    seen = _number(message.id)
                if fresh:
                    continue
                try:
                    async with asyncio.timeout(IDLE_TICK_S):
                        await changed.wait()
                except TimeoutError:
                    yield Hint.QUIET
        finally:
            self.followers -= 1
            self._looked_at_until = self._clock() + LOOKED_AT_FOR_S

    async def _sequence_of(self, since: str) -> int | None:
        current = await self.position()
        epoch, _, number = since.partition("-")
        oldest = _number(self._messages[0].id) if self._messages else self._sequence + 1
        if epoch != current.partition("-")[0] or not number.isdecimal():
            return None
        return int(number) if oldest - 1 <= int(number) <= self._sequence else None

    async def _begin(self) -> None:
        self._bell = await self._source.last_bell()
        self._figures = await self._source.figures()
        self._waiting = await self._source.waiting()
        self._figures_at = self._clock()
        self._messages.clear()
        self._sequence = 0
        self._epoch = secrets.token_hex(4)

    async def _poll(self) -> None:
        async with self._lock:
            if not self._epoch:
                await self._begin()
            ids: dict[str, None] = {}
            bells = await self._source.bells(self._bell)
            for bell in bells:
                ids.update(dict.fromkeys(call_ids(bell)))
            told = {kind: frozenset(each for bell in bells for each in ids_of(bell, kind)) for kind in TOLD_BY_ID}
            rung = {kind: each for kind, each in told.items() if each}
            changed = tuple(await self._source.calls(ids)) if ids else ()
            if bells:
                self._bell = bells[-1].id
            figures, waiting = self._figures, self._waiting
            if self._clock() - self._figures_at >= FIGURES_EVERY_S:
                self._figures = await self._source.figures()
                self._waiting = await self._source.waiting()
                self._figures_at = self._clock()
            if changed or rung or (figures, waiting) != (self._figures, self._waiting):
                self._sequence += 1
                number = f"{self._epoch}-{self._sequence}"
                message = Message(number, changed, self._figures, self._waiting, rung)
                self._messages.append(message)
                self._ring()

    async def _unless_away(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            log.warning("live page cannot read the database; trying again", error=type(error).__name__)
            with suppress(Exception):
                waiting = await self._source.waiting()
                if waiting != self._waiting:
                    self._waiting = waiting
            await asyncio.sleep(2.0)

    def _ring(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class PageBell:
    """Shall this page read itself again? At once, but once a second at the most: what came sooner
    rings later. `wanted`: the id of one, or ALL."""

    def __init__(self, kind: str, wanted: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.kind = kind
        self._wanted = wanted
        self._clock = clock
        self._rung_at = float("-inf")
        self._waits = False

    def rings(self, heard: Message | Hint) -> bool:
        if isinstance(heard, Message):
            changed = heard.rung.get(self.kind, frozenset())
            news = changed if self._wanted == ALL else changed & {self._wanted}
            self._waits = self._waits or bool(news)
        if not self._waits or self._clock() - self._rung_at < BELL_EVERY_S:
            return False
        self._waits, self._rung_at = False, self._clock()
        return True


def call_ids(bell: Event) -> list[str]:
    """The calls that a bell is about (ura/projection.py rings it)."""
    return ids_of(bell, "calls")


def ids_of(bell: Event, kind: str) -> list[str]:
    return [str(each) for each in bell.data.get("ids", ())] if bell.kind == kind else []


def today_in(zone_now: datetime) -> datetime:
    """The first moment of the local day, in UTC."""
    return zone_now.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _number(message_id: str) -> int:
    return int(message_id.rpartition("-")[2])
