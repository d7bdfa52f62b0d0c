"""Guided first aid: done, not done, skip, is it working again?"""

import pytest

from tests.ura.flows.making import Talk, make_flow, menu
from ura.flows.effects import Act, EndCall
from ura.flows.events import ActDone, HungUp, Played

STEPS = {
    "key": "aid",
    "type": "steps",
    "steps": [
        {"key": "power", "prompts": ["aid.power"], "then_ask": False},
        {"key": "cable", "prompts": ["aid.cable"]},
        {"key": "restart", "prompts": ["aid.restart"]},
    ],
    "on": {"solved": "solved", "not_solved": "not_solved"},
}


def guided() -> Talk:
    flow = make_flow(menu("main", k1="aid"), STEPS, menu("solved", k1="goodbye"), menu("not_solved", k1="goodbye"))
    talk = Talk(flow)
    talk.press("1")
    return talk


def test_a_step_is_spoken_with_its_keys() -> None:
    talk = guided()
    assert talk.prompts == ["aid.power", "steps.keys"]
    talk.press("1")
    assert talk.prompts == ["aid.cable", "steps.keys"]
    talk.press("0")
    assert talk.prompts == ["aid.cable", "steps.keys"]


def test_done_asks_whether_it_works_again() -> None:
    talk = guided()
    talk.press("1", "1")
    assert talk.prompts == ["steps.solved"]
    talk.press("1")
    assert talk.state.node == "solved"
    assert talk.state.facts["steps"] == {"aid": {"power": "done", "cable": "done"}}


def test_nothing_helped() -> None:
    talk = guided()
    talk.press("3", "2", "1")
    assert talk.prompts == ["steps.solved"]
    talk.press("2")
    assert talk.state.node == "not_solved"
    assert talk.state.facts["steps"]["aid"] == {"power": "skipped", "cable": "not_done", "restart": "done"}


def test_a_list_whose_last_step_is_done_asks_even_if_that_step_does_not() -> None:
    flow = make_flow(
        STEPS | {"steps": [{"key": "a", "prompts": ["aid.a"], "then_ask": False}]},
        menu("solved", k1="goodbye"),
        menu("not_solved", k1="goodbye"),
    )
    talk = Talk(flow)
    talk.press("1")
    assert talk.prompts == ["steps.solved"]


@pytest.mark.parametrize("keys", [("7",), ("1", "1", "5")])
def test_wrong_keys(keys: tuple[str, ...]) -> None:
    talk = guided()
    talk.press(*keys)
    assert talk.prompts[0] == "system.invalid"


def test_back_inside_the_list_and_out_of_it() -> None:
    talk = guided()
    talk.press("1", "1", "*")
    assert talk.prompts == ["aid.cable", "steps.keys"]
    talk.press("*")
    assert talk.prompts == ["aid.power", "steps.keys"]
    talk.press("*")
    assert talk.state.node == "main"


def test_answers_are_kept_when_the_caller_hangs_up() -> None:
    talk = guided()
    talk.press("1")
    effect = talk.hears(HungUp())
    assert effect == Act("save_steps", {"node": "aid", "answers": {"power": "done"}}, "aid:save_steps:2")
    assert talk.hears(ActDone("save_steps", {})) == EndCall("abandoned")


def test_answers_are_kept_when_the_caller_asks_for_a_person() -> None:
    talk = guided()
    talk.press("1", "9")
    assert talk.effect == Act("save_steps", {"node": "aid", "answers": {"power": "done"}}, "aid:save_steps:2")
    talk.hears(ActDone("save_steps", {}))
    assert talk.prompts[-1] == "system.transferring"


def test_answers_are_kept_before_the_end_and_a_solved_call_is_done() -> None:
    talk = guided()
    talk.press("1", "1", "1", "1")
    assert isinstance(talk.effect, Act)
    talk.hears(ActDone("save_steps", {}))
    assert talk.prompts[-1] == "system.goodbye"
    assert talk.played() == EndCall("done")
    talk = guided()
    talk.press("1", "1", "1")
    talk.hears(HungUp())
    assert talk.hears(Played()) == EndCall("done")
