"""The demo's people on the real thing: every story is a real call, and ends as docs/demonstracao.md tells it.

All stories are told once, several at a time, before the first test looks at what became of them. Meanwhile a second
house rings a provider's system that does not answer: nothing untrue may be said there.
"""

import asyncio
import html
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pypdfium2
import pytest
import zxingcpp
from sqlalchemy import select

from prosa import importing
from prosa.caller import Caller
from prosa.erp_sim.serve import settings_for
from tests.conftest import free_port, run_apart
from tests.live import caller_stories as stories
from tests.live.caller_stories import MOBILE_FOR_NEWS, PEOPLE, WORLD, Told
from tests.live.conftest import House, eventually, start_house, stop_house
from tests.live.drills.tools import token
from tests.live.test_erp_stories import simulator
from ura import billing, boleto, pix, sla, speech
from ura.db import Base
from ura.demo.subscribers import DemoSubscriber
from ura.erp import Kind, SendChannel, Subscriber
from ura.flows.effects import Spoken
from ura.models import (
    AttemptKind,
    Call,
    CallStep,
    Category,
    Dispute,
    ErpRequest,
    IdentificationAttempt,
    Operation,
    OutageCall,
    OutboxMessage,
    OutboxState,
    PaymentPromise,
    Ticket,
    TicketStatus,
    Tier,
    TrustUnlock,
)
from ura.prompts import name_key

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

LINES = 3  # at once, of each of two telephones
Story = Callable[[House, Caller], Awaitable[Told]]


def refused(story: str, reason: str) -> Story:
    return partial(stories.unlock_refused, story=story, reason=reason)


# Somebody else who is blocked, as a provider brings them in: who unlocks twice at once must be fresh.
DOCUMENT, NUMBER = "85351346893", "+5511955550190"
TABLES = {
    "subscribers": f"documento;nome;nascimento;telefones\n{DOCUMENT};Iolanda Teles;1970;{NUMBER}\n",
    "contracts": "contrato;documento;situação;rua;bairro;cidade;plano\n"
    f"200001;{DOCUMENT};bloqueado;Rua Nova;Santa Luzia;Vale Verde;Essencial 200 Mega\n",
    "invoices": "fatura;contrato;vencimento;valor\n900001;200001;{ten_days_ago:%d/%m/%Y};79,90\n",
}


async def unlock_twice_at_once(house: House, phone: Caller) -> Told:
    """Two calls of one subscriber agree at the same moment: one is unlocked, the other hears that it is."""
    who = DemoSubscriber("twice at once", Subscriber("", "Iolanda Teles", DOCUMENT, Kind.PERSON, phones=(NUMBER,)))
    both = [await stories.ring(house, phone, who) for _ in range(2)]

    async def agree(told: Told) -> None:
        await told.dials(stories.BILLING)
        await told.turn("identify.street_keys", stories.YES)
        await told.turn(stories.MINE, "2")
        await told.hears("unlock.confirm")
        ready.release()
        await go.wait()
        await told.call.press(stories.YES)
        await told.hears((*stories.GRANTED, *stories.ALREADY), "end.anything_else")
        await told.call.hang_up()

    ready, go = asyncio.Semaphore(0), asyncio.Event()
    calls = asyncio.gather(*(agree(told) for told in both))
    for _ in both:
        await asyncio.wait({asyncio.ensure_future(ready.acquire()), calls}, return_when=asyncio.FIRST_COMPLETED)
    go.set()
    await calls
    said = [key for told in both for key in told.heard() if key in (*stories.GRANTED, *stories.ALREADY)]
    assert sorted(said) == ["unlock.already_active_day", "unlock.granted_day"]
    return both[0]


# The stories of one line follow each other; the lines go on at the same time. The longest comes first.
CHAINS: list[dict[str, Story]] = [
    {"overdue": stories.overdue},
    {"outage": stories.outage},
    {"blocked": stories.blocked, "blocked, again": stories.blocked_again},
    {"twice at once": unlock_twice_at_once},
    {"no session": stories.no_session},
    {"company": stories.company},
    {"LOS": stories.los},
    {"dispute": stories.dispute},
    {"promise": stories.promise},
    {"mother": partial(stories.shared_phone, person=PEOPLE["+551133331115"]),
     "son": partial(stories.shared_phone, person=PEOPLE["+5511955550116"])},
    {"two contracts": stories.two_contracts},
    {"unknown phone": stories.unknown_phone},
    {"company with letters": stories.company_letters},
    {"wrong documents": stories.wrong_documents},
    {"in order": stories.in_order},
    {"weak signal": stories.weak_signal},
    {"no debt": stories.no_debt},
    {"unlock used": refused("unlock_used", "used_this_period")},
    {"old debt": refused("old_debt", "policy_refused")},
]  # fmt: skip
NAMES = [name for chain in CHAINS for name in chain]

