"""Who promised to pay is reminded the day before; whether it was kept is written down when that can be known."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

import structlog

from ura import promises
from ura.db import Sessions
from ura.erp import Erp, ErpUnavailable, SendChannel
from ura.models import PromiseOutcome
from ura.promises import Followed, Standing
from worker.schedules import repeat

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 600.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class Promises:
    """`may_ring`: may a telephone ring for what nobody waits for? `by`: the way to a mobile. What the provider's system
    does not say now is asked again at the next look."""

    def __init__(
        self,
        sessions: Sessions,
        erp: Erp,
        *,
        zone: tzinfo,
        may_ring: Callable[[datetime], bool],
        by: SendChannel = SendChannel.SMS,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._sessions = sessions
        self._erp = erp
        self._zone = zone
        self._may_ring = may_ring
        self._by = by
        self._now = now

    async def run(self) -> None:
        await repeat(LOOK_EVERY_S, self.step, put_off="promises of payment could not be looked at")

    async def step(self) -> None:
        now = self._now().astimezone(self._zone)
        async with self._sessions() as session:
            tomorrow = await promises.list_to_remind(session, source=self._erp.name, now=now)
            over = await promises.list_to_settle(session, source=self._erp.name, today=now.date())
        for each in tomorrow if self._may_ring(now) else ():
            await self._follow(each, now, over=False)
        for each in over:
            await self._follow(each, now, over=True)

    async def _follow(self, followed: Followed, now: datetime, *, over: bool) -> None:
        promise, request = followed
        try:
            standing = await promises.find_standing(self._sessions, self._erp, promise, request, zone=self._zone)
        except ErpUnavailable as trouble:
            log.info("a promise is looked at later", promise_id=promise.id, reason=trouble.message)
            return
        async with self._sessions.begin() as session:
            match standing:
                case Standing.OWED if over:
                    await promises.settle(session, promise, PromiseOutcome.BROKEN, now=now)
                case Standing.OWED:
                    await promises.remind(session, promise, request, by=self._by, now=now)
                case Standing.PAID:
                    await promises.settle(session, promise, PromiseOutcome.KEPT, now=now)
                case Standing.CANCELLED:
                    await promises.settle(session, promise, PromiseOutcome.ENDED, now=now)
                case Standing.DISPUTED | None:
                    return
        log.info("a promise of payment was followed up", promise_id=promise.id, standing=standing.value, over=over)
