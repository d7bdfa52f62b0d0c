"""Ways out that hold everywhere: frustration, silence, budget, hang-up, a broken node."""

import sys
from typing import Any

import pytest

from tests.ura.flows.making import WAYS_OUT, Talk, make_flow, menu, say
from ura.flows.effects import Act, Collect, EndCall, Play, SendToQueue
from ura.flows.engine import Mode, State, compile_flow, escape, step
from ura.flows.events import ActDone, ActFailed, DigitsEntered, HungUp, LookupDone, NoInput, Played, Started
from ura.flows.nodes import Flow


def talk(**facts: Any) -> Talk:
    return Talk(make_flow(menu("main", k1="more"), menu("more", k1="goodbye")), **facts)


def test_the_same_wrong_key_twice_is_frustration() -> None:
    call = talk()
    call.press("7")
    assert call.prompts == ["system.invalid", "ask.main"]
    call.press("7")
    assert call.state.node == "person"


def test_three_wrong_keys_lead_on() -> None:
    call = talk()
    call.press("7", "6")
    assert call.state.node == "main"
    call.press("5")
    assert call.state.node == "person"


def test_silence_leads_on_after_the_tries_the_author_chose() -> None:
    call = talk()
    call.silence()
    assert call.state.node == "main"
    call.silence()
    assert call.state.node == "person"


def test_a_second_call_is_asked_once() -> None:
    call = talk(repeat_call=True)
    call.silence()
    assert call.state.node == "person"


def test_who_left_a_question_in_silence_is_asked_the_next_one_once_and_shortly() -> None:
    offers = menu("person", prompts=["long"], k1="more") | {"short_prompts": ["short"]}
    offers |= {"no_input": {"tries": 3, "next": "goodbye"}}
    flow = make_flow(menu("main", k1="more"), offers, menu("more", k1="goodbye"))
    call = Talk(flow)
    call.silence(2)
    assert call.prompts == ["short"]
    call.silence()
    assert call.state.node == "goodbye"
    call = Talk(flow)
    call.silence(2)
    call.press("1")
    call.silence()
    assert call.prompts == ["system.no_input", "ask.more"]


def test_silence_and_wrong_keys_together_are_at_most_three_retries() -> None:
    main = menu("main", k1="goodbye") | {"no_input": {"tries": 3}, "invalid": {"tries": 3}}
    call = Talk(make_flow(main))
    call.press("7")
    call.silence()
    call.press("6")
    assert call.state.node == "main"
    call.silence()
    assert call.state.node == "person"


def test_zero_again_and_again_is_frustration() -> None:
    call = talk()
    call.press("0", "0", "0")
    assert call.asked
    call.press("0")
    assert call.state.node == "person"
    assert call.state.facts["frustrated"] is True


def test_nine_again_and_again_is_frustration() -> None:
    call = talk()
    call.press("9")
    call.played("9")
    assert "frustrated" not in call.state.facts
    call.played("9")
    assert call.state.facts["frustrated"] is True
    assert call.state.node == "person"


def test_back_after_a_person() -> None:
    flow = make_flow(menu("main", k1="more"), menu("more", k1="goodbye"), menu("person", k1="goodbye"))
    call = Talk(flow)
    call.press("1", "9", "*")
    assert call.state.node == "more"
    call.press("*")
    assert call.state.node == "main"
    call.press("*")
    assert call.prompts == ["ask.main"]


def test_a_person_menu_nobody_answers_is_left_for_the_fallback_queue() -> None:
    flow = make_flow(menu("main", k1="main"), menu("person", k1="goodbye"))
    call = Talk(flow)
    for _ in range(20):
        if call.state.mode is Mode.FALLBACK:
            break
        call.silence()
    assert call.prompts == ["protocol.intro", "<protocol 263260000017>", "system.transferring"]
    assert call.played() == SendToQueue("l1", 1)
    assert call.left("empty") == Play(("system.goodbye",))
    assert call.played() == EndCall("failed")
    assert call.state.mode is Mode.OVER


def test_who_asks_for_a_person_in_the_last_goodbye_gets_the_queue_once_more() -> None:
    flow = make_flow(menu("main", k1="main"), limits={"steps": 20})
    call = Talk(flow)
    for _ in range(60):
        if call.left("empty") == Play(("system.goodbye",)) and call.state.mode is Mode.FALLBACK:
            break
    assert call.played("9") == SendToQueue("l1", 1)
    assert call.left("empty") == EndCall("failed", ("system.goodbye",))


def test_a_circle_without_an_end_is_cut_by_the_budget() -> None:
    flow = make_flow(say("a", "b"), say("b", "a"), limits={"steps": 40}, fallback={"prompts": [], "protocol": []})
    call = Talk(flow)
    while not isinstance(call.effect, SendToQueue):
        call.played()
    assert len(call.effects) <= 41


def test_a_circle_of_branches_is_cut_by_the_budget() -> None:
    branch = {"type": "branch", "cases": [{"when": {"fact": "x", "is": 1}, "next": "goodbye"}]}
    flow = make_flow(branch | {"key": "a", "otherwise": "b"}, branch | {"key": "b", "otherwise": "a"})
    assert Talk(flow).state.mode is Mode.FALLBACK


def test_meaningless_events_do_not_keep_a_call() -> None:
    call = talk()
    for _ in range(3):
        call.hears(ActDone("x", {}))
        assert call.asked
    call.hears(LookupDone("x", {}))
    assert call.state.node == "person"


