"""Asks the provider's system what callers want changed. Many at once: one that stalls does not hold the others up."""

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from ura import erp_requests
from ura.db import Sessions, database_is_away
from ura.erp import Erp, ErpUnavailable
from ura.erp_requests import SessionReset
from ura.errors import BadInput
from ura.models import ErpRequest

log = structlog.get_logger(__name__)

PAUSE_S = 2.0  # for those that are due again, or came past our own projector
MOST_AT_ONCE = 50
ASK_DEADLINE_S = 30.0  # the adapter's own is shorter
CLAIM_HOLDS = timedelta(minutes=2)
RELEASE_EVERY = timedelta(seconds=30)
SETTLE_PAUSES_S = (0.1, 0.5, 2.0, 10.0, 30.0)


def utc_now() -> datetime:
    return datetime.now(UTC)


class ErpRequests:
    """`wake` is set when a new request has been written."""

    def __init__(
        self, sessions: Sessions, erp: Erp, resets: SessionReset, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._sessions = sessions
        self._erp = erp
        self._resets = resets
        self._now = now
        self._name = f"{socket.gethostname()}-{os.getpid()}"[:64]
        self._asking: set[asyncio.Task[None]] = set()
        self._released_at = datetime.min.replace(tzinfo=UTC)
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """For ever; cancelled, it leaves what it had claimed to whoever comes next."""
        try:
            while True:
                try:
                    await self.step()
                except Exception as error:
                    if not database_is_away(error):
                        log.exception("requests to the ERP could not be claimed")
                try:
                    async with asyncio.timeout(PAUSE_S):
                        await self.wake.wait()
                except TimeoutError:
                    continue
                self.wake.clear()
        finally:
            for task in self._asking:
                task.cancel()
            await asyncio.gather(*self._asking, return_exceptions=True)

    async def step(self) -> None:
        """Claim what is due and begin to ask; `idle` waits for the answers."""
        now = self._now()
        room = MOST_AT_ONCE - len(self._asking)
        if room <= 0:
            return
        if now - self._released_at >= RELEASE_EVERY:
            async with self._sessions.begin() as session:
                await erp_requests.release_stale(session, claimed_before=now - CLAIM_HOLDS, now=now)
            self._released_at = now
        async with self._sessions() as session:
            if not await erp_requests.is_due(session, now=now):
                return
        async with self._sessions.begin() as session:
            claimed = await erp_requests.claim(session, worker=self._name, now=now, limit=room)
        for request in claimed:
            task = asyncio.create_task(self._ask(request))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def idle(self) -> None:
        """Until every request claimed so far is settled."""
        await asyncio.gather(*self._asking)

    async def _ask(self, request: ErpRequest) -> None:
        try:
            async with asyncio.timeout(ASK_DEADLINE_S):
                result = await erp_requests.perform(self._erp, self._resets, request, now=self._now())
        except (ErpUnavailable, TimeoutError) as error:
            trouble = error if isinstance(error, ErpUnavailable) else ErpUnavailable("no answer", maybe_done=True)
            self._say(request, trouble.message)
            await self._settle(request, trouble)
        except BadInput as error:
            self._say(request, error.message)
            await self._settle(request, error)
        except Exception as error:  # an adapter at fault: it may have done anything, so look before trying again
            log.exception("the ERP's adapter broke", request_id=request.id, operation=request.operation.value)
            await self._settle(request, ErpUnavailable(type(error).__name__, maybe_done=True))
        else:
            await self._settle(request, result)

    def _say(self, request: ErpRequest, reason: str) -> None:
        log.warning(
            "the ERP did not do it; the caller hears that it waits",
            request_id=request.id,
            operation=request.operation.value,
            attempt=request.attempts,
            reason=reason,
        )

    async def _settle(self, request: ErpRequest, outcome: "dict[str, object] | ErpUnavailable | BadInput") -> None:
        """Tried again while the database is locked or away: an answer that is not written down is asked for twice."""
        for pause_s in (*SETTLE_PAUSES_S, None):
            try:
                async with self._sessions.begin() as session:
                    now = self._now()
                    match outcome:
                        case ErpUnavailable():
                            await erp_requests.put_off(session, request, outcome, now=now)
                        case BadInput():
                            await erp_requests.fail(session, request, error=outcome.message, now=now)
                        case _:
                            await erp_requests.settle(session, request, outcome, now=now, source=self._erp.name)
                return
            except Exception as trouble:
                if pause_s is None or not database_is_away(trouble):
                    log.exception("an answer of the ERP was not written down", request_id=request.id)
                    return
                await asyncio.sleep(pause_s)
