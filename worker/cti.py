"""Calls to the helpdesk's caller list (ura/cti.py), as they happen.

It is a picture of now: what could not be told within seconds is not told, for a call that rang a minute ago rings no
more. So nothing is kept: at a start it begins with what happens then.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from ura import calls, cti, domain_events, queues
from ura.db import Sessions, database_is_away
from ura.errors import NotFound
from ura.gateways import NeverTaken, TryLater
from ura.models import DomainEvent, EventKind

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.5
PAUSES_S = (1.0, 3.0)  # between three tries
LATE = timedelta(minutes=1)
REMEMBERED = 2000
KINDS = frozenset({EventKind.CALL_QUEUED, EventKind.CALL_ANSWERED, EventKind.CALL_ENDED})


class Push(Protocol):
    """ura.adapters.cti.CtiPush, or a fake. Raises TryLater, NeverTaken."""

    async def __call__(self, fields: Mapping[str, str]) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


class CtiNews:
    def __init__(
        self,
        sessions: Sessions,
        push: Push,
        *,
        now: Callable[[], datetime] = utc_now,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._sessions = sessions
        self._push = push
        self._now = now
        self._pauses_s = pauses_s
        self._number = -1
        self._told: dict[str, asyncio.Task[None]] = {}  # call → the last thing told of it, the oldest first

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                try:
                    await self.look()
                except Exception as error:
                    if not database_is_away(error):
                        log.exception("the helpdesk's caller list goes without news")
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for task in self._told.values():
                task.cancel()

    async def look(self) -> None:
        """Tell what is new; the first time, find out where we are."""
        async with self._sessions() as session:
            if self._number < 0:
                self._number = await domain_events.last_number(session)
                return
            new = await domain_events.list_since(session, self._number)
        for event in new:
            self._number = event.number or self._number
            if event.kind in KINDS:
                self._take(event)

    async def told(self) -> None:
        """Until all that was taken so far has been told, or given up."""
        await asyncio.gather(*self._told.values())

    def _take(self, event: DomainEvent) -> None:
        """One after the other for each call. A call whose begin was not told is not told at all; a second queue is no
        second call."""
        before = self._told.get(event.subject)
        begins = event.kind == EventKind.CALL_QUEUED
        if begins and (before is not None or self._now() - event.at > LATE):
            return
        if not begins and before is None:
            return
        self._told[event.subject] = asyncio.create_task(self._tell(event, before))
        if len(self._told) > REMEMBERED:
            self._told.pop(next(iter(self._told)))

    async def _tell(self, event: DomainEvent, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        try:
            async with self._sessions() as session:
                call = await calls.get_call(session, event.subject)
                people = {each.extension: each.name for each in await queues.list_attendants(session)}
            fields = cti.fields(event.kind, call, attendant=people.get(call.attendant, ""))
            if fields is not None:
                await self._push_soon(fields)
        except NotFound:
            return
        except Exception as error:
            if not database_is_away(error):
                log.exception("the helpdesk was not told of a call", call_id=event.subject)

    async def _push_soon(self, fields: Mapping[str, str]) -> None:
        for pause_s in (*self._pauses_s, None):
            try:
                await self._push(fields)
                return
            except (TryLater, NeverTaken) as trouble:
                if pause_s is None or isinstance(trouble, NeverTaken):
                    what = {"call_id": fields["callId"], "told": fields["event"], "reason": str(trouble)}
                    log.warning("the helpdesk's caller list misses a call", **what)
                    return
                await asyncio.sleep(pause_s)
