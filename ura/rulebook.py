"""What an admin changes a few times a year, and each ticket asks for: categories, policies, hours, holidays.

Goes with every session (`ura.db.make_sessions`). A door that opens tickets in a rush keeps what it read for a moment,
and forgets at once what it changed itself; the others read each time.
"""

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 1000


class Rulebook:
    """`kept_s`: how long something that was read may be told again."""

    def __init__(self, kept_s: float = 0.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept_s = kept_s
        self._clock = clock
        self._read: dict[Hashable, tuple[float, Any]] = {}

    async def read(self, key: Hashable, find: Callable[[], Awaitable[T]]) -> T:
        """What `find` answers, or did a moment ago. Only what outlives its transaction: no object of the ORM."""
        if not self._kept_s:
            return await find()
        read = self._read
        at, found = read.get(key, (0.0, None))
        if key not in read or self._clock() - at >= self._kept_s:
            at, found = self._clock(), await find()
            if len(read) >= MOST:  # keys may be what somebody typed
                read.clear()
            read[key] = at, found  # in the book of before, if it was forgotten meanwhile
        answer: T = found
        return answer

    def forget(self) -> None:
        self._read = {}


def of(info: Mapping[Any, Any]) -> Rulebook:
    """The one that the sessions were made with (ura.db.make_sessions)."""
    found: Rulebook = info["rulebook"]
    return found
