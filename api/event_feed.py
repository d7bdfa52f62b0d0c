"""One reader of the events for all who follow them (`GET /api/v1/events`).

Nothing is read while nobody follows. A program that comes back says which number it saw last, and gets what it missed
from the table; when that is too long ago, or no number of ours, it is told to look at everything again.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import structlog

from ura import domain_events
from ura.db import Sessions, database_is_away
from ura.models import DomainEvent

log = structlog.get_logger(__name__)

POLL_EVERY_S = 0.1
AWAY_PAUSE_S = 2.0
KEPT = 1000  # events in memory; who is further behind reads the table
PAGE = 500
IDLE_TICK_S = 1.0  # how often a quiet stream looks whether its reader is still welcome
MOST_FOLLOWERS = 500


class Hint(Enum):
    QUIET = auto()  # nothing new for a while


@dataclass(frozen=True, slots=True)
class Begun:
    """The first thing that is told: the stream goes on after `number`. `missed`: something before it is not kept any
    more, or never was ours; read everything again."""

    number: int
    missed: bool = False


class Source(Protocol):
    """Where the feed reads: `Table`, or a fake."""

    async def first(self) -> int: ...
    async def last(self) -> int: ...
    async def since(self, number: int) -> list[DomainEvent]: ...


class Table:
    """One short transaction a question."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def first(self) -> int:
        async with self._sessions() as session:
            return await domain_events.first_number(session)

    async def last(self) -> int:
        async with self._sessions() as session:
            return await domain_events.last_number(session)

    async def since(self, number: int) -> list[DomainEvent]:
        async with self._sessions() as session:
            return list(await domain_events.list_since(session, number, limit=PAGE))


class EventFeed:
    def __init__(self, source: Source, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._begun = asyncio.Lock()
        self._newest: deque[DomainEvent] = deque(maxlen=KEPT)
        self._last = -1  # the number up to which was read; -1: nobody follows
        self._closed = False
        self.followers = 0

    async def run(self) -> None:
        """Read on for as long as somebody follows. Ends when cancelled."""
        away = False
        while True:
            await self._wake.wait()
            if not self.followers:
                self._wake.clear()
                self._last = -1
                self._newest.clear()
                continue
            try:
                if self._last >= 0:
                    await self._read()
                away = False
            except Exception as error:
                if not database_is_away(error):
                    log.exception("events could not be read; trying again")
                elif not away:
                    log.warning("events cannot be read; the streams wait", error=type(error).__name__)
                away = True
            await asyncio.sleep(AWAY_PAUSE_S if away else POLL_EVERY_S)

    def close(self) -> None:
        """End every stream: the server is about to stop."""
        self._closed = True
        self._ring()

    async def follow(self, since: int | None) -> AsyncGenerator[Begun | DomainEvent | Hint, None]:
        """Where it begins, then events after the number `since`, with hints between; None: from now on.

        Ends when the server stops. Who falls behind reads the table, at its own pace; who takes nothing at all is let
        go by api/patience.py.
        """
        self.followers += 1
        try:
            seen = await self._begin()
            known = since is not None and await self._source.first() - 1 <= since <= seen
            if since is not None and known:
                seen = since
            yield Begun(seen, missed=since is not None and not known)
            while not self._closed:
                changed = self._changed
                fresh = self._after(seen)
                if fresh is None:
                    fresh = await self._source.since(seen)
                for event in fresh:
                    yield event
                    seen = event.number or seen
                if fresh:
                    continue
                try:
                    async with asyncio.timeout(IDLE_TICK_S):
                        await changed.wait()
                except TimeoutError:
                    yield Hint.QUIET
        finally:
            self.followers -= 1

    async def _begin(self) -> int:
        async with self._begun:
            if self._last < 0:
                self._last = await self._source.last()
        self._wake.set()
        return self._last

    def _after(self, seen: int) -> list[DomainEvent] | None:
        """None: memory does not go back so far."""
        if seen >= self._last:
            return []
        if not self._newest or (self._newest[0].number or 0) > seen + 1:
            return None
        return [event for event in self._newest if (event.number or 0) > seen]

    async def _read(self) -> None:
        while new := await self._source.since(self._last):
            self._newest.extend(new)
            self._last = new[-1].number or self._last
            self._ring()

    def _ring(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
