"""Each minute, while telephones may ring: whose line failed in the middle of a call, and nobody has told them yet?"""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ura import dropped
from ura.db import Sessions
from ura.erp import SendChannel
from worker.schedules import MINUTE_S, repeat

log = structlog.get_logger(__name__)


class Recovering:
    """`may_ring`: is this an hour at which a telephone may ring unasked?"""

    def __init__(self, sessions: Sessions, *, may_ring: Callable[[datetime], bool], by: SendChannel) -> None:
        self._sessions = sessions
        self._may_ring = may_ring
        self._by = by

    async def run(self) -> None:
        put_off = "callers whose line failed are told later"
        await repeat(MINUTE_S, lambda: self.turn(datetime.now(UTC)), put_off=put_off)

    async def turn(self, now: datetime) -> None:
        if not self._may_ring(now):
            return
        async with self._sessions.begin() as session:
            done = await dropped.recover(session, now=now, by=self._by)
        if done:
            log.info("lines that failed in a call", **{recovery.value: count for recovery, count in done.items()})
