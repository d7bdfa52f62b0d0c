"""Lookups whose answers may be a few seconds old: many callers ask the same of data that changes once a day.

Only what is the same for everybody is remembered. Callers who ask at the same time share one question; a failure is
never remembered.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

Json = Any
Lookups = Callable[[str, dict[str, Json]], Awaitable[dict[str, Json]]]

SECONDS = {"cities": 5.0, "neighbourhoods": 5.0, "neighbourhood": 5.0, "plans": 5.0, "opening": 5.0, "talk_time": 60.0}
MOST = 2000


class Remembered:
    def __init__(self, lookups: Lookups, seconds: dict[str, float] | None = None) -> None:
        self._lookups = lookups
        self._seconds = SECONDS if seconds is None else seconds
        self._known: dict[str, tuple[float, asyncio.Future[dict[str, Json]]]] = {}

    async def __call__(self, name: str, args: dict[str, Json]) -> dict[str, Json]:
        """Answers must not be changed by who gets them: they are shared."""
        if name not in self._seconds:
            return await self._lookups(name, args)
        key = json.dumps([name, args], sort_keys=True)
        until, answer = self._known.get(key, (0.0, None))
        if answer is None or time.monotonic() >= until:
            answer = asyncio.ensure_future(self._lookups(name, args))
            answer.add_done_callback(lambda done: self._forget_failure(key, done))
            self._known.pop(key, None)
            self._forget_old()
            self._known[key] = (time.monotonic() + self._seconds[name], answer)
        return await asyncio.shield(answer)  # who hangs up does not cancel the question of the others

    def _forget_old(self) -> None:
        """What nobody may hear any more, oldest first: a caller's own number is a question that is asked once."""
        now = time.monotonic()
        while self._known:
            oldest = next(iter(self._known))
            if self._known[oldest][0] > now and len(self._known) < MOST:
                break
            del self._known[oldest]

    def _forget_failure(self, key: str, done: "asyncio.Future[dict[str, Json]]") -> None:
        failed = done.cancelled() or done.exception() is not None
        if failed and key in self._known and self._known[key][1] is done:
            del self._known[key]
