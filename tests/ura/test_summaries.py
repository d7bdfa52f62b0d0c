"""A ticket of the rescue is told in words."""

import re

import pytest

from ura import summaries
from ura.models import Ticket
from ura.settings import ROOT

REASONS = {
    why
    for file in (ROOT / "dialplan").glob("*.conf")
    for line in re.findall(r"Set\(URA_WHY=(.*)\)", file.read_text())
    for why in re.findall(r"(?<![\w\"])[a-z]+(?![\w\"])", re.sub(r"\$\{?\w*|\"[^\"]*\"", "", line))
}


def ticket(summary: str, phone: str = "+5511987654321") -> Ticket:
    return Ticket(summary=summary, phone=phone)


def test_every_reason_of_the_dialplan_has_its_words() -> None:
    assert {"down", "frozen", "lost", "loop", "timeout", "empty", "full", "key"} <= REASONS
    unknown = summaries.told(ticket("menu: "))
    for why in REASONS:
        assert summaries.told(ticket(f"menu: {why}")) != unknown, why


@pytest.mark.parametrize("mode", ["menu", "promise"])
@pytest.mark.parametrize("why", ["down", "timeout", "", "whatever-comes"])
def test_no_code_is_left(mode: str, why: str) -> None:
    told = summaries.told(ticket(f"{mode}: {why}"))
    assert mode not in told
    assert "{" not in told
    assert told.endswith(".")


def test_a_callback_is_asked_for_only_where_there_is_a_number() -> None:
    assert "ligar de volta" in summaries.told(ticket("promise: full"))
    assert "ligar de volta" not in summaries.told(ticket("promise: full", phone=""))


@pytest.mark.parametrize("text", ["Sem sinal desde ontem", "menu: down, e depois voltou", "", "Menu: down"])
def test_what_people_wrote_stays_as_it_is(text: str) -> None:
    assert summaries.told(ticket(text)) == text
