"""Who is calling: each way in, each way out, and nothing that was keyed left anywhere."""

import json
from typing import Any

import pytest

from tests.ura.flows.making import Talk, make_flow, menu, say
from ura.flows.effects import Collect, Lookup
from ura.flows.events import LookupDone, LookupFailed, Started
from ura.privacy import Level

Json = Any
EDGES = {"identified": "known", "declined": "declined", "missed": "missed", "failed": "down"}
CPF = "12345678909"


def contract(number: int, **more: Json) -> dict[str, Json]:
    row = {"id": f"c{number}", "number_tail": f"00{number}", "street_prompt": f"name.rua_{number}"}
    return (
        row | {"neighbourhood_prompt": "name.centro", "status": "active", "segment": "home", "source": "local"} | more
    )


def people(*contracts: dict[str, Json], **more: Json) -> dict[str, Json]:
    subscriber = {"id": "s1", "kind": "person", "can_verify": True} | more
    return {"subscriber": subscriber, "contracts": list(contracts) or [contract(1)]}


NOBODY: dict[str, Json] = {"subscriber": None, "contracts": []}


def asked(level: str = "number", **facts: Json) -> Talk:
    """At `identify`, by way of a menu; `known` leads back to it, so that a second passage can be seen."""
    flow = make_flow(
        menu("main", k1="who", k2="again"),
        {"key": "who", "type": "identify", "level": level, "on": EDGES},
        {"key": "again", "type": "identify", "level": "verified", "on": EDGES},
        menu("known", k1="who", k2="again"),
        *(say(key, "main") for key in ("declined", "missed", "down")),
    )
    talk = Talk(flow, **facts)
    talk.press("1")
    return talk


def found(talk: Talk, result: dict[str, Json]) -> Talk:
    assert isinstance(talk.effect, Lookup)
    talk.hears(LookupDone(talk.effect.name, result))
    return talk


def keyed(talk: Talk, key: str = "1", digits: str = CPF) -> Talk:
    """From the question how, to the lookup."""
    talk.press(key, digits)
    return talk


# -- by the caller's number


def test_the_callers_number_is_confirmed_by_the_street_alone() -> None:
    talk = asked()
    assert talk.effect == Lookup(
        "who_calls", {"caller": "+5516999990000"}, "system.one_moment", "system.still_looking", 8.0
    )
    found(talk, people())
    assert talk.prompts == ["identify.street", "<name name.rua_1>", "identify.street_keys"]
    talk.press("1")
    assert talk.state.node == "known"
    assert talk.state.facts["subscriber"] == {
        "id": "s1", "kind": "person", "can_verify": True, "level": "number", "contracts": 1,
    }  # fmt: skip
    assert talk.state.facts["contract"] == contract(1)


def test_once_known_the_caller_is_not_asked_again() -> None:
    talk = found(asked(), people())
    talk.press("1", "1")
    assert talk.state.node == "known"
    assert isinstance(talk.effect, Collect)


@pytest.mark.parametrize("result", [NOBODY, {"subscriber": {"id": "s1"}, "contracts": []}])
def test_a_number_that_nobody_has_leads_to_the_keys(result: dict[str, Json]) -> None:
    assert found(asked(), result).prompts == ["identify.how"]


def test_a_hidden_number_is_not_looked_up() -> None:
    assert asked(caller="").prompts == ["identify.how"]


def test_who_rings_about_another_contract_is_asked_for_a_document_and_the_street_never_again() -> None:
    talk = found(asked(), people())
    talk.press("2")
    assert talk.prompts == ["identify.how"]
    talk.press("4")
    assert talk.prompts == ["say.declined"]
    talk.played()
    talk.press("1")
    assert talk.prompts == ["identify.how"]


def test_several_contracts_of_the_number_are_listed_by_street_and_neighbourhood() -> None:
    talk = found(asked(), people(contract(1), contract(2)))
    assert talk.prompts == [
        "identify.which",
        "<name name.rua_1>", "<name name.centro>", "choose.press_1",
        "<name name.rua_2>", "<name name.centro>", "choose.press_2",
        "identify.other",
    ]  # fmt: skip
    talk.press("2")
    assert talk.state.facts["contract"]["id"] == "c2"
    assert talk.state.facts["subscriber"]["level"] == "number"


def test_none_of_the_numbers_contracts_leads_to_the_keys() -> None:
    assert found(asked(), people(contract(1), contract(2))).press("8")
    talk = found(asked(), people(contract(1), contract(2)))
    talk.press("7", "8")
    assert talk.prompts == ["identify.how"]


def test_many_contracts_come_in_pages_and_back_leads_to_the_former() -> None:
    talk = found(asked(), people(*(contract(n) for n in range(1, 8))))
    assert "choose.more" in talk.prompts
    talk.press("6")
    assert "<name name.rua_6>" in talk.prompts
    assert "choose.more" not in talk.prompts
    talk.press("*")
    assert "<name name.rua_1>" in talk.prompts
    talk.press("6", "2")
    assert talk.state.facts["contract"]["id"] == "c7"