Evening = dict[str, Told | Exception]


async def bring_in(house: House, folder: Path) -> None:
    for kind, text in TABLES.items():
        file = folder / f"{kind}.csv"
        ten_days_ago = datetime.now(house.settings.zone) - timedelta(days=10)
        file.write_text(text.format(ten_days_ago=ten_days_ago))
        await importing.run(house.settings, kind, file, say=print, confirm=lambda: True)


async def tell_all(house: House, evening: Evening) -> None:
    waiting = iter(CHAINS)

    async def tell(phone: Caller) -> None:
        for chain in waiting:
            for name, story in chain.items():
                try:
                    evening[name] = await story(house, phone)
                except Exception as error:
                    evening[name] = error

    async with house.caller() as one, house.caller() as other:
        await asyncio.gather(*(tell(phone) for phone in (one, other) for _ in range(LINES)))


# -- a provider's system that does not answer (R18)

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("stall", {"seconds": 30}), ("status", {"status": 500}), ("garbage", {}), ("html", {}), ("huge", {}),
]  # fmt: skip
UNWELL = ["in_order", "blocked", "two_contracts", "los", "weak_signal", "offline"]  # a fresh caller for each
SOON_S, GIVEN_UP_S, BACK_S = 2.0, 8.0, 60.0


async def tell_unwell(house: House, system: httpx.Client, evening: Evening) -> None:
    """Five ways of not answering; then nobody asks it any more; then it is back, and the way out of messages is not."""

    def fault(kind: str, **more: Any) -> None:
        system.post("/_sim/fault", json={"fault": kind, **more}).raise_for_status()

    async with house.caller() as phone, api(house, await token(house, "outages:read", "outages:write")) as client:
        for each in (await client.get("/api/v1/outages")).json()["items"]:  # one question a call, not two
            (await client.post(f"/api/v1/outages/{each['id']}/close")).raise_for_status()
        for person, (kind, more) in zip(UNWELL, [*FAULTS, ("refuse", {})], strict=True):
            fault("none")
            fault(kind, **more)
            evening[kind] = await outcome(nothing_untrue(house, phone, person))
        fault("none")
        evening["back"] = await outcome(until_it_answers(house, phone))
        evening["no gateway"] = await outcome(not_confirmed(house, phone))


async def outcome(story: Awaitable[Told]) -> Told | Exception:
    try:
        return await story
    except Exception as error:
        return error


async def nothing_untrue(house: House, phone: Caller, person: str) -> Told:
    """What is not known is said to be not known, and there is a way on without it."""
    told = await stories.ring(house, phone, person)
    await told.dials(stories.BILLING)
    await told.hears("identify.failed", stories.MINE)
    told.never("identify.how", "identify.not_found", "identify.street", "invoices.", "diagnose.")
    await told.call.hang_up()
    return told


async def until_it_answers(house: House, phone: Caller) -> Told:
    deadline = time.monotonic() + BACK_S
    while True:
        told = await stories.ring(house, phone, "unlock_used")
        await told.dials(stories.BILLING)
        await told.hears(("identify.failed", "identify.street"))
        await told.call.hang_up()
        if "identify.street" in told.heard():
            return told
        assert time.monotonic() < deadline, "the system was well again, and nobody asked it"


async def not_confirmed(house: House, phone: Caller) -> Told:
    """The gateway for text messages is away: the invoice is on its way, and nobody says that it was sent."""
    told = await stories.ring(house, phone, "overdue")
    await told.dials(stories.BILLING)
    await told.is_known()
    await told.turn(stories.MINE, "1")
    await told.turn("invoices.found", "1")
    await told.hears("send_invoice.sms")
    await told.turn("choose.press_2", "2")
    await told.hears("send_invoice.queued", "protocol.intro")
    told.never("send_invoice.sent")
    await told.call.hang_up()
    return told


