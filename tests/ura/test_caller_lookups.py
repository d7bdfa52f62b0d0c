"""What a call learns of its caller: from the provider's system and our own tables, and never more than may be told."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.factories import NOON, later, make_id, make_record, ticket_opened
from tests.fake_erp import FakeErp, for_ever
from ura import erp_requests, outages, outbox
from ura.billing import Policy
from ura.caller_lookups import CallerLookups, House
from ura.crypto import Keyring
from ura.db import Sessions
from ura.erp import Contract, ErpUnavailable, Invoice, InvoicePayload, Reply, SendChannel, Subscriber
from ura.errors import Unavailable
from ura.models import Cause, Operation
from ura.network import Diagnosis, OutageFacts, Signal, Verdict
from ura.outages import Scope
from ura.projection import apply
from ura.prompts import name_key
from ura.subscribers import Identification, Limits

Json = Any
ZONE = ZoneInfo("America/Sao_Paulo")
HELENA, HELENAS_CPF, OTAVIO, CELIA = "+5511955550101", "12345678909", "+5511955550102", "+5511955550103"
RAUL, IVONE, MONTEIROS, STRANGER = "+5511955550104", "+551133331105", "+551133331115", "+5511900000000"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass
class Erp(FakeErp):
    """With what invoices say, and the tickets of the demo."""

    spoil_lines: bool = False

    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        found = next(each for one in self.world.contracts() for each in one.invoices if each.invoice.id == invoice.id)
        payload = found.payload
        if self.spoil_lines:
            payload = InvoicePayload(
                payload.invoice_id,
                line=payload.line[:9] + str((int(payload.line[9]) + 1) % 10) + payload.line[10:],
                pix=payload.pix,
            )
        return await self._ask("invoice_payload", payload)

    async def list_tickets(self, contract_id: str) -> Reply[Any]:
        return await self._ask("list_tickets", self._of(contract_id).tickets)


@dataclass
class Network:
    says: list[Diagnosis] = field(default_factory=lambda: [Diagnosis(Verdict.GOOD)])
    asked: list[str] = field(default_factory=list)

    async def diagnose(self, contract: Contract) -> Diagnosis:
        self.asked.append(contract.id)
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]


class World:
    """The house with the demo's people, at noon; time passes when somebody waits."""

    def __init__(self, sessions: Sessions, **house: Any) -> None:
        self.sessions = sessions
        self.erp: Any = house.pop("erp", None) or Erp()
        self.network = house.pop("network", None) or Network()
        self.wanted: list[str] = []
        self.mute: set[str] = set()
        self.now = NOON
        self.on_wait: Callable[[], Awaitable[None]] | None = None
        who = Identification(
            self.erp, sessions, Keyring(["tests"]), Limits(), now=lambda: self.now, wait=self.passes, clock=self._clock
        )
        self.ask = CallerLookups(
            House(
                erp=self.erp,
                identification=who,
                network=self.network,
                sessions=sessions,
                policy=Policy(),
                zone=ZONE,
                can_speak=lambda key: key not in self.mute,
                want_name=self.wanted.append,
                **({"channels": (SendChannel.SMS, SendChannel.EMAIL)} | house),
            ),
            now=lambda: self.now,
            wait=self.passes,
        )

    def _clock(self) -> float:
        return (self.now - NOON).total_seconds()

    async def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.on_wait:
            await self.on_wait()

    async def known(self, phone: str) -> dict[str, Json]:
        """Who calls → the arguments that name the contract."""
        found = await self.ask("who_calls", {"caller": phone})
        return {"subscriber_id": found["subscriber"]["id"], "contract_id": found["contracts"][0]["id"]}


@pytest.fixture
def world(sessions: Sessions) -> World:
    return World(sessions)


# -- who


