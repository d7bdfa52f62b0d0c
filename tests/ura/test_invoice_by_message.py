"""An invoice goes to an address that was registered, with what was checked at the moment it goes."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pypdfium2
import pytest

from tests.factories import NOON
from ura import contacts, invoice_copies, invoice_documents
from ura.demo.subscribers import DemoInvoice, DemoSubscriber, demo_world
from ura.erp import Answer, SendChannel, Unsupported
from ura.errors import BadInput

WORLD = demo_world(NOON)
TODAY = NOON.date()
EVERY = list(SendChannel)


@dataclass
class ProviderSystem:
    """What is asked of an Erp here, answered from one of the demo's people."""

    who: DemoSubscriber
    invoices: tuple[DemoInvoice, ...] = ()

    async def list_contracts(self, subscriber_id: str) -> Any:
        return Answer(tuple(each.contract for each in self.who.contracts), "demo", NOON)

    async def find_by_contract(self, number: str) -> Any:
        return Answer(self.who.subscriber, "demo", NOON)

    async def open_invoices(self, contract_id: str) -> Any:
        return Answer(tuple(each.invoice for each in self.invoices if not each.paid), "demo", NOON)

    async def invoice_payload(self, invoice: Any) -> Any:
        return Answer(next(each.payload for each in self.invoices if each.invoice == invoice), "demo", NOON)


def system(**changes: Any) -> Any:
    who = WORLD.story("overdue")
    return ProviderSystem(replace(who, subscriber=replace(who.subscriber, **changes)), who.contracts[0].invoices)


def contact(channel: SendChannel, tail: str) -> dict[str, str]:
    who = WORLD.story("overdue")
    return {
        "subscriber_id": who.subscriber.id,
        "contract_id": who.contracts[0].contract.id,
        "channel": channel.value,
        "tail": tail,
    }


def wanted() -> tuple[DemoInvoice, dict[str, Any]]:
    overdue = next(each for each in WORLD.story("overdue").contracts[0].invoices if not each.paid)
    return overdue, {"contract_id": overdue.invoice.contract_id, "invoice_id": overdue.invoice.id}


def test_a_caller_is_offered_what_is_registered_told_by_its_end() -> None:
    assert contacts.targets(WORLD.story("overdue").subscriber, EVERY) == [
        {"channel": "sms", "tail": "0103"},
        {"channel": "whatsapp", "tail": "0103"},
        {"channel": "email", "tail": ""},
    ]
    assert contacts.targets(WORLD.story("overdue").subscriber, [SendChannel.EMAIL]) == [
        {"channel": "email", "tail": ""}
    ]


def test_what_cannot_be_written_to_is_not_offered() -> None:
    nobody = system(phones=("+551133331103",), emails=("não tem",)).who.subscriber
    assert contacts.targets(nobody, EVERY) == []


@pytest.mark.parametrize(
    ("channel", "tail", "address"),
    [
        (SendChannel.SMS, "0103", "+5511955550103"),
        (SendChannel.WHATSAPP, "0103", "+5511955550103"),
        (SendChannel.EMAIL, "", "celia.andrade@casa.example"),
    ],
)
async def test_the_chosen_contact_is_found_again(channel: SendChannel, tail: str, address: str) -> None:
    assert await contacts.find_address(system(), contact(channel, tail)) == address


@pytest.mark.parametrize(
    ("phones", "why"),
    [
        (("+5511955559999",), "it was changed meanwhile"),
        (("+5511955550103", "+5521955550103"), "two end alike: neither is the one that was confirmed for sure"),
    ],
)
async def test_a_contact_that_is_not_surely_the_confirmed_one_gets_nothing(phones: tuple[str, ...], why: str) -> None:
    with pytest.raises(BadInput):
        await contacts.find_address(system(phones=phones), contact(SendChannel.SMS, "0103"))


async def test_somebody_elses_contract_leads_to_no_address() -> None:
    with pytest.raises(BadInput):
        await contacts.find_address(system(), {**contact(SendChannel.SMS, "0103"), "subscriber_id": "9999"})
    with pytest.raises(BadInput):
        await contacts.find_address(system(), {**contact(SendChannel.SMS, "0103"), "contract_id": "9999"})


