"""A promise of payment: a reminder the day before, once, while it is owed; kept or broken when that is known."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from tests.factories import NOON, close_ticket, make_id, make_record, ticket_opened
from tests.fake_erp import FakeErp
from tests.local_world import load_local_world
from ura import billing, opt_outs, promises, tickets
from ura.billing import Policy
from ura.db import Sessions
from ura.erp import ContractStatus, Erp, Promised, Reply, SendChannel
from ura.erp_requests import SessionReset
from ura.gateways import Outgoing
from ura.messages import Writer
from ura.models import Invoice, InvoiceStatus, OutboxMessage, PaymentPromise, Problem, PromiseOutcome
from ura.projection import apply
from ura.settings import Settings
from worker.deliveries import Deliveries, Hours
from worker.erp_requests import ErpRequests
from worker.promises import Promises

ZONE = ZoneInfo("America/Sao_Paulo")
HOURS = Hours(8, 22, ZONE)
CALLER = "+5511955550103"
CONTRACT, INVOICE = "2003", "300301"  # due twelve days before NOON, a Monday; another is due in eighteen
FRIDAY = date(2026, 11, 27)
THE_DAY_BEFORE = datetime(2026, 11, 26, 9, 0, tzinfo=ZONE)
CLEARED = datetime(2026, 11, 30, 9, 0, tzinfo=ZONE)  # the bank day after FRIDAY: what was paid then is known by its end
KNOWN = datetime(2026, 12, 1, 9, 0, tzinfo=ZONE)

Promise = Callable[..., Awaitable[str]]


@dataclass
class System(FakeErp):
    async def promise(self, contract_id: str, on: date, *, key: str, again: bool = False) -> Reply[Promised]:
        return await self._ask("promise", Promised(contract_id == CONTRACT, on, "P-1"))

    def change(self, *, status: ContractStatus = ContractStatus.ACTIVE, paid: bool = False) -> None:
        """The contract, and what is owed for it, from now on."""
        people = []
        for one in self.world.subscribers:
            contracts = [
                replace(
                    each,
                    contract=replace(each.contract, status=status),
                    invoices=tuple(replace(invoice, paid=paid) for invoice in each.invoices),
                )
                if each.contract.id == CONTRACT
                else each
                for each in one.contracts
            ]
            people.append(replace(one, contracts=tuple(contracts)))
        self.world = replace(self.world, subscribers=tuple(people))

    def forget(self) -> None:
        people = [
            replace(one, contracts=tuple(each for each in one.contracts if each.contract.id != CONTRACT))
            for one in self.world.subscribers
        ]
        self.world = replace(self.world, subscribers=tuple(people))


@pytest.fixture
def system() -> System:
    return System()


async def wished(sessions: Sessions, erp: Any, *, at: datetime, **args: str) -> str:
    """A caller promises, and the worker asks the provider's system."""
    wish = {"request_id": make_id(), "operation": "promise", "args": args}
    async with sessions.begin() as session:
        record = make_record("erp_requested", call_id=make_id(), protocol="263270000017", at=at, **wish)
        await apply(session, record)
    asking = ErpRequests(sessions, erp, cast(SessionReset, None), now=lambda: at)
    await asking.step()
    await asking.idle()
    return str(wish["request_id"])


@pytest.fixture
def promise(sessions: Sessions, system: System) -> Promise:
    owner = next(each.contract.subscriber_id for each in system.world.contracts() if each.contract.id == CONTRACT)

    async def make(on: date = FRIDAY, *, at: datetime = NOON, tell: str = CALLER, contract_id: str = CONTRACT) -> str:
        whose = {"subscriber_id": owner, "contract_id": contract_id, "tell": tell}
        return await wished(sessions, system, at=at, on=on.isoformat(), **whose)

    return make


async def look(sessions: Sessions, system: Any, at: datetime) -> list[OutboxMessage]:
    """One look of a worker that has just begun → all reminders so far."""
    one = Promises(sessions, system, zone=ZONE, may_ring=HOURS.open_at, now=lambda: at.astimezone(UTC))
    await one.step()
    async with sessions() as session:
        return list(await session.scalars(select(OutboxMessage).where(OutboxMessage.kind == promises.KIND)))


async def outcome(sessions: Sessions) -> PromiseOutcome | None:
    async with sessions() as session:
        return (await session.scalars(select(PaymentPromise))).one().outcome


async def dispute(sessions: Sessions) -> str:
    ticket_id = make_id()
    about = {"source": "fake", "contract_id": CONTRACT, "invoice_id": INVOICE, "protocol": "263270000018"}
    async with sessions.begin() as session:
        await apply(session, make_record("invoice_disputed", ticket_id=ticket_id, call_id=make_id(), at=NOON, **about))
    return ticket_id


