"""Is this copy-and-paste text a PIX that a bank's app will take? (Bacen, Manual de Padrões para Iniciação do Pix:
EMV fields, number-length-value, and a CRC-16/CCITT-FALSE at the end.)"""

import binascii
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from ura.errors import BadInput

LONGEST = 512
GUI = "br.gov.bcb.pix"
ACCOUNTS = range(26, 52)
REAL, BRAZIL = "986", "BR"


class BadPix(BadInput):
    """Must not be sent."""

    code = "bad-pix"


@dataclass(frozen=True, slots=True)
class Pix:
    """`amount` None: the payer fills it in, or the bank asks `url` for it. Either `key` or `url` is there."""

    text: str = field(repr=False)
    key: str = field(repr=False)
    url: str = field(repr=False)
    amount: Decimal | None
    payee: str


def parse(text: str) -> Pix:
    """Raises BadPix, which says what is wrong and never shows the text."""
    text = text.strip()
    if not 20 <= len(text) <= LONGEST:
        raise BadPix(f"a PIX text has 20 to {LONGEST} characters, this one has {len(text)}")
    fields = _fields(text)
    if text[-8:-4] != "6304" or crc(text[:-4]) != text[-4:].upper():
        raise BadPix("the check sum of the PIX text is wrong")
    if fields.get("00") != "01" or fields.get("53") != REAL or fields.get("58") != BRAZIL:
        raise BadPix("this is no PIX in reais")
    account = _account(fields)
    if not (account.get("01") or account.get("25")):
        raise BadPix("the PIX text names neither a key nor an address")
    return Pix(text, account.get("01", ""), account.get("25", ""), _amount(fields.get("54")), fields.get("59", ""))


def crc(text: str) -> str:
    return f"{binascii.crc_hqx(text.encode(), 0xFFFF):04X}"


def _fields(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        number, length = text[at : at + 2], text[at + 2 : at + 4]
        if not (number.isascii() and number.isdigit() and length.isascii() and length.isdigit()):
            raise BadPix("the PIX text is cut, or has characters of something else in it")
        end = at + 4 + int(length)
        if end > len(text) or number in found:
            raise BadPix("the PIX text is cut, or has a field twice")
        found[number] = text[at + 4 : end]
        at = end
    return found


def _account(fields: dict[str, str]) -> dict[str, str]:
    for number in ACCOUNTS:
        inner = fields.get(str(number))
        if inner is not None and (account := _fields(inner)).get("00", "").lower() == GUI:
            return account
    raise BadPix("the PIX text has no field of the Banco Central")


def _amount(value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise BadPix("the PIX text's amount is no number") from error
    if not amount.is_finite() or amount < 0:
        raise BadPix("the PIX text's amount is no amount")
    return amount or None
