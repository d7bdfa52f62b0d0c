"""The page "Caixa de saída": what arrived, what failed and is sent again, who wants nothing more."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import Client
from ura import opt_outs, outbox
from ura.adapters.demo_inbox import DemoInbox
from ura.db import Sessions
from ura.erp import SendChannel
from ura.gateways import Attachment, Outgoing
from ura.models import AuditEntry, OutboxMessage, OutboxState, Problem, Role
from ura.settings import Settings

ID = "d" * 32
PHONE = "+5511987654321"
PAGE = "/panel/messages"


async def message(sessions: Sessions, *, failed: bool = False) -> None:
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        await outbox.enqueue(session, kind="invoice", to=PHONE, payload={}, now=now, message_id=ID, call_id="c" * 32)
        [claimed] = await outbox.claim(session, worker="w", now=now)
        if failed:
            await outbox.mark_failed(
                session, claimed, error="HTTP 400", now=now, problem=Problem.REFUSED, text="Fatura <b>"
            )
        else:
            await outbox.mark_sent(session, claimed, now=now, provider="demo", provider_id=ID, text="Fatura <b>")


async def test_the_demo_message_is_shown_with_its_document_and_says_that_it_never_left(
    person: Client, sessions: Sessions, settings: Settings
) -> None:
    document = Attachment("fatura-2026-12-10.pdf", "application/pdf", b"%PDF-1.7 x")
    await DemoInbox(settings.inbox_dir).send(
        Outgoing(ID, PHONE, "Fatura", subject="Sua fatura", attachments=(document,))
    )
    await message(sessions)
    async with person(Role.ATTENDANT) as client:
        page = (await client.get(PAGE)).text
        assert "Nada saiu desta casa." in page
        assert "Só aqui, não saiu" in page
        assert "Fatura &lt;b&gt;" in page
        assert "(11) 98765-4321" in page
        assert "fatura-2026-12-10.pdf" in page
        file = await client.get(f"{PAGE}/{ID}/files/1")
        assert (file.content, file.headers["content-type"]) == (document.content, "application/pdf")
        assert file.headers["content-disposition"].startswith("attachment")
        assert (await client.get(f"{PAGE}/{ID}/files/2")).status_code == 404
        assert (await client.get(f"{PAGE}/../files/1")).status_code == 404


async def test_a_failed_message_says_why_and_is_sent_again(person: Client, sessions: Sessions) -> None:
    await message(sessions, failed=True)
    async with person(Role.ATTENDANT) as client:
        page = (await client.get(PAGE, params={"state": "failed"})).text
        assert "O serviço de envio recusou a mensagem." in page
        assert "HTTP 400" in page
        assert (await client.post(f"{PAGE}/{ID}/again")).status_code == 303
        assert "Nenhuma mensagem com este filtro." in (await client.get(PAGE, params={"state": "failed"})).text
    async with sessions() as session:
        assert (await session.get_one(OutboxMessage, ID)).state is OutboxState.QUEUED
        audit = await session.get_one(AuditEntry, 3)
        assert (audit.action, audit.subject) == ("message.again", ID)


async def test_somebody_is_kept_from_messages_and_let_in_again(person: Client, sessions: Sessions) -> None:
    async with person(Role.ATTENDANT) as client:
        added = await client.post(f"{PAGE}/opt-outs", data={"channel": "sms", "target": "(11) 98765-4321"})
        assert added.status_code == 303
        assert "Registrado por attendant@provedor.test" in (await client.get(PAGE)).text
        async with sessions() as session:
            assert await opt_outs.has_opted_out(session, channel=SendChannel.SMS, to=PHONE)
            [one] = (await opt_outs.list_opt_outs(session)).items
        assert (await client.post(f"{PAGE}/opt-outs/{one.id}/remove")).status_code == 303
        assert "Ninguém pediu para não receber." in (await client.get(PAGE)).text
        wrong = await client.post(f"{PAGE}/opt-outs", data={"channel": "email", "target": "ana"})
        assert wrong.status_code == 422
        assert "Confira: celular com DDD" in wrong.text


async def test_what_was_deleted_after_its_time_says_so_and_cannot_be_sent_again(
    person: Client, sessions: Sessions
) -> None:
    await message(sessions, failed=True)
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        assert await outbox.forget(session, before=now + timedelta(days=1), now=now) == [ID]
    async with person(Role.ATTENDANT) as client:
        page = (await client.get(PAGE)).text
        assert "O texto foi apagado depois do prazo de guarda." in page
        assert "Enviar de novo" not in page
        assert (await client.post(f"{PAGE}/{ID}/again")).status_code == 409


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.OWNER])
async def test_who_needs_no_customers_sees_no_messages(person: Client, sessions: Sessions, role: Role) -> None:
    await message(sessions)
    async with person(role) as client:
        assert (await client.get(PAGE)).status_code == 403
        assert "/panel/messages" not in (await client.get("/panel")).text
        assert (await client.post(f"{PAGE}/{ID}/again")).status_code == 403


async def test_a_filter_that_does_not_exist_is_said_to_be_none(person: Client) -> None:
    async with person(Role.ADMIN) as client:
        assert (await client.get(PAGE, params={"state": "gone"})).status_code == 422
        assert (await client.get(PAGE, params={"cursor": "x"})).status_code == 422
