"""What an incident explains hangs on it within seconds; what was said of it reaches everybody in the end."""

from datetime import UTC, datetime

import structlog

from ura import incident_news, incident_tickets
from ura.db import Sessions
from ura.erp import SendChannel
from worker.schedules import repeat

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 10.0


class Incidents:
    """`by`: the way to a mobile. A batch is a transaction of its own: calls write to the same tables."""

    def __init__(self, sessions: Sessions, *, by: SendChannel = SendChannel.SMS) -> None:
        self._sessions = sessions
        self._by = by

    async def run(self) -> None:
        put_off = "incidents are put off: tickets wait, and who asked is told later"
        await repeat(LOOK_EVERY_S, lambda: self.turn(datetime.now(UTC)), put_off=put_off)

    async def turn(self, now: datetime) -> None:
        collected = 0
        while batch := await self._collect(now):
            collected += batch
        if collected:
            log.info("incidents explain more tickets", tickets=collected)
        while await self._settle(now):
            pass

    async def _collect(self, now: datetime) -> int:
        async with self._sessions.begin() as session:
            return await incident_tickets.collect(session, now=now)

    async def _settle(self, now: datetime) -> bool:
        async with self._sessions.begin() as session:
            return await incident_news.settle(session, now=now, by=self._by)