@pytest.fixture(scope="module")
def unwell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, httpx.Client]]:
    folder = tmp_path_factory.mktemp("unwell")
    with simulator("sgp", folder / "sgp.log") as (port, control):
        given = {name.removeprefix("PROSA_").lower(): text for name, text in settings_for("sgp", port).items()}
        away = f"http://127.0.0.1:{free_port()}/sms"
        house = start_house(
            folder / "state", rtp_first_port=47400, rtp_last_port=47599, agi_workers=1, sms_url=away, **given
        )
        try:
            yield house, control
        finally:
            stop_house(house)


@pytest.fixture(scope="module")
def evening(house: House, unwell: tuple[House, httpx.Client], tmp_path_factory: pytest.TempPathFactory) -> Evening:
    told: Evening = {}

    async def all_of_it() -> None:
        await bring_in(house, tmp_path_factory.mktemp("tables"))
        await asyncio.gather(tell_all(house, told), tell_unwell(*unwell, told))

    run_apart(all_of_it())
    return told


@pytest.fixture
def tale(evening: Evening) -> Callable[[str], Told]:
    """What was told under this name; a story that went wrong says how."""

    def find(name: str) -> Told:
        told = evening[name]
        if isinstance(told, Exception):
            raise told
        return told

    return find


Tale = Callable[[str], Told]


async def record_of(house: House, told: Told) -> Call:
    """The call's record, once it is closed."""

    async def closed() -> Call | None:
        async with house.sessions() as session:
            found: Call | None = await session.scalar(
                select(Call)
                .where(Call.caller == told.caller, Call.opened_at >= told.began_at, Call.ended_at.is_not(None))
                .order_by(Call.opened_at)
                .limit(1)
            )
            return found

    return await eventually(closed)


async def rows(house: House, model: Any, *where: Any) -> list[Any]:
    async with house.sessions() as session:
        return list(await session.scalars(select(model).where(*where)))


def local(house: House, moment: datetime) -> datetime:
    return moment.astimezone(house.settings.zone).replace(tzinfo=None)


async def deadline(house: House, start: datetime, hours: int) -> datetime:
    async with house.sessions() as session:
        zone, uf = house.settings.zone, house.settings.state_uf
        found = await sla.deadline(session, "l1", now=start, hours=hours, zone=zone, state_uf=uf)
    assert found
    return found


def assert_said(told: Told, key: str, spoken: Spoken, call: Call) -> None:
    """A value, right after a prompt."""
    today = local(told.house, call.opened_at).date()
    value = [each for each in speech.prompt_keys(spoken, today=today) if not each.startswith("pause.")]
    wanted, heard = [told.call.same(each) for each in (key, *value)], told.heard()
    assert any(heard[at : at + len(wanted)] == wanted for at in range(len(heard))), f"{wanted} not in {heard}"


def api(house: House, key: str = "") -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.settings.http_port}", headers=headers, timeout=20)


async def log_in(client: httpx.AsyncClient, house: House) -> None:
    """As the first person does, with what the terminal shows once."""
    shown = re.search(r"log-in +(\S+) / (\S+)", "\n".join(house.lines))
    assert shown
    inside = await client.post("/panel/login", data={"email": shown[1], "password": shown[2]})
    assert (inside.status_code, inside.headers["location"]) == (303, "/panel")


@pytest.mark.parametrize("name", NAMES)
def test_each_story_ends_as_it_is_told(tale: Tale, name: str) -> None:
    tale(name)


# -- what became of each


async def test_who_is_blocked_is_unlocked_once_and_the_second_call_changes_nothing(house: House, tale: Tale) -> None:
    first, second = await record_of(house, tale("blocked")), await record_of(house, tale("blocked, again"))
    [request] = await rows(house, ErpRequest, ErpRequest.call_id.in_([first.id, second.id]))
    assert (request.call_id, request.operation, request.protocol) == (first.id, Operation.TRUST_UNLOCK, first.protocol)
    [unlock] = await rows(house, TrustUnlock, TrustUnlock.wish == request.id)
    until = Spoken("date", local(house, unlock.until).date().isoformat())
    assert_said(tale("blocked"), "unlock.granted_day", until, first)
    assert_said(tale("blocked, again"), "unlock.already_active_day", until, second)


