"""The demo's people ring up: each story as one real call, the same on whatever system the provider has.

    async with house.caller() as phone:
        told = await blocked(house, phone)        # raises CallerError, saying what was heard instead
        ...                                       # then look at what the house has written down

A story knows from the house's own settings which system is asked, and keys a document where that system cannot find a
subscriber by telephone. What is heard is asserted here; what is stored, where the story is told. Each story is told to
the end of what it is about and then hung up, as callers do.
"""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from prosa.caller import Call as Phoned
from prosa.caller import Caller
from prosa.erp_sim.world import ZONE
from tests.contracts.erp.rigs import LACKS
from tests.live.conftest import House
from ura import boleto, speech
from ura.demo.subscribers import DemoContract, DemoSubscriber, demo_world
from ura.flows.effects import Spoken
from ura.prompts import name_key

LANDLINE = "551133330001"
ELSEWHERE = "+5511944443333"  # nobody's
MOBILE_FOR_NEWS = "+5511944443399"
SUPPORT, BILLING = "2", "3"
YES, NO = "1", "2"
GRANTED = ("unlock.granted", "unlock.granted_day", "unlock.granted_now")
ALREADY = ("unlock.already_active", "unlock.already_active_day", "unlock.already_active_now")
SKIP = "#"  # cuts what is only spoken, and answers nothing
GREETINGS = ("greeting.welcome", "greeting.again")
MINE = ("billing.mine", "billing.mine.short")  # the short one in a second call on the same day
READ_S, POLL_S = 30, 0.1  # for one block of a line

WORLD = demo_world(datetime.now(ZONE))  # its days are the provider's: late in the evening it is another in UTC
PEOPLE = {each.subscriber.phones[-1]: each for each in WORLD.subscribers}


def money(amount: str) -> list[str]:
    return speech.prompt_keys(Spoken("money", amount), today=WORLD.now.date())


def can(house: House, operation: str) -> bool:
    return operation not in LACKS[house.settings.erp]


@dataclass
class Told:
    """A call of one of the demo's people, turn by turn. What is heard must come in the order in which it is asked."""

    house: House
    call: Phoned
    person: DemoSubscriber
    caller: str
    began_at: datetime
    at: float | None = field(default=None)

    async def hears(self, *keys: str | tuple[str, ...], timeout_s: float = 20) -> None:
        """Each of these (of a tuple: one of them) begins, in this order; others may be between."""
        for key in keys:
            any_of = (key,) if isinstance(key, str) else key
            heard = await self.call.heard(*any_of, timeout_s=timeout_s, since=self.at)
            self.at = self.call.moment(heard.started_s)

    async def turn(self, prompt: str | tuple[str, ...], keys: str) -> None:
        """Hear a question, answer it."""
        await self.hears(prompt)
        await self.call.press(keys)

    async def dials(self, subject: str) -> None:
        """Through the first menu, as who knows the way: what is only spoken is cut short."""
        await self.turn(GREETINGS, subject)
        await self.turn("protocol.intro", SKIP)

    async def is_known(self, contract: DemoContract | None = None) -> None:
        """By the number and the street; else by the document."""
        if can(self.house, "find_by_phone"):
            wanted = contract or self.person.contracts[0]
            await self.hears("identify.street", name_key(wanted.contract.street))
            await self.turn("identify.street_keys", YES)
        else:
            await self.keys_document("identify.how")

    async def keys_document(self, question: str) -> None:
        document = self.person.subscriber.document
        company = len(document) > 11
        await self.turn((question, f"{question}.short"), "2" if company else "1")
        await self.turn("identify.cnpj" if company else "identify.cpf", document)

    async def proves(self) -> None:
        """The second factor: the year of birth."""
        await self.turn("identify.factor", str(self.person.subscriber.birth_year))

    async def hears_amounts(self) -> None:
        """From the menu of invoices to the amounts: nobody hears them who has not proved who calls."""
        await self.turn("invoices.found", "2")
        await self.adds_document()
        await self.proves()

    async def adds_document(self) -> None:
        """Whose street was confirmed is asked for the document alone; who has keyed one, for none."""
        if can(self.house, "find_by_phone"):
            await self.turn("identify.cpf", self.person.subscriber.document)

    async def writes_the_line_down(self) -> None:
        """Each block to its end; then on at once."""
        await self.hears("read_line.intro")
        read = 0
        for size in boleto.BANK_GROUPS:
            read += size
            async with asyncio.timeout(READ_S):
                while len(self.digits("read_line.intro")) < read or not self.call.hearings()[-1].complete:
                    await asyncio.sleep(POLL_S)
            await self.call.press("1")
        await self.hears("read_line.end")

    async def is_sent_it(self, channel: str = "email") -> None:
        """To a registered contact, told by its end; "sent" is the gateway's word."""
        await self.hears("send_invoice.intro", f"send_invoice.{channel}")
        press = {"whatsapp": "1", "sms": "2", "email": "3"}[channel]
        await self.turn(f"choose.press_{press}", press)
        await self.hears("send_invoice.sent", "end.anything_else")

    def heard(self) -> list[str]:
        return [one.key for one in self.call.hearings()]

    def when(self, key: str) -> datetime:
        """The moment at which this was first heard."""
        heard = next(one for one in self.call.hearings() if one.key == self.call.same(key))
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - self.call.moment(heard.started_s))

    def never(self, *beginnings: str) -> None:
        wrong = [key for key in self.heard() if key.startswith(beginnings)]
        assert not wrong, f"{self.person.story} heard {wrong} in {self.heard()}"

    def digits(self, after: str) -> str:
        """All digits that were heard after a prompt, up to the next prompt that is none."""
        found, listening = "", False
        for key in self.heard():
            if key == self.call.same(after):
                found, listening = "", True
            elif listening and key.startswith("digit."):
                found += key[-1]
            elif found and key.split(".")[0] not in ("digit", "digits"):
                listening = False
        return found