def test_a_key_pressed_into_a_question_counts_whatever_it_is_called() -> None:
    call = talk()
    call.played("1")
    assert call.state.node == "more"
    call.played()
    assert call.asked


def test_another_process_goes_on_where_the_call_was() -> None:
    call = talk()
    call.press("1")
    assert call.hears(Started()) == Collect(("ask.more",), 1, 5.0)


def test_a_call_that_begins_oddly_begins() -> None:
    flow = compile_flow(make_flow(menu("main", k1="goodbye")))
    for event in (Played(), NoInput(), DigitsEntered("1")):
        _, effect = step(flow, State(), event)
        assert isinstance(effect, Collect)
    _, effect = step(flow, State(), HungUp())
    assert effect == EndCall("abandoned")


def test_hanging_up_ends_once_and_quietly() -> None:
    call = talk()
    assert call.hears(HungUp()) == EndCall("abandoned")
    assert call.hears(HungUp()) == EndCall("abandoned")
    assert call.hears(Started()) == EndCall("abandoned")


@pytest.mark.parametrize("nodes", [[menu("main", k1="nowhere")], [menu("main", k9="goodbye")]])
def test_a_flow_with_holes_still_finds_a_person(nodes: list[dict[str, Any]]) -> None:
    call = Talk(make_flow(*nodes))
    call.press("1", "9") if "nowhere" in str(nodes) else call.press("9")
    assert call.state.node == "person"


def test_a_flow_without_a_person_falls_back() -> None:
    flow = make_flow(menu("main", k1="goodbye"), person="nobody")
    call = Talk(flow, protocol="")
    assert call.press("9") == Play(("system.transferring",))


def test_a_state_of_a_node_that_is_gone_finds_a_person() -> None:
    flow = compile_flow(make_flow(menu("main", k1="goodbye")))
    state, _ = step(flow, State(mode=Mode.LIVE, node="gone"), Started())
    assert state.node == "person"
    state, _ = step(flow, State(mode=Mode.LIVE, node="gone", back=("gone",)), NoInput())
    assert state.node == "person"


# -- escape


def compiled(**fields: Any) -> Any:
    return compile_flow(make_flow(menu("main", k1="goodbye"), **fields))


def test_a_broken_node_leads_to_the_person_then_to_the_fallback_queue_then_to_the_end() -> None:
    flow = compiled()
    state, effect = escape(flow, State(mode=Mode.LIVE, node="main"))
    assert state.node == "person"
    state, effect = escape(flow, state)
    assert effect == SendToQueue("l1", 1)
    state, effect = escape(flow, state)
    assert effect == Play(("system.goodbye",))
    state, effect = escape(flow, state)
    assert effect == EndCall("failed")


def test_a_fallback_that_cannot_speak_goes_to_the_queue() -> None:
    _, effect = escape(compiled(), State(mode=Mode.FALLBACK))
    assert effect == SendToQueue("l1", 1)


def test_what_is_owed_is_paid_although_a_node_broke() -> None:
    flow = compiled()
    state = State(mode=Mode.LIVE, node="main", escapes=1, data={"answers": {"a": "done"}})
    state, effect = escape(flow, state)
    assert isinstance(effect, Act)
    state, effect = step(flow, state, ActFailed("save_steps", "disk"))
    assert effect == SendToQueue("l1", 1)


def test_a_break_while_closing_goes_on_closing() -> None:
    owed = ({"name": "save_lead", "args": {}, "key": "k"},)
    state, effect = escape(compiled(), State(mode=Mode.CLOSING, owed=owed, reason="abandoned"))
    assert effect == Act("save_lead", {}, "k")
    assert step(compiled(), state, ActFailed("save_lead", "disk"))[1] == EndCall("abandoned")


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError):
        State.from_json({"mode": "live"})


def test_the_universal_keys_are_the_flows_choice() -> None:
    keys = {"repeat": "9", "back": "0", "person": "*"}
    call = Talk(make_flow(menu("main", k1="more"), menu("more", k1="goodbye"), keys=keys))
    call.press("1", "9")
    assert call.prompts == ["ask.more"]
    call.press("0")
    assert call.state.node == "main"
    call.press("*")
    assert call.state.node == "person"


def test_a_long_entry_keeps_its_zeros_when_zero_goes_back() -> None:
    ask = {
        "key": "ask",
        "type": "collect",
        "prompts": ["p"],
        "into": "n",
        "max_digits": 4,
        "next": "goodbye",
        **WAYS_OUT,
    }
    flow = make_flow(ask, keys={"repeat": "9", "back": "0", "person": "*"})
    call = Talk(flow)
    call.press("1003")
    assert call.state.facts["n"] == "1003"


def test_a_step_is_cheap() -> None:
    """The engine is on the path of every key. Counted in calls, not in microseconds: those are the machine's."""
    flow: Flow = make_flow(say("hello", "main"), menu("main", k1="main"))
    ready = compile_flow(flow)
    state, _ = step(ready, State(), Started({"caller": "+5516999990000"}))
    state, _ = step(ready, state, Played())
    step(ready, state, DigitsEntered("1"))  # what the first one alone has to do
    calls: list[str] = []
    sys.setprofile(lambda frame, event, arg: calls.append(event) if event in ("call", "c_call") else None)
    try:
        step(ready, state, DigitsEntered("1"))
    finally:
        sys.setprofile(None)
    assert 0 < len(calls) < 150
