"""The protocol number of a contact: 12 digits, made without the database, unique over nodes.

    26 326 0 00017 4
    │  │   │ │     └ check digit (Luhn)
    │  │   │ └ sequence of the day on this node
    │  │   └ node
    │  └ day of the year; +400 once the first 100,000 of the day are used up
    └ year

Sequences are reserved in blocks, on disk before the first of the block is used: after a crash the rest of a block is
skipped, never used twice.
"""

import asyncio
import fcntl
import json
import os
from datetime import date
from pathlib import Path

from stdnum import luhn

from ura.errors import Unavailable

BLOCK = 20
PAGE = 100_000
PAGES = 2


class ProtocolsUsedUp(Unavailable):
    code = "protocols-used-up"


class Protocols:
    """Hands out numbers. One object a process; several processes of a node share the folder."""

    def __init__(self, folder: Path, node: int) -> None:
        self._file = folder / f"{node}.json"
        self._node = node
        self._reserving: asyncio.Task[None] | None = None
        self._asked: date | None = None
        self._day = date.min
        self._next = 0
        self._end = 0

    def next(self, today: date) -> str:
        """A number nobody else has. Raises ProtocolsUsedUp past 200,000 a day, OSError when the disk refuses."""
        if not self._has(today):
            self._take(today, *self._reserve(today))
        sequence = self._next
        self._next += 1
        page, number = divmod(sequence, PAGE)
        day = self._day.timetuple().tm_yday + 400 * page
        digits = f"{self._day.year % 100:02d}{day:03d}{self._node}{number:05d}"
        return digits + luhn.calc_check_digit(digits)

    async def ready(self, today: date) -> None:
        """Return when `next` need not ask the disk, which may hang: who has a caller waiting sets a limit. Raises what
        `next` raises."""
        while not self._has(today):
            if self._reserving is None:
                self._reserving = asyncio.create_task(self._reserve_aside(today))
                self._reserving.add_done_callback(_seen)
            await asyncio.shield(self._reserving)

    async def _reserve_aside(self, today: date) -> None:
        try:
            self._take(today, *await asyncio.to_thread(self._reserve, today))
        finally:
            self._reserving = None

    def _has(self, today: date) -> bool:
        return today == self._asked and self._next < self._end

    def _take(self, today: date, day: date, start: int) -> None:
        self._asked, self._day = today, day
        self._next, self._end = start, start + BLOCK

    def _reserve(self, today: date) -> tuple[date, int]:
        """The day and the first sequence of a new block."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            text = os.read(fd, 1000)
            state = json.loads(text) if text else {}
            newest = date.fromisoformat(state["day"]) if state else today
            day = max(today, newest)  # a clock that was set back goes on with the newest day: still unique
            start = state["used"] if state and day == newest else 0
            if start + BLOCK > PAGE * PAGES:
                raise ProtocolsUsedUp("this node has given out 200,000 numbers today")
            data = json.dumps({"day": day.isoformat(), "used": start + BLOCK}).encode().ljust(64)
            os.pwrite(fd, data, 0)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return day, start


def _seen(reserving: "asyncio.Task[None]") -> None:
    """All who waited may have left: what came of it is no news then."""
    if not reserving.cancelled():
        reserving.exception()


def is_valid(protocol: str) -> bool:
    return len(protocol) == 12 and protocol.isascii() and protocol.isdigit() and luhn.is_valid(protocol)