async def test_a_known_number_is_one_subscriber_with_streets_and_neither_name_nor_house(world: World) -> None:
    found = await world.ask("who_calls", {"caller": HELENA})
    assert found == {
        "subscriber": {"id": "1001", "kind": "person", "can_verify": True},
        "contracts": [
            {
                "id": "2001",
                "number_tail": "101",
                "street_prompt": name_key("Rua das Acácias"),
                "neighbourhood_prompt": name_key("Jardim das Palmeiras"),
                "status": "active",
                "segment": "home",
                "source": "fake",
            }
        ],
    }
    assert not {"Helena", "Prado", HELENAS_CPF, "120", HELENA} & set(json.dumps(found).split('"'))


@pytest.mark.parametrize("phone", [STRANGER, MONTEIROS, ""])
async def test_a_number_of_nobody_or_of_two_tells_nobody(world: World, phone: str) -> None:
    found = await world.ask("who_calls", {"caller": phone})
    assert (found["subscriber"], found["contracts"]) == (None, [])


async def test_a_number_is_asked_once_for_greeting_and_flow(world: World) -> None:
    for _ in range(3):
        await world.ask("who_calls", {"caller": HELENA})
    assert world.erp.asked["find_by_phone"] == 1


async def test_a_street_that_nobody_has_spoken_is_left_out_and_wanted(world: World) -> None:
    world.mute = {name_key("Rua das Acácias")}
    found = await world.ask("who_calls", {"caller": HELENA})
    assert found["contracts"][0]["street_prompt"] == ""
    assert world.wanted == ["Rua das Acácias"]


async def test_a_document_finds_its_subscriber_and_a_wrong_one_nobody(world: World) -> None:
    keyed = {"by": "cpf", "digits": HELENAS_CPF, "caller": STRANGER}
    assert (await world.ask("find_subscriber", keyed))["subscriber"]["id"] == "1001"
    for digits in ("39053344705", "12345678900", "123"):
        found = await world.ask("find_subscriber", keyed | {"digits": digits})
        assert found == {"subscriber": None, "contracts": [], "locked": False}


async def test_a_contracts_number_tells_that_contract_only(world: World) -> None:
    found = await world.ask("find_subscriber", {"by": "contract", "digits": "100105", "caller": STRANGER})
    assert [each["id"] for each in found["contracts"]] == ["2005"]


async def test_a_system_that_cannot_search_so_is_trouble_and_not_nobody(world: World) -> None:
    world.erp.cannot = {"find_by_contract"}
    with pytest.raises(Unavailable, match="cannot search by contract"):
        await world.ask("find_subscriber", {"by": "contract", "digits": "100105", "caller": STRANGER})


async def test_the_second_factor_is_checked_and_locked_after_too_many(world: World) -> None:
    args = await world.known(HELENA)
    factor = {"subscriber_id": args["subscriber_id"], "caller": HELENA}
    assert await world.ask("check_factor", factor | {"digits": "1984"}) == {"right": True, "locked": False}
    assert await world.ask("check_factor", factor | {"digits": "0101"}) == {"right": False, "locked": False}
    for _ in range(5):
        last = await world.ask("check_factor", factor | {"digits": "1111"})
    assert last == {"right": False, "locked": True}


async def test_another_process_finds_the_subscriber_again(world: World, sessions: Sessions) -> None:
    args = await world.known(HELENA)
    other = World(sessions)
    assert (await other.ask("targets", args))["targets"] == [
        {"channel": "sms", "tail": "0101"},
        {"channel": "email", "tail": ""},
    ]
    with pytest.raises(Unavailable, match="no longer there"):
        await other.ask("targets", args | {"subscriber_id": "9999"})
    other.erp.cannot = {"find_by_contract"}
    other.ask._known.clear()
    with pytest.raises(Unavailable, match="cannot do"):
        await other.ask("targets", args)


# -- trouble


@pytest.mark.parametrize("name", ["who_calls", "outage_for_caller"])
async def test_a_system_that_is_down_is_trouble_and_says_nothing_of_the_caller(
    world: World, name: str, sessions: Sessions
) -> None:
    await outage_at(sessions, Scope(olt="OLT-VV-1"))
    world.erp.down = True
    with pytest.raises(Unavailable) as trouble:
        await world.ask(name, {"caller": HELENA})
    assert HELENA not in str(trouble.value)


