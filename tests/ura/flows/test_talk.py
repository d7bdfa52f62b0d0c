"""Say, protocol, menu, collect, survey, branch, subflow, end: what a caller hears and where a key leads."""

import pytest

from tests.ura.flows.making import GOODBYE, WAYS_OUT, Talk, document, make_flow, menu, say
from ura.errors import BadInput
from ura.flows.effects import Act, Collect, EndCall, Play, SendToQueue, Spoken
from ura.flows.engine import Mode, compile_flow
from ura.flows.events import ActDone, ActFailed, DigitsEntered, LookupDone, NoInput, QueueLeft, Started
from ura.flows.nodes import Flow


def greeting_and_menu() -> Talk:
    return Talk(make_flow(say("greeting", "main"), menu("main", k1="sales", k2="goodbye"), say("sales", "main")))


def test_a_key_leads_to_its_node() -> None:
    talk = greeting_and_menu()
    assert talk.effect == Play(("say.greeting",))
    assert talk.played() == Collect(("ask.main",), 1, 5.0)
    assert talk.press("1") == Play(("say.sales",))


def test_a_key_that_cuts_the_greeting_answers_the_menu() -> None:
    assert greeting_and_menu().played("1") == Play(("say.sales",))


def test_keys_typed_ahead_run_through_several_menus() -> None:
    flow = make_flow(say("hello", "a"), menu("a", k1="b"), menu("b", k2="c"), menu("c", k3="goodbye"))
    talk = Talk(flow, protocol="")
    assert talk.played("123") == Play(("system.goodbye",))
    assert talk.played() == EndCall("done")


def test_keys_after_a_wrong_one_are_forgotten() -> None:
    flow = make_flow(say("hello", "a"), menu("a", k1="b"), menu("b", k2="goodbye"))
    talk = Talk(flow)
    assert talk.played("712") == Collect(("system.invalid", "ask.a"), 1, 5.0)


@pytest.mark.parametrize(
    ("cut_by", "known"), [("", {"told": {"id": "o1"}, "yes": True}), ("1", {"told": None, "yes": None})]
)
def test_what_a_say_sets_is_known_once_it_was_heard_to_its_end(cut_by: str, known: dict[str, object]) -> None:
    sets = {"told": {"fact": "nearby.outage"}, "yes": True}
    talk = Talk(make_flow(say("hello", "a") | {"sets": sets}, menu("a", k1="goodbye")), nearby={"outage": {"id": "o1"}})
    talk.played(cut_by)
    assert {name: talk.state.facts.get(name) for name in sets} == known


def test_a_say_takes_any_event_that_means_it_is_over() -> None:
    for event in (NoInput(), DigitsEntered("")):
        talk = greeting_and_menu()
        talk.hears(event)
        assert talk.prompts == ["ask.main"]


def test_zero_repeats_and_star_goes_back_while_something_is_spoken() -> None:
    talk = greeting_and_menu()
    talk.played()
    talk.press("1")
    assert talk.played("0") == Play(("say.sales",))
    assert talk.played("*") == Collect(("ask.main",), 1, 5.0)


def test_star_with_nothing_behind_says_it_again() -> None:
    talk = greeting_and_menu()
    assert talk.played("*") == Play(("say.greeting",))


def test_nine_reaches_the_person_from_a_prompt_and_from_a_menu() -> None:
    for talk in (greeting_and_menu(), greeting_and_menu()):
        talk.played("9")
        assert talk.state.node == "person"
    talk = greeting_and_menu()
    talk.played()
    talk.press("9")
    assert talk.state.node == "person"


def test_zero_says_the_whole_menu_again_also_to_one_who_called_before() -> None:
    main = menu("main", prompts=["long"], k1="goodbye") | {"short_prompts": ["short"]}
    talk = Talk(make_flow(main), repeat_call=True)
    assert talk.prompts == ["short"]
    talk.press("0")
    assert talk.prompts == ["long"]


def test_a_question_put_again_is_short() -> None:
    main = menu("main", prompts=["long"], k1="goodbye") | {"short_prompts": ["short"]}
    talk = Talk(make_flow(main))
    assert talk.prompts == ["long"]
    talk.silence()
    assert talk.prompts == ["system.no_input", "short"]


def test_choices_set_facts_and_topic() -> None:
    main = menu("main", k1="next") | {
        "choices": {"1": {"label": "Casa", "next": "more", "topic": "sales", "sets": {"audience": "home", "a.b": 1}}}
    }
    talk = Talk(make_flow(main, menu("more", k1="goodbye")))
    talk.press("1")
    assert talk.state.facts["audience"] == "home"
    assert talk.state.facts["a"] == {"b": 1}
    assert talk.state.facts["topic"] == "sales"