def test_streets_that_cannot_be_spoken_are_told_apart_by_neighbourhood_or_the_end_of_the_number() -> None:
    mute = {"street_prompt": "", "neighbourhood_prompt": ""}
    assert found(asked(), people(contract(1, street_prompt=""))).prompts[1] == "<name name.centro>"
    assert found(asked(), people(contract(1, **mute))).prompts[1:3] == ["identify.tail", "<digits 001>"]
    twins = people(contract(1), contract(2, street_prompt="name.rua_1"))
    assert found(asked(), twins).prompts[1:5] == [
        "<name name.rua_1>", "<name name.centro>", "identify.tail", "<digits 001>",
    ]  # fmt: skip


# -- by keys


def test_a_document_is_eleven_keys_and_goes_nowhere_but_into_the_question() -> None:
    talk = found(asked(), NOBODY)
    talk.press("1")
    assert talk.effect == Collect(("identify.cpf",), 11, 8.0)
    talk.press(CPF)
    assert talk.effect == Lookup(
        "find_subscriber",
        {"by": "cpf", "digits": CPF, "caller": "+5516999990000"},
        "system.one_moment",
        "system.still_looking",
        8.0,
    )
    found(talk, people())
    assert talk.state.facts["subscriber"]["level"] == Level.DOCUMENT
    assert CPF not in json.dumps(talk.state.to_json())


@pytest.mark.parametrize(("key", "prompt", "digits"), [("2", "identify.cnpj", 14), ("3", "identify.contract", 15)])
def test_companies_and_contract_numbers_are_keyed_too(key: str, prompt: str, digits: int) -> None:
    talk = found(asked(), NOBODY)
    talk.press(key)
    assert talk.effect == Collect((prompt,), digits, 8.0)
    talk.press("*")
    assert talk.prompts == ["identify.how"]


def test_a_document_typed_ahead_is_neither_saved_nor_lost() -> None:
    talk = found(asked(), NOBODY)
    talk.press("112345")
    assert isinstance(talk.effect, Collect)
    assert (talk.effect.given, talk.effect.max_digits) == ("12345", 6)
    assert "12345" not in json.dumps(talk.state.to_json())
    talk.press("678909")
    assert isinstance(talk.effect, Lookup)
    assert talk.effect.args["digits"] == CPF


def test_another_process_that_takes_over_while_we_ask_puts_the_question_again() -> None:
    talk = keyed(found(asked(), NOBODY))
    talk.hears(Started())
    assert talk.prompts == ["identify.cpf"]
    talk.press(CPF)
    found(talk, people())
    assert talk.state.node == "known"


def test_two_contracts_of_a_document_are_asked_which() -> None:
    talk = found(keyed(found(asked(), NOBODY)), people(contract(1), contract(2)))
    assert talk.prompts[0] == "identify.which"
    assert talk.press("7")
    talk.press("1")
    assert talk.state.facts["contract"]["id"] == "c1"
    assert talk.state.facts["subscriber"]["level"] == "document"


def test_none_of_a_documents_contracts_finds_a_person() -> None:
    talk = found(keyed(found(asked(), NOBODY)), people(contract(1), contract(2)))
    assert talk.press("8")
    assert talk.prompts == ["say.missed"]


def test_a_former_customer_finds_a_person() -> None:
    talk = found(keyed(found(asked(), NOBODY)), {"subscriber": {"id": "s1"}, "contracts": []})
    assert talk.prompts == ["say.missed"]


# -- misses


@pytest.mark.parametrize("digits", ["12345678900", "1234567890", "00000000000", "123A"])
def test_unknown_and_malformed_sound_the_same_and_after_two_a_person_comes(digits: str) -> None:
    talk = found(keyed(found(asked(), NOBODY), digits=digits), NOBODY)
    assert talk.prompts == ["identify.not_found", "identify.how"]
    found(keyed(talk, digits=digits), NOBODY)
    assert talk.prompts == ["say.missed"]
    assert digits not in json.dumps(talk.state.to_json())


def test_misses_count_for_the_whole_call() -> None:
    talk = found(keyed(found(asked(), NOBODY)), NOBODY)
    talk.press("4")
    talk.played()
    talk.press("1")
    found(talk, NOBODY)
    found(keyed(talk), NOBODY)
    assert talk.prompts == ["say.missed"]
    talk.played()
    talk.press("1")
    found(talk, NOBODY)
    assert talk.prompts == ["say.missed"]


def test_a_number_that_tried_too_often_goes_to_a_person_at_once() -> None:
    talk = found(keyed(found(asked(), NOBODY)), NOBODY | {"locked": True})
    assert talk.prompts == ["say.missed"]


@pytest.mark.parametrize("unreadable", [{}, {"subscriber": {"id": "s1"}, "contracts": [{"id": ""}]}, {"contracts": 7}])
def test_an_answer_that_cannot_be_read_is_no_nobody(unreadable: dict[str, Json]) -> None:
    assert found(asked(), unreadable).prompts == ["say.down"]
    assert found(keyed(found(asked(), NOBODY)), unreadable).prompts == ["say.down"]