async def ring(house: House, phone: Caller, story: str | DemoSubscriber, *, from_: str = "") -> Told:
    """`from_`: another telephone than the person's own."""
    person = WORLD.story(story) if isinstance(story, str) else story
    caller = from_ or person.subscriber.phones[0]
    began_at = datetime.now(UTC)
    return Told(house, await phone.dial(LANDLINE, from_=caller), person, caller, began_at)


# -- it is not working


async def in_order(house: House, phone: Caller) -> Told:
    told = await ring(house, phone, "in_order")
    await told.dials(SUPPORT)
    await told.is_known()
    if can(house, "connection"):
        await told.hears("diagnose.good", "support.wifi.intro")
        await told.turn("support.wifi.on", "1")
        await told.turn("steps.solved", YES)
        await told.hears("support.solved_yes", "end.anything_else")
        told.never("support.menu", "support.restart", "support.no_signal")
    else:
        await told.hears("diagnose.unknown", "support.menu")
    told.never("diagnose.blocked", "diagnose.los", "outage.")
    await told.call.hang_up()
    return told


async def los(house: House, phone: Caller) -> Told:
    """Nobody without light is told to restart anything; a visit is asked for."""
    told = await ring(house, phone, "los")
    await told.dials(SUPPORT)
    await told.is_known()
    await told.hears("diagnose.los", "support.fiber_warning", ("visit.opened", "visit.queued"), "end.anything_else")
    told.never("support.restart", "support.no_signal", "support.menu", "steps.", "unlock.restart")
    await told.call.hang_up()
    return told


async def los_by_its_lights(house: House, phone: Caller) -> Told:
    """Where the system does not see the line, the caller does: the lights say it, and a person is the way on."""
    told = await ring(house, phone, "los")
    await told.dials(SUPPORT)
    await told.is_known()
    await told.hears("diagnose.unknown")
    await told.turn("support.menu", "4")
    for step, answer in (("power", "1"), ("signal", "2"), ("alarm", "2")):
        await told.turn(f"support.lights.{step}", answer)
    await told.hears("support.lights.alarm_on", ("person.transferring", "person.closed", "person.unknown_hours"))
    told.never("support.restart", "support.no_signal", "diagnose.los", "visit.", "unlock.restart")
    await told.call.hang_up()
    return told


async def weak_signal(house: House, phone: Caller) -> Told:
    told = await ring(house, phone, "weak_signal")
    await told.dials(SUPPORT)
    await told.is_known()
    await told.hears("diagnose.weak", ("visit.opened", "visit.queued"), "end.anything_else")
    told.never("support.", "steps.")
    await told.call.hang_up()
    return told


async def no_session(house: House, phone: Caller) -> Told:
    told = await ring(house, phone, "offline")
    await told.dials(SUPPORT)
    await told.is_known()
    await told.hears("diagnose.no_session", "support.no_signal.intro")
    for step in ("power", "outlet", "restart"):
        await told.turn(f"support.no_signal.{step}", "1")
    await told.turn("support.no_signal.test", "1")
    await told.turn("steps.solved", YES)
    await told.hears("support.solved_yes")
    await told.call.hang_up()
    return told