async def test_a_system_that_stalls_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ura.caller_lookups.DEADLINE_S", 0.05)
    world.erp.takes = for_ever
    with pytest.raises(Unavailable, match="TimeoutError"):
        await world.ask("open_invoices", {"contract_id": "2001"})


async def test_an_adapter_that_breaks_repeats_nothing_that_was_keyed(world: World) -> None:
    world.erp.broken = ValueError(f"no JSON: {HELENAS_CPF}")
    with pytest.raises(Unavailable) as trouble:
        await world.ask("find_subscriber", {"by": "cpf", "digits": HELENAS_CPF, "caller": STRANGER})
    assert HELENAS_CPF not in str(trouble.value)
    assert trouble.value.__cause__ is None


async def test_an_unknown_question_and_wrong_arguments_are_trouble(world: World) -> None:
    for name in ("telepathy", "targets"):
        with pytest.raises(Unavailable):
            await world.ask(name, {})


# -- the line


async def outage_at(sessions: Sessions, scope: Scope, *, hours: float | None = 3) -> str:
    async with sessions.begin() as session:
        opened = await outages.open_outage(
            session,
            cause=Cause.FIBRE_CUT,
            scopes=[scope],
            started_at=NOON - timedelta(hours=1),
            ends_at=None if hours is None else NOON + timedelta(hours=hours),
            opened_by="noc",
            now=NOON,
        )
        return opened.id


async def test_a_diagnosis_is_told_with_the_outage_in_local_time(sessions: Sessions) -> None:
    facts = OutageFacts("o1", "fibre_cut", NOON, NOON + timedelta(hours=3))
    world = World(
        sessions, network=Network([Diagnosis(Verdict.OUTAGE, Signal.BAD, -28.5, None, facts, {"erp": "answered"})])
    )
    found = await world.ask("diagnose", await world.known(IVONE))
    assert found == {
        "verdict": "outage",
        "signal": "bad",
        "rx_dbm": -28.5,
        "since": None,
        "sources": {"erp": "answered"},
        "outage": {"id": "o1", "cause_prompt": "outage.fibre_cut", "ends_at": "2026-11-23T15:00"},
    }
    world.mute = {"outage.fibre_cut"}
    assert (await world.ask("diagnose", await world.known(IVONE)))["outage"]["cause_prompt"] == ""


async def test_a_contract_that_is_gone_is_trouble(world: World) -> None:
    with pytest.raises(Unavailable, match="no longer there"):
        await world.ask("diagnose", await world.known(HELENA) | {"contract_id": "7"})


async def test_an_outage_is_known_by_the_number_to_exactly_whom_it_touches(world: World, sessions: Sessions) -> None:
    nothing = {"outage": None}
    assert await world.ask("outage_for_caller", {"caller": IVONE}) == nothing
    assert world.erp.asked["find_by_phone"] == 0  # no outage, no question
    outage_id = await outage_at(sessions, Scope(neighbourhood="Nova Esperança", city="Vale Verde"))
    found = await world.ask("outage_for_caller", {"caller": IVONE})
    assert found["outage"] == {"id": outage_id, "cause_prompt": "outage.fibre_cut", "ends_at": "2026-11-23T15:00"}
    for phone in (HELENA, STRANGER, ""):
        assert await world.ask("outage_for_caller", {"caller": phone}) == nothing


async def test_an_estimate_that_has_passed_is_not_told(world: World, sessions: Sessions) -> None:
    await outage_at(sessions, Scope(olt="OLT-VV-2", pon="0/2/3"), hours=-0.5)
    found = await world.ask("outage_for_caller", {"caller": IVONE})
    assert found["outage"]["ends_at"] is None


def up(since: datetime | None) -> Diagnosis:
    return Diagnosis(Verdict.GOOD, since=since)


