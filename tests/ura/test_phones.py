import pytest
from hypothesis import given
from hypothesis import strategies as st

from ura.phones import PhoneKind, kind, mask, to_e164


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("+5511987654321", "+5511987654321"),
        ("5511987654321", "+5511987654321"),
        ("011987654321", "+5511987654321"),
        ("01511987654321", "+5511987654321"),  # through carrier 15
        ("021 11 3333-0001", "+551133330001"),  # through carrier 21
        ("9011987654321", "+5511987654321"),  # a collect call
        ("11987654321", "+5511987654321"),
        ("(11) 98765-4321", "+5511987654321"),
        ("1133330001", "+551133330001"),
        ("551133330001", "+551133330001"),
        ("5532123456", "+555532123456"),  # area code 55 is not the country code
        ("08001234567", "+558001234567"),
        ("+12125550123", "+12125550123"),
        ("0012125550123", "+12125550123"),
        ("005511987654321", "+5511987654321"),
        ("tel:+5511987654321", "+5511987654321"),
        ("sip:+5511987654321@carrier.example", "+5511987654321"),
    ],
)
def test_a_number_is_understood_however_the_carrier_writes_it(raw: str, expected: str) -> None:
    assert to_e164(raw) == expected


@pytest.mark.parametrize("raw", ["1187654321", "551187654321", "+551187654321", "01187654321", "015 11 8765-4321"])
def test_a_mobile_from_before_the_ninth_digit_gets_it(raw: str) -> None:
    assert to_e164(raw) == "+5511987654321"


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "",
            "anonymous",
            "Restricted",
            "unknown",
            "190",
            "10315",
            "0",
            "0000000000",
            "+55",
            "+5500987654321",
            "9" * 60,
        ),
        *("1198765432x", "11 98765\r\n4321", "١١٩٨٧٦٥٤٣٢١", "+", "()", "+551198765432100"),
    ],
)
def test_what_nobody_can_ring_back_is_no_number(raw: str) -> None:
    assert to_e164(raw) == ""


def test_a_local_number_needs_the_area_code_of_the_house() -> None:
    assert to_e164("33330001") == ""
    assert to_e164("33330001", "11") == "+551133330001"
    assert to_e164("987654321", "11") == "+5511987654321"
    assert to_e164("87654321", "11") == "+5511987654321"


@given(st.text(max_size=60))
def test_any_garbage_gives_a_number_or_nothing(raw: str) -> None:
    found = to_e164(raw)
    assert found == "" or (found.startswith("+") and found[1:].isdigit() and to_e164(found) == found)


def test_the_kind_tells_who_can_get_a_message() -> None:
    assert kind("+5511987654321") is PhoneKind.MOBILE
    assert kind("+551133330001") is PhoneKind.LANDLINE
    assert kind("+558001234567") is PhoneKind.OTHER
    assert kind("12") is PhoneKind.OTHER
    assert kind("") is PhoneKind.HIDDEN


def test_a_log_gets_a_masked_number() -> None:
    assert mask("+5511987654321") == "+5511*****4321"
    assert mask("190") == "***"
    assert mask("") == "hidden"