def test_a_system_that_is_away_is_said() -> None:
    talk = asked()
    talk.hears(LookupFailed("who_calls", "x"))
    assert talk.prompts == ["say.down"]
    talk = keyed(found(asked(), NOBODY))
    talk.hears(LookupFailed("find_subscriber", "x"))
    assert talk.prompts == ["say.down"]


def test_silence_and_four_go_on_without_a_name() -> None:
    talk = found(asked(), NOBODY)
    talk.press("4")
    assert talk.prompts == ["say.declined"]
    talk = found(asked(), people())
    talk.silence(2)
    assert talk.prompts == ["say.declined"]


def test_wrong_keys_find_the_person_not_a_hang_up() -> None:
    talk = found(asked(), NOBODY)
    talk.press("7", "7")
    assert talk.prompts == ["say.missed"]


@pytest.mark.parametrize("steps", [[], ["1"], ["1", "123"]])
def test_nine_is_a_person_before_every_question(steps: list[str]) -> None:
    talk = found(asked(), NOBODY)
    talk.press(*steps[:1])
    talk.press("9")
    assert talk.state.node == "person"


def test_nine_while_the_system_is_slow_is_a_person() -> None:
    talk = asked()
    talk.hears(LookupFailed("who_calls", "key", "9"))
    assert talk.state.node == "person"


# -- the second factor


def verifying() -> Talk:
    return found(keyed(asked("verified")), people())


def test_a_document_and_a_factor_verify() -> None:
    talk = verifying()
    assert talk.effect == Collect(("identify.factor",), 4, 8.0)
    talk.press("1984")
    assert talk.effect == Lookup(
        "check_factor",
        {"subscriber_id": "s1", "digits": "1984", "caller": "+5516999990000"},
        "system.one_moment",
        "system.still_looking",
        8.0,
    )
    found(talk, {"right": True})
    assert talk.state.facts["subscriber"]["level"] == "verified"
    assert "1984" not in json.dumps(talk.state.to_json())


def test_a_company_is_asked_for_a_telephone() -> None:
    talk = found(keyed(asked("verified")), people(kind="company"))
    assert talk.prompts == ["identify.factor_company"]


def test_two_wrong_factors_find_a_person_and_the_document_still_counts() -> None:
    talk = verifying()
    talk.press("0001")
    found(talk, {"right": False})
    assert talk.prompts == ["identify.factor_wrong", "identify.factor"]
    talk.press("0002")
    found(talk, {"right": False})
    assert talk.prompts == ["say.missed"]
    assert talk.state.facts["subscriber"]["level"] == "document"
    talk.played()
    talk.press("2")
    assert talk.prompts == ["say.missed"]


def test_a_factor_that_cannot_be_looked_up_is_said() -> None:
    talk = verifying()
    talk.press("1984")
    talk.hears(LookupFailed("check_factor", "x"))
    assert talk.prompts == ["say.down"]


def test_who_has_no_second_factor_is_not_asked_for_one() -> None:
    assert found(keyed(asked("verified")), people(can_verify=False)).prompts == ["say.missed"]


def test_the_factor_question_is_put_again_after_a_take_over() -> None:
    talk = verifying()
    talk.press("1984")
    talk.hears(Started())
    assert talk.prompts == ["identify.factor"]


def test_a_contracts_number_opens_nothing_without_the_factor() -> None:
    talk = found(keyed(found(asked(), NOBODY), "3", "100109#"), people(kind="company"))
    assert "subscriber" not in talk.state.facts
    assert talk.prompts == ["identify.factor_company"]
    talk.press("0108")
    found(talk, {"right": True})
    assert talk.state.facts["subscriber"]["level"] == "verified"


def test_who_is_known_by_number_is_asked_for_what_is_missing_only_and_keeps_the_contract() -> None:
    talk = found(asked(), people(contract(1), contract(2)))
    talk.press("2", "2")
    assert talk.prompts == ["identify.cpf"]
    talk.press(CPF)
    found(talk, people(contract(1), contract(2)))
    assert talk.prompts == ["identify.factor"]
    talk.press("1984")
    found(talk, {"right": True})
    assert talk.state.node == "known"
    assert talk.state.facts["contract"]["id"] == "c2"


def test_a_company_known_by_number_and_who_goes_back_say_by_what_to_search() -> None:
    talk = found(asked(), people(kind="company"))
    talk.press("1", "2")
    assert talk.prompts == ["identify.how"]
    talk = found(asked(), people())
    talk.press("1", "2", "*")
    assert talk.prompts == ["identify.how"]


def test_who_is_known_by_document_is_asked_for_the_factor_only() -> None:
    talk = found(keyed(found(asked(), NOBODY)), people())
    talk.press("2")
    assert talk.prompts == ["identify.factor"]


def test_another_document_forgets_what_was_known_of_the_former() -> None:
    talk = found(asked(), people())
    talk.press("1", "2")
    talk.state.facts["diagnosis"] = {"verdict": "good"}
    talk.press(CPF)
    found(talk, people(contract(7), id="s2"))
    assert "diagnosis" not in talk.state.facts
    talk.press("1984")
    found(talk, {"right": True})
    assert (talk.state.facts["subscriber"]["id"], talk.state.facts["contract"]["id"]) == ("s2", "c7")
