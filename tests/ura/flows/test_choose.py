"""Finding the neighbourhood: by the list, by letters, by CEP, and every way it can fail."""

from typing import Any

import pytest

from tests.fakes import CITIES, NEIGHBOURHOODS
from tests.ura.flows.making import Talk, make_flow, menu
from ura.flows.effects import Collect, Lookup
from ura.flows.events import LookupDone, LookupFailed, NoInput

EDGES = ("covered", "planned", "none", "not_found", "failed")
CHOOSE = {"key": "choose", "type": "choose_neighbourhood", "on": {edge: edge for edge in EDGES}}
OF_THE_FIRST_CITY = [row for row in NEIGHBOURHOODS if row["city_id"] == 1]


def choosing(cities: list[Any] = CITIES, rows: list[Any] = OF_THE_FIRST_CITY) -> Talk:
    """In a call that has just heard the cities and, when there is one city, its neighbourhoods."""
    flow = make_flow(menu("main", k1="choose"), CHOOSE, *(menu(edge, k1="main") for edge in EDGES))
    talk = Talk(flow)
    assert talk.press("1") == Lookup("cities", {}, "system.one_moment")
    talk.hears(LookupDone("cities", {"cities": cities}))
    if len(cities) == 1:
        neighbourhoods(talk, rows)
    return talk


def neighbourhoods(talk: Talk, rows: list[Any]) -> None:
    assert talk.effect == Lookup("neighbourhoods", {"city_id": 1}, "system.one_moment")
    talk.hears(LookupDone("neighbourhoods", {"neighbourhoods": rows}))


ONE_CITY = CITIES[:1]


def test_the_city_is_asked_when_there_are_two() -> None:
    talk = choosing()
    assert talk.prompts == [
        "choose.city",
        "<name name.serra_azul>",
        "choose.press_1",
        "<name name.vale_verde>",
        "choose.press_2",
    ]
    talk.press("1")
    neighbourhoods(talk, OF_THE_FIRST_CITY)
    assert talk.prompts == ["choose.method"]


def test_a_list_is_read_in_pages_of_five_and_a_number_chooses() -> None:
    talk = choosing(ONE_CITY)
    talk.press("1")
    assert talk.prompts[0] == "choose.list"
    assert talk.prompts[-2:] == ["choose.more", "choose.not_listed"]
    assert len([p for p in talk.prompts if p.startswith("<name")]) == 5
    talk.press("6")
    assert len([p for p in talk.prompts if p.startswith("<name")]) == 3
    assert "choose.more" not in talk.prompts
    talk.press("2")
    assert talk.state.node == "covered"
    assert talk.state.facts["neighbourhood"]["id"] == 107
    assert talk.state.facts["city"]["id"] == 1


@pytest.mark.parametrize(("key", "edge"), [("1", "covered"), ("4", "planned")])
def test_the_edge_follows_the_status(key: str, edge: str) -> None:
    talk = choosing(ONE_CITY)
    talk.press("1", key)
    assert talk.state.node == edge


def test_a_status_nobody_knows_is_no_coverage() -> None:
    talk = choosing(ONE_CITY, [{"id": 1, "prompt": "name.x", "status": "?"}])
    talk.press("1")
    assert talk.state.node == "none"


def test_a_short_list_is_read_at_once() -> None:
    talk = choosing(ONE_CITY, OF_THE_FIRST_CITY[:3])
    assert talk.prompts[0] == "choose.list"


def test_a_neighbourhood_that_is_not_listed() -> None:
    talk = choosing(ONE_CITY)
    talk.press("1", "8")
    assert talk.state.node == "not_found"


def test_first_letters_find_it() -> None:
    talk = choosing(ONE_CITY)
    assert talk.press("2") == Collect(("choose.letters",), 6, 5.0)
    assert talk.press("224#") == Lookup("neighbourhoods_by_keys", {"city_id": 1, "keys": "224"}, "system.one_moment")
    talk.hears(LookupDone("neighbourhoods_by_keys", {"neighbourhoods": OF_THE_FIRST_CITY[3:4]}))
    assert talk.prompts == ["choose.list", "<name name.bairro_1_4>", "choose.press_1", "choose.not_listed"]
    talk.press("1")
    assert talk.state.node == "planned"