async def test_without_light_one_visit_is_asked_for_with_the_time_that_was_told(house: House, tale: Tale) -> None:
    """Counted while somebody works: the same rule, from the call's beginning and from its end."""
    for name, hours in (("LOS", 10), ("weak signal", 20)):
        call = await record_of(house, tale(name))
        [request] = await rows(house, ErpRequest, ErpRequest.call_id == call.id)
        [visit] = await rows(house, Ticket, Ticket.id == request.result["reference"])
        promised = datetime.fromisoformat(request.args["at"])
        assert call.ended_at
        assert await deadline(house, call.opened_at, hours) <= promised <= await deadline(house, call.ended_at, hours)
        assert (visit.tier, visit.status) == (Tier.L2, TicketStatus.OPEN)
        assert f"{promised:%d/%m/%Y %H:%M}" in visit.summary
        assert_said(tale(name), "visit.until", Spoken("moment", local(house, promised).isoformat()), call)


async def test_a_call_about_an_outage_is_tied_to_it_and_closing_it_tells_who_asked(house: House, tale: Tale) -> None:
    call = await record_of(house, tale("outage"))
    [heard] = await rows(house, OutageCall, OutageCall.call_id == call.id)
    assert (heard.phone, heard.wants_news, heard.told_at) == (MOBILE_FOR_NEWS, True, None)
    assert await rows(house, Ticket, Ticket.call_id == call.id) == []
    assert await rows(house, ErpRequest, ErpRequest.call_id == call.id) == []
    async with api(house, await token(house, "outages:write")) as client:
        closed = (await client.post(f"/api/v1/outages/{heard.outage_id}/close")).json()
    assert closed["told"] == 1
    [news] = await rows(house, OutboxMessage, OutboxMessage.call_id == call.id)
    assert (news.kind, news.to) == ("outage_fixed", MOBILE_FOR_NEWS)
    async with api(house) as client:
        await log_in(client, house)

        async def arrived() -> str:
            page = html.unescape((await client.get("/panel/messages")).text)
            items = [each for each in page.split('<li class="message"') if f"/panel/calls/{call.id}" in each]
            return items[0] if items and "foi resolvida" in items[0] else ""

        assert "WhatsApp" in await eventually(arrived, 30)


async def test_a_disputed_charge_is_a_complaint_and_nobody_is_reminded_of_it(house: House, tale: Tale) -> None:
    call = await record_of(house, tale("dispute"))
    [complaint] = await rows(house, Ticket, Ticket.call_id == call.id)
    assert (complaint.category, complaint.protocol) == (Category.COMPLAINT, call.protocol)
    [dispute] = await rows(house, Dispute, Dispute.ticket_id == complaint.id)
    async with house.sessions() as session:
        assert not await billing.may_remind(session, source=dispute.source, invoice_ref=dispute.invoice_ref)


async def test_a_promise_is_the_day_that_was_chosen(house: House, tale: Tale) -> None:
    call = await record_of(house, tale("promise"))
    [request] = await rows(house, ErpRequest, ErpRequest.call_id == call.id)
    [promise] = await rows(house, PaymentPromise, PaymentPromise.id == request.id)
    assert_said(tale("promise"), "promise.accepted", Spoken("date", promise.on_day.isoformat()), call)


async def test_two_wrong_documents_are_counted_and_lead_to_a_person(house: House, tale: Tale) -> None:
    told = tale("wrong documents")
    tries = await rows(house, IdentificationAttempt, IdentificationAttempt.caller == told.caller)
    assert [(each.kind, each.hit) for each in tries] == [(AttemptKind.DOCUMENT, False)] * 2
    steps = await rows(house, CallStep, CallStep.call_id == (await record_of(house, told)).id)
    assert {"missed", "person_hours"} <= {step.node for step in steps}


async def test_who_unlocks_twice_at_once_is_unlocked_once(house: House, tale: Tale) -> None:
    calls = await rows(house, Call, Call.caller == tale("twice at once").caller)
    requests = await rows(house, ErpRequest, ErpRequest.call_id.in_([call.id for call in calls]))
    assert sorted(each.result["verdict"] for each in requests) == ["already_active", "granted"]
    assert len(await rows(house, TrustUnlock, TrustUnlock.wish.in_([each.id for each in requests]))) == 1


# -- the message


async def test_sent_is_said_after_the_gateway_has_confirmed(house: House, tale: Tale) -> None:
    call = await record_of(house, tale("overdue"))
    [message] = await rows(house, OutboxMessage, OutboxMessage.call_id == call.id)
    assert (message.channel, message.state) == (SendChannel.EMAIL, OutboxState.SENT)
    steps = await rows(house, CallStep, CallStep.call_id == call.id)
    [said] = [step for step in steps if step.detail.get("to") == "invoice_sent"]
    assert said.detail["name"] == "message_state"
    assert message.sent_at <= said.at


