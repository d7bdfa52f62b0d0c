"""What sales were promised, each minute: who waited for us to reach them is rung when we do, and what a call left has a
next action."""

from datetime import UTC, datetime

import structlog

from ura import funnel, waiting_list
from ura.db import Sessions
from ura.settings import Settings
from worker.schedules import MINUTE_S, repeat

log = structlog.get_logger(__name__)


class Sales:
    def __init__(self, sessions: Sessions, config: Settings) -> None:
        self._sessions = sessions
        self._zone, self._state_uf = config.zone, config.state_uf

    async def run(self) -> None:
        put_off = "promises to who wants to buy are put off"
        await repeat(MINUTE_S, lambda: self.minutely(datetime.now(UTC)), put_off=put_off)

    async def minutely(self, now: datetime) -> None:
        """An import rings them in its own transaction; this is for who joined the list as it was running, or whose
        record came from the journal afterwards."""
        async with self._sessions.begin() as session:
            calls = await waiting_list.call_back(session, now=now)
        if calls:
            log.info("neighbourhoods are covered: calls to make to who waited for them", calls=calls)
        leads, more = 0, funnel.MOST_AT_ONCE
        while more == funnel.MOST_AT_ONCE:
            async with self._sessions.begin() as session:
                more = await funnel.settle(session, now=now, zone=self._zone, state_uf=self._state_uf)
            leads += more
        if leads:
            log.info("leads of calls that are over have a next action", leads=leads)
