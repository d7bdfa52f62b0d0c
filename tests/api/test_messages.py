"""The outbox through the API: found, read with its receipts, sent again once; and who wants no messages."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from ura import outbox, receipts
from ura.db import Sessions
from ura.erp import SendChannel
from ura.models import AuditEntry, OutboxMessage, OutboxState, Problem, Role
from ura.receipts import Receipt
from ura.users import Permission

MESSAGES, OPT_OUTS = "/api/v1/messages", "/api/v1/opt-outs"
ANA, BIA = "+5511987654321", "bia@casa.example"
CALL = "c" * 32
# 23:30 on the 20th where the provider is, and the 21st in UTC.
LATE = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
INVOICE, PROOF, FAILED = "1" * 32, "2" * 32, "3" * 32


@pytest.fixture
async def three(sessions: Sessions) -> None:
    """An invoice that was delivered, a proof that waits, and plans that were refused."""
    async with sessions.begin() as session:
        for message_id, kind, to, channel, hours in (
            (INVOICE, "invoice", ANA, SendChannel.SMS, 0),
            (FAILED, "plans", ANA, SendChannel.WHATSAPP, 1),
            (PROOF, "proof", BIA, SendChannel.EMAIL, 2),
        ):
            await outbox.enqueue(
                session,
                kind=kind,
                to=to,
                payload={},
                now=LATE + timedelta(hours=hours),
                channel=channel,
                message_id=message_id,
                call_id=CALL if kind == "invoice" else None,
            )
        sent, refused = await outbox.claim(session, worker="w", now=LATE + timedelta(hours=1))
        await outbox.mark_sent(session, sent, now=LATE, text="Linha 846", provider="zenvia", provider_id="z1")
        await outbox.mark_failed(session, refused, error="132001", now=LATE, problem=Problem.REFUSED)
        arrived = Receipt("zenvia", OutboxState.DELIVERED, "z1")
        await receipts.apply(session, arrived, now=LATE + timedelta(seconds=4))


async def listed(client: Client, **wanted: str) -> list[str]:
    answer = await client.get(MESSAGES, params=wanted)
    assert answer.status_code == 200, answer.text
    return [message["id"] for message in answer.json()["items"]]


async def test_messages_are_found_by_state_channel_kind_call_address_and_day(three: None, program: Client) -> None:
    async with program("messages:read", "phones:see") as client:
        assert await listed(client) == [PROOF, FAILED, INVOICE]
        assert await listed(client, state="queued") == [PROOF]
        assert await listed(client, channel="whatsapp") == [FAILED]
        assert await listed(client, kind="invoice") == [INVOICE]
        assert await listed(client, call_id=CALL) == [INVOICE]
        assert await listed(client, address="(11) 98765-4321") == [FAILED, INVOICE]
        assert await listed(client, address="Bia@casa.example") == [PROOF]
        assert await listed(client, on="2026-11-20") == [INVOICE]
        assert await listed(client, on="2026-11-21") == [PROOF, FAILED]
        first = (await client.get(MESSAGES, params={"limit": 2})).json()
        assert await listed(client, cursor=first["next_cursor"]) == [INVOICE]


async def test_one_message_tells_its_receipts_and_attempts(three: None, program: Client) -> None:
    async with program("messages:read", "phones:see") as client:
        invoice = (await client.get(f"{MESSAGES}/{INVOICE}")).json()
        assert invoice["receipts"] == [
            {"state": "sent", "at": "2026-11-21T02:30:00Z"},
            {"state": "delivered", "at": "2026-11-21T02:30:04Z"},
        ]
        assert (invoice["to"], invoice["text"], invoice["provider"]) == (ANA, "Linha 846", "zenvia")
        assert (invoice["attempts"], invoice["next_at"]) == (1, None)
        refused = (await client.get(f"{MESSAGES}/{FAILED}")).json()
        assert (refused["state"], refused["problem"], refused["last_error"]) == ("failed", "refused", "132001")
        waits = (await client.get(f"{MESSAGES}/{PROOF}")).json()
        assert (waits["attempts"], waits["next_at"], waits["receipts"]) == (0, "2026-11-21T04:30:00Z", [])
        assert waits["text"] is None
        assert (await client.get(f"{MESSAGES}/{'0' * 32}")).json()["code"] == "message-not-found"


async def test_who_may_not_see_numbers_sees_neither_them_nor_what_was_said(three: None, program: Client) -> None:
    async with program("messages:read") as client:
        everything = (await client.get(MESSAGES)).text + (await client.get(f"{MESSAGES}/{INVOICE}")).text
        assert "+5511*****4321" in everything
        assert "b***@casa.example" in everything
        for secret in (ANA, BIA, "846"):
            assert secret not in everything
        for address in ("11987654321", BIA):
            for path in (MESSAGES, OPT_OUTS):
                assert (await client.get(path, params={"address": address})).status_code == 403


async def test_a_message_that_failed_is_sent_again_once_however_often_that_is_asked(
    three: None, program: Client, sessions: Sessions
) -> None:
    async with program("messages:read", "messages:write") as client:
        for _ in range(3):
            answer = await client.post(f"{MESSAGES}/{FAILED}/again")
            assert (answer.status_code, answer.json()["state"], answer.json()["attempts"]) == (200, "queued", 0)
        delivered = await client.post(f"{MESSAGES}/{INVOICE}/again")
        assert (delivered.status_code, delivered.json()["state"]) == (200, "delivered")
        assert (await client.post(f"{MESSAGES}/{'0' * 32}/again")).status_code == 404
    async with sessions() as session:
        again = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "message.again"))).all()
        assert [(line.actor, line.subject) for line in again] == [("token messages:read-messages:write", FAILED)]
        assert (await session.get_one(OutboxMessage, FAILED)).problem is None


async def test_what_was_deleted_after_its_time_is_told_and_not_sent_again(
    three: None, program: Client, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await outbox.forget(session, before=LATE + timedelta(days=1), now=LATE + timedelta(days=91))
    async with program() as client:
        gone = (await client.get(f"{MESSAGES}/{INVOICE}")).json()
        assert (gone["text"], gone["forgotten_at"], len(gone["receipts"])) == (None, "2027-02-20T02:30:00Z", 2)
        again = await client.post(f"{MESSAGES}/{FAILED}/again")
        assert (again.status_code, again.json()["code"]) == (409, "message-forgotten")


async def test_somebody_who_wants_no_messages_is_added_found_and_taken_back(program: Client) -> None:
    async with program("messages:read", "messages:write", "phones:see") as client:
        wanted = {"channel": "sms", "address": "(11) 98765-4321"}
        added = await client.post(OPT_OUTS, json=wanted)
        assert added.status_code == 201
        one = added.json()
        assert (one["channel"], one["address"]) == ("sms", ANA)
        assert (await client.post(OPT_OUTS, json=wanted)).json() == one
        await client.post(OPT_OUTS, json={"channel": "email", "address": BIA})
        found = (await client.get(OPT_OUTS, params={"address": "11987654321"})).json()["items"]
        assert found == [one]
        assert len((await client.get(OPT_OUTS)).json()["items"]) == 2
        assert len((await client.get(OPT_OUTS, params={"channel": "email"})).json()["items"]) == 1
        removed = await client.delete(f"{OPT_OUTS}/{one['id']}")
        assert (removed.status_code, removed.text) == (204, "")
        assert (await client.delete(f"{OPT_OUTS}/{one['id']}")).json()["code"] == "opt-out-not-found"
        assert len((await client.get(OPT_OUTS)).json()["items"]) == 1


async def test_a_list_without_addresses_can_still_be_kept(program: Client) -> None:
    async with program("messages:read", "messages:write") as client:
        for address in ("11987654321", "11987654322"):
            await client.post(OPT_OUTS, json={"channel": "sms", "address": address})
        page = (await client.get(OPT_OUTS, params={"limit": 1})).json()
        [one] = page["items"]
        assert one["address"] == "+5511*****4322"
        assert (await client.delete(f"{OPT_OUTS}/{one['id']}")).status_code == 204


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (MESSAGES, {"state": "gone"}),
        (MESSAGES, {"channel": "fax"}),
        (MESSAGES, {"on": "9999-12-31"}),
        (MESSAGES, {"on": "yesterday"}),
        (MESSAGES, {"address": "12"}),
        (MESSAGES, {"address": "bia@casa"}),
        (MESSAGES, {"cursor": "x"}),
        (OPT_OUTS, {"address": "12"}),
    ],
)
async def test_a_filter_that_cannot_be_is_refused_with_a_reason(
    program: Client, path: str, wanted: dict[str, str]
) -> None:
    async with program() as client:
        answer = await client.get(path, params=wanted)
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("wrong", [{"address": "12"}, {"channel": "fax"}, {"channel": "email"}, {"colour": "red"}])
async def test_no_address_is_no_opt_out(program: Client, wrong: dict[str, str]) -> None:
    async with program() as client:
        answer = await client.post(OPT_OUTS, json={"channel": "sms", "address": "11987654321"} | wrong)
        assert answer.status_code == 422
        assert "98765" not in answer.text
        assert (await client.get(OPT_OUTS)).json()["items"] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_reads_may_not_change(three: None, program: Client, person: Client) -> None:
    async with program(Permission.MESSAGES_READ) as client:
        assert (await client.post(f"{MESSAGES}/{FAILED}/again")).status_code == 403
        assert (await client.post(OPT_OUTS, json={})).status_code == 403
        assert (await client.delete(f"{OPT_OUTS}/{'0' * 32}")).status_code == 403
    async with person(Role.OWNER) as client:
        assert (await client.get(MESSAGES)).status_code == 403
    async with person(Role.ATTENDANT) as client:
        assert len((await client.get(MESSAGES)).json()["items"]) == 3
