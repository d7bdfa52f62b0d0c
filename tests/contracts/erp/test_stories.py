"""Every subscriber of the demo, as each system tells about them: the same people, debts and lines on all."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.contracts.erp.rigs import CANNOT_LOOK, CHANGES, LACKS, READS, WISH, Rig, place_of, value
from ura.demo.subscribers import demo_world
from ura.erp import Answer, ContractStatus, SendChannel, SessionState, UnlockVerdict, Unsupported

STORIES = sorted({each.story for each in demo_world(datetime.now(UTC)).subscribers})
# What each system says when asked to unlock. MK-Auth's own ledger is asked before it.
VERDICTS = {
    "in_order": UnlockVerdict.NOT_BLOCKED,
    "blocked": UnlockVerdict.GRANTED,
    "overdue": UnlockVerdict.NOT_BLOCKED,
    "suspended": UnlockVerdict.BLOCKED_OTHER_REASON,
    "unlock_used": UnlockVerdict.USED_THIS_PERIOD,
    "old_debt": UnlockVerdict.POLICY_REFUSED,
    "cancelled": UnlockVerdict.BLOCKED_OTHER_REASON,
}
ODDITIES = {
    "sgp": ["json_only", "words"],
    "hubsoft": ["old_texts"],
    "ixc": ["protocol_json", "codes", "no_filter"],
    "mkauth": ["old_routes", "bare_lists", "not_found_404", "no_texts"],
}
COMMON = ["duplicate_rows", "two_contracts"]


@pytest.mark.parametrize("story", STORIES)
async def test_a_story_is_the_same_on_every_system(any_rig: Rig, story: str) -> None:
    await _tell(any_rig, story)


@pytest.mark.parametrize(
    ("system", "oddity"),
    [(system, oddity) for system, own in ODDITIES.items() for oddity in own + COMMON],
)
async def test_stories_stay_the_same_whatever_a_version_does_differently(rig: Rig, oddity: str) -> None:
    rig.fault(oddity)
    for story in ("blocked", "two_contracts", "los", "company_letters"):
        await _tell(rig, story, twins=oddity == "two_contracts")
    contract = await rig.contract("blocked")
    unlocked = await value(rig.erp.trust_unlock(contract.id, key="k" * 32))
    assert unlocked.verdict is UnlockVerdict.GRANTED
    opened = await value(rig.erp.open_ticket(contract.id, subject="a", text="b", protocol="1", key="t" * 32))
    assert opened.reference in rig.done("tickets")


async def _tell(rig: Rig, story: str, *, twins: bool = False) -> None:
    subscriber = rig.world.story(story)
    demo = subscriber.subscriber
    found = await value(rig.erp.find_by_document(demo.document))
    assert found.name.casefold() == demo.name.casefold()
    assert (found.document, found.kind, found.birth_year) == (demo.document, demo.kind, demo.birth_year)
    assert set(found.phones) == set(demo.phones)
    assert found.emails == demo.emails

    contracts = list(await value(rig.erp.list_contracts(found.id)))
    assert len(contracts) == len(subscriber.contracts) * (2 if twins else 1)
    for expected in subscriber.contracts:
        contract = rig.like(contracts, expected)
        wanted = expected.contract
        assert contract.subscriber_id == found.id
        assert (contract.neighbourhood, contract.city) == (wanted.neighbourhood, wanted.city)
        assert (contract.status, contract.segment, contract.plan) == (wanted.status, wanted.segment, wanted.plan)
        assert (contract.access.login, contract.access.onu) == (wanted.access.login, wanted.access.onu)
        assert (contract.access.olt, contract.access.cto) == (wanted.access.olt, wanted.access.cto)
        assert contract.access.pon == wanted.access.pon
        assert (await value(rig.erp.find_by_contract(contract.number))).document == demo.document

        invoices = await value(rig.erp.open_invoices(contract.id))
        open_ones = expected.open_invoices
        assert [(each.due_on, each.amount) for each in invoices] == [(each.due_on, each.amount) for each in open_ones]
        payloads = {each.invoice.due_on: each.payload for each in expected.invoices}
        for invoice in invoices:
            payload = await value(rig.erp.invoice_payload(invoice))
            assert (payload.line, payload.pix) == (payloads[invoice.due_on].line, payloads[invoice.due_on].pix)

        tickets = await value(rig.erp.list_tickets(contract.id))
        if rig.name == "local":  # gives them ids of its own
            assert len(tickets) == len(expected.tickets)
        else:
            assert [each.reference for each in tickets] == [each.reference for each in expected.tickets]
        await _tell_line(rig, contract, expected)


async def _tell_line(rig: Rig, contract: Any, expected: Any) -> None:
    told = await rig.erp.connection(contract)
    if isinstance(told, Answer):
        connection = told.value
        assert connection.state is expected.connection.state
        if connection.state is not SessionState.UNKNOWN:
            assert connection.since
            assert abs(connection.since - expected.connection.since) < timedelta(minutes=2)
    else:  # our own tables say nothing where nothing was written
        assert "connection" not in rig.can or (rig.name == "local" and expected.connection.since is None)
    seen = await rig.erp.optical(contract)
    if isinstance(seen, Answer):
        optical = seen.value
        assert (optical.los or False) == (expected.optical.los or False)
        if rig.name != "hubsoft":  # tells alarms, no power
            assert optical.rx_dbm == expected.optical.rx_dbm
    else:
        empty = expected.optical.rx_dbm is None and expected.optical.los is None
        assert "optical" not in rig.can or (rig.name == "local" and empty)
    if "outages" in rig.can:
        touching = await value(rig.erp.outages(contract))
        assert [each.text for each in touching] == [each.cause for each in rig.world.outages_of(expected.contract.id)]


async def test_who_shares_a_number_is_found_with_the_others(any_rig: Rig) -> None:
    if "find_by_phone" not in any_rig.can:
        assert isinstance(await any_rig.erp.find_by_phone("+551133331115"), Unsupported)
        return
    sharing = [each.subscriber.name for each in any_rig.world.subscribers if each.story == "shared_phone"]
    found = await value(any_rig.erp.find_by_phone("+551133331115"))
    assert sorted(each.name.casefold() for each in found) == sorted(name.casefold() for name in sharing)
    assert await value(any_rig.erp.find_by_phone("+5511955550199")) == ()


@pytest.mark.parametrize("system", ["sgp", "hubsoft"], indirect=True)
async def test_a_mobile_that_was_registered_before_the_ninth_digit_is_known(rig: Rig) -> None:
    rig.fault("old_phones")
    helena = rig.world.story("in_order").subscriber
    registered_as = f"+55119{8}{helena.phones[0][7:]}"
    assert len(registered_as) == 14
    found = await value(rig.erp.find_by_phone(registered_as))
    assert [each.id for each in found] == [helena.id]
    assert registered_as in found[0].phones
    assert await value(rig.erp.find_by_phone(helena.phones[0])) == ()  # another number


async def test_nobody_is_an_answer(any_rig: Rig) -> None:
    assert await value(any_rig.erp.find_by_document("98765432196")) is None
    assert await value(any_rig.erp.find_by_contract("999999")) is None


@pytest.mark.parametrize("story", sorted(VERDICTS))
async def test_a_trust_unlock_is_granted_or_refused_with_its_reason(any_rig: Rig, story: str) -> None:
    contract = await any_rig.contract(story)
    wanted = VERDICTS[story]
    before = (await value(any_rig.erp.may_unlock(contract.id))).verdict
    told = await value(any_rig.erp.trust_unlock(contract.id, key="a" * 32))
    assert told.verdict is wanted
    if wanted is UnlockVerdict.GRANTED:
        assert before is UnlockVerdict.ALLOWED
        assert told.until > datetime.now(UTC)
        assert (await any_rig.contract(story)).status is ContractStatus.UNLOCKED
        assert (await value(any_rig.erp.may_unlock(contract.id))).verdict is UnlockVerdict.ALREADY_ACTIVE
        assert (
            await value(any_rig.erp.trust_unlock(contract.id, key="b" * 32))
        ).verdict is UnlockVerdict.ALREADY_ACTIVE
        if any_rig.control:
            assert len(any_rig.done("unlocks")) == 1
    else:
        # Systems that keep their rules to themselves say so only when it is tried.
        assert before in (wanted, UnlockVerdict.ALLOWED)
        if any_rig.control:
            assert any_rig.done("unlocks") == []


async def test_a_contract_that_is_not_there_is_not_unlocked(rig: Rig) -> None:
    nowhere = "1001-999999" if rig.name == "hubsoft" else "999999"
    for reply in (await rig.erp.may_unlock(nowhere), await rig.erp.trust_unlock(nowhere, key="a" * 32)):
        assert isinstance(reply, Answer)
        assert reply.value.verdict is UnlockVerdict.UNKNOWN_CONTRACT


async def test_every_operation_is_answered_or_unsupported_with_source_and_age(any_rig: Rig) -> None:
    asks = await any_rig.asks()
    assert set(asks) == READS | CHANGES
    assert any_rig.erp.takes_promises == ("promise" in any_rig.can)
    assert any_rig.erp.reboots_devices == ("reboot_cpe" in any_rig.can)
    for operation, ask in asks.items():
        if operation == "promise" and any_rig.control:  # the same contract has just been unlocked
            any_rig.reset()
        reply = await ask()
        if operation in LACKS[any_rig.name]:
            assert reply == Unsupported(any_rig.name, operation)
            continue
        assert isinstance(reply, Answer), operation
        assert reply.source == any_rig.name
        age = datetime.now(UTC) - reply.as_of
        assert timedelta(0) <= age < timedelta(hours=2 if operation == "optical" else 0, seconds=20), operation


@pytest.mark.parametrize("system", ["ixc"], indirect=True)
async def test_light_is_as_old_as_its_measurement_and_an_old_row_does_not_count(rig: Rig) -> None:
    reply = await rig.erp.optical(await rig.contract("weak_signal"))
    assert isinstance(reply, Answer)
    assert reply.value.rx_dbm == -28.5
    now = datetime.now(UTC)
    assert reply.as_of == now.replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("system", ["sgp"], indirect=True)
async def test_looking_at_a_line_and_at_an_invoice_opens_no_ticket(rig: Rig) -> None:
    contract = await rig.contract("outage")
    await rig.erp.connection(contract)
    await rig.erp.invoice_payload((await value(rig.erp.open_invoices(contract.id)))[0])
    assert rig.done("tickets") == []
    assert rig.done("orders") == []


@pytest.mark.parametrize("system", ["hubsoft"], indirect=True)
async def test_an_invoice_goes_once_to_a_registered_contact(rig: Rig) -> None:
    invoice = await rig.invoice("overdue")
    owner = rig.world.story("overdue").subscriber
    assert await value(rig.erp.send_invoice(invoice, SendChannel.EMAIL, owner.emails[0].upper(), key="a" * 32))
    assert rig.done("sends") == [["email", owner.emails[0]]]


@pytest.mark.parametrize("system", ["ixc"], indirect=True)
async def test_an_invoice_goes_to_nobody_but_the_one_that_was_named(rig: Rig) -> None:
    """IXC sends to the registered contact, whatever was said."""
    invoice = await rig.invoice("overdue")
    reply = await rig.erp.send_invoice(invoice, SendChannel.EMAIL, "somebody@else.example", key="a" * 32)
    assert reply == Unsupported("ixc", "send_invoice")
    assert rig.done("sends") == []


@pytest.mark.parametrize("system", ["ixc"], indirect=True)
async def test_an_invoice_without_pix_has_its_line(rig: Rig) -> None:
    rig.fault("no_pix")
    payload = await value(rig.erp.invoice_payload(await rig.invoice("overdue")))
    assert payload.pix == ""
    assert len(payload.line) == 47
    assert payload.pdf.startswith(b"%PDF")


async def test_an_order_carries_its_slot_and_the_ticket_our_protocol(rig: Rig) -> None:
    asks = await rig.asks()
    await asks["open_ticket"]()
    assert "263270000017" in rig.done("texts")[0]
    if "open_order" in rig.can:
        order = await value(asks["open_order"]())
        assert order.reference
        assert len(rig.done("orders")) == 1


async def test_what_is_sold_is_what_the_system_has(rig: Rig) -> None:
    if "plans" not in rig.can:
        assert rig.name == "ixc"
        return
    names = sorted({each.contract.plan for each in rig.world.contracts()})
    plans = sorted(await value(rig.erp.plans("Centro")), key=lambda plan: plan.name)
    assert [(plan.name, plan.price) for plan in plans] == [
        (name, Decimal(f"{79 + at}.90")) for at, name in enumerate(names)
    ]
    in_their_names = [int("".join(filter(str.isdigit, name))) for name in names]
    speeds = in_their_names if rig.name == "sgp" else [200 * (at + 1) for at in range(len(names))]
    assert [plan.speed_mbps for plan in plans] == speeds


@pytest.mark.parametrize("system", ["sgp"], indirect=True)
async def test_a_place_is_served_or_not(rig: Rig) -> None:
    there = rig.world.story("in_order").contracts[0].contract.neighbourhood
    assert [each.status for each in await value(rig.erp.coverage(neighbourhood=there))] == ["covered"]
    assert [each.status for each in await value(rig.erp.coverage(neighbourhood="Longe Daqui"))] == ["none"]


async def test_a_lead_says_who_wants_what_and_where(rig: Rig) -> None:
    if "open_lead" not in rig.can:
        assert rig.name == "mkauth"
        return
    await (await rig.asks())["open_lead"]()
    [lead] = rig.done("leads")
    told = "\n".join(map(str, lead.values()))
    for word in (WISH.name, WISH.phone.removeprefix("+55"), WISH.neighbourhood, WISH.city, WISH.plan):
        assert word in told


async def test_a_contract_is_known_by_its_place(any_rig: Rig) -> None:
    subscriber = any_rig.world.story("two_contracts")
    contracts = await any_rig.contracts(subscriber)
    assert {(each.street, each.house) for each in contracts} == {place_of(each) for each in subscriber.contracts}
    owed = [len(await value(any_rig.erp.open_invoices(each.id))) for each in contracts]
    assert owed == [1, 1]  # each its own


async def test_the_same_wish_told_twice_is_one(any_rig: Rig) -> None:
    for operation, ask in (await any_rig.asks()).items():
        if operation not in ("trust_unlock", "open_ticket", "open_order", "open_lead"):
            continue
        if operation in LACKS[any_rig.name] or operation in CANNOT_LOOK[any_rig.name]:
            continue
        first, second = await value(ask()), await value(ask(again=True))
        if operation == "trust_unlock":
            assert first.verdict is second.verdict is UnlockVerdict.GRANTED
        else:
            assert first.reference == second.reference, operation