GONE, UNSURE = Diagnosis(Verdict.NO_SESSION), Diagnosis(Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("says", "state"),
    [
        ([up(NOON - timedelta(days=3)), GONE, up(later(4))], "online"),
        ([up(later(-5))], "online"),
        ([GONE], "offline"),
        ([up(NOON - timedelta(days=3))], "unknown"),
        ([up(None)], "unknown"),
        ([UNSURE], "unknown"),
        ([GONE, up(None)], "online"),
    ],
)
async def test_a_session_is_back_only_when_it_is_a_new_one(
    sessions: Sessions, says: list[Diagnosis], state: str
) -> None:
    world = World(sessions, network=Network(says))
    args = await world.known(HELENA)
    assert await world.ask("session_back", args | {"within_s": 20}) == {"state": state}
    assert world.now - NOON <= timedelta(seconds=20)


# -- money


async def test_open_invoices_come_overdue_first_with_what_was_disputed_last(world: World, sessions: Sessions) -> None:
    args = await world.known(CELIA)
    invoices = (await world.ask("open_invoices", args))["invoices"]
    assert invoices == [
        {"id": "300301", "due_on": "2026-11-11", "amount": "119.90", "overdue": True, "disputed": False},
        {"id": "300302", "due_on": "2026-12-11", "amount": "119.90", "overdue": False, "disputed": False},
    ]
    dispute = {"ticket_id": make_id(), "call_id": make_id(), "protocol": "263270000017", "at": NOON}
    about = {"source": "fake", "contract_id": "2003", "invoice_id": "300301"}
    async with sessions.begin() as session:
        await apply(session, make_record("invoice_disputed", **dispute, **about))
    again = (await world.ask("open_invoices", args))["invoices"]
    assert [(each["id"], each["disputed"]) for each in again] == [("300302", False), ("300301", True)]


async def test_what_a_system_cannot_do_is_said(world: World) -> None:
    args = await world.known(HELENA)
    world.erp.cannot = {"open_invoices", "may_unlock"}
    assert await world.ask("open_invoices", args) == {"unsupported": True}
    assert await world.ask("may_unlock", args) == {"unsupported": True}


async def test_a_line_is_told_in_blocks_and_a_wrong_one_not_at_all(world: World) -> None:
    args = await world.known(CELIA) | {"invoice_id": "300301"}
    blocks = (await world.ask("invoice_line", args))["blocks"]
    assert len("".join(blocks)) == 47
    assert max(map(len, blocks)) <= 6
    world.erp.spoil_lines = True
    with pytest.raises(Unavailable, match="a bank would take"):
        await world.ask("invoice_line", args)
    with pytest.raises(Unavailable):
        await world.ask("invoice_line", args | {"invoice_id": "1"})


async def test_may_i_be_unlocked(world: World) -> None:
    assert await world.ask("may_unlock", await world.known(OTAVIO)) == {"verdict": "allowed", "until": None}
    assert (await world.ask("may_unlock", await world.known(HELENA)))["verdict"] == "not_blocked"


async def test_days_of_a_promise_are_days_of_the_policy(world: World) -> None:
    days = (await world.ask("promise_days", await world.known(HELENA)))["days"]
    assert days[0] == "2026-11-24"
    assert len(days) == 3


async def test_only_channels_with_a_gateway_are_offered(sessions: Sessions) -> None:
    world = World(sessions, channels=())
    assert await world.ask("targets", await world.known(HELENA)) == {"targets": []}


@pytest.mark.parametrize(("phone", "matter"), [(HELENA, ""), ("+5511955550113", "open_ticket")])
async def test_what_we_owe_the_caller_comes_first(world: World, phone: str, matter: str) -> None:
    args = await world.known(phone) | {"caller": phone, "call_id": make_id()}
    assert await world.ask("service_first", args) == {"matter": matter}


async def test_an_outage_comes_before_all_and_our_own_tickets_count(world: World, sessions: Sessions) -> None:
    args = await world.known(IVONE) | {"caller": IVONE}
    world.erp.cannot = {"list_tickets"}
    async with sessions.begin() as session:
        await apply(session, ticket_opened(make_id(), category="support", phone=IVONE))
    assert await world.ask("service_first", args) == {"matter": "open_ticket"}
    await outage_at(sessions, Scope(cto="CTO-NES-01"))
    assert await world.ask("service_first", args) == {"matter": "outage"}


