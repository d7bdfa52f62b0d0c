"""Our own tables as the provider's system: every story of the demo, and nothing done twice."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.factories import NOON, make_id
from tests.local_world import LocalWorld, load_local_world
from ura import billing, demo, tickets
from ura.billing import Policy
from ura.crypto import Keyring
from ura.db import Sessions
from ura.demo.subscribers import demo_world
from ura.erp import (
    Answer,
    ContractStatus,
    ErpUnavailable,
    LeadWish,
    Optical,
    SendChannel,
    UnlockVerdict,
    Unsupported,
)
from ura.models import Category, Lead, Ticket, TrustUnlock
from ura.settings import Settings

STORIES = sorted({each.story for each in demo_world(NOON).subscribers})


@pytest.fixture
async def local(sessions: Sessions, settings: Settings) -> LocalWorld:
    return await load_local_world(sessions, settings)


async def value(asking: Any) -> Any:
    reply = await asking
    assert isinstance(reply, Answer)
    assert reply.source == "local"
    return reply.value


# -- reading


async def test_every_story_is_told_as_the_demo_has_it(local: LocalWorld) -> None:
    erp = local.erp
    for story in STORIES:
        demo = local.world.story(story)
        found = await local.subscriber(story)
        wanted = demo.subscriber
        assert (found.name, found.document, found.kind) == (wanted.name, wanted.document, wanted.kind)
        assert (found.birth_year, found.phones, found.emails) == (wanted.birth_year, wanted.phones, wanted.emails)
        contracts = await value(erp.list_contracts(found.id))
        assert len(contracts) == len(demo.contracts)
        for contract, each in zip(contracts, demo.contracts, strict=True):
            asked = each.contract
            assert (contract.number, contract.status, contract.segment) == (asked.number, asked.status, asked.segment)
            assert (contract.street, contract.house, contract.plan) == (asked.street, asked.house, asked.plan)
            assert (contract.neighbourhood, contract.city) == (asked.neighbourhood, asked.city)
            assert contract.access == asked.access
            assert (await value(erp.find_by_contract(asked.number))).document == wanted.document
            invoices = await value(erp.open_invoices(contract.id))
            opens = [(one.due_on, one.amount) for one in each.open_invoices]
            assert [(one.due_on, one.amount) for one in invoices] == opens
            for invoice, one in zip(invoices, [one for one in each.invoices if not one.paid], strict=True):
                payload = await value(erp.invoice_payload(invoice))
                assert (payload.line, payload.pix) == (one.payload.line, one.payload.pix)
            listed = await value(erp.list_tickets(contract.id))
            assert [one.subject for one in listed] == [one.subject for one in each.tickets]
            assert await value(erp.connection(contract)) == each.connection
            if each.optical == Optical():
                assert isinstance(await erp.optical(contract), Unsupported)
            else:
                assert await value(erp.optical(contract)) == each.optical


async def test_a_number_finds_everybody_who_has_it(local: LocalWorld) -> None:
    assert [each.name for each in await value(local.erp.find_by_phone("+551133331115"))] == [
        "Alzira Monteiro",
        "Tomás Monteiro",
    ]
    assert await value(local.erp.find_by_phone("+5511900000000")) == ()


@pytest.mark.parametrize("keys", ["39053344705", "", "0", "999999", "abc"])
async def test_nobody_is_an_answer(local: LocalWorld, keys: str) -> None:
    assert await value(local.erp.find_by_document(keys)) is None
    assert await value(local.erp.find_by_contract(keys)) is None
    assert await value(local.erp.list_contracts(keys)) == ()
    assert await value(local.erp.open_invoices(keys)) == ()


async def test_a_contract_number_may_be_keyed_without_signs_and_zeros(local: LocalWorld) -> None:
    async with local.sessions.begin() as session:
        await session.execute(
            text("UPDATE contract SET number = '2026/00-77', keys = '20260077' WHERE number = '100101'")
        )
        await session.execute(text("UPDATE contract SET number = '0042', keys = '42' WHERE number = '100102'"))
    assert (await value(local.erp.find_by_contract("20260077"))).name == "Helena Prado"
    assert (await value(local.erp.find_by_contract("42"))).name == "Otávio Nogueira"
    assert (await value(local.erp.find_by_contract("0042"))).name == "Otávio Nogueira"


async def test_two_contracts_with_the_same_keys_are_nobodys(local: LocalWorld) -> None:
    async with local.sessions.begin() as session:
        await session.execute(text("UPDATE contract SET number = '77-A', keys = '77' WHERE number = '100101'"))
        await session.execute(text("UPDATE contract SET number = '77-B', keys = '77' WHERE number = '100102'"))
    assert await value(local.erp.find_by_contract("77")) is None


async def test_coverage_and_plans_are_those_of_the_house(sessions: Sessions, settings: Settings) -> None:
    async with sessions.begin() as session:
        assert await demo.load_demo(session, settings)
    erp = LocalWorld(sessions, settings, Keyring.of(settings)).erp
    (served,) = await value(erp.coverage(neighbourhood="chacara flora"))
    assert (served.neighbourhood, served.city, served.status) == ("Chácara Flora", "Vale Verde", "planned")
    assert [each.neighbourhood for each in await value(erp.coverage(cep="13920-001"))] == ["Jardim das Palmeiras"]
    assert "Família 400 Mega" in [plan.name for plan in await value(erp.plans("Jardim das Palmeiras"))]
    assert (await value(erp.find_by_phone("+5511955550101")))[0].name == "Helena Prado"


async def test_what_the_house_does_elsewhere_is_unsupported(local: LocalWorld) -> None:
    contract, (invoice, *_) = await local.contract("overdue"), await local.invoices("overdue")
    replies = [
        await local.erp.send_invoice(invoice, SendChannel.SMS, "+5511955550103", key=make_id()),
        await local.erp.reboot_cpe(contract, key=make_id()),
        await local.erp.outages(contract),
        await local.erp.notify_attendant("101", "", ""),
    ]
    assert all(isinstance(reply, Unsupported) for reply in replies)


async def test_a_line_that_nobody_keeps_up_to_date_is_not_guessed(local: LocalWorld) -> None:
    async with local.sessions.begin() as session:
        await session.execute(text("UPDATE access SET session_state = NULL, rx_dbm = NULL, los = NULL"))
    contract = await local.contract("in_order")
    assert isinstance(await local.erp.connection(contract), Unsupported)
    assert isinstance(await local.erp.optical(contract), Unsupported)


# -- trust unlock


@pytest.mark.parametrize(
    ("story", "verdict"),
    [
        ("in_order", UnlockVerdict.NOT_BLOCKED),
        ("blocked", UnlockVerdict.ALLOWED),
        ("overdue", UnlockVerdict.NOT_BLOCKED),
        ("suspended", UnlockVerdict.BLOCKED_OTHER_REASON),
        ("unlock_used", UnlockVerdict.USED_THIS_PERIOD),
        ("old_debt", UnlockVerdict.POLICY_REFUSED),
        ("cancelled", UnlockVerdict.BLOCKED_OTHER_REASON),
    ],
)
async def test_who_may_be_unlocked(local: LocalWorld, story: str, verdict: UnlockVerdict) -> None:
    contract = await local.contract(story)
    assert (await value(local.erp.may_unlock(contract.id))).verdict is verdict
    wanted = UnlockVerdict.GRANTED if verdict is UnlockVerdict.ALLOWED else verdict
    assert (await value(local.erp.trust_unlock(contract.id, key=make_id()))).verdict is wanted


async def test_an_unlock_is_granted_once_whatever_is_tried_again(local: LocalWorld) -> None:
    contract, key = await local.contract("blocked"), make_id()
    first = await value(local.erp.trust_unlock(contract.id, key=key))
    again = await value(local.erp.trust_unlock(contract.id, key=key, again=True))
    other = await value(local.erp.trust_unlock(contract.id, key=make_id()))
    assert first == again
    assert (other.verdict, other.until) == (UnlockVerdict.ALREADY_ACTIVE, first.until)
    assert first.until.astimezone(local.settings.zone).isoformat() == "2026-11-26T23:59:59-03:00"
    assert (await local.contract("blocked")).status is ContractStatus.UNLOCKED


async def test_many_wishes_at_once_unlock_once(local: LocalWorld) -> None:
    contract = await local.contract("blocked")
    unlocks = await asyncio.gather(
        *(value(local.erp.trust_unlock(contract.id, key=make_id())) for _ in range(6)), return_exceptions=True
    )
    granted = [each for each in unlocks if not isinstance(each, Exception) and each.verdict is UnlockVerdict.GRANTED]
    assert len(granted) == 1
    async with local.sessions() as session:
        rows = await session.scalars(select(TrustUnlock).where(TrustUnlock.contract_ref == contract.id))
        assert len(rows.all()) == 1


async def test_an_unlock_ends_and_the_next_month_has_another(local: LocalWorld) -> None:
    contract = await local.contract("blocked")
    await local.erp.trust_unlock(contract.id, key=make_id())
    local.now = NOON + timedelta(days=4)
    assert (await local.contract("blocked")).status is ContractStatus.BLOCKED
    assert (await value(local.erp.may_unlock(contract.id))).verdict is UnlockVerdict.USED_THIS_PERIOD
    local.now = NOON + timedelta(days=9)  # December; the older debt has 50 days
    assert (await value(local.erp.may_unlock(contract.id))).verdict is UnlockVerdict.ALLOWED


async def test_an_unknown_contract_is_not_unlocked(local: LocalWorld) -> None:
    for contract_id in ("999999", "", "nonsense"):
        unlock = await value(local.erp.trust_unlock(contract_id, key=make_id()))
        assert unlock.verdict is UnlockVerdict.UNKNOWN_CONTRACT


# -- promise, dispute, tickets, leads


async def test_a_promise_is_made_once_and_inside_the_policy(local: LocalWorld) -> None:
    contract, key, friday = await local.contract("overdue"), make_id(), NOON.date() + timedelta(days=4)
    assert (await value(local.erp.promise(contract.id, friday, key=key))).accepted
    assert (await value(local.erp.promise(contract.id, friday, key=key, again=True))).accepted
    assert not (await value(local.erp.promise(contract.id, friday, key=make_id()))).accepted
    other = await local.contract("blocked")
    far = NOON.date() + timedelta(days=Policy().promise_days + 1)
    assert not (await value(local.erp.promise(other.id, far, key=make_id()))).accepted
    nothing_owed = await local.contract("suspended")
    assert not (await value(local.erp.promise(nothing_owed.id, friday, key=make_id()))).accepted


async def test_a_disputed_invoice_is_told_as_disputed(local: LocalWorld) -> None:
    contract, (first, *_) = await local.contract("overdue"), await local.invoices("overdue")
    row = {
        "id": make_id(),
        "source": "local",
        "contract_ref": contract.id,
        "invoice_ref": first.id,
        "ticket_id": None,
        "opened_at": NOON,
    }
    async with local.sessions.begin() as session:
        await billing.open_disputes(session, [row])
    assert [invoice.disputed for invoice in await local.invoices("overdue")] == [True, False]


async def open_in_erp(local: LocalWorld, contract_id: str, key: str, protocol: str = "263270000017") -> str:
    asking = local.erp.open_ticket(contract_id, subject="Sem sinal", text="LOS", protocol=protocol, key=key)
    reference: str = (await value(asking)).reference
    return reference


async def test_the_ticket_that_the_call_wrote_is_the_ticket(local: LocalWorld) -> None:
    contract, own, key = await local.contract("los"), make_id(), make_id()
    async with local.sessions.begin() as session:
        await tickets.open_ticket(
            session,
            ticket_id=own,
            protocol="263270000017",
            category=Category.SUPPORT,
            summary="Sem sinal",
            phone="",
            queue="l1",
            opened_by="flow",
            now=NOON,
        )
    assert await open_in_erp(local, contract.id, key) == own
    assert await open_in_erp(local, contract.id, key) == own
    assert [each.reference for each in await value(local.erp.list_tickets(contract.id))] == [own]
    second = await open_in_erp(local, contract.id, make_id())  # another matter of the same call
    assert second != own


async def test_a_ticket_of_its_own_is_opened_once_and_takes_notes(local: LocalWorld) -> None:
    contract, key, note = await local.contract("los"), make_id(), make_id()
    reference = await open_in_erp(local, contract.id, key, protocol="")
    assert await open_in_erp(local, contract.id, key, protocol="") == reference == key
    local.now = NOON + timedelta(minutes=1)
    for again in (False, True):
        await value(local.erp.add_note(reference, "Reiniciou", key=note, again=again))
    async with local.sessions() as session:
        ticket = await tickets.get_ticket(session, reference)
        assert [event.text for event in await tickets.list_events(session, ticket)] == ["Sem sinal\nLOS", "Reiniciou"]
    with pytest.raises(ErpUnavailable):
        await local.erp.add_note("nobody's", "x", key=make_id())


async def test_a_visit_is_for_the_second_level_and_says_when(local: LocalWorld) -> None:
    contract, key = await local.contract("los"), make_id()
    for again in (False, True):
        asking = local.erp.open_order(contract.id, subject="Visita", text="LOS", at=NOON, key=key, again=again)
        assert (await value(asking)).reference == key
    async with local.sessions() as session:
        ticket = await session.get_one(Ticket, key)
    assert (ticket.tier, ticket.contract_ref) == ("l2", contract.id)
    assert ticket.summary == "Visita\n23/11/2026 12:00\nLOS"


async def test_a_lead_is_kept_once(local: LocalWorld) -> None:
    key = make_id()
    wish = LeadWish("Joana", "+5511955550199", "Centro", "Vale Verde")
    for _ in range(2):
        assert (await value(local.erp.open_lead(wish, key=key))).reference == key
    async with local.sessions() as session:
        assert (await session.get_one(Lead, key)).phone == "+5511955550199"


# -- trouble


async def test_a_database_that_is_away_is_never_nobody(local: LocalWorld) -> None:
    contract = await local.contract("blocked")
    async with local.sessions.begin() as session:
        for table in ("trust_unlock", "invoice", "subscriber_phone"):
            await session.execute(text(f"DROP TABLE {table}"))
    with pytest.raises(ErpUnavailable) as reading:
        await local.erp.open_invoices(contract.id)
    with pytest.raises(ErpUnavailable):
        await local.erp.find_by_phone("+5511955550101")
    with pytest.raises(ErpUnavailable) as changing:
        await local.erp.trust_unlock(contract.id, key=make_id())
    assert not reading.value.maybe_done
    assert changing.value.maybe_done


async def test_a_document_that_cannot_be_opened_is_trouble_not_nobody(local: LocalWorld) -> None:
    local.keyring = Keyring(["another secret"])
    with pytest.raises(ErpUnavailable):
        await local.erp.find_by_phone("+5511955550101")
