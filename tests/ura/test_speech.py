"""Values as a Brazilian says them."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from num2words import num2words

from ura import prompts, speech
from ura.errors import BadInput
from ura.settings import ROOT

PIECES = prompts.load_texts(ROOT / "prompts" / "pieces.yaml")
TODAY = dt.date(2026, 11, 22)  # a Sunday


def said(keys: list[str]) -> str:
    """What a caller hears: the pieces in a row. A breath is heard as a comma."""
    return " ".join(PIECES[key] for key in keys).replace(" {pausa 250}", ",")


def words(n: int) -> str:
    return str(num2words(n, lang="pt_BR")).replace(",", "")


@given(st.integers(0, 999_999))
@example(0)
@example(100)
@example(101)
@example(1000)
@example(1100)
@example(100_100)
@example(999_999)
def test_counts_are_the_words_that_num2words_knows(n: int) -> None:
    assert said(speech.count(n)) == words(n)


def test_every_count_below_ten_thousand_is_right() -> None:
    assert [said(speech.count(n)) for n in range(10_000)] == [words(n) for n in range(10_000)]


@pytest.mark.parametrize(
    ("n", "heard"),
    [
        (1_000_000, "um milhão"),
        (1_000_001, "um milhão e um"),
        (2_000_100, "dois milhões e cem"),
        (2_000_120, "dois milhões cento e vinte"),
        (3_500_000, "três milhões e quinhentos mil"),
        (1_001_001, "um milhão mil e um"),
        (
            999_999_999,
            "novecentos e noventa e nove milhões novecentos e noventa e nove mil novecentos e noventa e nove",
        ),
    ],
)
def test_millions(n: int, heard: str) -> None:
    assert said(speech.count(n)) == heard


@pytest.mark.parametrize(
    ("n", "heard"),
    [
        (0, "zero"),
        (1, "uma"),
        (2, "duas"),
        (12, "doze"),
        (22, "vinte e duas"),
        (101, "cento e uma"),
        (200, "duzentas"),
        (342, "trezentas e quarenta e duas"),
        (1002, "mil e duas"),
        (2000, "duas mil"),
        (200_000, "duzentas mil"),
        (2_000_001, "dois milhões e uma"),
    ],
)
def test_feminine_things_are_counted_in_the_feminine(n: int, heard: str) -> None:
    assert said(speech.count(n, feminine=True)) == heard


@pytest.mark.parametrize(
    ("amount", "heard"),
    [
        ("0.00", "zero reais"),
        ("0.01", "um centavo"),
        ("0.50", "cinquenta centavos"),
        ("1.00", "um real"),
        ("1.01", "um real e um centavo"),
        ("2.00", "dois reais"),
        ("99.90", "noventa e nove reais e noventa centavos"),
        ("100.00", "cem reais"),
        ("101.00", "cento e um reais"),
        ("129.90", "cento e vinte e nove reais e noventa centavos"),
        ("200.05", "duzentos reais e cinco centavos"),
        ("1000.01", "mil reais e um centavo"),
        ("1100.00", "mil e cem reais"),
        ("2500.00", "dois mil e quinhentos reais"),
        ("1000000.00", "um milhão de reais"),
        ("3000000.00", "três milhões de reais"),
        ("1000001.00", "um milhão e um reais"),
        ("129.9", "cento e vinte e nove reais e noventa centavos"),
    ],
)
def test_money_sounds_like_money(amount: str, heard: str) -> None:
    assert said(speech.render("money", amount)) == heard


@given(st.integers(0, 99_999_999))
def test_money_is_exact_to_the_cent(cents_in_all: int) -> None:
    heard = said(speech.money(Decimal(cents_in_all) / 100))
    reais, cents = divmod(cents_in_all, 100)
    parts = []
    if reais or not cents:
        parts.append(words(reais) + (" real" if reais == 1 else " reais"))
    if cents:
        parts.append(words(cents) + (" centavo" if cents == 1 else " centavos"))
    assert heard == " e ".join(parts)


@pytest.mark.parametrize("wrong", ["-1.00", "0.001", "NaN", "Infinity", "dez", "", None, "1000000000.00"])
def test_an_amount_that_is_none_is_refused_and_never_rounded(wrong: str | None) -> None:
    with pytest.raises(BadInput):
        speech.render("money", wrong)


@pytest.mark.parametrize(
    ("day", "heard"),
    [
        ("2026-12-31", "trinta e um de dezembro"),
        ("2026-01-01", "primeiro de janeiro"),
        ("2027-03-02", "dois de março de dois mil e vinte e sete"),
        ("1999-12-01", "primeiro de dezembro de mil novecentos e noventa e nove"),
    ],
)
def test_dates_speak_the_year_only_when_it_is_another(day: str, heard: str) -> None:
    assert said(speech.render("date", day, today=TODAY)) == heard


def test_without_today_the_year_is_always_spoken() -> None:
    assert said(speech.render("date", "2026-11-22")) == "vinte e dois de novembro de dois mil e vinte e seis"


@pytest.mark.parametrize(
    ("at", "heard"),
    [
        ("00:00", "meia-noite"),
        ("00:05", "meia-noite e cinco"),
        ("01:00", "uma hora"),
        ("02:30", "duas e trinta"),
        ("08:00", "oito horas"),
        ("08:05", "oito e cinco"),
        ("12:00", "meio-dia"),
        ("12:45", "meio-dia e quarenta e cinco"),
        ("18:15:59", "dezoito e quinze"),
        ("21:00", "vinte e uma horas"),
        ("22:10", "vinte e duas e dez"),
    ],
)
def test_hours_are_feminine_and_noon_has_a_name(at: str, heard: str) -> None:
    assert said(speech.render("time", at)) == heard


@pytest.mark.parametrize(
    ("at", "heard"),
    [
        ("2026-11-22T18:00", "hoje, às dezoito horas"),
        ("2026-11-23T08:00", "amanhã, às oito horas"),
        ("2026-11-24T01:00", "na terça-feira, à uma hora"),
        ("2026-11-28T12:00", "no sábado, ao meio-dia"),
        ("2026-11-29T00:00", "no dia vinte e nove de novembro, à meia-noite"),
        ("2027-01-01T13:30", "no dia primeiro de janeiro de dois mil e vinte e sete, às treze horas e trinta"),
        ("2026-11-21T08:00", "no dia vinte e um de novembro, às oito horas"),
    ],
)
def test_moments_are_said_as_people_say_them(at: str, heard: str) -> None:
    assert said(speech.render("moment", at, today=TODAY)) == heard


def test_a_moment_without_today_is_a_full_date() -> None:
    heard = said(speech.render("moment", "2026-11-22T18:00"))
    assert heard == "no dia vinte e dois de novembro de dois mil e vinte e seis, às dezoito horas"


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("7", "sete"),
        ("2026", "dois zero dois seis"),
        ("01310100", "zero um três, um zero um, zero zero"),
        ("01310-100", "zero um três um zero, um zero zero"),
        ("1155551", "um um cinco, cinco cinco cinco um"),
        ("1234567890", "um dois três, quatro cinco seis, sete oito nove zero"),
        ("(11) 93333-0002", "um um, nove três três três três, zero zero zero dois"),
    ],
)
def test_digits_come_in_groups_with_a_breath(text: str, heard: str) -> None:
    assert said(speech.render("digits", text)) == heard


def test_six_can_be_half_a_dozen() -> None:
    assert said(speech.digits("606", half=True)) == "meia zero meia"
    assert said(speech.render("digits", "16", half=True)) == "um meia"
    assert said(speech.render("protocol", "261326", half=True)) == "dois meia um, três dois meia"
    assert said(speech.render("count", 6, half=True)) == "seis", "only digit by digit"


def test_a_protocol_is_dictated_three_by_three() -> None:
    heard = said(speech.render("protocol", "261326000017"))
    assert heard == "dois seis um, três dois seis, zero zero zero, zero um sete"


@pytest.mark.parametrize("kind", ["digits", "protocol"])
@pytest.mark.parametrize("wrong", ["", " ", "12a", "١٢", "-"])
def test_what_is_no_digit_is_refused(kind: str, wrong: str) -> None:
    with pytest.raises(BadInput):
        speech.render(kind, wrong)


def test_lists_end_with_and() -> None:
    assert speech.render("list", []) == []
    assert speech.render("list", ["a"]) == ["a"]
    assert speech.render("list", ["a", "b"]) == ["a", "and", "b"]
    assert speech.render("list", ["a", "b", "c"]) == ["a", speech.BREATH, "b", "and", "c"]


@pytest.mark.parametrize(
    ("mbps", "heard"),
    [
        (50, "cinquenta mega"),
        (300, "trezentos mega"),
        (1000, "um giga"),
        (1500, "um giga e meio"),
        (2000, "dois giga"),
        (1200, "mil e duzentos mega"),
    ],
)
def test_speeds_are_said_as_they_are_sold(mbps: int, heard: str) -> None:
    assert said(speech.render("speed", mbps)) == heard


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("speed", 0),
        ("count", -1),
        ("count", speech.LARGEST + 1),
        ("count", "many"),
        ("date", "31/12/2026"),
        ("time", "25:00"),
        ("moment", None),
        ("list", None),
        ("weather", "sun"),
    ],
)
def test_a_value_that_is_not_of_its_kind_is_bad_input(kind: str, wrong: object) -> None:
    with pytest.raises(BadInput):
        speech.render(kind, wrong)


@dataclass(frozen=True)
class Spoken:
    kind: str
    value: Any
    feminine: bool = False


def test_the_conductor_hands_over_what_the_flow_wants_spoken() -> None:
    assert speech.prompt_keys(Spoken("count", 2, True), today=TODAY) == ["number.f.2"]
    assert speech.prompt_keys(Spoken("name", "name.0123456789abcdef"), today=TODAY) == ["name.0123456789abcdef"]
    assert speech.prompt_keys(Spoken("name", ""), today=TODAY) == []
    assert said(speech.prompt_keys(Spoken("moment", "2026-11-23T08:00"), today=TODAY)) == "amanhã, às oito horas"


@given(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, speech.LARGEST)),
        st.tuples(st.just("money"), st.decimals(0, speech.LARGEST, places=2).map(str)),
        st.tuples(st.just("date"), st.dates().map(str)),
        st.tuples(st.just("time"), st.times().map(str)),
        st.tuples(st.just("moment"), st.datetimes().map(str)),
        st.tuples(st.just("digits"), st.text("0123456789", min_size=1, max_size=30)),
        st.tuples(st.just("protocol"), st.text("0123456789", min_size=1, max_size=12)),
        st.tuples(st.just("speed"), st.integers(1, 100_000)),
    ),
    st.booleans(),
    st.none() | st.dates(),
)
def test_every_key_that_is_spoken_has_a_piece(value: tuple[str, Any], feminine: bool, today: dt.date | None) -> None:
    keys = speech.render(*value, feminine, today=today)
    assert keys
    assert [key for key in keys if key not in PIECES] == []
