"""Messages from the outbox to the other side. A message counts as sent when the other side said so, not before."""

import asyncio
import os
import socket
from datetime import UTC, datetime, timedelta

import structlog

from ura import outbox
from ura.adapters.sms import HttpSms, SmsNotTaken, SmsRefused
from ura.db import Sessions, database_is_away
from ura.errors import BadInput
from ura.messages import text_of
from ura.models import OutboxMessage

log = structlog.get_logger(__name__)

PAUSE_S = 1.0
CLAIM_HOLDS = timedelta(minutes=2)
SETTLE_PAUSES_S = (0.1, 0.5, 2.0, 10.0, 30.0)


class Deliveries:
    """Without a gateway messages stay queued, and the panel shows them: nothing is thrown away, nothing pretended."""

    def __init__(self, sessions: Sessions, sms: HttpSms | None) -> None:
        self._sessions = sessions
        self._sms = sms
        self._name = f"{socket.gethostname()}-{os.getpid()}"[:64]

    async def run(self) -> None:
        if self._sms is None:
            log.info("no SMS gateway is set (PROSA_SMS_URL); messages wait in the outbox")
            return
        while True:
            try:
                sent = await self.step(datetime.now(UTC))
            except Exception as error:
                if not database_is_away(error):
                    log.exception("a round of deliveries failed")
                sent = 0
            if not sent:
                await asyncio.sleep(PAUSE_S)

    async def step(self, now: datetime) -> int:
        """Claim what is due and try each once. Returns how many were tried."""
        async with self._sessions.begin() as session:
            await outbox.release_stale(session, claimed_before=now - CLAIM_HOLDS, now=now)
            messages = await outbox.claim(session, worker=self._name, now=now)
        for message in messages:
            await self._deliver(message, now)
        return len(messages)

    async def _deliver(self, message: OutboxMessage, now: datetime) -> None:
        error, final = "", False
        try:
            async with self._sessions() as session:
                text = await text_of(session, message)
            if self._sms is not None:
                await self._sms.send(message_id=message.id, to=message.to, text=text)
        except (BadInput, SmsRefused) as refusal:
            error, final = str(refusal), True
        except SmsNotTaken as trouble:
            error = str(trouble)
        await self._settle(message, error, final, now)

    async def _settle(self, message: OutboxMessage, error: str, final: bool, now: datetime) -> None:
        """Tried again while the database is locked or away: what was sent and is not marked would be sent twice."""
        if error:
            log.warning("message not delivered", message_id=message.id, reason=error, final=final)
        for pause_s in (*SETTLE_PAUSES_S, None):
            try:
                async with self._sessions.begin() as session:
                    if error:
                        await outbox.mark_failed(session, message, error=error, now=now, final=final)
                    else:
                        await outbox.mark_sent(session, message, now=now)
                return
            except Exception as trouble:
                if pause_s is None or not database_is_away(trouble):
                    raise
                await asyncio.sleep(pause_s)
