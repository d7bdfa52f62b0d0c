"""Messages from the outbox to the other side. A message counts as sent when the other side said so, not before."""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import structlog
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from ura import opt_outs, outbox, phones, promised_copies
from ura.db import Sessions, database_is_away
from ura.erp import SendChannel
from ura.errors import BadInput, Unavailable
from ura.gateways import Gateway, NeverTaken, Outgoing, TryLater, UnknownAddress
from ura.messages import Writer
from ura.models import OutboxMessage, Problem
from ura.phones import PhoneKind

log = structlog.get_logger(__name__)

PAUSE_S = 1.0  # for those that are due again, or came past our own projector
UNHURRIED_PAUSE_S = 5.0
URGENT_AT_ONCE = 10  # for callers who wait; the others never take these places
UNHURRIED_AT_ONCE = 10
CLAIM_HOLDS = timedelta(minutes=2)
RELEASE_EVERY = timedelta(seconds=30)
SETTLE_PAUSES_S = (0.1, 0.5, 2.0, 10.0, 30.0)
LAST_WORDS_S = 5.0  # at a stop, what is being sent gets so long to end: cut off, it would be sent twice
RINGS = frozenset({SendChannel.SMS, SendChannel.WHATSAPP})


@dataclass(frozen=True, slots=True)
class Hours:
    """From `first` to before `last`, local hours: only then may a telephone ring for what nobody waits for."""

    first: int
    last: int
    zone: tzinfo

    def open_at(self, now: datetime) -> bool:
        return self.first <= now.astimezone(self.zone).hour < self.last