async def outage(house: House, phone: Caller) -> Told:
    """Told before anything is asked; afterwards the caller is noted for the news that it is over."""
    told = await ring(house, phone, "outage")
    if can(house, "find_by_phone"):
        await told.hears("greeting.welcome", "outage.nearby")
        assert told.at is not None
        assert told.call.answered_at is not None
        assert told.at - told.call.answered_at <= 10
        await told.hears("outage.fibre_cut", "outage.estimate")
        await told.turn(("menu.main", "menu.main.short"), SUPPORT)
    else:
        await told.turn(GREETINGS, SUPPORT)
    await told.turn("protocol.intro", SKIP)
    await told.is_known()
    assert told.at is not None
    known_at = told.at
    told_before = can(house, "find_by_phone")  # said once is enough
    await told.hears("outage.again" if told_before else "outage.intro")
    assert told.at - known_at <= 10
    if told_before:
        told.never("outage.intro")
    else:
        await told.hears("outage.estimate")
    await told.turn("outage.offer", YES)
    await told.turn("outage.number", NO)  # the one that calls is a landline
    await told.turn("outage.other_number", MOBILE_FOR_NEWS.removeprefix("+55"))
    await told.hears("outage.subscribed", "end.anything_else")
    told.never("support.", "visit.", "diagnose.")
    await told.call.hang_up()
    return told


# -- money


async def blocked(house: House, phone: Caller) -> Told:
    """The diagnosis leads to billing; the unlock is offered, agreed to and done."""
    told = await ring(house, phone, "blocked")
    await told.dials(SUPPORT)
    await told.is_known()
    await told.hears("diagnose.blocked")
    await told.turn(MINE, "2")
    await told.turn("unlock.confirm", YES)
    await told.hears(GRANTED, "unlock.restart", "end.anything_else")
    await told.call.hang_up()
    return told


async def blocked_again(house: House, phone: Caller) -> Told:
    """After `blocked`, on the same day: it is unlocked, until when is said, and nothing is offered."""
    told = await ring(house, phone, "blocked")
    await told.dials(BILLING)
    await told.is_known()
    await told.turn(MINE, "2")
    await told.hears(ALREADY, "end.anything_else")
    told.never("unlock.confirm", "unlock.granted")
    await told.call.hang_up()
    return told


async def unlock_refused(house: House, phone: Caller, *, story: str, reason: str) -> Told:
    """Nothing is offered, and why is said: `reason` is `used_this_period` or the like."""
    told = await ring(house, phone, story)
    await told.dials(BILLING)
    await told.is_known()
    await told.turn(MINE, "2")
    await told.hears(f"unlock.{reason}", MINE)
    told.never("unlock.confirm", "unlock.granted")
    await told.call.hang_up()
    return told


async def overdue(house: House, phone: Caller, *, to_the_end: bool = True) -> Told:
    """The invoice is told to who has proved who calls; its code is read in blocks, and then sent. Who does not listen
    `to_the_end` has it sent after the first ones."""
    told = await ring(house, phone, "overdue")
    await told.dials(BILLING)
    await told.is_known()
    await told.turn(MINE, "1")
    await told.hears_amounts()
    await told.hears("invoices.there_are", "invoices.overdue", "invoices.amount", *money("119.90"))
    await told.turn("invoices.send", "2")
    if to_the_end:
        await told.writes_the_line_down()
        line = boleto.parse(told.digits(after="read_line.intro"), today=datetime.now(house.settings.zone).date())
        assert line.amount == Decimal("119.90")
    else:
        await told.hears("read_line.intro")
        oldest = min(told.person.contracts[0].invoices, key=lambda each: each.invoice.due_on)
        async with asyncio.timeout(READ_S):
            while len(told.digits("read_line.intro")) < boleto.BANK_GROUPS[0]:
                await asyncio.sleep(POLL_S)
        assert oldest.payload.line.startswith(told.digits("read_line.intro"))
    await told.call.press("3")
    await told.is_sent_it()
    await told.call.hang_up()
    return told


async def two_contracts(house: House, phone: Caller) -> Told:
    """Told apart by street and neighbourhood; the choice holds for the call."""
    told = await ring(house, phone, "two_contracts")
    await told.dials(BILLING)
    if not can(house, "find_by_phone"):
        await told.keys_document("identify.how")
    first, second = (each.contract for each in told.person.contracts)
    await told.hears("identify.which")
    await told.hears(name_key(first.street), name_key(first.neighbourhood), "choose.press_1")
    await told.hears(name_key(second.street), name_key(second.neighbourhood))
    await told.turn("choose.press_2", "2")
    await told.turn(MINE, "1")
    await told.hears("invoices.found")
    await told.call.hang_up()
    return told