async def test_the_invoice_is_in_the_demo_inbox_with_its_line_its_pix_and_a_document_to_pay_from(
    house: House, tale: Tale
) -> None:
    line = tale("overdue").digits(after="read_line.intro")
    call = await record_of(house, tale("overdue"))
    async with api(house) as client:
        await log_in(client, house)
        page = html.unescape((await client.get("/panel/messages")).text)
        item = next(each for each in page.split('<li class="message"') if f"/panel/calls/{call.id}" in each)
        assert "celia.andrade@casa.example" in item
        boletos, pixes = re.findall(r"Boleto: ([\d. ]+)", item), re.findall(r"PIX copia e cola: (\S.*\S)", item)
        assert [re.sub(r"\D", "", each) for each in boletos] == [line]
        assert [pix.parse(each).amount for each in pixes] == [Decimal("119.90")]
        [file] = re.findall(r'href="(/panel/messages/[^"]+/files/1)"', item)
        document = pypdfium2.PdfDocument((await client.get(file)).content)
    image = document[0].render(scale=300 / 72).to_pil()
    read = {found.format.name: found.text for found in zxingcpp.read_barcodes(image)}
    today = local(house, call.opened_at).date()
    assert read == {"ITF": boleto.parse(line, today=today).barcode, "QRCode": pixes[0]}


# -- never


def test_nothing_that_was_keyed_is_asked_for_again(tale: Tale) -> None:
    asked_once = {
        "menu.main", "identify.street_keys", "identify.which", "identify.how", "identify.cpf", "identify.cnpj",
        "identify.contract", "identify.factor", "identify.factor_company",
    }  # fmt: skip
    for name in set(NAMES) - {"wrong documents"}:
        told = tale(name)
        times = Counter(told.heard())
        assert [key for key in asked_once if times[told.call.same(key)] > 1] == [], name


@pytest.mark.parametrize("kind", [kind for kind, _ in FAULTS] + ["refuse", "back", "no gateway"])
def test_a_system_that_does_not_answer_is_never_no_debt_and_never_sent(tale: Tale, kind: str) -> None:
    tale(kind)


def test_who_waits_for_a_system_hears_so_soon_and_is_not_kept(tale: Tale) -> None:
    told = tale("stall")
    asked = told.when("protocol.intro")  # was cut, and the system asked
    assert (told.when("system.one_moment") - asked).total_seconds() <= SOON_S
    assert (told.when("identify.failed") - asked).total_seconds() <= GIVEN_UP_S + SOON_S
    told = tale("refuse")  # nobody asks it any more
    assert (told.when("identify.failed") - told.when("protocol.intro")).total_seconds() <= SOON_S
    assert "system.one_moment" not in told.heard()


def test_the_log_says_when_a_system_went_and_came_back(unwell: tuple[House, httpx.Client], tale: Tale) -> None:
    tale("back")
    log = unwell[0].log("agi")
    assert log.index("the provider's system does not answer") < log.index("the provider's system answers again")


async def test_no_name_and_no_document_was_spoken_logged_or_kept(house: House, evening: Evening) -> None:
    """Of everybody who rang. Only the subscribers' own table has names; nothing has a document that can be read."""
    people = [each.subscriber for each in WORLD.subscribers]
    secret = {each.name for each in people} | {each.document for each in people}
    secret |= {"12345678900", "39053344705", "Iolanda Teles", DOCUMENT}
    state, written = house.settings.state_dir, {}
    for folder in ("log", "journal", "live", "flows", "prompts", "run", "protocol"):
        for file in (state / folder).rglob("*"):
            if file.is_file() and file.suffix != ".alaw":
                written[str(file.relative_to(state))] = file.read_text("utf-8", "replace")
    assert {name.split("/")[0] for name in written} >= {"log", "journal"}
    async with house.sessions() as session:
        for table in Base.metadata.sorted_tables:
            columns = [each for each in table.c if (table.name, each.name) != ("subscriber", "name")]
            written[table.name] = "\n".join(map(str, (await session.execute(select(*columns))).all()))
    assert written["call_step"]
    assert [(name, each) for name, text in written.items() for each in secret if each in text] == []
    assert [each.name for each in people if name_key(each.name) in house.index] == []