async def test_who_promised_is_reminded_once_the_day_before(
    sessions: Sessions, system: System, promise: Promise
) -> None:
    promise_id = await promise()
    assert await look(sessions, system, THE_DAY_BEFORE - timedelta(days=1)) == []
    (reminder,) = await look(sessions, system, THE_DAY_BEFORE)
    assert (reminder.to, reminder.channel, reminder.created_at) == (CALLER, "sms", THE_DAY_BEFORE)
    assert reminder.payload == {"promise_id": promise_id, "on": "2026-11-27", "protocol": "263270000017"}
    for hours in (1, 6, 24):
        assert len(await look(sessions, system, THE_DAY_BEFORE + timedelta(hours=hours))) == 1


async def test_two_workers_remind_once(sessions: Sessions, system: System, promise: Promise) -> None:
    await promise()
    async with sessions() as session:
        local = THE_DAY_BEFORE
        [(made, request)] = await promises.list_to_remind(session, source="fake", now=local)
    reminded = []
    for _ in range(2):
        async with sessions.begin() as session:
            channel = SendChannel.WHATSAPP
            reminded.append(await promises.remind(session, made, request, by=channel, now=local))
    assert reminded == [True, False]
    (message,) = await look(sessions, system, THE_DAY_BEFORE)
    assert message.channel == "whatsapp"


async def test_no_telephone_rings_at_night(sessions: Sessions, system: System, promise: Promise) -> None:
    await promise()
    assert await look(sessions, system, THE_DAY_BEFORE.replace(hour=7)) == []
    assert len(await look(sessions, system, THE_DAY_BEFORE.replace(hour=8))) == 1


@pytest.mark.parametrize("tell", ["", "+551133334444"], ids=["hidden", "landline"])
async def test_whom_no_message_reaches_is_not_reminded(
    sessions: Sessions, system: System, promise: Promise, tell: str
) -> None:
    await promise(tell=tell)
    assert await look(sessions, system, THE_DAY_BEFORE) == []


async def test_who_promises_for_tomorrow_has_just_heard_the_day(
    sessions: Sessions, system: System, promise: Promise
) -> None:
    await promise(at=THE_DAY_BEFORE)
    assert await look(sessions, system, THE_DAY_BEFORE + timedelta(hours=2)) == []


async def test_a_promise_that_the_system_did_not_accept_is_none(
    sessions: Sessions, system: System, promise: Promise
) -> None:
    await promise(contract_id="2001")
    async with sessions() as session:
        assert await session.scalar(select(PaymentPromise)) is None
    assert await look(sessions, system, THE_DAY_BEFORE) == []


async def test_nobody_is_reminded_of_a_charge_that_is_disputed(
    sessions: Sessions, system: System, promise: Promise
) -> None:
    await promise()
    ticket_id = await dispute(sessions)
    assert await look(sessions, system, THE_DAY_BEFORE) == []
    assert await look(sessions, system, KNOWN) == []
    assert await outcome(sessions) is None, "nobody broke anything while the charge is disputed"
    async with sessions.begin() as session:
        complaint = await tickets.get_ticket(session, ticket_id)
        await close_ticket(session, complaint, at=KNOWN, text="A cobrança está certa.")
    await look(sessions, system, KNOWN)
    assert await outcome(sessions) is PromiseOutcome.BROKEN


async def test_who_has_paid_is_not_reminded_and_has_kept_it(
    sessions: Sessions, system: System, promise: Promise
) -> None:
    await promise()
    system.change(paid=True)
    assert await look(sessions, system, THE_DAY_BEFORE) == []
    assert await outcome(sessions) is PromiseOutcome.KEPT


@pytest.mark.parametrize("how", ["in the system", "not there any more", "by a caller"])
async def test_who_cancelled_is_asked_for_nothing_more(
    sessions: Sessions, system: System, promise: Promise, how: str
) -> None:
    await promise()
    if how == "in the system":
        system.change(status=ContractStatus.CANCELLED)
    elif how == "not there any more":
        system.forget()
    else:
        async with sessions.begin() as session:
            asked = {"category": "cancellation", "contract_id": CONTRACT, "at": NOON + timedelta(days=1)}
            await apply(session, ticket_opened(make_id(), **asked))
    assert await look(sessions, system, THE_DAY_BEFORE) == []
    assert await outcome(sessions) is PromiseOutcome.ENDED


async def test_a_promise_is_broken_when_a_payment_of_its_day_would_be_known(
    sessions: Sessions, system: System, promise: Promise
) -> None:
    await promise()
    await look(sessions, system, CLEARED)
    assert await outcome(sessions) is None, "a boleto is cleared on the next bank day"
    await look(sessions, system, KNOWN)
    assert await outcome(sessions) is PromiseOutcome.BROKEN
    system.change(paid=True)
    await look(sessions, system, KNOWN + timedelta(days=1))
    assert await outcome(sessions) is PromiseOutcome.BROKEN, "it was, whatever came later"


