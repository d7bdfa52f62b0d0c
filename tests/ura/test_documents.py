"""CPF and CNPJ, for every document there can be (hypothesis), and for the ways people write and mistype them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ura import documents, logs
from ura.documents import BadDocument, Fault

DIGITS = string.digits
LETTERS_TOO = string.digits + string.ascii_uppercase


def cpf_digits(base: str) -> str:
    """The rule as Receita Federal writes it down, apart from the library's."""
    for weights in (range(10, 1, -1), range(11, 1, -1)):
        rest = sum(int(digit) * weight for digit, weight in zip(base, weights, strict=True)) % 11
        base += str(0 if rest < 2 else 11 - rest)
    return base


def cnpj_digits(base: str) -> str:
    """The same for a CNPJ; letters count as their ASCII code less 48 (IN RFB 2.229/2024)."""
    for length in (12, 13):
        weights = [2 + place % 8 for place in range(length)][::-1]
        rest = sum((ord(sign) - 48) * weight for sign, weight in zip(base, weights, strict=True)) % 11
        base += str(0 if rest < 2 else 11 - rest)
    return base


def unlike(base: str) -> bool:
    return len(set(base)) > 1


cpfs = st.text(DIGITS, min_size=9, max_size=9).filter(unlike).map(cpf_digits)
cnpjs = st.text(DIGITS, min_size=12, max_size=12).filter(lambda base: int(base) > 0 and unlike(base)).map(cnpj_digits)
letter_cnpjs = (
    st.text(LETTERS_TOO, min_size=12, max_size=12)
    .filter(lambda base: not base.isdigit() and unlike(base))
    .map(cnpj_digits)
)


@given(cpfs)
def test_every_cpf_is_read_as_people_write_it(cpf: str) -> None:
    assert documents.parse(cpf) == cpf
    assert documents.parse(f" {cpf[:3]}.{cpf[3:6]}.{cpf[6:9]}-{cpf[9:]} ") == cpf
    assert documents.keyed(cpf) == cpf
    assert not documents.is_company(cpf)


@given(cnpjs | letter_cnpjs)
def test_every_cnpj_is_read_as_people_write_it(cnpj: str) -> None:
    written = f"{cnpj[:2]}.{cnpj[2:5]}.{cnpj[5:8]}/{cnpj[8:12]}-{cnpj[12:]}"
    assert documents.parse(written) == cnpj
    assert documents.parse(written.lower().replace("-", "–")) == cnpj
    assert documents.keyed(cnpj) == (cnpj if cnpj.isdigit() else Fault.CHARACTERS)
    assert documents.is_company(cnpj)


@given(cpfs | cnpjs, st.data())
def test_one_wrong_key_is_always_noticed(document: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(document) - 1))
    other = data.draw(st.sampled_from([digit for digit in DIGITS if digit != document[place]]))
    wrong = document[:place] + other + document[place + 1 :]
    # Modulo 11 with 10 made 0 lets some single mistakes in the base pass; never one in the second check digit.
    if place == len(document) - 1 or documents.keyed(wrong) != wrong:
        assert documents.keyed(wrong) in (Fault.CHECK_DIGITS, Fault.REPEATED)
    else:
        assert cpf_digits(wrong[:9]) == wrong or cnpj_digits(wrong[:12]) == wrong


@given(st.text(DIGITS, max_size=20))
def test_keys_are_a_document_only_when_the_rule_says_so(keys: str) -> None:
    match len(keys):
        case 0:
            assert documents.keyed(keys) is Fault.EMPTY
        case 11 if unlike(keys):
            assert documents.keyed(keys) == (keys if cpf_digits(keys[:9]) == keys else Fault.CHECK_DIGITS)
        case 14 if unlike(keys) and int(keys[:12]):
            assert documents.keyed(keys) == (keys if cnpj_digits(keys[:12]) == keys else Fault.CHECK_DIGITS)
        case 11 | 14:
            assert isinstance(documents.keyed(keys), Fault)
        case _:
            assert documents.keyed(keys) is Fault.LENGTH


@given(cpfs | cnpjs | letter_cnpjs)
def test_a_mask_gives_the_document_back_to_nobody_and_stays_as_it_is_in_a_log(document: str) -> None:
    masked = documents.mask(document)
    assert document not in masked
    assert document[:3] not in masked.replace(".", "")[:3]
    assert masked.count("*") >= 5
    assert logs.redact(masked) == masked


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("", Fault.EMPTY),
        ("1234567890", Fault.LENGTH),
        ("123456789012", Fault.LENGTH),
        ("11111111111", Fault.REPEATED),
        ("00000000000", Fault.REPEATED),
        ("12345678900", Fault.CHECK_DIGITS),
        ("11222333000180", Fault.CHECK_DIGITS),
        ("1234567890*", Fault.CHARACTERS),
        ("١٢٣٤٥٦٧٨٩٠٩", Fault.CHARACTERS),
    ],
)
def test_what_is_refused_and_why(keys: str, fault: Fault) -> None:
    assert documents.keyed(keys) is fault
    with pytest.raises(BadDocument) as refused:
        documents.parse(keys)
    assert refused.value.fault is fault
    assert not keys or keys not in str(refused.value)


def test_the_masks_of_the_house() -> None:
    assert documents.mask("12345678909") == "***.456.789-**"
    assert documents.mask("11222333000181") == "**.***.333/0001-**"
    assert documents.mask("123") == "***"
