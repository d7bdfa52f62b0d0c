"""The page can be paid from: its bar code and its PIX code are read back with a scanner's library."""

from datetime import date
from decimal import Decimal

import pypdfium2
import pytest
import zxingcpp

from ura import boleto, invoice_pdf, pix
from ura.demo.payments import bank_line, collection_line, pix_text
from ura.invoice_pdf import SecondCopy

DUE = date(2026, 12, 10)
AMOUNT = Decimal("1119.90")
PIX = pix.parse(pix_text(key="pix@provedor.example", name="PROVEDOR", city="VALE VERDE", amount=AMOUNT, reference="3"))
LINES = {
    "bank": bank_line(bank="999", due_on=DUE, amount=AMOUNT, reference="42"),
    "utility": collection_line(amount=AMOUNT, reference="42"),
}


def the_page(line: str, *, payer: str = "João Conceição") -> bytes:
    paid = boleto.parse(line, today=DUE)
    return invoice_pdf.make(SecondCopy("Vale Verde Internet", payer, "100103", DUE, AMOUNT, paid, PIX))


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_the_codes_on_the_page_can_be_scanned(line: str) -> None:
    document = pypdfium2.PdfDocument(the_page(line))
    assert len(document) == 1
    image = document[0].render(scale=300 / 72).to_pil()
    read = {found.format.name: found.text for found in zxingcpp.read_barcodes(image)}
    assert read == {"ITF": boleto.parse(line, today=DUE).barcode, "QRCode": PIX.text}


def test_a_person_can_read_it() -> None:
    text = pypdfium2.PdfDocument(the_page(LINES["bank"]))[0].get_textpage().get_text_range()
    for said in ("João Conceição", "10/12/2026", "R$ 1.119,90", " ".join(boleto.groups(LINES["bank"]))):
        assert said in text
    assert PIX.text in text.replace("\r\n", "")


def test_the_same_invoice_is_the_same_file_and_an_odd_letter_costs_nothing() -> None:
    assert the_page(LINES["bank"]) == the_page(LINES["bank"])
    assert the_page(LINES["bank"], payer="Łukasz 🙂").startswith(b"%PDF")
