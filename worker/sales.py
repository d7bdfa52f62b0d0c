"""What sales were promised, each minute: who waited for us to reach them is rung when we do, and what a call left has a
next action."""

import asyncio
from datetime import UTC, datetime

import structlog

from ura import funnel, waiting_list
from ura.db import Sessions
from ura.settings import Settings

log = structlog.get_logger(__name__)

MINUTE_S = 60.0


class Sales:
    def __init__(self, sessions: Sessions, config: Settings) -> None:
        self._sessions = sessions
        self._zone, self._state_uf = config.zone, config.state_uf

    async def run(self) -> None:
        while True:
            try:
                await self.minutely(datetime.now(UTC))
            except Exception as error:
                log.warning("promises to who wants to buy are put off", for_s=MINUTE_S, reason=type(error).__name__)
            await asyncio.sleep(MINUTE_S)

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
