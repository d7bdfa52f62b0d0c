"""The demo's subscribers hold together: every local table and every ERP simulator is filled from them."""

import binascii
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from stdnum.br import cnpj, cpf

from ura import phones
from ura.demo import payments
from ura.demo.subscribers import DemoWorld, demo_world
from ura.erp import ContractStatus, Kind, SessionState
from ura.settings import ROOT

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


@pytest.fixture
def world() -> DemoWorld:
    return demo_world(NOW)


def test_every_story_is_there(world: DemoWorld) -> None:
    statuses = {each.story: each.contracts[0].contract.status for each in world.subscribers}
    assert statuses == {
        "in_order": ContractStatus.ACTIVE,
        "blocked": ContractStatus.BLOCKED,
        "overdue": ContractStatus.ACTIVE,
        "two_contracts": ContractStatus.ACTIVE,
        "outage": ContractStatus.ACTIVE,
        "los": ContractStatus.ACTIVE,
        "company": ContractStatus.ACTIVE,
        "company_letters": ContractStatus.ACTIVE,
        "suspended": ContractStatus.SUSPENDED,
        "unlock_used": ContractStatus.BLOCKED,
        "old_debt": ContractStatus.BLOCKED,
        "weak_signal": ContractStatus.ACTIVE,
        "open_ticket": ContractStatus.ACTIVE,
        "offline": ContractStatus.ACTIVE,
        "shared_phone": ContractStatus.ACTIVE,
        "cancelled": ContractStatus.CANCELLED,
    }


def test_documents_and_numbers_are_possible_ones(world: DemoWorld) -> None:
    for each in world.subscribers:
        one = each.subscriber
        assert (cpf if one.kind is Kind.PERSON else cnpj).is_valid(one.document)
        assert (one.birth_year is not None) == (one.kind is Kind.PERSON)
        assert all(phones.to_e164(phone) == phone for phone in one.phones)
        assert all(email.endswith(".example") for email in one.emails)


def test_ids_name_one_thing_each(world: DemoWorld) -> None:
    contracts = list(world.contracts())
    for ids in (
        [each.subscriber.id for each in world.subscribers],
        [each.subscriber.document for each in world.subscribers],
        [each.contract.id for each in contracts],
        [each.contract.number for each in contracts],
        [each.contract.access.login for each in contracts],
        [each.contract.access.onu for each in contracts],
        [each.invoice.id for contract in contracts for each in contract.invoices],
    ):
        assert len(set(ids)) == len(ids)
    by_phone = [phone for each in world.subscribers for phone in each.subscriber.phones]
    assert {phone for phone in by_phone if by_phone.count(phone) > 1} == {"+551133331115"}


def test_days_count_from_today(world: DemoWorld) -> None:
    due = [invoice.due_on for invoice in world.story("overdue").contracts[0].open_invoices]
    assert due == [date(2026, 11, 11), date(2026, 12, 11)]
    in_order = world.story("in_order").contracts[0]
    assert [invoice.id for invoice in in_order.open_invoices] == ["300102"]
    assert in_order.connection.state is SessionState.ONLINE
    assert in_order.connection.since is not None
    assert in_order.connection.since < NOW


@pytest.mark.parametrize("now", [NOW, datetime(2027, 2, 1, 0, 0, tzinfo=UTC)], ids=["mid_month", "first_moment"])
def test_the_used_unlock_lies_in_this_month_and_is_over(now: datetime) -> None:
    unlock = demo_world(now).story("unlock_used").contracts[0].unlock
    assert unlock is not None
    assert unlock.granted_at.strftime("%Y-%m") == now.strftime("%Y-%m")
    assert unlock.granted_at <= unlock.until <= now


def test_the_outage_touches_who_lives_there(world: DemoWorld) -> None:
    touched = world.story("outage").contracts[0].contract
    (outage,) = world.outages_of(touched.id)
    assert (outage.city, outage.neighbourhood) == (touched.city, touched.neighbourhood)
    assert (outage.olt, outage.pon) == (touched.access.olt, touched.access.pon)
    assert outage.began_at < NOW < outage.ends_at
    others = [one.contract for one in world.contracts() if one.contract.id != touched.id]
    assert not any((one.access.olt, one.access.pon) == (outage.olt, outage.pon) for one in others)


def test_lines_have_47_or_48_digits_and_pix_texts_their_crc(world: DemoWorld) -> None:
    for contract in world.contracts():
        for each in contract.invoices:
            assert len(each.payload.line) == (48 if each.invoice.id == "300801" else 47)
            assert each.payload.line.isascii()
            assert each.payload.line.isdigit()
            assert f"{binascii.crc_hqx(each.payload.pix[:-4].encode(), 0xFFFF):04X}" == each.payload.pix[-4:]


def test_a_line_as_a_bank_prints_it() -> None:
    """The amount and the day's factor stand at the end; 2025-02-22 is 1000 again, the day before was 9999."""
    line = payments.bank_line(bank="999", due_on=date(2025, 2, 22), amount=Decimal("99.90"), reference="1")
    assert line[33:] == "10000000009990"
    assert payments.bank_line(bank="999", due_on=date(2025, 2, 21), amount=Decimal(1), reference="1")[33:37] == "9999"


def test_a_published_line_is_made_the_same_way() -> None:
    """The example of Banco do Brasil's manual, 00190.50095 40144.816069 06809.350314 3 37370000000100 (2007-12-31)."""
    made = payments.bank_line(
        bank="001", due_on=date(2007, 12, 31), amount=Decimal("1.00"), reference="0500940144816060680935031"
    )
    assert made == "00190500954014481606906809350314337370000000100"


def test_the_page_tells_every_subscriber_as_the_demo_has_them(world: DemoWorld) -> None:
    """docs/demonstracao.md is what people dial by."""
    lines = (ROOT / "docs" / "demonstracao.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]
    told = {row[2]: row for row in rows}
    assert len(told) == len(world.subscribers)
    for each in world.subscribers:
        one = each.subscriber
        written = cpf.format(one.document) if one.kind is Kind.PERSON else cnpj.format(one.document)
        row = told[written]
        assert row[1] in one.name
        assert row[3] == str(one.birth_year or "–")
        numbers = [phones.to_e164(number) for number in row[4].split(",")]
        assert tuple(numbers) == one.phones
        for contract in each.contracts:
            assert f"{contract.contract.number}, {contract.contract.street}" in row[5]