async def dispute(house: House, phone: Caller) -> Told:
    told = await ring(house, phone, PEOPLE["+5511955550116"], from_="+5511955550116")
    await told.dials(BILLING)
    await told.is_known()
    await told.turn(MINE, "1")
    await told.hears_amounts()
    await told.turn("invoices.dispute", "4")
    await told.hears("dispute.done", "end.anything_else")
    await told.call.hang_up()
    return told


async def promise(house: House, phone: Caller) -> Told:
    """Who waits for us hears of that first; then a day is agreed on, after a document."""
    told = await ring(house, phone, "open_ticket")
    await told.dials(BILLING)
    await told.is_known()
    await told.hears("service.ticket")
    await told.turn("service.ask", "2")
    await told.turn(MINE, "3")
    if can(house, "promise"):
        await told.adds_document()
        await told.hears("promise.intro")
        await told.turn("choose.press_2", "2")
        await told.hears("promise.accepted", "end.anything_else")
    else:
        await told.hears("promise.unsupported", "cant_pay.menu")
        told.never("identify.cpf", "promise.intro")
    await told.call.hang_up()
    return told


async def no_debt(house: House, phone: Caller) -> Told:
    """The one who is told that nothing is open: the system said so."""
    told = await ring(house, phone, "cancelled")
    await told.dials(BILLING)
    await told.is_known()
    await told.turn(MINE, "1")
    await told.hears("invoices.none", "end.anything_else")
    await told.call.hang_up()
    return told


# -- who calls


async def company(house: House, phone: Caller) -> Told:
    """From its landline: no menu, the companies' own queue. Known by a document alone: no household steps."""
    told = await ring(house, phone, "company")
    if can(house, "find_by_phone"):
        await told.hears("protocol.intro", "system.corporate")
        told.never("menu.", "support.", "steps.")
        await told.call.hang_up()
        return told
    await told.dials(SUPPORT)
    await told.is_known()
    await told.hears("diagnose.business")
    told.never("support.", "steps.")
    await told.call.hang_up()
    return told


async def company_letters(house: House, phone: Caller) -> Told:
    """No key has letters: the contract's number, then the end of a registered telephone."""
    told = await ring(house, phone, "company_letters", from_=ELSEWHERE)
    await told.dials(BILLING)
    await told.turn("identify.how", "3")
    await told.turn("identify.contract", told.person.contracts[0].contract.number + "#")
    await told.turn("identify.factor_company", told.person.subscriber.phones[0][-4:])
    await told.turn(MINE, "1")
    await told.hears("invoices.one", ("invoices.overdue", "invoices.due"), *money("289.90"))
    await told.call.hang_up()
    return told


async def shared_phone(house: House, phone: Caller, person: DemoSubscriber) -> Told:
    """The number is that of two: it tells nobody's street, and each is known by the document."""
    told = await ring(house, phone, person, from_="+551133331115")
    await told.dials(SUPPORT)
    await told.keys_document("identify.how")
    await told.hears("diagnose.good" if can(house, "connection") else "diagnose.unknown")
    told.never("identify.street")
    await told.call.hang_up()
    return told


async def unknown_phone(house: House, phone: Caller) -> Told:
    """From a stranger's telephone: a document opens little, a second factor the amounts; nothing is asked twice."""
    told = await ring(house, phone, "in_order", from_="+5511944443334")
    await told.dials(BILLING)
    await told.keys_document("identify.how")
    await told.turn(MINE, "1")
    await told.turn("invoices.found", "2")
    await told.turn("identify.factor", told.person.subscriber.phones[0][-4:])
    await told.hears("invoices.one", "invoices.due", *money("99.90"))
    assert told.heard().count("identify.how") == 1
    assert told.heard().count("identify.cpf") == 1
    await told.call.hang_up()
    return told


async def wrong_documents(house: House, phone: Caller) -> Told:
    """Malformed, then unknown: the same words; then a person, never a hang-up."""
    told = await ring(house, phone, "in_order", from_="+5511944443335")
    await told.dials(BILLING)
    for document in ("12345678900", "39053344705"):
        await told.turn("identify.how", "1")
        await told.turn("identify.cpf", document)
    await told.hears("identify.missed", ("person.transferring", "person.closed"))
    assert told.heard().count("identify.not_found") == 1
    assert told.call.ended_at is None
    await told.call.hang_up()
    return told