def test_a_slot_speaks_a_fact_and_a_missing_one_is_left_out() -> None:
    prompts = ["you.owe", {"say": "money", "of": "invoice.amount"}, {"say": "count", "of": "no.such", "feminine": True}]
    talk = Talk(
        make_flow({"key": "a", "type": "say", "prompts": prompts, "next": "goodbye"}), invoice={"amount": "9.90"}
    )
    assert talk.effect == Play(("you.owe", Spoken("money", "9.90")))


def test_a_say_with_nothing_to_say_goes_on() -> None:
    only_slot = {"key": "a", "type": "say", "prompts": [{"say": "date", "of": "no.such"}], "next": "main"}
    assert Talk(make_flow(only_slot, menu("main", k1="goodbye"))).prompts == ["ask.main"]


# -- protocol


def with_protocol(again: bool = False) -> Talk:
    protocol = {"key": "tell", "type": "protocol", "next": "main", "again": again}
    return Talk(make_flow(protocol, menu("main", k1="tell", k2="goodbye")))


def test_the_protocol_is_spoken_once() -> None:
    talk = with_protocol()
    assert talk.prompts == ["protocol.intro", "<protocol 263260000017>"]
    talk.played()
    assert talk.press("1") == Collect(("ask.main",), 1, 5.0)


def test_the_protocol_is_spoken_again_when_asked_for() -> None:
    talk = with_protocol(again=True)
    talk.played()
    talk.press("1")
    assert talk.prompts == ["protocol.intro", "<protocol 263260000017>"]


def test_a_protocol_survives_a_meaningless_event() -> None:
    talk = with_protocol()
    talk.hears(QueueLeft("l1", "timeout"))
    assert talk.prompts == ["protocol.intro", "<protocol 263260000017>"]


def test_an_end_speaks_the_protocol_that_was_forgotten() -> None:
    talk = Talk(make_flow(menu("main", k1="goodbye")))
    talk.press("1")
    assert talk.prompts == ["protocol.intro", "<protocol 263260000017>", "system.goodbye"]


# -- collect


def collecting(check: str = "any", **fields: int) -> Talk:
    node = {
        "key": "ask",
        "type": "collect",
        "prompts": ["ask.number"],
        "into": "number",
        "min_digits": 3,
        "max_digits": 11,
        "check": check,
        "next": "goodbye",
        **WAYS_OUT,
        **fields,
    }
    return Talk(make_flow(menu("main", k1="ask"), node))


@pytest.mark.parametrize(
    ("check", "typed", "kept"),
    [
        ("any", "12345", "12345"),
        ("any", "123#", "123"),
        ("phone", "1633330000", "+551633330000"),
        ("phone", "16999990000", "+5516999990000"),
        ("mobile", "16999990000", "+5516999990000"),
        ("cep", "14000123", "14000123"),
    ],
)
def test_digits_that_are_right_are_kept(check: str, typed: str, kept: str) -> None:
    talk = collecting(check)
    talk.press("1", typed)
    assert talk.state.facts["number"] == kept
    assert talk.ended


@pytest.mark.parametrize(
    ("check", "typed"),
    [
        ("any", "12"),
        ("any", "12A4"),
        ("phone", "163333000"),
        ("phone", "0633330000"),
        ("phone", "16333300001"),
        ("mobile", "1633330000"),
        ("mobile", "16899990000"),
        ("cep", "1400012"),
    ],
)
def test_digits_that_are_wrong_are_asked_again(check: str, typed: str) -> None:
    talk = collecting(check)
    assert talk.press("1", typed) == Collect(("system.invalid", "ask.number"), 11, 5.0)


def test_universal_keys_count_as_a_whole_entry_only() -> None:
    talk = collecting()
    talk.press("1", "9990")
    assert talk.state.facts["number"] == "9990"
    for entry, node in (("9", "person"), ("9#", "person"), ("*", "main"), ("12*", "main"), ("0", "ask")):
        talk = collecting()
        talk.press("1", entry)
        assert talk.state.node == node, entry


def test_digits_typed_ahead_begin_the_entry() -> None:
    talk = collecting()
    assert talk.press("1123") == Collect((), 8, 5.0, given="123")
    talk.press("45#")
    assert talk.state.facts["number"] == "12345"


def test_silence_after_digits_typed_ahead_ends_the_entry() -> None:
    talk = collecting()
    talk.press("1123")
    talk.silence()
    assert talk.state.facts["number"] == "123"


def test_a_whole_entry_typed_ahead_asks_nothing() -> None:
    talk = collecting()
    talk.press("1123#")
    assert talk.state.facts["number"] == "123"
    talk = collecting(max_digits=4)
    talk.press("11234")
    assert talk.state.facts["number"] == "1234"


def test_only_a_hash_is_silence() -> None:
    talk = collecting()
    talk.press("1", "#")
    assert talk.prompts == ["system.no_input", "ask.number"]


# -- survey


