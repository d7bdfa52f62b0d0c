"""Events get their numbers, and go to the webhooks that want them: as soon as they are there, and again until taken."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from ura import audit, domain_events, webhooks
from ura.adapters.webhooks import GONE, NotTaken
from ura.crypto import CannotOpen, Keyring
from ura.db import Sessions, database_is_away
from ura.models import DomainEvent, Webhook, WebhookDelivery

log = structlog.get_logger(__name__)

NUMBER_EVERY_S = 0.2  # what is told in the browser and to programs waits no longer for its number
LOOK_EVERY_S = 1.0  # for those that are due again, or came past our own numbering
AT_ONCE = 4  # a webhook: one that is slow, or silent, keeps its own places and nobody else's
CLAIM_HOLDS = timedelta(minutes=2)
RELEASE_EVERY = timedelta(seconds=30)
LONGEST_PAUSE_S = 5.0
SETTLE_PAUSES_S = (0.1, 0.5, 2.0, 10.0, 30.0)
LAST_WORDS_S = 5.0  # at a stop, what is being sent gets so long to end: cut off, it would be sent twice


class Post(Protocol):
    """ura.adapters.webhooks.WebhookPost, or a fake. Raises NotTaken."""

    async def __call__(self, url: str, *, secret: str, message_id: str, body: str, now: datetime) -> int: ...


class Webhooks:
    def __init__(self, sessions: Sessions, keyring: Keyring, post: Post, *, at_once: int = AT_ONCE) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._post = post
        self._at_once = at_once
        self._name = f"{socket.gethostname()}-{os.getpid()}"[:64]
        self._released_at = datetime.min.replace(tzinfo=UTC)
        self._going: Counter[str] = Counter()  # webhook → deliveries on their way
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """For ever; cancelled, it lets what is on its way arrive."""
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._number())
            lanes.create_task(self._deliver_for_ever())

    async def number(self, now: datetime) -> Sequence[DomainEvent]:
        """What is new, numbered and written down for the webhooks."""
        async with self._sessions() as session:
            if not await domain_events.is_any_new(session):
                return ()
        async with self._sessions.begin() as session:
            return await webhooks.spread(session, now=now)

    async def step(self, now: datetime) -> int:
        """Try once what is due, a few of each webhook at a time. Returns how many were tried."""
        claimed = await self._claim(now)
        await asyncio.gather(*(self._deliver(hook, delivery, now) for hook, delivery in claimed))
        return len(claimed)

    async def _number(self) -> None:
        pause_s = NUMBER_EVERY_S
        while True:
            try:
                while await self.number(datetime.now(UTC)):
                    self._wake.set()
                pause_s = NUMBER_EVERY_S
            except Exception as error:
                if not database_is_away(error):
                    log.exception("events could not be numbered; trying again")
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _deliver_for_ever(self) -> None:
        going: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            going.discard(task)
            self._wake.set()

        try:
            while True:
                self._wake.clear()
                now = datetime.now(UTC)
                for hook, delivery in await self._claim_if_possible(now):
                    task = asyncio.create_task(self._deliver(hook, delivery, now))
                    going.add(task)
                    task.add_done_callback(ended)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._wake.wait()
        finally:
            if going:
                await asyncio.wait(going, timeout=LAST_WORDS_S)

    async def _claim_if_possible(self, now: datetime) -> Sequence[tuple[Webhook, WebhookDelivery]]:
        try:
            return await self._claim(now)
        except Exception as error:
            if not database_is_away(error):
                log.exception("deliveries could not be claimed")
            return ()

    async def _claim(self, now: datetime) -> list[tuple[Webhook, WebhookDelivery]]:
        if now - self._released_at >= RELEASE_EVERY:
            async with self._sessions.begin() as session:
                await webhooks.release_stale(session, claimed_before=now - CLAIM_HOLDS, now=now)
            self._released_at = now
        async with self._sessions() as session:
            hooks = [each for each in await webhooks.due(session, now=now) if self._going[each] < self._at_once]
        if not hooks:
            return []
        claimed = []
        async with self._sessions.begin() as session:
            for hook_id in hooks:
                hook = await webhooks.get_webhook(session, hook_id)
                room = self._at_once - self._going[hook_id]
                taken = await webhooks.claim(session, hook_id, worker=self._name, now=now, limit=room)
                claimed += [(hook, delivery) for delivery in taken]
        self._going.update(hook.id for hook, _ in claimed)
        return claimed

    async def _deliver(self, hook: Webhook, delivery: WebhookDelivery, now: datetime) -> None:
        try:
            status = await self._post(
                hook.url,
                secret=self._keyring.open(hook.secret),
                message_id=delivery.event_key,
                body=delivery.body,
                now=now,
            )
        except NotTaken as trouble:
            await self._failed(hook, delivery, trouble, now)
        except CannotOpen as error:
            await self._failed(hook, delivery, NotTaken(error.message), now)
        except Exception as error:
            log.exception("an event could not be delivered", webhook_id=hook.id)
            await self._failed(hook, delivery, NotTaken(type(error).__name__), now)
        else:
            await self._settle(delivery, status=status, now=now)
        finally:
            self._going[hook.id] -= 1

    async def _failed(self, hook: Webhook, delivery: WebhookDelivery, trouble: NotTaken, now: datetime) -> None:
        log.warning(
            "event not delivered",
            webhook_id=hook.id,
            kind=delivery.kind,
            reason=str(trouble),
            attempt=delivery.attempts,
            final=delivery.attempts >= webhooks.MOST_ATTEMPTS,
        )
        await self._settle(delivery, trouble=trouble, now=now)

    async def _settle(
        self, delivery: WebhookDelivery, *, now: datetime, status: int = 0, trouble: NotTaken | None = None
    ) -> None:
        """Tried again while the database is locked or away: what was taken and is not marked would be sent twice."""
        for pause_s in (*SETTLE_PAUSES_S, None):
            try:
                async with self._sessions.begin() as session:
                    if trouble is None:
                        await webhooks.mark_delivered(session, delivery, status=status, now=now)
                        return
                    await webhooks.mark_failed(
                        session, delivery, error=str(trouble), status=trouble.status, after=trouble.after, now=now
                    )
                    if trouble.status == GONE and await webhooks.switch_off(session, delivery.webhook_id, now=now):
                        gone = delivery.webhook_id
                        await audit.record(
                            session, actor="worker", action="webhook.gone", subject=gone, detail={}, at=now
                        )
                return
            except Exception as error:
                if pause_s is None or not database_is_away(error):
                    log.exception("a delivery is not marked; it will be sent again", delivery_id=delivery.id)
                    return
                await asyncio.sleep(pause_s)