# -- what became of it


async def wished(sessions: Sessions, operation: str = "trust_unlock") -> str:
    row = {"id": make_id(), "operation": Operation(operation), "args": {}, "protocol": "", "call_id": None}
    async with sessions.begin() as session:
        await erp_requests.add_requests(session, [row | {"created_at": NOON}])
    return str(row["id"])


async def settle(sessions: Sessions, result: dict[str, Json] | None) -> None:
    async with sessions.begin() as session:
        for request in await erp_requests.claim(session, worker="w", now=later(60), limit=10):
            if result is None:
                await erp_requests.fail(session, request, error="never", now=later(60))
            else:
                await erp_requests.settle(session, request, result, now=later(60))


async def test_a_wish_is_waited_for_and_its_time_told_as_it_is_here(world: World, sessions: Sessions) -> None:
    args = await world.known(OTAVIO)
    request_id = await wished(sessions)
    result = {"verdict": "granted", "until": "2026-11-26T12:00:00+00:00", "protocol": "1"}

    async def worker() -> None:
        world.on_wait = None
        await settle(sessions, result)

    world.on_wait = worker
    found = await world.ask("erp_result", args | {"request_id": request_id})
    assert found == {"state": "done", "result": result | {"until": "2026-11-26T09:00"}}
    asked = world.erp.asked["list_contracts"]
    await world.ask("targets", args)
    assert world.erp.asked["list_contracts"] == asked + 1  # the contract may have changed


async def test_a_wish_that_is_not_settled_in_time_is_queued_and_one_that_failed_says_so(
    world: World, sessions: Sessions
) -> None:
    request_id = await wished(sessions)
    assert await world.ask("erp_result", {"request_id": request_id}) == {"state": "queued", "result": None}
    assert timedelta(seconds=7) < world.now - NOON <= timedelta(seconds=8)
    await settle(sessions, None)
    assert await world.ask("erp_result", {"request_id": request_id}) == {"state": "failed", "result": None}
    assert (await world.ask("erp_result", {"request_id": make_id()}))["state"] == "queued"  # still in the journal


async def test_a_message_is_sent_when_the_gateway_said_so(world: World, sessions: Sessions) -> None:
    async with sessions.begin() as session:
        message_id = await outbox.enqueue(session, kind="invoice", to="+5511955550101", payload={}, now=NOON)
    assert await world.ask("message_state", {"message_id": message_id}) == {"state": "queued"}
    async with sessions.begin() as session:
        (message,) = await outbox.claim(session, worker="w", now=later(1))
        await outbox.mark_sent(session, message, now=later(2))
    assert await world.ask("message_state", {"message_id": message_id}) == {"state": "sent"}


def test_every_question_has_a_name(world: World) -> None:
    assert {"who_calls", "diagnose", "erp_result"} <= world.ask.names


async def test_a_switchboard_is_nobody(world: World) -> None:
    everybody = tuple(each.subscriber for each in world.erp.world.subscribers[:4])

    async def by_number(phone: str) -> Reply[tuple[Subscriber, ...]]:
        reply: Reply[tuple[Subscriber, ...]] = await world.erp._ask("find_by_phone", everybody)
        return reply

    world.erp.find_by_phone = by_number
    assert (await world.ask("who_calls", {"caller": HELENA}))["subscriber"] is None


async def test_many_callers_are_kept_in_bounds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ura.caller_lookups.MOST_KEPT", 2)
    for phone in (HELENA, OTAVIO, CELIA, RAUL):
        await world.ask("who_calls", {"caller": phone})
    assert len(world.ask._known) == 2


async def test_trouble_of_the_erp_keeps_its_words(world: World) -> None:
    world.erp.broken = ErpUnavailable("the circuit is open")
    with pytest.raises(Unavailable, match="the circuit is open"):
        await world.ask("open_invoices", {"contract_id": "2001"})