def survey() -> Talk:
    node = {"key": "rate", "type": "survey", "question": "nps", "prompts": ["survey.rate"], "next": "goodbye"}
    return Talk(make_flow(node))


@pytest.mark.parametrize("answer", [ActDone("answer_survey", {}), ActFailed("answer_survey", "x")])
def test_a_survey_keeps_the_answer_and_goes_on_whatever_happens(answer: ActDone | ActFailed) -> None:
    talk = survey()
    assert talk.press("4") == Act("answer_survey", {"question": "nps", "value": 4}, "rate:answer_survey:1")
    talk.hears(answer)
    assert talk.ended


def test_a_survey_does_not_insist() -> None:
    talk = survey()
    talk.silence()
    assert talk.ended
    talk = survey()
    assert talk.asked
    talk.press("7")
    assert talk.prompts == ["system.invalid", "survey.rate"]
    talk.press("8")
    assert talk.ended


def test_a_survey_being_saved_is_not_disturbed() -> None:
    talk = survey()
    act = talk.press("4")
    assert talk.hears(NoInput()) == act
    assert talk.hears(Started()) == act


# -- branch


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"is": "home"}, True),
        ({"is": "business"}, False),
        ({"in": ["home", "x"]}, True),
        ({"in": []}, False),
        ({"known": True}, True),
        ({"known": False}, False),
    ],
)
def test_a_branch_follows_a_fact(when: dict[str, object], holds: bool) -> None:
    branch = {
        "key": "b",
        "type": "branch",
        "cases": [{"when": {"fact": "audience"} | when, "next": "yes"}],
        "otherwise": "no",
    }
    talk = Talk(make_flow(branch, menu("yes", k1="goodbye"), menu("no", k1="goodbye")), audience="home")
    assert talk.state.node == ("yes" if holds else "no")


@pytest.mark.parametrize(
    ("value", "when", "holds"),
    [
        (3, {"at_least": 3}, True),
        (3, {"at_most": 2}, False),
        (3, {"at_least": 1, "at_most": 5}, True),
        ("x", {"at_least": 1}, False),
    ],
)
def test_a_branch_compares(value: object, when: dict[str, object], holds: bool) -> None:
    branch = {"key": "b", "type": "branch", "cases": [{"when": {"fact": "n"} | when, "next": "yes"}]}
    talk = Talk(make_flow(branch, menu("yes", k1="goodbye")), n=value)
    assert talk.state.node == ("yes" if holds else "person")


# -- subflow


def inner() -> Flow:
    doc = document(
        say("in", "ask"),
        menu("ask", k1="back", k2="goodbye"),
        {"key": "back", "type": "end", "returns": True},
        GOODBYE,
        key="inner",
    )
    return Flow.model_validate(doc)


def test_a_subflow_comes_back() -> None:
    outer = make_flow({"key": "sub", "type": "subflow", "flow": "inner", "next": "main"}, menu("main", k1="goodbye"))
    talk = Talk(outer, {"inner": inner()})
    assert talk.state.node == "sub/in"
    talk.played()
    assert talk.press("1") == Collect(("ask.main",), 1, 5.0)
    assert talk.press("*") == Collect(("ask.ask",), 1, 5.0)
    talk.press("2")
    assert talk.ended


def test_nine_in_a_subflow_is_the_outer_flows_person() -> None:
    outer = make_flow({"key": "sub", "type": "subflow", "flow": "inner", "next": "goodbye"})
    talk = Talk(outer, {"inner": inner()})
    talk.played("9")
    assert talk.state.node == "person"


def test_an_end_that_returns_to_nobody_ends() -> None:
    assert Talk(make_flow({"key": "a", "type": "end", "returns": True}), protocol="").effect == EndCall("done")


def test_a_flow_that_calls_itself_or_nobody_is_not_compiled() -> None:
    sub = {"key": "sub", "type": "subflow", "flow": "test", "next": "goodbye"}
    with pytest.raises(BadInput, match="test -> test"):
        compile_flow(make_flow(sub))
    with pytest.raises(BadInput, match=r"test\.sub: other"):
        compile_flow(make_flow(sub | {"flow": "other"}))


def test_an_end_is_the_end() -> None:
    talk = Talk(make_flow(GOODBYE))
    assert talk.effect == Play(("protocol.intro", Spoken("protocol", "263260000017"), "system.goodbye"))
    assert talk.played() == EndCall("done")
    assert talk.state.mode is Mode.OVER
    assert talk.hears(LookupDone("x", {})) == EndCall("done")


def test_the_queue_follows_the_person_and_its_edges_are_obeyed() -> None:
    talk = Talk(make_flow(menu("main", k1="goodbye")))
    talk.press("9")
    assert talk.prompts == ["protocol.intro", "<protocol 263260000017>", "system.transferring"]
    assert talk.played() == SendToQueue("l1", 0)
    assert talk.left("timeout") == Play(("system.goodbye",))
