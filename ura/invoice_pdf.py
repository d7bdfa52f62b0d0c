"""The second copy of an invoice as one A4 page: what to pay, until when, the bar code and the PIX code.

For invoices of our own tables; an ERP makes its own.
"""

import io
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path

import segno
import yaml
from fpdf import FPDF
from fpdf.enums import WrapMode, XPos, YPos

from ura import boleto, messages
from ura.boleto import Boleto
from ura.pix import Pix

MARGIN_MM, WIDTH_MM = 18, 174
BAR_WIDTH_MM, BAR_HEIGHT_MM = 103, 13  # FEBRABAN's size of the code
NARROW_BARS = 405  # of 44 digits in Interleaved 2 of 5: 22 pairs of 18, four to start, five to stop
QR_MM = 48
FONT = "helvetica"  # in every PDF reader, and it has Portuguese letters


@dataclass(frozen=True, slots=True)
class SecondCopy:
    """`boleto` and `pix` were checked; None for what there is not."""

    payee: str
    payer: str = field(repr=False)
    contract: str
    due_on: date
    amount: Decimal
    boleto: Boleto | None
    pix: Pix | None


@cache
def _words() -> dict[str, str]:
    words: dict[str, str] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return words


def make(copy: SecondCopy) -> bytes:
    """The PDF. The same invoice always gives the same bytes."""
    page = FPDF(format="A4")
    page.set_creation_date(datetime.combine(copy.due_on, time(), UTC))
    page.set_margin(MARGIN_MM)
    page.set_title(_words()["title"])
    page.set_lang("pt-BR")
    page.add_page()
    _line(page, _words()["title"], size=18, bold=True, after_mm=4)
    for name, value in (
        ("payee", copy.payee),
        ("payer", copy.payer),
        ("contract", copy.contract),
        ("due_on", f"{copy.due_on:%d/%m/%Y}"),
        ("amount", messages.reais(copy.amount)),
    ):
        _fact(page, _words()[name], value)
    if copy.boleto is not None:
        _boleto(page, copy.boleto)
    if copy.pix is not None:
        _pix(page, copy.pix)
    return bytes(page.output())


def _boleto(page: FPDF, paid: Boleto) -> None:
    page.ln(6)
    _line(page, _words()["line"], size=11, bold=True)
    _line(page, " ".join(boleto.groups(paid.line)), size=13, after_mm=2)
    page.interleaved2of5(
        paid.barcode, x=MARGIN_MM, y=page.get_y() + 2, w=3 * BAR_WIDTH_MM / NARROW_BARS, h=BAR_HEIGHT_MM
    )
    page.set_y(page.get_y() + BAR_HEIGHT_MM + 6)


def _pix(page: FPDF, pix: Pix) -> None:
    page.ln(4)
    _line(page, _words()["pix"], size=11, bold=True)
    _line(page, _words()["pix_how"], size=10, after_mm=2)
    image = io.BytesIO()
    segno.make_qr(pix.text, error="m").save(image, kind="png", scale=8, border=4)
    page.image(image, x=MARGIN_MM, w=QR_MM, h=QR_MM)
    page.ln(2)
    page.set_font("courier", size=9)
    page.multi_cell(WIDTH_MM, 4.5, pix.text, wrapmode=WrapMode.CHAR)


def _fact(page: FPDF, name: str, value: str) -> None:
    page.set_font(FONT, style="B", size=10)
    page.cell(40, 7, name)
    page.set_font(FONT, size=11)
    page.multi_cell(WIDTH_MM - 40, 7, _printable(value), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _line(page: FPDF, text: str, *, size: int, bold: bool = False, after_mm: float = 0) -> None:
    page.set_font(FONT, style="B" if bold else "", size=size)
    page.multi_cell(WIDTH_MM, size * 0.5, _printable(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(after_mm)


def _printable(text: str) -> str:
    """The built-in fonts know Latin-1 only; one odd letter in a name must not cost the second copy."""
    return text.encode("latin-1", "replace").decode("latin-1")
