"""No line is spoken or sent that a bank would refuse."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ura import boleto
from ura.boleto import BadLine
from ura.demo.payments import bank_line, collection_line

TODAY = date(2026, 11, 22)
BANCO_DO_BRASIL = "00190500954014481606906809350314337370000000100"  # printed in the bank's own documentation
DAYS = st.dates(date(2024, 1, 1), date(2035, 1, 1))
AMOUNTS = st.decimals(Decimal("0.01"), Decimal("99999.99"), places=2)
REFERENCES = st.integers(0, 10**24).map(str)


def test_a_line_that_a_bank_printed_is_read() -> None:
    found = boleto.parse(BANCO_DO_BRASIL, today=date(2008, 1, 1))
    assert found.barcode == "00193373700000001000500940144816060680935031"
    assert (found.amount, found.due_on) == (Decimal("1.00"), date(2007, 12, 31))


@given(due_on=DAYS, amount=AMOUNTS, reference=REFERENCES, days_ago=st.integers(-400, 400))
def test_what_was_put_in_comes_out(due_on: date, amount: Decimal, reference: str, days_ago: int) -> None:
    line = bank_line(bank="999", due_on=due_on, amount=amount, reference=reference)
    found = boleto.parse(line, today=due_on + timedelta(days=days_ago))
    assert (found.line, found.amount, found.due_on) == (line, amount, due_on)
    assert len(found.barcode) == 44


@given(amount=AMOUNTS, reference=REFERENCES)
def test_a_bill_of_48_digits_has_an_amount_and_no_date(amount: Decimal, reference: str) -> None:
    line = collection_line(amount=amount, reference=reference)
    found = boleto.parse(line, today=TODAY)
    assert (found.amount, found.due_on, len(found.barcode)) == (amount, None, 44)


@given(at=st.integers(0, 46), by=st.integers(1, 9), due_on=DAYS, amount=AMOUNTS, reference=REFERENCES)
def test_one_wrong_digit_of_a_bank_line_is_noticed(
    at: int, by: int, due_on: date, amount: Decimal, reference: str
) -> None:
    line = bank_line(bank="999", due_on=due_on, amount=amount, reference=reference)
    spoilt = line[:at] + str((int(line[at]) + by) % 10) + line[at + 1 :]
    # Modulo 11 gives 0, 10 and 11 as the digit 1, and cannot tell those apart.
    assume(at <= 32 or line[32] != "1")
    with pytest.raises(BadLine):
        boleto.parse(spoilt, today=TODAY)


@given(at=st.integers(0, 47), by=st.integers(1, 9), amount=AMOUNTS, reference=REFERENCES)
def test_one_wrong_digit_of_a_bill_is_noticed(at: int, by: int, amount: Decimal, reference: str) -> None:
    line = collection_line(amount=amount, reference=reference)
    with pytest.raises(BadLine):
        boleto.parse(line[:at] + str((int(line[at]) + by) % 10) + line[at + 1 :], today=TODAY)


@pytest.mark.parametrize(
    ("due_on", "today"),
    [
        (date(2025, 2, 21), date(2025, 2, 1)),
        (date(2025, 2, 22), date(2025, 2, 1)),
        (date(2025, 2, 22), date(2027, 2, 1)),
        (date(2024, 12, 31), date(2025, 6, 1)),
    ],
)
def test_the_due_date_is_right_on_both_sides_of_the_restart(due_on: date, today: date) -> None:
    line = bank_line(bank="999", due_on=due_on, amount=Decimal("99.90"), reference="1")
    assert boleto.parse(line, today=today).due_on == due_on


def test_dots_blanks_and_what_cannot_be_a_line() -> None:
    line = bank_line(bank="999", due_on=TODAY, amount=Decimal("99.90"), reference="1")
    written = f"{line[:5]}.{line[5:10]} {line[10:]}"
    assert boleto.parse(written, today=TODAY).line == line
    for bad in ("", "1" * 47, "8" + "0" * 46, line + "1", "٣" * 47, line[:-1] + "x"):
        with pytest.raises(BadLine) as refused:
            boleto.parse(bad, today=TODAY)
        assert line[:20] not in refused.value.message


@given(line=st.text("0123456789", min_size=47, max_size=48))
def test_groups_are_the_whole_line_and_short_enough_for_the_ear(line: str) -> None:
    found = boleto.groups(line)
    assert "".join(found) == line
    assert all(1 <= len(group) <= 6 for group in found)
