import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sms import septets
from ura import gsm7


def test_the_alphabet_is_the_one_of_the_standard() -> None:
    """3GPP TS 23.038, 6.2.1: 128 places, of which one leads to the second table."""
    assert len(gsm7.BASIC) == 127
    assert not gsm7.BASIC & gsm7.EXTENDED


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("Instalação grátis às três", "Instalacao gratis às tres"),
        ("“Promoção” – só hoje…", '"Promocao" - so hoje...'),
        ("1ª via, nº 2", "1a via, no 2"),
        ("ÓTIMO Ç é à ñ ü", "OTIMO Ç é à ñ ü"),
        ("日本", "日本"),
    ],
)
def test_words_stay_readable_without_the_signs_that_cost_double(written: str, sent: str) -> None:
    assert gsm7.plain(written) == sent


@pytest.mark.parametrize(("text", "places"), [("", 0), ("abc", 3), ("a[b]", 6), ("€ 5", 4), ("não", None), ("às", 2)])
def test_places_are_counted_as_the_network_does(text: str, places: int | None) -> None:
    assert septets(text) == places


@given(st.text())
def test_making_it_plain_twice_changes_nothing_more(text: str) -> None:
    assert gsm7.plain(gsm7.plain(text)) == gsm7.plain(text)
