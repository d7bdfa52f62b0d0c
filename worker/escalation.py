"""Each minute: tickets whose deadline is near are warned of, those that have missed it are escalated, each once."""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ura import ticket_alarms
from ura.db import Sessions
from worker.schedules import MINUTE_S, repeat

log = structlog.get_logger(__name__)

TOGETHER = 100  # tickets a transaction: on SQLite calls write to the same file


def utc_now() -> datetime:
    return datetime.now(UTC)


class Escalation:
    """After the worker was away it tells at its first turn what it missed."""

    def __init__(self, sessions: Sessions, *, now: Callable[[], datetime] = utc_now) -> None:
        self._sessions = sessions
        self._now = now

    async def run(self) -> None:
        await repeat(MINUTE_S, self.step, put_off="deadlines of tickets could not be looked at")

    async def step(self) -> None:
        now, warned, breached = self._now(), 0, 0
        async with self._sessions() as session:
            ids = await ticket_alarms.list_due(session, now=now)
        for first in range(0, len(ids), TOGETHER):
            async with self._sessions.begin() as session:
                told = await ticket_alarms.tell(session, ids[first : first + TOGETHER], now=now)
            warned, breached = warned + told[0], breached + told[1]
        if warned or breached:
            log.info("deadlines of tickets", warned=warned, breached=breached)
