"""Any SMS gateway, described by data, asked over a real connection."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.http_gateway import HttpGateway, Said
from ura.adapters import sms
from ura.adapters.sms import HttpSms, SmsApi
from ura.erp import SendChannel
from ura.gateways import NeverTaken, Outgoing, TryLater, UnknownAddress
from ura.models import OutboxState, Problem
from ura.opt_outs import Reply
from ura.receipts import Receipt
from ura.settings import Settings

ID = "d" * 32
TO = "+5511987654321"
MESSAGE = Outgoing(ID, TO, 'Fatura "A" {to}\nR$ 10&b=c')


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    gateway = HttpGateway()
    yield gateway
    gateway.close()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def make(gateway: HttpGateway, client: httpx.AsyncClient, deadline_s: float = 2.0, **api: Any) -> HttpSms:
    return HttpSms(SmsApi(**{"url": gateway.url, **api}), client, deadline_s=deadline_s)


async def test_a_json_body_of_any_shape_keeps_every_sign_of_the_text(
    gateway: HttpGateway, client: httpx.AsyncClient
) -> None:
    gateway.says(200, {"messages": [{"id": 991}]})
    fields = {"destination": "{digits}", "ddd": "{national}", "body": "{text}", "ref": "{id}"}
    body = json.dumps({"from": "Prosa", "messages": [fields]})
    api = {"body": body, "id_path": "messages.0.id", "headers": {"Authorization": "Bearer abc"}}
    assert await make(gateway, client, **api).send(MESSAGE) == "991"
    [asked] = gateway.asked
    assert asked.json == {
        "from": "Prosa",
        "messages": [{"destination": "5511987654321", "ddd": "11987654321", "body": MESSAGE.text, "ref": ID}],
    }
    assert (asked.headers["authorization"], asked.headers["idempotency-key"]) == ("Bearer abc", ID)


async def test_a_form_and_an_address_line_take_the_text_and_nothing_breaks_out(
    gateway: HttpGateway, client: httpx.AsyncClient
) -> None:
    await make(gateway, client, body="user=u&msg={text}&dest={to}").send(MESSAGE)
    await make(gateway, client, url=gateway.url + "/send?key=k&msg={text}&dest={to}", body="").send(MESSAGE)
    posted, got = gateway.asked
    assert posted.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(posted.body.decode()) == {"user": ["u"], "msg": [MESSAGE.text], "dest": [TO]}
    assert got.method == "GET"
    assert parse_qs(urlsplit(got.path).query) == {"key": ["k"], "msg": [MESSAGE.text], "dest": [TO]}


WORDS = {
    "status_path": "result.status",
    "taken_words": {"queued", "sent"},
    "refused_words": {"spam"},
    "unknown_words": {"invalid_number"},
}


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("QUEUED", None),
        ("sent", None),
        ("spam", NeverTaken),
        ("invalid_number", UnknownAddress),
        ("no_credit", TryLater),
        ("", TryLater),
    ],
)
async def test_the_gateways_own_word_counts_more_than_its_200(
    gateway: HttpGateway, client: httpx.AsyncClient, word: str, outcome: type[Exception] | None
) -> None:
    gateway.says(200, {"id": "1", "result": {"status": word}})
    sms = make(gateway, client, **WORDS)
    if outcome is None:
        assert await sms.send(MESSAGE) == "1"
        return
    with pytest.raises(outcome) as refusal:
        await sms.send(MESSAGE)
    assert type(refusal.value) is outcome


@pytest.mark.parametrize(
    ("said", "outcome", "maybe"),
    [
        (Said(400), NeverTaken, None),
        (Said(422), NeverTaken, None),
        (Said(401), TryLater, False),
        (Said(402), TryLater, False),
        (Said(429), TryLater, False),
        (Said(302, headers={"Location": "http://127.0.0.1:1/"}), TryLater, False),
        (Said(500), TryLater, True),
        (Said(200, b"x" * 70_000), TryLater, True),
        (Said(cut=True), TryLater, True),
        (Said(after_s=30), TryLater, True),
    ],
    ids=str,
)
async def test_refusals_are_told_apart(
    gateway: HttpGateway, client: httpx.AsyncClient, said: Said, outcome: type[Exception], maybe: bool | None
) -> None:
    gateway.answer = lambda asked: said
    with pytest.raises(outcome) as refusal:
        await make(gateway, client, deadline_s=0.3).send(MESSAGE)
    assert type(refusal.value) is outcome
    assert getattr(refusal.value, "maybe_taken", None) is maybe
    assert "987654321" not in str(refusal.value)
    assert len(gateway.asked) == 1  # no redirect followed, nothing tried twice behind our back


async def test_a_gateway_that_is_not_there_surely_has_nothing(gateway: HttpGateway, client: httpx.AsyncClient) -> None:
    gateway.close()
    with pytest.raises(TryLater) as refusal:
        await make(gateway, client).send(MESSAGE)
    assert not refusal.value.maybe_taken


@pytest.mark.parametrize(
    ("written", "wait"),
    [
        ("90", timedelta(seconds=90)),
        ("9" * 9, timedelta(days=1)),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
async def test_the_time_a_busy_gateway_asks_for_is_believed_up_to_a_day(
    gateway: HttpGateway, client: httpx.AsyncClient, written: str, wait: timedelta | None
) -> None:
    gateway.says(429, headers={"Retry-After": written})
    with pytest.raises(TryLater) as refusal:
        await make(gateway, client).send(MESSAGE)
    assert refusal.value.after == wait


async def test_a_moment_is_understood_too(gateway: HttpGateway, client: httpx.AsyncClient) -> None:
    gateway.says(503, headers={"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=2))})
    with pytest.raises(TryLater) as refusal:
        await make(gateway, client).send(MESSAGE)
    assert refusal.value.after is not None
    assert timedelta(minutes=119) < refusal.value.after <= timedelta(minutes=120)


async def test_what_the_gateway_says_of_somebodys_number_is_not_kept(
    gateway: HttpGateway, client: httpx.AsyncClient
) -> None:
    gateway.says(400, {"result": {"status": "bad number 5511987654321"}})
    with pytest.raises(NeverTaken) as refusal:
        await make(gateway, client, **WORDS).send(MESSAGE)
    assert "987654321" not in str(refusal.value)


def test_receipts_and_replies_are_read_by_the_paths_of_the_settings() -> None:
    api = SmsApi(
        url="",
        hook_id_path="sms.id",
        hook_status_path="sms.status",
        delivered_words={"delivrd"},
        undelivered_words={"undeliv"},
    )
    assert sms.read_hook(api, {"sms": {"id": "7", "status": "DELIVRD"}}) == [
        Receipt("http", OutboxState.DELIVERED, "7", "7")
    ]
    [one, two] = sms.read_hook(
        api, [{"sms": {"id": 8, "status": "UNDELIV"}}, {"from": "5511987654321", "text": "PARE"}]
    )
    assert one == Receipt("http", OutboxState.FAILED, "8", "8", Problem.UNDELIVERED, "undeliv")
    assert two == Reply(SendChannel.SMS, "5511987654321", "PARE")
    for nothing in (None, 5, [], [[]], {"sms": "x"}, {"sms": {"status": "delivrd"}}, {"from": 1, "text": {}}):
        assert sms.read_hook(api, nothing) == []


def test_the_settings_describe_the_gateway() -> None:
    settings = Settings(
        sms_url="https://sms.example",
        sms_headers=json.dumps({"X-Key": "k"}),
        sms_status_path="state",
        sms_taken_words="OK, Queued ,",
        sms_delivered_words="",
    )
    api = SmsApi.from_settings(settings)
    assert (api.url, api.headers, api.taken_words) == ("https://sms.example", {"X-Key": "k"}, {"ok", "queued"})
    assert api.delivered_words == frozenset()
    assert "X-Key" not in repr(api)
