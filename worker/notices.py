"""Is an outage over that only the provider's system knows of? Asked there every minute, for who wants the news."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from ura import domain_events, events, outages
from ura.db import Sessions
from ura.erp import Erp, ErpUnavailable, OutageNotice, Unsupported
from ura.models import EventKind, NoticedOutage
from worker.schedules import repeat

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 60.0
UNSEEN_FOR = timedelta(days=1)  # then one that can no longer be asked for keeps no caller from the truth about the line


class _ContractGone(Exception):
    """The system does not know the contract any more by which we ask."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Notices:
    """What the system cannot say changes nothing: nobody hears of an end that nobody saw."""

    def __init__(self, sessions: Sessions, erp: Erp, *, now: Callable[[], datetime] = utc_now) -> None:
        self._sessions = sessions
        self._erp = erp
        self._now = now

    async def run(self) -> None:
        await repeat(LOOK_EVERY_S, self.step, put_off="the provider's outages could not be looked at")

    async def step(self) -> None:
        """Closes what is over, by its end or because the system no longer tells of it; Housekeeping tells who waits."""
        async with self._sessions() as session:
            known = await outages.list_noticed(session, source=self._erp.name)
        for each in known:
            try:
                notices = await self._ask(each)
            except _ContractGone:
                await self._leave(each)
                continue
            if notices is None:
                continue
            told = next((notice for notice in notices if notice.reference == each.reference), None)
            await self._take(each, told)

    async def _ask(self, noticed: NoticedOutage) -> tuple[OutageNotice, ...] | None:
        """None: it does not say. Raises _ContractGone."""
        try:
            contracts = await self._erp.list_contracts(noticed.subscriber_ref)
            if isinstance(contracts, Unsupported):
                return None
            contract = next((one for one in contracts.value if one.id == noticed.contract_ref), None)
            if contract is None:
                raise _ContractGone
            reply = await self._erp.outages(contract)
        except ErpUnavailable:
            return None
        return None if isinstance(reply, Unsupported) else reply.value

    async def _take(self, noticed: NoticedOutage, told: OutageNotice | None) -> None:
        now = self._now()
        async with self._sessions.begin() as session:
            outage = await outages.get_outage(session, noticed.outage_id)
            if outage.closed_at is not None:
                return
            if told is not None and (told.ends_at is None or told.ends_at > now):
                outage.ends_at = told.ends_at
                (await session.get_one(NoticedOutage, noticed.outage_id)).seen_at = now
                return
            outage.closed_at, outage.closed_by = now, noticed.source
            await events.ring(session, {"outages": {"ids": [outage.id]}}, now=now)
            await domain_events.record(session, EventKind.OUTAGE_CLOSED, outage.id, {"cause": outage.cause}, now=now)
        log.info("an outage of the provider's system is over", outage_id=noticed.outage_id)

    async def _leave(self, noticed: NoticedOutage) -> None:
        """Nobody saw its end, so no message tells of one: who waits for it is rung by a person."""
        now = self._now()
        async with self._sessions.begin() as session:
            kept = await session.get_one(NoticedOutage, noticed.outage_id)
            outage = await outages.get_outage(session, noticed.outage_id)
            kept.seen_at = kept.seen_at or now
            if outage.closed_at is not None or now - kept.seen_at < UNSEEN_FOR:
                return
            outage.closed_at, outage.closed_by = now, outages.NOBODY
            await events.ring(session, {"outages": {"ids": [outage.id]}}, now=now)
            await domain_events.record(session, EventKind.OUTAGE_CLOSED, outage.id, {"cause": outage.cause}, now=now)
        log.warning("an outage of the provider's system was not seen for a day: closed", outage_id=noticed.outage_id)
