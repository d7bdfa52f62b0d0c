"""A link opens what it was made for, for seven days, and tells nobody anything by itself."""

import base64
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON, later
from ura import gsm7
from ura.crypto import Keyring
from ura.invoice_links import PATH, VALID_FOR, InvoiceLinks
from ura.second_copies import Limit

ID = "0123456789abcdef" * 2
LINKS = InvoiceLinks(Keyring(["a secret of the tests"]), "https://ura.example/")


def token(links: InvoiceLinks = LINKS) -> str:
    return links.make(ID, NOON).rpartition("/")[2]


def test_it_is_short_says_nothing_of_anybody_and_needs_no_dear_alphabet() -> None:
    link = LINKS.make(ID, NOON)
    assert link.startswith("https://ura.example" + PATH)
    assert len(token()) == 48
    assert gsm7.BASIC.issuperset(link)
    raw = base64.urlsafe_b64decode(token())
    assert raw[:16].hex() == ID
    assert int.from_bytes(raw[16:20]) == (NOON + VALID_FOR).timestamp()


def test_it_opens_until_its_end_and_not_from_it_on() -> None:
    assert LINKS.find_message_id(token(), NOON) == ID
    assert LINKS.find_message_id(token(), NOON + VALID_FOR - timedelta(seconds=1)) == ID
    assert LINKS.find_message_id(token(), NOON + VALID_FOR) is None


def test_it_outlives_a_change_of_the_secret_and_no_other_secret_makes_one() -> None:
    after = InvoiceLinks(Keyring(["the new one", "a secret of the tests"]), "https://ura.example")
    assert after.find_message_id(token(), NOON) == ID
    assert InvoiceLinks(Keyring(["another"]), "https://ura.example").find_message_id(token(), NOON) is None


@given(st.integers(0, 35), st.integers(1, 255))
def test_no_bit_of_it_can_be_changed(at: int, by: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(token()))
    raw[at] ^= by
    assert LINKS.find_message_id(base64.urlsafe_b64encode(raw).decode(), NOON) is None


@given(st.text(max_size=80))
def test_what_is_no_link_is_none(text: str) -> None:
    assert LINKS.find_message_id(text, NOON) is None


@pytest.mark.parametrize("spoilt", [token()[:-4], token() + "AAAA", token() + "=", " " + token(), ""])
def test_half_a_link_is_none(spoilt: str) -> None:
    assert LINKS.find_message_id(spoilt, NOON) is None


def test_a_limit_counts_each_key_by_itself_and_forgets() -> None:
    limit = Limit(2, timedelta(minutes=10), remembered=2)
    assert [limit.take("a", later(seconds)) for seconds in (0, 1, 2)] == [True, True, False]
    assert limit.take("b", later(3))
    assert limit.take("a", later(601)), "the first two are ten minutes old"
    assert limit.take("c", later(602))  # one key too many: "b", not seen longest, is forgotten
    assert [limit.take("a", later(seconds)) for seconds in (603, 604)] == [True, False]
