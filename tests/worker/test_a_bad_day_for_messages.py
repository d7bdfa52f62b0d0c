"""R41: messages through a gateway that times out, fails, is busy, slow, and tells everything twice."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.factories import messages_by_state
from tests.http_gateway import Asked, HttpGateway, Said
from ura import outbox, receipts
from ura.adapters import sms
from ura.adapters.sms import HttpSms, SmsApi
from ura.claims import pause_after
from ura.db import Sessions
from ura.erp import SendChannel
from ura.gateways import Outgoing
from ura.messages import Writer
from ura.models import OutboxMessage, OutboxState, Problem
from worker.deliveries import Deliveries, Hours

HOW_MANY = 1000
NOON = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/Sao_Paulo")
API = SmsApi(url="", delivered_words={"delivered"})
DEADLINE_S = 8.0  # long enough that a busy machine is never taken for a silent gateway
GIVEN_UP_AFTER_S = 0.5  # on those that meet silence, which surely lasts longer
NEVER_TAKEN = 2  # of a hundred
SILENT = HOW_MANY // 100  # the first ones: these are tried, and waited for, at once


def number_of(asked: Asked) -> int:
    return int(asked.json["id"], 16)


def is_never_taken(number: int) -> bool:
    return number % 100 >= 100 - NEVER_TAKEN


class BadDay:
    """Of every hundred messages one meets silence, one a cut line, the others an error, "too busy", a slow yes, or a
    yes; NEVER_TAKEN are not taken however often they come. All that passes at the third try."""

    def __init__(self) -> None:
        self.tries: Counter[int] = Counter()

    def __call__(self, asked: Asked) -> Said:
        number = number_of(asked)
        self.tries[number] += 1
        kind = number % 100
        taken = Said(200, {"id": f"sms-{number}"})
        if is_never_taken(number):
            return Said(500)
        if self.tries[number] > 2:
            return taken
        if number < SILENT:
            return Said(after_s=60)
        if kind == 1:
            return Said(cut=True)
        if kind < 10:
            return Said(503)
        if kind < 15:
            return Said(429, headers={"Retry-After": "120"})
        return Said(200, taken.body, after_s=0.05) if kind < 18 else taken


class OneGateway:
    """With less patience for what is met with silence: else the test would wait for most of its time."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        api = SmsApi(url=url)
        self._patient = HttpSms(api, client, deadline_s=DEADLINE_S)
        self._brief = HttpSms(api, client, deadline_s=GIVEN_UP_AFTER_S)
        self.name = self._patient.name

    async def send(self, message: Outgoing) -> str:
        return await (self._brief if int(message.id, 16) < SILENT else self._patient).send(message)


@pytest.mark.timeout(300)
async def test_each_arrives_with_one_key_or_is_shown_as_failed_and_sent_again(sessions: Sessions) -> None:
    day, now = BadDay(), NOON
    gateway = HttpGateway(day)
    async with sessions.begin() as session:
        await outbox.enqueue_rows(
            session,
            [
                {
                    "id": f"{number:032x}",
                    "kind": "protocol",
                    "to": "+5511987654321",
                    "payload": {"protocol": "263260000179"},
                    "call_id": None,
                    "created_at": NOON,
                }
                for number in range(HOW_MANY)
            ],
        )
    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)) as client:
        by_sms = OneGateway(gateway.url, client)
        writer = Writer(sessions, zone=ZONE, provider="Conecta")
        deliveries = Deliveries(sessions, {SendChannel.SMS: by_sms}, writer, Hours(0, 24, ZONE))

        async def all_due(moment: datetime) -> None:
            while await deliveries.step(moment):
                pass

        await all_due(now)
        for attempt in range(1, outbox.MOST_ATTEMPTS):
            await all_due(now + pause_after(attempt) / 2)  # nobody is asked before the pause is over
            assert all(tries <= max(attempt, 1) for number, tries in day.tries.items() if is_never_taken(number))
            now += max(pause_after(attempt), timedelta(seconds=120))
            await all_due(now)
        assert pause_after(outbox.MOST_ATTEMPTS - 1) == timedelta(hours=24)
        assert now - NOON <= timedelta(days=2, hours=12)

        never = {number for number in range(HOW_MANY) if is_never_taken(number)}
        async with sessions() as session:
            counted = await messages_by_state(session)
            failed = (await outbox.list_messages(session, filters=outbox.MessageFilter(state=OutboxState.FAILED))).items
        assert counted == {OutboxState.SENT: HOW_MANY - len(never), OutboxState.FAILED: len(never)}
        assert {int(message.id, 16) for message in failed} == never
        assert {message.problem for message in failed} == {Problem.GAVE_UP}

        # At least once, and every try of a message has the message's own key.
        assert set(day.tries) == set(range(HOW_MANY))
        assert all(asked.headers["idempotency-key"] == asked.json["id"] for asked in gateway.asked)
        assert {number: day.tries[number] for number in never} == dict.fromkeys(never, outbox.MOST_ATTEMPTS)
        assert {day.tries[number] for number in range(18, 100 - NEVER_TAKEN)} == {1}

        # Every receipt twice: the second changes nothing.
        twice = [sms.read_hook(API, {"id": f"sms-{number}", "status": "delivered"}) for number in range(HOW_MANY)] * 2
        async with sessions.begin() as session:
            new = [await receipts.apply(session, each, now=now) for told in twice for each in told]
        assert sum(new) == HOW_MANY - len(never)

        # A person sends the failed ones again, and the gateway is well.
        gateway.says(200)
        async with sessions.begin() as session:
            assert all([await outbox.send_again(session, message.id, now=now) for message in failed])
        await all_due(now)
        async with sessions() as session:
            counted = await messages_by_state(session)
            assert counted == {OutboxState.DELIVERED: HOW_MANY - len(never), OutboxState.SENT: len(never)}
            assert (await session.get_one(OutboxMessage, f"{99:032x}")).attempts == 1
    gateway.close()