async def test_who_paid_on_the_day_has_kept_it(sessions: Sessions, system: System, promise: Promise) -> None:
    await promise()
    system.change(paid=True)
    await look(sessions, system, KNOWN)
    assert await outcome(sessions) is PromiseOutcome.KEPT


@pytest.mark.parametrize("trouble", [{"down": True}, {"cannot": {"open_invoices"}}])
async def test_what_the_system_does_not_say_now_is_asked_again(
    sessions: Sessions, system: System, promise: Promise, trouble: dict[str, Any]
) -> None:
    await promise()
    for name, value in trouble.items():
        setattr(system, name, value)
    assert await look(sessions, system, THE_DAY_BEFORE) == []
    await look(sessions, system, KNOWN)
    assert await outcome(sessions) is None
    system.down, system.cannot = False, set()
    assert len(await look(sessions, system, THE_DAY_BEFORE + timedelta(hours=3))) == 1
    await look(sessions, system, KNOWN)
    assert await outcome(sessions) is PromiseOutcome.BROKEN


async def test_a_promise_in_our_own_tables_is_followed_like_any_other(sessions: Sessions, settings: Settings) -> None:
    local = await load_local_world(sessions, settings)
    contract = await local.contract("overdue")
    whose = {"subscriber_id": contract.subscriber_id, "contract_id": contract.id, "tell": CALLER}
    await wished(sessions, local.erp, at=NOON, on=FRIDAY.isoformat(), **whose)
    assert [reminder.to for reminder in await look(sessions, local.erp, THE_DAY_BEFORE)] == [CALLER]
    async with sessions.begin() as session:
        await session.execute(update(Invoice).values(status=InvoiceStatus.PAID))
    await look(sessions, local.erp, KNOWN)
    assert await outcome(sessions) is PromiseOutcome.KEPT


async def test_who_broke_a_promise_agrees_on_the_next_with_a_person_for_a_while(
    sessions: Sessions, system: System, promise: Promise
) -> None:
    async def may(days: int, contract_ref: str = CONTRACT) -> bool:
        today = FRIDAY + timedelta(days=days)
        async with sessions() as session:
            return await billing.may_promise(
                session, source="fake", contract_ref=contract_ref, today=today, policy=Policy(broken_promise_days=30)
            )

    await promise()
    assert await may(4)
    await look(sessions, system, KNOWN)
    assert not await may(4)
    assert not await may(30)
    assert await may(31)
    assert await may(4, "2001")


async def test_a_reminder_is_true_only_while_it_is_owed(sessions: Sessions, system: System, promise: Promise) -> None:
    reminder = {"promise_id": await promise()}

    async def owed() -> bool:
        return await promises.still_owed(sessions, cast(Erp, system), reminder, zone=ZONE)

    assert await owed()
    ticket_id = await dispute(sessions)
    assert not await owed()
    async with sessions.begin() as session:
        complaint = await tickets.get_ticket(session, ticket_id)
        await close_ticket(session, complaint)
    assert await owed()
    system.change(paid=True)
    assert not await owed()
    reminder["promise_id"] = make_id()
    assert not await owed()


@dataclass
class Sms:
    name: str = "sms"
    sent: list[str] = field(default_factory=list)

    async def send(self, message: Outgoing) -> str:
        self.sent.append(message.text)
        return ""


@pytest.mark.parametrize(
    ("change", "told", "problem"),
    [
        ("", ["Conecta: Lembrete: o pagamento combinado é em 27/11/2026."], None),
        ("opts out", [], Problem.OPTED_OUT),
        ("pays", [], Problem.OUT_OF_DATE),
    ],
)
async def test_a_reminder_that_waited_for_its_gateway_goes_out_only_if_it_still_may(
    sessions: Sessions, system: System, promise: Promise, change: str, told: list[str], problem: Problem | None
) -> None:
    await promise()
    await look(sessions, system, THE_DAY_BEFORE)
    if change == "opts out":
        async with sessions.begin() as session:
            await opt_outs.opt_out(session, channel=SendChannel.SMS, target=CALLER, by="reply", now=NOON)
    system.change(paid=change == "pays")
    sms = Sms()
    owed = partial(promises.still_owed, sessions, cast(Erp, system), zone=ZONE)
    writer = Writer(sessions, zone=ZONE, provider="Conecta", owed=owed, now=lambda: THE_DAY_BEFORE)
    await Deliveries(sessions, {SendChannel.SMS: sms}, writer, HOURS).step(THE_DAY_BEFORE)
    assert [text.partition(" Se ja")[0] for text in sms.sent if "Lembrete" in text] == told
    (reminder,) = await look(sessions, system, THE_DAY_BEFORE)
    assert reminder.problem is problem
