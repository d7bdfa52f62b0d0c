"""An invoice by text message: a real gateway gets the text, and the link in it opens the document in the real API."""

import io
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pypdfium2
import pytest
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import update
from structlog.testing import capture_logs

from api.main import build
from tests.http_gateway import HttpGateway
from ura import outbox, second_copies
from ura.adapters import erp as erp_adapters
from ura.crypto import Keyring
from ura.db import Sessions
from ura.demo.subscribers import demo_world
from ura.demo.tables import load_subscribers
from ura.erp import Answer, SendChannel
from ura.invoice_links import PATH, VALID_FOR, InvoiceLinks
from ura.models import Invoice
from ura.models.invoice import InvoiceStatus
from ura.settings import Settings
from worker.deliveries import Deliveries, Hours
from worker.main import make_gateways, make_writer

PUBLIC = "http://127.0.0.1:8000"
ID = "d" * 32
NOW = datetime.now(UTC)  # the demo's days are counted from it
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    gateway = HttpGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def settings(settings: Settings, gateway: HttpGateway) -> Settings:
    return Settings.model_validate({**settings.model_dump(), "public_url": PUBLIC, "sms_url": gateway.url})


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


async def text_sent(
    sessions: Sessions, settings: Settings, client: AsyncClient, gateway: HttpGateway, message_id: str = ID
) -> str:
    """Who is overdue asks for the oldest invoice by SMS; what the gateway got."""
    erp = erp_adapters.from_settings(settings, sessions)
    async with sessions.begin() as session:
        await load_subscribers(session, Keyring.of(settings), NOW)
    found = await erp.find_by_document(demo_world(NOW).story("overdue").subscriber.document)
    assert isinstance(found, Answer)
    assert found.value
    contracts = await erp.list_contracts(found.value.id)
    assert isinstance(contracts, Answer)
    contract_id = contracts.value[0].id
    invoices = await erp.open_invoices(contract_id)
    assert isinstance(invoices, Answer)
    contact = {"subscriber_id": found.value.id, "contract_id": contract_id, "channel": "sms", "tail": "0103"}
    payload: dict[str, Any] = {"invoice_id": invoices.value[0].id, "contract_id": contract_id, "contact": contact}
    async with sessions.begin() as session:
        await outbox.enqueue(
            session,
            kind="invoice",
            channel=SendChannel.SMS,
            to="",
            payload=payload,
            now=NOW,
            message_id=message_id,
        )
    writer = make_writer(settings, sessions, erp)
    await Deliveries(sessions, make_gateways(settings, client), writer, Hours(0, 24, settings.zone)).step(NOW)
    [asked] = gateway.asked
    return str(asked.json["text"])


def link_in(text: str) -> str:
    [line] = [line for line in text.split("\n") if PATH in line]
    return line.removeprefix("Segunda via: ")


def told(answer: Response) -> tuple[Any, ...]:
    """Everything of an answer that could tell one "no" from another."""
    names = ("content-type", "cache-control", "content-length", "retry-after", "content-disposition")
    body = answer.text.split("data-now", 1)
    return answer.status_code, [answer.headers.get(name) for name in names], body[0], body[1].split('"', 2)[2]


async def test_the_link_of_the_text_opens_the_document_and_stands_in_no_log(
    sessions: Sessions, settings: Settings, client: AsyncClient, gateway: HttpGateway, stranger: AsyncClient
) -> None:
    text = await text_sent(sessions, settings, client, gateway)
    link = link_in(text)
    assert link.startswith(PUBLIC + PATH)
    with capture_logs() as logs:
        answer = await stranger.get(link.removeprefix(PUBLIC))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith('attachment; filename="fatura-')
    page = pypdfium2.PdfDocument(io.BytesIO(answer.content))[0].get_textpage().get_text_range()
    assert "Célia Andrade" in page
    [line] = [line for line in text.split("\n") if line.startswith("Boleto: ")]
    assert line.removeprefix("Boleto: ") in "".join(character for character in page if character.isdigit())
    [said] = logs
    assert said["message_id"] == ID
    assert link.rpartition("/")[2] not in str(logs)


@once
async def test_wrong_ended_and_paid_are_answered_alike(
    sessions: Sessions, settings: Settings, client: AsyncClient, gateway: HttpGateway, stranger: AsyncClient
) -> None:
    link = link_in(await text_sent(sessions, settings, client, gateway)).removeprefix(PUBLIC)
    links = InvoiceLinks(Keyring.of(settings), PUBLIC)
    ended = links.make(ID, datetime.now(UTC) - VALID_FOR - timedelta(minutes=1)).removeprefix(PUBLIC)
    of_nothing = links.make("e" * 32, datetime.now(UTC)).removeprefix(PUBLIC)
    assert (await stranger.get(link)).status_code == 200
    async with sessions.begin() as session:
        await session.execute(update(Invoice).values(status=InvoiceStatus.PAID))
    answers = [await stranger.get(path) for path in (PATH + "a" * 48, PATH + "x", ended, of_nothing, link)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({str(told(answer)) for answer in answers}) == 1
    assert "Este link não vale mais" in answers[0].text
    assert answers[0].headers["cache-control"] == "no-store"


@once
async def test_who_tries_links_out_is_stopped_and_who_has_one_is_not(
    sessions: Sessions, settings: Settings, client: AsyncClient, gateway: HttpGateway, stranger: AsyncClient
) -> None:
    link = link_in(await text_sent(sessions, settings, client, gateway)).removeprefix(PUBLIC)
    tried = [(await stranger.get(f"{PATH}{number:048d}")).status_code for number in range(second_copies.WRONG + 1)]
    assert tried == [404] * second_copies.WRONG + [429]
    opened = [(await stranger.get(link)).status_code for _ in range(second_copies.OPENINGS + 1)]
    assert opened == [200] * second_copies.OPENINGS + [429]


@once
async def test_a_database_that_is_away_is_said_to_be_and_the_link_is_not_logged(
    sessions: Sessions,
    settings: Settings,
    client: AsyncClient,
    gateway: HttpGateway,
    stranger: AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = link_in(await text_sent(sessions, settings, client, gateway)).removeprefix(PUBLIC)

    async def away(*_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(outbox, "get_message", away)
    with capture_logs() as logs:
        answer = await stranger.get(link)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert link.rpartition("/")[2] not in str(logs)


@once
async def test_without_a_public_address_there_is_no_link_and_nothing_to_open(
    sessions: Sessions, settings: Settings, client: AsyncClient, gateway: HttpGateway
) -> None:
    closed = Settings.model_validate({**settings.model_dump(), "public_url": ""})
    assert PATH not in await text_sent(sessions, closed, client, gateway)
    link = InvoiceLinks(Keyring.of(settings), PUBLIC).make(ID, datetime.now(UTC)).removeprefix(PUBLIC)
    async with AsyncClient(transport=ASGITransport(build(closed)), base_url=PUBLIC) as stranger:
        assert (await stranger.get(link)).status_code == 404