def test_letters_that_find_nothing_are_asked_again_and_then_it_is_not_found() -> None:
    talk = choosing(ONE_CITY)
    talk.press("2", "22")
    talk.hears(LookupDone("neighbourhoods_by_keys", {"neighbourhoods": []}))
    assert talk.prompts == ["choose.letters_none", "choose.letters.short"]
    talk.press("33")
    talk.hears(LookupDone("neighbourhoods_by_keys", {"neighbourhoods": []}))
    assert talk.state.node == "not_found"


@pytest.mark.parametrize("typed", ["2#", "2210", "22A"])
def test_keys_that_are_no_letters_are_wrong(typed: str) -> None:
    talk = choosing(ONE_CITY)
    talk.press("2", typed)
    assert talk.prompts == ["system.invalid", "choose.letters.short"]


def test_a_cep_finds_it() -> None:
    talk = choosing(ONE_CITY)
    assert talk.press("3") == Collect(("choose.cep",), 8, 5.0)
    talk.press("1400")
    assert talk.prompts == ["system.invalid", "choose.cep"]
    assert talk.press("14001001") == Lookup("neighbourhood_by_cep", {"cep": "14001001"}, "system.one_moment")
    talk.hears(LookupDone("neighbourhood_by_cep", {"neighbourhoods": OF_THE_FIRST_CITY[:1]}))
    talk.press("1")
    assert talk.state.node == "covered"


def test_a_cep_that_nobody_knows() -> None:
    talk = choosing(ONE_CITY)
    talk.press("3", "99999999")
    talk.hears(LookupDone("neighbourhood_by_cep", {"neighbourhoods": []}))
    assert talk.prompts == ["choose.cep_none", "choose.cep"]


def test_back_goes_one_question_back_inside_and_then_out() -> None:
    talk = choosing()
    talk.press("1")
    neighbourhoods(talk, OF_THE_FIRST_CITY)
    talk.press("1", "6", "*")
    assert "choose.more" in talk.prompts
    talk.press("*")
    assert talk.prompts == ["choose.method"]
    talk.press("2", "*")
    assert talk.prompts == ["choose.method"]
    talk.press("*")
    assert talk.prompts[0] == "choose.city"
    talk.press("*")
    assert talk.state.node == "main"


def test_many_cities_are_read_in_pages() -> None:
    talk = choosing([{"id": n, "prompt": f"name.c{n}"} for n in range(1, 8)])
    talk.press("6")
    assert talk.prompts[1] == "<name name.c6>"
    talk.press("*")
    assert talk.prompts[1] == "<name name.c1>"


def test_wrong_keys_lead_to_a_person() -> None:
    talk = choosing()
    assert talk.press("5") == Collect(("system.invalid", *talk.effect.prompts[1:]), 1, 5.0)
    talk.press("5")
    assert talk.state.node == "person"


def test_a_city_without_neighbourhoods() -> None:
    assert choosing(ONE_CITY, []).state.node == "not_found"


@pytest.mark.parametrize("rows", [None, "rubbish", [{"name": "no id"}, 7]])
def test_an_answer_that_cannot_be_read_is_not_taken_for_nothing_found(rows: Any) -> None:
    assert choosing(ONE_CITY, rows).state.node == "failed"


def test_no_city_at_all() -> None:
    assert choosing([]).state.node == "not_found"


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_lookup_that_fails_is_said(stage: int) -> None:
    flow = make_flow(CHOOSE, *(menu(edge, k1="choose") for edge in EDGES))
    talk = Talk(flow)
    if stage:
        talk.hears(LookupDone("cities", {"cities": ONE_CITY}))
    if stage > 1:
        neighbourhoods(talk, OF_THE_FIRST_CITY)
        talk.press(*(("2", "22") if stage == 2 else ("3", "14001001")))
    assert isinstance(talk.effect, Lookup)
    talk.hears(LookupFailed(talk.effect.name, "away"))
    assert talk.state.node == "failed"


def test_an_answer_to_another_question_asks_again() -> None:
    talk = Talk(make_flow(CHOOSE, *(menu(edge, k1="choose") for edge in EDGES)))
    lookup = talk.effect
    assert talk.hears(LookupDone("plans", {})) == lookup
    assert talk.hears(NoInput()) == lookup


def test_keys_pressed_while_waiting_answer_the_next_question() -> None:
    talk = Talk(make_flow(CHOOSE, *(menu(edge, k1="choose") for edge in EDGES)))
    talk.hears(LookupDone("cities", {"cities": CITIES}, digits="1"))
    assert talk.effect == Lookup("neighbourhoods", {"city_id": 1}, "system.one_moment")