async def test_the_copy_has_the_line_and_the_pix_that_a_bank_takes() -> None:
    overdue, which = wanted()
    copy = await invoice_copies.find_copy(system(), which, today=TODAY)
    assert (copy.amount, copy.due_on) == (overdue.invoice.amount, overdue.invoice.due_on)
    assert len(copy.line) == 47
    assert copy.pix.startswith("000201")
    assert (copy.link, copy.pdf) == ("", b"")


async def test_the_oldest_that_is_open_then_goes_out_where_none_could_be_chosen() -> None:
    overdue, which = wanted()
    newer = replace(
        overdue, invoice=replace(overdue.invoice, id="newer", due_on=overdue.invoice.due_on + timedelta(days=31))
    )
    disputed = replace(overdue, invoice=replace(overdue.invoice, id="disputed", due_on=date(2026, 1, 5), disputed=True))
    erp = replace(system(), invoices=(newer, disputed, overdue))
    copy = await invoice_copies.find_copy(erp, {**which, "invoice_id": invoice_copies.OLDEST}, today=TODAY)
    assert copy.due_on == overdue.invoice.due_on
    nothing_open = replace(system(), invoices=())
    with pytest.raises(BadInput):
        await invoice_copies.find_copy(nothing_open, {**which, "invoice_id": invoice_copies.OLDEST}, today=TODAY)


async def test_a_system_without_documents_gets_one_made_here_and_a_document_of_its_own_stays() -> None:
    overdue, which = wanted()
    which |= {"contact": contact(SendChannel.EMAIL, "")}
    copy = await invoice_copies.find_copy(system(), which, today=TODAY)
    made = await invoice_documents.with_document(copy, system(), which, payee="Vale Verde Internet", today=TODAY)
    assert replace(made, pdf=b"") == copy
    text = pypdfium2.PdfDocument(made.pdf)[0].get_textpage().get_text_range()
    for said in ("Vale Verde Internet", "Célia Andrade", "100103", f"{overdue.invoice.due_on:%d/%m/%Y}"):
        assert said in text
    theirs = replace(copy, pdf=b"%PDF-theirs")
    assert await invoice_documents.with_document(theirs, system(), which, payee="", today=TODAY) == theirs


async def test_what_a_bank_would_refuse_is_left_out_and_nothing_at_all_is_not_sent() -> None:
    overdue, which = wanted()
    erp = system()

    def changed(**payload: Any) -> Any:
        spoiled = replace(overdue, payload=replace(overdue.payload, **payload))
        return replace(erp, invoices=(spoiled,))

    wrong_line = overdue.payload.line[:-1] + str((int(overdue.payload.line[-1]) + 1) % 10)
    wrong_line = wrong_line[:4] + str((int(wrong_line[4]) + 1) % 10) + wrong_line[5:]
    copy = await invoice_copies.find_copy(changed(line=wrong_line), which, today=TODAY)
    assert (copy.line, bool(copy.pix)) == ("", True)
    copy = await invoice_copies.find_copy(changed(pix=overdue.payload.pix[:-1]), which, today=TODAY)
    assert (copy.pix, bool(copy.line)) == ("", True)
    copy = await invoice_copies.find_copy(changed(link="javascript:alert(1)", pdf=b"<html>"), which, today=TODAY)
    assert (copy.link, copy.pdf) == ("", b"")
    with pytest.raises(BadInput):
        await invoice_copies.find_copy(changed(line="", pix="", link="http://x", pdf=b""), which, today=TODAY)


async def test_what_was_paid_meanwhile_is_not_sent() -> None:
    overdue, which = wanted()
    paid = replace(system(), invoices=(replace(overdue, paid=True),))
    with pytest.raises(BadInput):
        await invoice_copies.find_copy(paid, which, today=TODAY + timedelta(days=1))


async def test_a_system_that_cannot_say_has_nothing_to_send() -> None:
    erp = system()
    erp.open_invoices = lambda _: _unsupported()
    with pytest.raises(BadInput):
        await invoice_copies.find_copy(erp, wanted()[1], today=TODAY)


async def _unsupported() -> Unsupported:
    return Unsupported("demo", "open_invoices")
