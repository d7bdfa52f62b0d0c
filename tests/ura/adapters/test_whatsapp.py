"""Meta's Cloud API as it is published, over a real connection."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.http_gateway import Asked, HttpGateway, Said
from ura.adapters import whatsapp
from ura.adapters.whatsapp import WhatsApp, signature_is_right
from ura.erp import SendChannel
from ura.gateways import Attachment, NeverTaken, Outgoing, TryLater, UnknownAddress
from ura.models import OutboxState, Problem
from ura.opt_outs import Reply
from ura.receipts import Receipt

ID = "d" * 32
WAMID = "wamid.HBgNNTUxMTk4NzY1NDMyMRUCABEYEjgx"
TAKEN = {"messaging_product": "whatsapp", "contacts": [{"wa_id": "551187654321"}], "messages": [{"id": WAMID}]}
PDF = Attachment("fatura.pdf", "application/pdf", b"%PDF-1.7 content")
MESSAGE = Outgoing(ID, "+5511987654321", "text", template="prosa_invoice_pdf", parameters=("R$ 10,00", "10/12/2026"))
WITH_PDF = Outgoing(ID, "+5511987654321", "text", template="prosa_invoice_pdf", attachments=(PDF,))


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    gateway = HttpGateway()
    yield gateway
    gateway.close()


@pytest.fixture
async def meta(gateway: HttpGateway) -> AsyncIterator[WhatsApp]:
    async with httpx.AsyncClient() as client:
        yield WhatsApp(client, url=f"{gateway.url}/v23.0", phone_id="106540352242922", token="t0ken", deadline_s=1.0)


async def test_a_template_goes_out_with_its_parameters_and_our_id(gateway: HttpGateway, meta: WhatsApp) -> None:
    gateway.says(200, TAKEN)
    assert await meta.send(MESSAGE) == WAMID
    [asked] = gateway.asked
    assert asked.path == "/v23.0/106540352242922/messages"
    assert asked.headers["authorization"] == "Bearer t0ken"
    parameters = [{"type": "text", "text": "R$ 10,00"}, {"type": "text", "text": "10/12/2026"}]
    assert asked.json == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "5511987654321",
        "type": "template",
        "template": {
            "name": "prosa_invoice_pdf",
            "language": {"code": "pt_BR"},
            "components": [{"type": "body", "parameters": parameters}],
        },
        "biz_opaque_callback_data": ID,
    }


async def test_a_document_is_uploaded_first_and_stands_in_the_header(gateway: HttpGateway, meta: WhatsApp) -> None:
    gateway.answer = lambda asked: Said(200, {"id": "media-5"} if asked.path.endswith("/media") else TAKEN)
    assert await meta.send(WITH_PDF) == WAMID
    upload, message = gateway.asked
    assert b"%PDF-1.7 content" in upload.body
    assert b'name="messaging_product"' in upload.body
    [header] = message.json["template"]["components"]
    assert header == {
        "type": "header",
        "parameters": [{"type": "document", "document": {"id": "media-5", "filename": "fatura.pdf"}}],
    }


async def test_a_document_that_does_not_arrive_leaves_no_doubt_about_the_message(
    gateway: HttpGateway, meta: WhatsApp
) -> None:
    gateway.says(500)
    with pytest.raises(TryLater) as refusal:
        await meta.send(WITH_PDF)
    assert not refusal.value.maybe_taken
    assert len(gateway.asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, 131026, UnknownAddress),
        (400, 130429, TryLater),
        (400, 131056, TryLater),
        (401, 190, TryLater),
        (403, 10, TryLater),
        (400, 368, TryLater),
        (404, 132001, TryLater),  # the template is not approved yet
        (400, 132015, TryLater),
        (500, 131000, TryLater),
        (503, 131016, TryLater),
        (500, 999999, TryLater),
        (400, 100, NeverTaken),
        (400, 131047, NeverTaken),
        (400, 132000, NeverTaken),
    ],
)
async def test_meta_tells_by_code_what_is_wrong(
    gateway: HttpGateway, meta: WhatsApp, status: int, code: int, outcome: type[Exception]
) -> None:
    details = {"messaging_product": "whatsapp", "details": "Message to 5511987654321 failed"}
    gateway.says(status, {"error": {"message": f"(#{code}) x", "code": code, "error_data": details}})
    with pytest.raises(outcome) as refusal:
        await meta.send(MESSAGE)
    assert type(refusal.value) is outcome
    assert str(refusal.value) == f"{code} Message to ******4321 failed"


@pytest.mark.parametrize(
    ("said", "maybe"),
    [(Said(200, {}), True), (Said(200, b"<html>"), True), (Said(after_s=30), True), (Said(429), False)],
    ids=str,
)
async def test_no_clear_answer_is_no_yes(gateway: HttpGateway, meta: WhatsApp, said: Said, maybe: bool) -> None:
    gateway.answer = lambda asked: said
    with pytest.raises(TryLater) as refusal:
        await meta.send(MESSAGE)
    assert refusal.value.maybe_taken is maybe


def hook(**value: Any) -> dict[str, Any]:
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": {"messaging_product": "whatsapp", **value}}]}],
    }


def test_statuses_are_receipts_with_both_ids() -> None:
    statuses = [
        {"id": WAMID, "status": state, "biz_opaque_callback_data": ID} for state in ("sent", "delivered", "read")
    ]
    assert whatsapp.read_hook(hook(statuses=statuses)) == [
        Receipt("whatsapp", OutboxState.SENT, WAMID, ID),
        Receipt("whatsapp", OutboxState.DELIVERED, WAMID, ID),
        Receipt("whatsapp", OutboxState.READ, WAMID, ID),
    ]


@pytest.mark.parametrize(
    ("code", "problem"), [(131026, Problem.UNKNOWN_ADDRESS), (131049, Problem.UNDELIVERED), (None, Problem.UNDELIVERED)]
)
def test_a_failure_says_whether_there_is_such_a_number(code: int | None, problem: Problem) -> None:
    errors = [{"code": code, "title": "Message undeliverable"}] if code else []
    [receipt] = whatsapp.read_hook(hook(statuses=[{"id": WAMID, "status": "failed", "errors": errors}]))
    assert isinstance(receipt, Receipt)
    assert (receipt.state, receipt.problem) == (OutboxState.FAILED, problem)


def test_a_word_or_a_button_is_a_reply() -> None:
    messages = [
        {"from": "551187654321", "type": "text", "text": {"body": "PARE"}},
        {"from": "5511987654321", "type": "button", "button": {"text": "Sair", "payload": "x"}},
        {"from": "5511987654321", "type": "image", "image": {"id": "1"}},
    ]
    assert whatsapp.read_hook(hook(messages=messages)) == [
        Reply(SendChannel.WHATSAPP, "551187654321", "PARE"),
        Reply(SendChannel.WHATSAPP, "5511987654321", "Sair"),
        Reply(SendChannel.WHATSAPP, "5511987654321", ""),
    ]


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        [],
        {"entry": 5},
        {"entry": [{"changes": [{"field": "account_update", "value": {"statuses": [{"status": "sent"}]}}]}]},
        hook(statuses=[5, None, {"status": "warming up"}, {"status": ["sent"]}]),
    ],
    ids=str,
)
def test_what_is_no_status_and_no_message_is_nothing(nothing: Any) -> None:
    assert whatsapp.read_hook(nothing) == []


def test_only_the_very_bytes_with_the_right_secret_are_signed() -> None:
    body = b'{"entry": []}'
    right = "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert signature_is_right("secret", body, right)
    for secret, sent, header in (
        ("other", body, right),
        ("secret", body + b" ", right),
        ("secret", body, right.upper()),
        ("secret", body, right[7:]),
        ("secret", body, ""),
        ("secret", body, "sha256=é"),
    ):
        assert not signature_is_right(secret, sent, header)


async def test_the_number_is_asked_for_once_even_when_the_line_is_cut(gateway: HttpGateway, meta: WhatsApp) -> None:
    def cut(asked: Asked) -> Said:
        return Said(cut=True)

    gateway.answer = cut
    with pytest.raises(TryLater) as refusal:
        await meta.send(MESSAGE)
    assert refusal.value.maybe_taken
    assert len(gateway.asked) == 1
