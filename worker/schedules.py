"""What happens by the clock: heartbeats, and forgetting what nobody needs any more."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ura import users
from ura.db import Sessions

log = structlog.get_logger(__name__)

HOUR_S = 3600.0


async def every(seconds: float, work: Callable[[], None]) -> None:
    """For ever. What `work` raises is logged; the next turn comes all the same."""
    while True:
        try:
            work()
        except Exception:
            log.exception("a scheduled task failed")
        await asyncio.sleep(seconds)


class Housekeeping:
    """Once an hour: log-ins that have ended."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def run(self) -> None:
        while True:
            try:
                await self.step(datetime.now(UTC))
            except Exception as error:
                log.warning("housekeeping put off for an hour", reason=type(error).__name__)
            await asyncio.sleep(HOUR_S)

    async def step(self, now: datetime) -> None:
        async with self._sessions.begin() as session:
            await users.forget_old_sessions(session, now=now)