class Deliveries:
    """`wake` is set when a message has been written: the next one goes out at once.

    What must reach a telephone, whichever way, goes by SMS or by WhatsApp, as there is one. What has no way out at all
    stays queued, and the panel shows it: nothing is thrown away, nothing pretended.
    """

    def __init__(
        self, sessions: Sessions, gateways: Mapping[SendChannel, Gateway], write: Writer, hours: Hours
    ) -> None:
        self._sessions = sessions
        self._gateways = dict(gateways)
        self._write = write
        self._hours = hours
        phones_ways = [channel for channel in (SendChannel.SMS, SendChannel.WHATSAPP) if channel in gateways]
        self._way = next(iter(phones_ways), None)
        self._shut = next(iter(RINGS - gateways.keys()), None)
        self._name = f"{socket.gethostname()}-{os.getpid()}"[:64]
        self._released_at = datetime.min.replace(tzinfo=UTC)
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """For ever; cancelled, it lets what is on its way arrive."""
        if missing := [channel for channel in SendChannel if channel not in self._gateways]:
            log.info("no gateway for these channels: their messages wait in the outbox", channels=missing)
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._lane(URGENT_AT_ONCE, self.wake, PAUSE_S, urgent=True))
            lanes.create_task(self._lane(UNHURRIED_AT_ONCE, asyncio.Event(), UNHURRIED_PAUSE_S, urgent=False))

    async def step(self, now: datetime) -> int:
        """Claim what is due and try each once. Returns how many were tried."""
        claimed = [*await self._claim(now, 100, urgent=True), *await self._claim(now, 100, urgent=False)]
        await asyncio.gather(*(self._deliver(message, now) for message in claimed))
        return len(claimed)

    async def _lane(self, places: int, wake: asyncio.Event, pause_s: float, *, urgent: bool) -> None:
        going: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            going.discard(task)
            wake.set()

        try:
            while True:
                wake.clear()
                now = datetime.now(UTC)
                for message in await self._claim_if_possible(now, places - len(going), urgent=urgent):
                    task = asyncio.create_task(self._deliver(message, now))
                    going.add(task)
                    task.add_done_callback(ended)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await wake.wait()
        finally:
            if going:
                await asyncio.wait(going, timeout=LAST_WORDS_S)

    async def _claim_if_possible(self, now: datetime, limit: int, *, urgent: bool) -> Sequence[OutboxMessage]:
        try:
            return await self._claim(now, limit, urgent=urgent)
        except Exception as error:
            if not database_is_away(error):
                log.exception("messages could not be claimed")
            return ()

    async def _claim(self, now: datetime, limit: int, *, urgent: bool) -> Sequence[OutboxMessage]:
        if limit <= 0:
            return ()
        if now - self._released_at >= RELEASE_EVERY:
            async with self._sessions.begin() as session:
                await outbox.release_stale(session, claimed_before=now - CLAIM_HOLDS, now=now)
            self._released_at = now
        if self._way is not None:
            await self._redirect(self._way, now)
        only = self._which(now, urgent=urgent)
        async with self._sessions() as session:
            if not await outbox.is_due(session, now=now, only=only):
                return ()
        async with self._sessions.begin() as session:
            return await outbox.claim(session, worker=self._name, now=now, limit=limit, only=only)

    async def _redirect(self, way: SendChannel, now: datetime) -> None:
        lost = outbox.lost_their_way(shut=self._shut, open_=way, now=now)
        async with self._sessions() as session:
            if not await outbox.is_any(session, lost):
                return
        async with self._sessions.begin() as session:
            moved = await outbox.take_other_way(session, lost, open_=way, now=now)
        log.info("messages go by the other channel: theirs has no way out", messages=moved, channel=way)

    def _which(self, now: datetime, *, urgent: bool) -> ColumnElement[bool]:
        if urgent:
            return outbox.urgent(self._gateways, now)
        quiet = frozenset() if self._hours.open_at(now) else RINGS
        return outbox.unhurried([channel for channel in self._gateways if channel not in quiet], now)

    async def _deliver(self, message: OutboxMessage, now: datetime) -> None:
        gateway = self._gateways[message.channel]
        told: dict[str, Any] = {}
        try:
            outgoing = await self._write(message)
            told = {"to": outgoing.to, "text": outgoing.text}
            if await self._may_not_send(message, outgoing):
                await self._failed(message, now, "opted out", problem=Problem.OPTED_OUT, **told)
                return
            told["provider"] = gateway.name
            told["provider_id"] = await gateway.send(outgoing)
        except BadInput as refusal:
            await self._failed(message, now, refusal.message, problem=Problem.OUT_OF_DATE, **told)
        except NeverTaken as refusal:
            await self._failed(message, now, str(refusal), problem=refusal.problem, **told)
        except TryLater as trouble:
            quick = not trouble.maybe_taken
            await self._failed(message, now, str(trouble), after=trouble.after, may_be_quick=quick, **told)
        except Unavailable as trouble:
            await self._failed(message, now, trouble.message, may_be_quick=True, **told)
        except Exception as error:
            log.exception("message could not be sent", message_id=message.id)
            await self._failed(message, now, type(error).__name__, **told)
        else:
            await self._settle(message, sent=True, now=now, **told)

    async def _may_not_send(self, message: OutboxMessage, outgoing: Outgoing) -> bool:
        """Raises UnknownAddress for a number that takes no text."""
        if message.channel is SendChannel.SMS and phones.kind(outgoing.to) is PhoneKind.LANDLINE:
            raise UnknownAddress("a landline takes no text message")
        if message.kind in outbox.LEGAL_PROOFS:
            return False
        async with self._sessions() as session:
            return await opt_outs.has_opted_out(session, channel=message.channel, to=outgoing.to)

    async def _failed(self, message: OutboxMessage, now: datetime, error: str, **how: Any) -> None:
        log.warning(
            "message not delivered",
            message_id=message.id,
            channel=message.channel,
            reason=error,
            final=how.get("problem") is not None,
            attempt=message.attempts,
        )
        await self._settle(message, sent=False, now=now, error=error, **how)

    async def _mark_failed(
        self, session: AsyncSession, message: OutboxMessage, *, problem: Problem | None = None, **how: Any
    ) -> None:
        failed = await outbox.mark_failed(session, message, problem=problem, **how)
        if failed and outbox.final_problem(message, problem):
            await promised_copies.hand_to_a_person(session, message, now=how["now"])

    async def _settle(self, message: OutboxMessage, *, sent: bool, **values: Any) -> None:
        """Tried again while the database is locked or away: what was sent and is not marked would be sent twice."""
        for pause_s in (*SETTLE_PAUSES_S, None):
            try:
                async with self._sessions.begin() as session:
                    if sent:
                        await outbox.mark_sent(session, message, **values)
                    else:
                        await self._mark_failed(session, message, **values)
                return
            except Exception as trouble:
                if pause_s is None or not database_is_away(trouble):
                    log.exception("a message is not marked; it will be sent again", message_id=message.id)
                    return
                await asyncio.sleep(pause_s)
