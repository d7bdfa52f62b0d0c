"""Webhooks through the API: made once, shown once, tried, sent again, and by whoever may hear what they tell."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from ura import domain_events, webhooks
from ura.crypto import Keyring
from ura.db import Sessions
from ura.models import AuditEntry, DeliveryState, EventKind, Role, Webhook
from ura.settings import Settings
from worker.webhooks import Webhooks

WEBHOOKS = "/api/v1/webhooks"
URL = "https://receiver.example/prosa?key=of-theirs"


def new(**changed: object) -> dict[str, object]:
    return {"url": URL, "kinds": ["ticket.opened"], "description": "Painel", **changed}


async def test_an_admin_makes_one_tries_it_and_sends_again_what_did_not_arrive(
    program: Client, sessions: Sessions, settings: Settings
) -> None:
    sent: list[tuple[str, str]] = []

    async def takes(url: str, *, secret: str, message_id: str, body: str, now: datetime) -> int:
        sent.append((url, secret))
        return 204

    async with program() as client:
        answer = await client.post(WEBHOOKS, json=new())
        assert answer.status_code == 201
        made, here = answer.json(), answer.headers["location"]
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert (await client.get(here)).json() == made
        listed = await client.get(WEBHOOKS)
        assert listed.json()["items"] == [made]
        assert secret not in listed.text

        tried = (await client.post(f"{here}/test")).json()
        assert (tried["kind"], tried["state"], tried["status"]) == ("webhook.test", "queued", None)
        worker = Webhooks(sessions, Keyring.of(settings), takes)
        await worker.step(datetime.now(UTC))
        assert sent == [(URL, secret)]
        told = (await client.get(f"{here}/deliveries/{tried['id']}")).json()
        assert (told["state"], told["status"], told["next_at"] is None) == ("delivered", 204, True)

        now = datetime.now(UTC)
        async with sessions.begin() as session:
            await domain_events.record(session, EventKind.TICKET_OPENED, "t", now=now)
        await worker.number(now)
        async with sessions.begin() as session:
            hook = await webhooks.get_webhook(session, made["id"])
            [delivery] = await webhooks.claim(session, hook.id, worker="w", now=now, limit=9)
            delivery.attempts = webhooks.MOST_ATTEMPTS
            await session.flush()
            assert await webhooks.mark_failed(session, delivery, error="HTTP 500", status=500, now=now)
        failed = (await client.get(f"{here}/deliveries", params={"state": "failed"})).json()["items"]
        assert [(each["kind"], each["status"], each["last_error"]) for each in failed] == [
            ("ticket.opened", 500, "HTTP 500")
        ]
        again = await client.post(f"{here}/deliveries/{failed[0]['id']}/again")
        assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (200, "queued", 0)
        await worker.step(datetime.now(UTC))
        assert (await client.get(f"{here}/deliveries", params={"state": "failed"})).json()["items"] == []

        changed = await client.patch(here, json={"kinds": ["call.ended"], "active": False})
        assert (changed.json()["kinds"], changed.json()["url"]) == (["call.ended"], URL)
        off = await client.post(f"{here}/test")
        assert (off.status_code, off.json()["code"]) == (409, "webhook-is-off")
        assert (await client.delete(here)).status_code == 204
        assert (await client.get(here)).status_code == 404
    async with sessions() as session:
        lines = list(await session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("webhook."))))
    assert [line.action.removeprefix("webhook.") for line in lines] == ["create", "test", "again", "change", "delete"]
    assert "of-theirs" not in str([line.detail for line in lines])


async def test_the_same_key_makes_one_webhook_and_shows_its_secret_again(program: Client, sessions: Sessions) -> None:
    async with program() as client:
        headers = {"Idempotency-Key": "webhook-4711"}
        first, second = [(await client.post(WEBHOOKS, json=new(), headers=headers)).json() for _ in range(2)]
    assert first == second
    async with sessions() as session:
        [webhook] = await session.scalars(select(Webhook))
        assert first["secret"] not in webhook.secret.token


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_changes_what_another_has_changed_meanwhile_is_told_so(program: Client) -> None:
    async with program() as client:
        here = (await client.post(WEBHOOKS, json=new())).headers["location"]
        seen = {"If-Match": (await client.get(here)).headers["etag"]}
        first = await client.patch(here, json={"active": False}, headers=seen)
        late = await client.patch(here, json={"url": "https://other.example/"}, headers=seen)
        assert (first.status_code, late.status_code) == (200, 412)
        assert (await client.get(here)).headers["etag"] == first.headers["etag"]
        assert (await client.get(here)).json()["url"] == URL


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "wrong",
    [
        *({"url": url} for url in ("file:///etc/passwd", "gopher://receiver.example", "https://a:b@receiver.example")),
        *({"kinds": []}, {"kinds": ["ticket.sung"]}, {"url": "https://" + "x" * 500}, {"secret": "mine"}),
    ],
)
async def test_what_is_no_webhook_is_refused(program: Client, wrong: dict[str, object]) -> None:
    async with program() as client:
        answer = await client.post(WEBHOOKS, json=new(**wrong))
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_nobody_has_told_to_a_program_what_they_may_not_read(program: Client, person: Client) -> None:
    async with program("webhooks:manage", "calls:read") as client:
        assert (await client.post(WEBHOOKS, json=new(kinds=["call.ended"]))).status_code == 201
        refused = await client.post(WEBHOOKS, json=new())
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        here = f"{WEBHOOKS}/{(await client.get(WEBHOOKS)).json()['items'][0]['id']}"
        assert (await client.patch(here, json={"kinds": ["ticket.opened"]})).status_code == 403
    for role in (Role.SUPERVISOR, Role.OWNER):
        async with person(role) as client:
            assert (await client.get(WEBHOOKS)).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_there_is_an_end_to_how_many_there_are_and_one_hook_does_not_show_anothers_deliveries(
    program: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MOST_WEBHOOKS", 2)
    async with program() as client:
        one, other = [(await client.post(WEBHOOKS, json=new())).json()["id"] for _ in range(2)]
        full = await client.post(WEBHOOKS, json=new())
        assert (full.status_code, full.json()["code"]) == (409, "too-many-webhooks")
        tried = (await client.post(f"{WEBHOOKS}/{one}/test")).json()["id"]
        assert (await client.get(f"{WEBHOOKS}/{one}/deliveries/{tried}")).status_code == 200
        for path in (f"deliveries/{tried}", "deliveries/nothing"):
            assert (await client.get(f"{WEBHOOKS}/{other}/{path}")).json()["code"] == "delivery-not-found"
        answers = [await client.post(f"{WEBHOOKS}/{one}/test", headers={"Idempotency-Key": "try-4711"}) for _ in "ab"]
        assert answers[0].json()["id"] == answers[1].json()["id"]
        states = [each["state"] for each in (await client.get(f"{WEBHOOKS}/{one}/deliveries")).json()["items"]]
        assert states == [DeliveryState.QUEUED, DeliveryState.QUEUED]
