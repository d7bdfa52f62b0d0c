"""R41: a receiver that is silent, fails, is busy, slow, or takes a thing twice. What is told arrives, or is shown."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from standardwebhooks import Webhook as Verifier

from tests.factories import NOON, later
from tests.http_gateway import HttpGateway, Said
from ura import domain_events, webhooks
from ura.adapters import outbound_http
from ura.adapters.outbound_http import Reach
from ura.adapters.webhooks import NotTaken, WebhookPost
from ura.claims import pause_after
from ura.crypto import Keyring
from ura.db import Sessions
from ura.models import AuditEntry, DeliveryState, EventKind, Webhook, WebhookDelivery
from ura.webhooks import WebhookChange
from worker.webhooks import AT_ONCE, CLAIM_HOLDS, Webhooks

KEYRING = Keyring(["a secret of the tests"])
URL = "https://receiver.example/prosa"
HERE = Reach.of(["127.0.0.0/8"])


async def make_webhook(sessions: Sessions, url: str = URL, *kinds: EventKind) -> tuple[Webhook, str]:
    async with sessions.begin() as session:
        return await webhooks.create_webhook(
            session,
            KEYRING,
            url=url,
            kinds=kinds or [EventKind.TICKET_OPENED],
            description="",
            created_by="test",
            now=NOON,
        )


async def happen(sessions: Sessions, count: int = 1, kind: EventKind = EventKind.TICKET_OPENED) -> None:
    async with sessions.begin() as session:
        rows = [domain_events.row(kind, f"t{each}", {"tier": "l1"}, now=NOON) for each in range(count)]
        await domain_events.record_rows(session, rows)


async def deliveries(sessions: Sessions) -> list[WebhookDelivery]:
    async with sessions() as session:
        return list(await session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


async def by_state(sessions: Sessions) -> dict[DeliveryState, int]:
    return Counter(delivery.state for delivery in await deliveries(sessions))


class Taking:
    """A receiver in memory: `answers` gives a status, 0 for silence, or what it raises, by message and try."""

    def __init__(self, answers: Any = lambda number, nth: 200) -> None:
        self.tries: Counter[str] = Counter()
        self.bodies: dict[str, set[str]] = {}
        self.urls: Counter[str] = Counter()
        self._answers = answers
        self._numbers: dict[str, int] = {}

    async def __call__(self, url: str, *, secret: str, message_id: str, body: str, now: datetime) -> int:
        self.urls[url] += 1
        self.tries[message_id] += 1
        self.bodies.setdefault(message_id, set()).add(body)
        number = int(json.loads(body)["subject"][1:])
        self._numbers[message_id] = number
        status: int = self._answers(number, self.tries[message_id])
        if status == 0:
            raise NotTaken("ReadTimeout")
        if not 200 <= status < 300:
            after = timedelta(minutes=2) if status == 429 else None
            raise NotTaken(f"HTTP {status}", status=status, after=after)
        return status

    def tries_by_number(self) -> dict[int, int]:
        return {self._numbers[message_id]: tries for message_id, tries in self.tries.items()}


def bad_day(number: int, nth: int) -> int:
    """Of every hundred: five never taken, one silence, others an error or "too busy" twice, then taken."""
    kind = number % 100
    if kind >= 95:
        return 500
    if nth > 2 or kind >= 30:
        return 200
    return 0 if kind == 0 else 503 if kind < 20 else 429


HOW_MANY = 1000


async def test_of_a_thousand_events_each_arrives_with_one_id_or_is_listed_as_failed(sessions: Sessions) -> None:
    receiver = Taking(bad_day)
    worker = Webhooks(sessions, KEYRING, receiver, at_once=200)
    hook, _ = await make_webhook(sessions)
    await happen(sessions, HOW_MANY)
    while await worker.number(NOON):
        pass

    async def all_due(moment: datetime) -> None:
        while await worker.step(moment):
            pass

    now = NOON
    await all_due(now)
    for attempt in range(1, webhooks.MOST_ATTEMPTS):
        if attempt in (1, 5, 13):
            before = receiver.tries.total()
            await all_due(now + pause_after(attempt) / 2)  # nobody is asked before the pause is over
            assert receiver.tries.total() == before
        now += max(pause_after(attempt), timedelta(minutes=2))
        await all_due(now)
    assert pause_after(webhooks.MOST_ATTEMPTS - 1) == timedelta(hours=24)

    never = {number for number in range(HOW_MANY) if number % 100 >= 95}
    assert await by_state(sessions) == {
        DeliveryState.DELIVERED: HOW_MANY - len(never),
        DeliveryState.FAILED: len(never),
    }
    tries = receiver.tries_by_number()
    assert set(tries) == set(range(HOW_MANY))
    assert {number: tries[number] for number in never} == dict.fromkeys(never, webhooks.MOST_ATTEMPTS)
    assert {tries[number] for number in tries if number % 100 in range(30, 95)} == {1}
    assert {tries[number] for number in tries if number % 100 < 30} == {3}
    assert len(receiver.tries) == HOW_MANY  # every try of an event has the event's own id, and its very words
    assert {len(bodies) for bodies in receiver.bodies.values()} == {1}

    # A person sends the failed ones again, and the receiver is well: still the same ids.
    receiver._answers = lambda number, nth: 200
    async with sessions.begin() as session:
        failed = await webhooks.list_deliveries(session, hook, state=DeliveryState.FAILED, limit=200)
        assert {delivery.last_error for delivery in failed.items} == {"HTTP 500"}
        for delivery in failed.items:
            await webhooks.send_again(session, hook, delivery.id, now=now)
    await all_due(now)
    assert await by_state(sessions) == {DeliveryState.DELIVERED: HOW_MANY}
    assert len(receiver.tries) == HOW_MANY


async def test_each_event_is_one_delivery_for_each_webhook_that_wants_it(sessions: Sessions) -> None:
    receiver = Taking()
    worker = Webhooks(sessions, KEYRING, receiver)
    both = await make_webhook(sessions, f"{URL}/both", EventKind.TICKET_OPENED, EventKind.TICKET_CLOSED)
    await make_webhook(sessions, f"{URL}/one")
    off, _ = await make_webhook(sessions, f"{URL}/off")
    async with sessions.begin() as session:
        await webhooks.change_webhook(
            session, await webhooks.get_webhook(session, off.id), WebhookChange(active=False), now=NOON
        )
    await happen(sessions)
    await happen(sessions, kind=EventKind.TICKET_CLOSED)
    for _ in range(3):
        await worker.number(NOON)
        await worker.step(NOON)
    assert receiver.urls == {f"{URL}/both": 2, f"{URL}/one": 1}
    assert await by_state(sessions) == {DeliveryState.DELIVERED: 3}
    async with sessions.begin() as session:
        await webhooks.delete_webhook(session, await webhooks.get_webhook(session, both[0].id))
    assert await by_state(sessions) == {DeliveryState.DELIVERED: 1}


async def test_one_that_is_silent_keeps_nobody_else_waiting(sessions: Sessions) -> None:
    silent, told = asyncio.Event(), asyncio.Event()

    async def post(url: str, **_: Any) -> int:
        if url.endswith("silent"):
            await silent.wait()
        elif len(answered) < 20:
            answered.append(url)
            if len(answered) == 20:
                told.set()
        return 200

    answered: list[str] = []
    await make_webhook(sessions, f"{URL}/silent")
    await make_webhook(sessions, f"{URL}/well")
    await happen(sessions, 20)
    task = asyncio.create_task(Webhooks(sessions, KEYRING, post).run())
    async with asyncio.timeout(30):
        await told.wait()
    assert (await by_state(sessions))[DeliveryState.SENDING] >= AT_ONCE
    silent.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_a_worker_that_died_had_in_hand_is_sent_again_with_the_same_id(sessions: Sessions) -> None:
    hook, _ = await make_webhook(sessions)
    await happen(sessions)
    receiver = Taking()
    worker = Webhooks(sessions, KEYRING, receiver)
    await worker.number(NOON)
    async with sessions.begin() as session:
        [held] = await webhooks.claim(session, hook.id, worker="dead", now=NOON, limit=5)
    assert await worker.step(NOON) == 0
    assert await worker.step(NOON + CLAIM_HOLDS + timedelta(minutes=1)) == 1
    assert set(receiver.tries) == {held.event_key}
    async with sessions.begin() as session:
        assert not await webhooks.mark_failed(session, held, error="late", now=later(600))  # its word comes too late


async def test_a_receiver_that_is_gone_for_good_is_switched_off_and_the_audit_says_so(sessions: Sessions) -> None:
    hook, _ = await make_webhook(sessions)
    await happen(sessions, 3)
    worker = Webhooks(sessions, KEYRING, Taking(lambda number, nth: 410))
    await worker.number(NOON)
    await worker.step(NOON)
    async with sessions() as session:
        assert not (await webhooks.get_webhook(session, hook.id)).active
        gone = select(AuditEntry.subject).where(AuditEntry.action == "webhook.gone")
        assert list(await session.scalars(gone)) == [hook.id]
    assert await worker.step(later(86400)) == 0
    await happen(sessions)
    await worker.number(NOON)
    assert len(await deliveries(sessions)) == 3


async def test_old_deliveries_are_forgotten_and_a_changed_key_still_opens_the_secret(sessions: Sessions) -> None:
    hook, secret = await make_webhook(sessions)
    await happen(sessions, 3)
    await Webhooks(sessions, KEYRING, Taking()).number(NOON)
    newer = Keyring(["a new secret", "a secret of the tests"])
    async with sessions.begin() as session:
        assert await webhooks.reseal(session, newer) == 1
        assert await webhooks.reseal(session, newer) == 0
    async with sessions.begin() as session:
        sealed = (await webhooks.get_webhook(session, hook.id)).secret
        assert Keyring(["a new secret"]).open(sealed) == secret
        assert secret not in sealed.token
        assert await webhooks.forget(session, now=NOON + webhooks.KEPT - timedelta(days=1)) == 0
        assert await webhooks.forget(session, now=NOON + webhooks.KEPT + timedelta(days=1)) == 3


# -- over the network -------------------------------------------------------------------------------------------------


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with outbound_http.client(HERE) as made:
        yield made


async def send(client: httpx.AsyncClient, url: str, secret: str, now: datetime, **more: Any) -> int:
    return await WebhookPost(client, **more)(url, secret=secret, message_id="evt", body='{"é":1}', now=now)


async def test_the_receiver_can_verify_what_it_gets_and_refuse_what_was_changed(client: httpx.AsyncClient) -> None:
    gateway = HttpGateway()
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert await send(client, f"{gateway.url}/hook", secret, datetime.now(NOON.tzinfo)) == 200
    [asked] = gateway.asked
    gateway.close()
    assert asked.headers["webhook-id"] == "evt"
    assert Verifier(secret).verify(asked.body, dict(asked.headers)) == {"é": 1}
    for body, key in ((b'{"e":1}', secret), (asked.body, "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw")):
        with pytest.raises(Exception, match="signature"):
            Verifier(key).verify(body, dict(asked.headers))


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        (Said(500), 500, "HTTP 500"),
        (Said(429, headers={"Retry-After": "120"}), 429, "HTTP 429"),
        (Said(301, headers={"Location": "http://169.254.169.254/"}), 301, "HTTP 301"),
        (Said(after_s=30), None, "TimeoutError"),
        (Said(cut=True), None, "RemoteProtocolError"),
        (Said(200, b"x" * 70_000), None, "the answer is too long to be one"),
    ],
)
async def test_anything_but_yes_is_told_in_words(
    client: httpx.AsyncClient, said: Said, status: int | None, why: str
) -> None:
    gateway = HttpGateway(lambda asked: said)
    slow = said.after_s > 0
    with pytest.raises(NotTaken) as raised:
        await send(client, gateway.url, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", NOON, deadline_s=0.3 if slow else 20)
    gateway.close()
    assert (raised.value.status, raised.value.after) == (status, timedelta(seconds=120) if status == 429 else None)
    assert str(raised.value) in (why, "ReadTimeout" if slow else why)


async def test_an_address_inside_is_refused_and_the_list_says_why(sessions: Sessions) -> None:
    gateway = HttpGateway()
    async with outbound_http.client(Reach()) as client:
        worker = Webhooks(sessions, KEYRING, WebhookPost(client))
        await make_webhook(sessions, gateway.url)
        await happen(sessions)
        await worker.number(NOON)
        await worker.step(NOON)
    gateway.close()
    [delivery] = await deliveries(sessions)
    assert (gateway.asked, delivery.state, delivery.attempts) == ([], DeliveryState.QUEUED, 1)
    assert "refused" in delivery.last_error
    assert gateway.url not in delivery.last_error
