"""What is printed on the demo's invoices: lines and PIX texts with the right check digits, that nobody can pay.

The bank code is none that exists and the PIX key lies in a domain that cannot exist (RFC 2606), so a line that somebody
does type into a bank's app is refused there.
"""

import binascii
from datetime import date, timedelta
from decimal import Decimal

# FEBRABAN: days from here, in four digits; 9999 was 2025-02-21, and on 2025-02-22 it began again at 1000.
FACTOR_EPOCH = date(1997, 10, 7)
FACTOR_RESTARTED = date(2025, 2, 22)


def bank_line(*, bank: str, due_on: date, amount: Decimal, reference: str) -> str:
    """47 digits of a bank's boleto. `reference`: digits, at most 25, put into the free field."""
    start, free = f"{bank}9", reference.zfill(25)
    tail = f"{_factor(due_on):04d}{_cents(amount):010d}"
    first, second, third = start + free[:5], free[5:15], free[15:]
    general = _mod11(start + tail + free)
    return first + _mod10(first) + second + _mod10(second) + third + _mod10(third) + general + tail


def collection_line(*, amount: Decimal, reference: str) -> str:
    """48 digits of a bill of a utility: 8, segment 4 (telecommunications), 6 (an amount in reais, modulo 10)."""
    rest = f"{_cents(amount):011d}9999{reference.zfill(25)}"
    code = "846" + _mod10("846" + rest) + rest
    blocks = [code[at : at + 11] for at in range(0, 44, 11)]
    return "".join(block + _mod10(block) for block in blocks)


def pix_text(*, key: str, name: str, city: str, amount: Decimal, reference: str) -> str:
    """Copy-and-paste text of a static PIX (Bacen, Manual do BR Code: EMV fields and a CRC-16)."""
    account = _field("00", "br.gov.bcb.pix") + _field("01", key)
    text = (
        _field("00", "01")
        + _field("26", account)
        + _field("52", "0000")
        + _field("53", "986")
        + _field("54", f"{amount:.2f}")
        + _field("58", "BR")
        + _field("59", name[:25])
        + _field("60", city[:15])
        + _field("62", _field("05", reference[:25]))
        + "6304"
    )
    return f"{text}{binascii.crc_hqx(text.encode(), 0xFFFF):04X}"


def _factor(due_on: date) -> int:
    restarted = due_on >= FACTOR_RESTARTED
    return 1000 + (due_on - FACTOR_RESTARTED) // timedelta(days=1) if restarted else (due_on - FACTOR_EPOCH).days


def _cents(amount: Decimal) -> int:
    return int(amount * 100)


def _field(number: str, value: str) -> str:
    return f"{number}{len(value):02d}{value}"


def _mod10(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        product = int(digit) * (1 if place % 2 else 2)
        total += product // 10 + product % 10
    return str(-total % 10)


def _mod11(digits: str) -> str:
    """Of the bar code: weights 2 to 9 from the right; 0, 10 and 11 become 1."""
    total = sum(int(digit) * (2 + place % 8) for place, digit in enumerate(reversed(digits)))
    check = 11 - total % 11
    return str(check if check <= 9 else 1)
