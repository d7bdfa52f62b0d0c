"""No PIX text is sent that a bank's app would refuse."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ura import pix
from ura.demo.payments import pix_text
from ura.pix import BadPix

# Bacen, Manual de Padrões para Iniciação do Pix: the example of a static code.
MANUAL = (
    "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-426655440000"
    "5204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D"
)
NAMES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ ", min_size=1, max_size=25)


def test_the_example_of_the_manual_is_read() -> None:
    found = pix.parse(MANUAL)
    assert (found.key, found.payee) == ("123e4567-e12b-12d1-a456-426655440000", "Fulano de Tal")
    assert found.amount is None
    assert pix.crc(MANUAL[:-4]) == "1D3D"


@given(amount=st.decimals(Decimal("0.01"), Decimal("99999.99"), places=2), name=NAMES, reference=st.integers(1, 10**20))
def test_what_was_written_is_read(amount: Decimal, name: str, reference: int) -> None:
    text = pix_text(key="pix@provedor.example", name=name, city="Vale Verde", amount=amount, reference=str(reference))
    found = pix.parse(f" {text}\n")
    assert (found.text, found.amount, found.key, found.payee) == (text, amount, "pix@provedor.example", name)


@given(at=st.integers(0, len(MANUAL) - 1), letter=st.characters(codec="ascii", categories=["L", "N"]))
def test_one_wrong_character_is_noticed(at: int, letter: str) -> None:
    spoilt = MANUAL[:at] + letter + MANUAL[at + 1 :]
    if spoilt.upper() == MANUAL.upper() and at >= len(MANUAL) - 4:
        return  # the check sum's letters may be small
    if spoilt != MANUAL:
        with pytest.raises(BadPix):
            pix.parse(spoilt)


@given(text=st.text(max_size=600))
def test_anything_else_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(BadPix) as refused:
        pix.parse(text)
    assert len(text) < 20 or text not in refused.value.message


def dynamic(**changed: str) -> str:
    """A code whose amount the bank is asked for, with fields changed or, by "", left out."""
    url = "pix.banco.example/v2/9d36b84f"
    fields = {
        "00": "01",
        "26": f"0014br.gov.bcb.pix25{len(url):02d}{url}",
        "52": "0000",
        "53": "986",
        "58": "BR",
        "59": "PROVEDOR",
        "60": "VALE VERDE",
        **{name.removeprefix("f"): value for name, value in changed.items()},
    }
    text = "".join(f"{number}{len(value):02d}{value}" for number, value in fields.items() if value) + "6304"
    return text + pix.crc(text)


def test_a_dynamic_code_names_an_address() -> None:
    assert pix.parse(dynamic()).url == "pix.banco.example/v2/9d36b84f"


@pytest.mark.parametrize(
    "changed",
    [
        {"f53": "840"},
        {"f58": "US"},
        {"f00": "02"},
        {"f26": ""},
        {"f26": "0014br.gov.bcb.pix"},
        {"f26": "0003abc0101x"},
        {"f54": "mil"},
        {"f54": "-1.00"},
        {"f54": "Infinity"},
    ],
)
def test_what_is_no_payable_pix_is_refused_though_its_sum_is_right(changed: dict[str, str]) -> None:
    with pytest.raises(BadPix):
        pix.parse(dynamic(**changed))
