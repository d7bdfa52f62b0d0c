"""Is this line of a boleto one that a bank will take? What does it say, and how is it read aloud?

FEBRABAN: 47 digits of a bank's boleto (three fields with modulo 10, then the bar code's general digit, modulo 11), 48
of a utility's bill (four blocks; the general digit is the fourth of the bar code). The due date is days from 1997-10-07
in four digits; after 9999, on 2025-02-22, it began again at 1000.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from pydantic_brasil.boleto import BoletoBancario
from pydantic_brasil.exceptions import BoletoInvalidError

from ura.errors import BadInput

FACTOR_EPOCH, FACTOR_RESTARTED = date(1997, 10, 7), date(2025, 2, 22)
FIRST_FACTOR = 1000
BANK_GROUPS = (5, 5, 5, 6, 5, 6, 1, 4, 5, 5)  # as printed, and never more than six at once for the ear
BILL_GROUPS = (4,) * 12


class BadLine(BadInput):
    """Must be neither spoken nor sent."""

    code = "bad-boleto-line"


@dataclass(frozen=True, slots=True)
class Boleto:
    """`amount` and `due_on` are None where the line leaves them open."""

    line: str = field(repr=False)
    barcode: str = field(repr=False)
    amount: Decimal | None
    due_on: date | None


def parse(text: str, *, today: date) -> Boleto:
    """`text`: the line, with or without dots and blanks. `today` tells which turn of the due dates is meant.

    Raises BadLine, which says what is wrong and never shows the line.
    """
    line = re.sub(r"[\s.\-]", "", text)
    if not (line.isascii() and line.isdigit() and len(line) in (47, 48)):
        raise BadLine(f"a boleto's line has 47 or 48 digits, this one has {len(line)} characters")
    if (len(line) == 48) != line.startswith("8"):
        raise BadLine("48 digits begin with 8, and only they do")
    try:
        known = BoletoBancario(line)
    except BoletoInvalidError as error:
        raise BadLine("a check digit of the line is wrong") from error
    barcode = known.codigo_barras
    if known.is_arrecadacao:
        return _bill(line, barcode)
    cents, factor = int(barcode[9:19]), int(barcode[5:9])
    return Boleto(line, barcode, Decimal(cents) / 100 if cents else None, _due(factor, today))


def _bill(line: str, barcode: str) -> Boleto:
    """The library checks the blocks; the general digit of a utility's bill it leaves alone."""
    check = BoletoBancario._modulo10 if barcode[2] in "67" else BoletoBancario._modulo11_arrecadacao
    if check(barcode[:3] + barcode[4:]) != int(barcode[3]):
        raise BadLine("the general check digit of the line is wrong")
    cents = int(barcode[4:15]) if barcode[2] in "68" else 0  # 7 and 9: a quantity, not an amount
    return Boleto(line, barcode, Decimal(cents) / 100 if cents else None, None)


def _due(factor: int, today: date) -> date | None:
    if not factor:
        return None
    first = FACTOR_EPOCH + timedelta(days=factor)
    second = FACTOR_RESTARTED + timedelta(days=factor - FIRST_FACTOR)
    return min(first, second, key=lambda day: abs(day - today))


def groups(line: str) -> list[str]:
    """The digits as they are read aloud and keyed into a bank's app."""
    sizes = BANK_GROUPS if len(line) == 47 else BILL_GROUPS
    return list(_cut(line, sizes))


def _cut(line: str, sizes: tuple[int, ...]) -> Iterator[str]:
    at = 0
    for size in sizes:
        yield line[at : at + size]
        at += size
