"""Messages leave through a real HTTP server; "sent" is what it confirmed and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import select, update

from tests.http_gateway import Asked, HttpGateway, Said
from ura import invoice_copies, opt_outs, outbox, receipts
from ura.adapters import zenvia
from ura.adapters.sms import HttpSms, SmsApi
from ura.adapters.whatsapp import WhatsApp
from ura.adapters.zenvia import Zenvia
from ura.db import Sessions
from ura.erp import SendChannel
from ura.errors import BadInput, Unavailable
from ura.gateways import Gateway
from ura.messages import InvoiceToSend, Payload, Writer
from ura.models import Audience, Call, OutboxMessage, OutboxState, Plan, Problem, Ticket
from worker.deliveries import Deliveries, Hours

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=SAO_PAULO).astimezone(UTC)
NIGHT = datetime(2026, 11, 22, 23, 0, tzinfo=SAO_PAULO).astimezone(UTC)
HOURS = Hours(8, 22, SAO_PAULO)
MOBILE = "+5511987654321"
ID = "d" * 32


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    gateway = HttpGateway()
    yield gateway
    gateway.close()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def deliveries(sessions: Sessions, gateway: HttpGateway, client: httpx.AsyncClient) -> Deliveries:
    return by_sms(sessions, HttpSms(SmsApi(url=gateway.url), client, deadline_s=1.0))


def by_sms(sessions: Sessions, sms: Gateway, hours: Hours = HOURS) -> Deliveries:
    return Deliveries(sessions, {SendChannel.SMS: sms}, Writer(sessions, zone=SAO_PAULO, provider="Conecta"), hours)


async def wanted(
    sessions: Sessions, kind: str = "protocol", to: str = MOBILE, *, call: bool = True, now: datetime = NOON
) -> None:
    """A message in the outbox, with the plan and the call that it may tell of."""
    async with sessions.begin() as session:
        session.add(Call(id="c" * 32, protocol="263260000179", opened_at=now))
        session.add(
            Plan(
                id=1,
                audience=Audience.HOME,
                name="Fibra 500",
                speed_mbps=500,
                price=Decimal("1099.90"),
                setup_price=Decimal(0),
                valid_from=now.date(),
            )
        )
        await outbox.enqueue(
            session,
            kind=kind,
            to=to,
            payload={"plan_ids": [1], "protocol": "263260000179"},
            now=now,
            message_id=ID,
            call_id="c" * 32 if call else None,
        )


async def stored(sessions: Sessions) -> OutboxMessage:
    async with sessions() as session:
        return await session.get_one(OutboxMessage, ID)


async def test_the_plans_a_caller_asked_for_arrive_with_price_and_protocol(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions, "plans")
    gateway.says(200, {"id": "sms-77"})
    assert await deliveries.step(NOON) == 1
    [asked] = gateway.asked
    assert asked.json["to"] == MOBILE
    assert "Fibra 500, 500 mega, R$ 1.099,90 por mes, instalacao gratis" in asked.json["text"]
    assert "263260000179" in asked.json["text"]
    message = await stored(sessions)
    assert (message.state, message.provider, message.provider_id) == (OutboxState.SENT, "http", "sms-77")
    assert message.text == asked.json["text"]
    async with sessions() as session:
        assert await outbox.message_state(session, ID) == outbox.MessageState("sent", provider="http")


async def test_what_zenvia_accepted_is_confirmed_by_its_receipt_and_each_round_anew(
    sessions: Sessions, gateway: HttpGateway, client: httpx.AsyncClient
) -> None:
    deliveries = by_sms(sessions, Zenvia(client, url=gateway.url, token="t0ken", sender="prosa"))
    gateway.says(200, {"id": "z-1"})
    await wanted(sessions)
    await deliveries.step(NOON)
    assert await confirmed(sessions) is False
    assert await told_by_zenvia(sessions, "SENT")
    assert await confirmed(sessions) is True
    assert not await told_by_zenvia(sessions, "SENT"), "told twice, it tells nothing new"
    assert await told_by_zenvia(sessions, "NOT_DELIVERED")
    async with sessions.begin() as session:
        await outbox.send_again(session, ID, now=NOON)
    await deliveries.step(NOON)
    assert await confirmed(sessions) is False


async def confirmed(sessions: Sessions) -> bool:
    async with sessions() as session:
        found = await outbox.message_state(session, ID)
    assert (found.word, found.provider) == ("sent", "zenvia")
    return found.confirmed


async def told_by_zenvia(sessions: Sessions, code: str) -> bool:
    [receipt] = zenvia.read_hook({"type": "MESSAGE_STATUS", "messageId": "z-1", "messageStatus": {"code": code}})
    assert isinstance(receipt, receipts.Receipt)
    async with sessions.begin() as session:
        return await receipts.apply(session, receipt, now=NOON)


async def test_a_gateway_in_trouble_is_tried_again_later_and_then_with_the_same_id(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions, call=False)
    gateway.says(503)
    await deliveries.step(NOON)
    message = await stored(sessions)
    assert (message.state, message.last_error) == (OutboxState.QUEUED, "HTTP 503")
    assert message.next_at == NOON + timedelta(seconds=30)
    assert await deliveries.step(NOON) == 0
    gateway.says(202)
    await deliveries.step(message.next_at)
    assert [asked.json["id"] for asked in gateway.asked] == [ID] * 2
    assert [asked.headers["idempotency-key"] for asked in gateway.asked] == [ID] * 2
    assert (await stored(sessions)).state is OutboxState.SENT


async def test_a_gateway_that_is_gone_loses_nothing_and_a_waiting_caller_little_time(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions)
    gateway.close()
    await deliveries.step(NOON)
    message = await stored(sessions)
    assert (message.state, message.next_at) == (OutboxState.QUEUED, NOON + outbox.QUICK_PAUSE)
    async with sessions() as session:
        assert await outbox.message_state(session, ID) == outbox.MessageState("queued")
        assert await outbox.message_state(session, "f" * 32) == outbox.MessageState("queued")


async def test_a_gateway_that_asks_for_time_gets_it(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions)
    gateway.says(429, headers={"Retry-After": "600"})
    await deliveries.step(NOON)
    assert (await stored(sessions)).next_at == NOON + timedelta(minutes=10)


@pytest.mark.parametrize("status", [400, 404])
async def test_what_the_gateway_will_never_take_is_shown_as_failed(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries, status: int
) -> None:
    await wanted(sessions)
    gateway.says(status)
    await deliveries.step(NOON)
    message = await stored(sessions)
    assert (message.state, message.problem) == (OutboxState.FAILED, Problem.REFUSED)
    async with sessions() as session:
        assert await outbox.message_state(session, ID) == outbox.MessageState("failed", Problem.REFUSED)


@pytest.mark.parametrize(("invoice_id", "tickets"), [(invoice_copies.OLDEST, 1), ("17", 0)])
async def test_an_invoice_promised_for_later_that_can_never_go_is_a_persons_work(
    sessions: Sessions, gateway: HttpGateway, client: httpx.AsyncClient, invoice_id: str, tickets: int
) -> None:
    """Not while the system is away, and once. One that was chosen on the phone is shown as failed, as any message."""
    trouble: list[Exception] = [Unavailable("away"), BadInput("this invoice is no longer open")]

    async def invoice(payload: Payload) -> InvoiceToSend:
        raise trouble.pop(0)

    sms = HttpSms(SmsApi(url=gateway.url), client, deadline_s=1.0)
    writer = Writer(sessions, zone=SAO_PAULO, provider="Conecta", contact=address, invoice=invoice)
    deliveries = Deliveries(sessions, {SendChannel.SMS: sms}, writer, HOURS)
    async with sessions.begin() as session:
        session.add(Call(id="c" * 32, protocol="263260000179", caller=MOBILE, opened_at=NOON))
        payload = {"invoice_id": invoice_id, "contract_id": "3", "contact": {"channel": "sms", "tail": "4321"}}
        await outbox.enqueue(session, kind="invoice", to="", payload=payload, now=NOON, message_id=ID, call_id="c" * 32)
    await deliveries.step(NOON)
    async with sessions() as session:
        assert list(await session.scalars(select(Ticket))) == []
    await deliveries.step(NOON + timedelta(hours=1))
    assert (await stored(sessions)).problem is Problem.OUT_OF_DATE
    async with sessions() as session:
        found = list(await session.scalars(select(Ticket)))
    told = [(ticket.protocol, ticket.phone, ticket.contract_ref, ticket.call_id) for ticket in found]
    assert told == [("263260000179", MOBILE, "3", "c" * 32)] * tickets


async def address(contact: Payload) -> str:
    return MOBILE


async def test_our_own_account_in_disorder_fails_no_message(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions)
    gateway.says(401)
    await deliveries.step(NOON)
    assert (await stored(sessions)).state is OutboxState.QUEUED


async def test_nobody_is_woken_for_what_nobody_waits_for(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions, call=False, now=NIGHT)
    assert await deliveries.step(NIGHT) == 0
    assert await deliveries.step(NIGHT + timedelta(hours=8, minutes=59)) == 0
    assert await deliveries.step(NIGHT + timedelta(hours=9)) == 1


async def test_who_asked_on_the_phone_gets_it_at_night_too_but_not_hours_later(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions, now=NIGHT)
    gateway.says(503)
    assert await deliveries.step(NIGHT) == 1
    assert await deliveries.step(NIGHT + timedelta(minutes=29)) == 1
    assert await deliveries.step(NIGHT + timedelta(hours=3)) == 0
    assert await deliveries.step(NIGHT + timedelta(hours=9)) == 1


async def test_who_opted_out_gets_nothing_but_the_proof_the_law_wants(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    async with sessions.begin() as session:
        await opt_outs.opt_out(session, channel=SendChannel.SMS, target=MOBILE, by="ana", now=NOON)
    await wanted(sessions)
    await deliveries.step(NOON)
    assert gateway.asked == []
    assert (await stored(sessions)).problem is Problem.OPTED_OUT
    payload = {"category": "cancellation", "protocol": "263260000179", "at": "2026-11-22T12:00-03:00"}
    async with sessions.begin() as session:
        await outbox.enqueue(session, kind="proof", to=MOBILE, payload=payload, now=NOON)
    await deliveries.step(NOON)
    [asked] = gateway.asked
    assert "cancelamento registrado em 22/11/2026 às 12:00" in asked.json["text"]


async def test_a_landline_is_told_apart_before_anything_is_paid_for(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions, to="+551133330001")
    await deliveries.step(NOON)
    assert gateway.asked == []
    assert (await stored(sessions)).problem is Problem.UNKNOWN_ADDRESS


async def test_a_channel_without_a_gateway_keeps_its_messages(sessions: Sessions) -> None:
    await wanted(sessions)
    nothing = Deliveries(sessions, {}, Writer(sessions, zone=UTC, provider="Conecta"), HOURS)
    assert await nothing.step(NOON) == 0
    assert (await stored(sessions)).state is OutboxState.QUEUED


async def test_a_provider_without_text_messages_writes_by_whatsapp(
    sessions: Sessions, gateway: HttpGateway, client: httpx.AsyncClient
) -> None:
    gateway.says(200, {"messages": [{"id": "wamid.1"}]})
    await wanted(sessions)
    by_whatsapp = WhatsApp(client, url=gateway.url, phone_id="1", token="t")
    writer = Writer(sessions, zone=SAO_PAULO, provider="Conecta")
    assert await Deliveries(sessions, {SendChannel.WHATSAPP: by_whatsapp}, writer, HOURS).step(NOON) == 1
    [asked] = gateway.asked
    assert asked.json["template"]["name"] == "prosa_protocol"
    message = await stored(sessions)
    assert (message.channel, message.state) == (SendChannel.WHATSAPP, OutboxState.SENT)


@pytest.mark.parametrize(("kind", "arrives"), [("protocol", True), ("invoice", False)])
async def test_what_whatsapp_could_not_bring_goes_as_text_unless_the_caller_chose(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries, kind: str, arrives: bool
) -> None:
    await wanted(sessions, kind)
    lost = {"state": OutboxState.FAILED, "problem": Problem.UNDELIVERED, "channel": SendChannel.WHATSAPP}
    async with sessions.begin() as session:
        await session.execute(update(OutboxMessage).values(**lost, provider="whatsapp", provider_id="wamid.1"))
    assert await deliveries.step(NOON) == len(gateway.asked) == int(arrives)
    message = await stored(sessions)
    expected = (SendChannel.SMS, OutboxState.SENT) if arrives else (SendChannel.WHATSAPP, OutboxState.FAILED)
    assert (message.channel, message.state) == expected


async def test_an_old_message_that_whatsapp_lost_is_not_dug_out(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions)
    lost = {"state": OutboxState.FAILED, "problem": Problem.UNDELIVERED, "channel": SendChannel.WHATSAPP}
    async with sessions.begin() as session:
        await session.execute(update(OutboxMessage).values(lost))
    assert await deliveries.step(NOON + timedelta(days=1)) == 0
    assert gateway.asked == []


async def test_sending_again_goes_at_once_at_any_hour_and_a_caller_may_be_told(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    await wanted(sessions, call=False)
    gateway.says(400)
    await deliveries.step(NOON)
    async with sessions.begin() as session:
        assert await outbox.send_again(session, ID, now=NIGHT)
    gateway.says(200)
    assert await deliveries.step(NIGHT) == 1
    message = await stored(sessions)
    assert (message.state, message.problem, message.last_error) == (OutboxState.SENT, None, "")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_woken_delivery_starts_at_once_and_slow_ones_do_not_hold_it_up(
    sessions: Sessions, gateway: HttpGateway, client: httpx.AsyncClient
) -> None:
    """A caller waits 8 s for the word "sent": nothing unhurried may take the places that callers need."""
    now = datetime.now(UTC)
    slow = [f"{number:032x}" for number in range(40)]
    gateway.answer = lambda asked: Said(after_s=30 if asked.json["id"] in slow else 0)
    async with sessions.begin() as session:
        for message_id in slow:
            await outbox.enqueue(
                session, kind="protocol", to=MOBILE, payload={"protocol": "1"}, now=now, message_id=message_id
            )
    deliveries = by_sms(sessions, HttpSms(SmsApi(url=gateway.url), client, deadline_s=60), Hours(0, 24, SAO_PAULO))
    running = asyncio.create_task(deliveries.run())
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(5):
            while len(gateway.asked) < 10:
                await asyncio.sleep(0.01)
        took = []
        for number in range(5):
            message_id = f"{number:x}" * 32
            async with sessions.begin() as session:
                await outbox.enqueue(
                    session,
                    kind="protocol",
                    to=MOBILE,
                    payload={"protocol": "263260000179"},
                    now=datetime.now(UTC),
                    message_id=f"a{message_id[1:]}",
                    call_id="c" * 32,
                )
            started = loop.time()
            deliveries.wake.set()
            async with asyncio.timeout(5):
                while not any(asked.json["id"] == f"a{message_id[1:]}" for asked in gateway.asked):
                    await asyncio.sleep(0.005)
            took.append(loop.time() - started)
        assert min(took) < 0.2, took  # the others may have waited for a processor
    finally:
        gateway.close()  # the slow ones end
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_being_sent_at_a_stop_is_marked_and_not_sent_twice(
    sessions: Sessions, gateway: HttpGateway, deliveries: Deliveries
) -> None:
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer(asked: Asked) -> Said:
        loop.call_soon_threadsafe(heard.set)
        return Said(after_s=0.3)

    gateway.answer = answer
    await wanted(sessions, now=datetime.now(UTC))
    running = asyncio.create_task(deliveries.run())
    async with asyncio.timeout(5):
        await heard.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await stored(sessions)).state is OutboxState.SENT
    assert len(gateway.asked) == 1
