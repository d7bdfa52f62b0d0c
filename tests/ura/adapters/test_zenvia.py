"""Zenvia's API v2 as its published description has it (zenvia-openapi-spec), over a real connection."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.http_gateway import HttpGateway
from ura.adapters import zenvia
from ura.adapters.zenvia import Zenvia
from ura.erp import SendChannel
from ura.gateways import NeverTaken, Outgoing, TryLater, UnknownAddress
from ura.models import OutboxState, Problem
from ura.opt_outs import Reply
from ura.receipts import Receipt

ID = "d" * 32
MESSAGE = Outgoing(ID, "+5511987654321", "Fatura de R$ 10,00")


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    gateway = HttpGateway()
    yield gateway
    gateway.close()


@pytest.fixture
async def sms(gateway: HttpGateway) -> AsyncIterator[Zenvia]:
    async with httpx.AsyncClient() as client:
        yield Zenvia(client, url=gateway.url, token="t0ken", sender="prosa.sms")


async def test_a_message_is_asked_for_as_the_description_says(gateway: HttpGateway, sms: Zenvia) -> None:
    gateway.says(200, {"id": "ac81-77", "from": "prosa.sms", "to": "5511987654321", "direction": "OUT"})
    assert await sms.send(MESSAGE) == "ac81-77"
    [asked] = gateway.asked
    assert (asked.method, asked.path) == ("POST", "/v2/channels/sms/messages")
    assert asked.headers["x-api-token"] == "t0ken"
    assert asked.json == {
        "from": "prosa.sms",
        "to": "5511987654321",
        "externalId": ID,
        "contents": [{"type": "text", "text": "Fatura de R$ 10,00"}],
    }


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, {"code": "VALIDATION_ERROR", "message": "Validation error", "details": []}, NeverTaken),
        (
            400,
            {"code": "VALIDATION_ERROR", "message": "Validation error", "details": [{"code": "X", "path": "to"}]},
            UnknownAddress,
        ),
        (401, {"code": "AUTHENTICATION_ERROR", "message": "No authorization token was found"}, TryLater),
        (404, {"code": "NOT_FOUND", "message": "Not found"}, NeverTaken),
        (429, {}, TryLater),
        (500, {"code": "INTERNAL_ERROR", "message": "Internal error"}, TryLater),
        (502, b"<html>bad gateway</html>", TryLater),
    ],
)
async def test_its_errors_are_told_apart(
    gateway: HttpGateway, sms: Zenvia, status: int, body: Any, outcome: type[Exception]
) -> None:
    gateway.says(status, body)
    with pytest.raises(outcome) as refusal:
        await sms.send(MESSAGE)
    assert type(refusal.value) is outcome


async def test_what_it_has_already_counts_as_taken(gateway: HttpGateway, sms: Zenvia) -> None:
    gateway.says(409, {"code": "DUPLICATED", "message": "Entity already exists"})
    assert await sms.send(MESSAGE) == ""


def status(code: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "event-1",
        "type": "MESSAGE_STATUS",
        "channel": "sms",
        "message": {"id": "ac81-77", "externalId": ID, "contentIndex": 0},
        "messageStatus": {"code": code, "timestamp": "2026-11-23T15:00:00Z", **more},
    }


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("SENT", OutboxState.SENT),
        ("DELIVERED", OutboxState.DELIVERED),
        ("READ", OutboxState.READ),
        ("REJECTED", OutboxState.FAILED),
        ("NOT_DELIVERED", OutboxState.FAILED),
    ],
)
def test_a_status_is_a_receipt_with_both_ids(code: str, state: OutboxState) -> None:
    [receipt] = zenvia.read_hook(status(code))
    assert isinstance(receipt, Receipt)
    assert (receipt.state, receipt.provider_id, receipt.message_id) == (state, "ac81-77", ID)
    assert receipt.problem is Problem.UNDELIVERED


def test_why_it_failed_is_kept_without_the_number() -> None:
    [receipt] = zenvia.read_hook(status("NOT_DELIVERED", causes=[{"details": "5511987654321 is unknown"}]))
    assert isinstance(receipt, Receipt)
    assert receipt.detail == "NOT_DELIVERED ******4321 is unknown"


def test_an_older_status_names_the_message_outside() -> None:
    [receipt] = zenvia.read_hook(
        {"type": "MESSAGE_STATUS", "messageId": "ac81-77", "messageStatus": {"code": "DELIVERED"}}
    )
    assert isinstance(receipt, Receipt)
    assert receipt.provider_id == "ac81-77"


def test_what_somebody_writes_back_is_a_reply() -> None:
    message = {
        "from": "5511987654321",
        "to": "prosa.sms",
        "direction": "IN",
        "channel": "sms",
        "contents": [{"type": "text", "text": "Sair"}],
    }
    assert zenvia.read_hook({"type": "MESSAGE", "direction": "IN", "message": message}) == [
        Reply(SendChannel.SMS, "5511987654321", "Sair")
    ]


@pytest.mark.parametrize("nothing", [None, [], "x", {}, status("ACCEPTED"), {"type": "MESSAGE"}, {"type": "CONTACT"}])
def test_other_events_are_nothing(nothing: Any) -> None:
    assert zenvia.read_hook(nothing) == []
