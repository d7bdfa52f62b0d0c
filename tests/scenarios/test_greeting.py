"""The first minute of a call: greeting, first menu, and the ways out that hold everywhere."""

from pathlib import Path

import pytest

from tests.scenarios.story import durations, tell
from ura.flows.facts import FIRST_FACTS

CHOICES = ["1", "2", "3", "4", "5"]


async def test_a_caller_is_greeted_and_offered_the_first_menu(tmp_path: Path) -> None:
    told = await tell("x", tmp_path)
    assert told.outcome == "abandoned"

    told = await tell("", tmp_path)
    assert told.heard[:2] == ["greeting.welcome", "menu.main"]


async def test_a_story_begins_with_the_facts_of_a_call(tmp_path: Path) -> None:
    told = await tell("x", tmp_path)
    assert set(told.result.state.facts) - {"standing", "nearby"} == FIRST_FACTS


async def test_who_presses_nothing_reaches_a_person_within_60_s_of_prompts(tmp_path: Path) -> None:
    """R30."""
    told = await tell("", tmp_path)

    told.hears("menu.main", "system.no_input", "menu.main.short", "system.no_keys", "protocol.intro")
    assert told.queues == ["l1"]
    assert told.caller.heard_s < 60
    assert told.caller.waited_s <= 20


@pytest.mark.parametrize("first", CHOICES)
async def test_who_falls_silent_at_any_later_menu_reaches_a_person_or_an_end(first: str, tmp_path: Path) -> None:
    """R30, one menu further: the 60 s begin where the silence does, with what answers the key that was pressed."""
    told = await tell(first, tmp_path)

    assert told.queues == ["l1"]
    assert told.heard[:3] == ["greeting.welcome", "menu.main", "protocol.intro"]
    assert told.caller.heard_s - told.caller.times["protocol.intro"] < 60
    assert told.caller.waited_s <= 25


@pytest.mark.parametrize("first", CHOICES)
async def test_the_protocol_is_spoken_after_the_first_choice_and_once(first: str, tmp_path: Path) -> None:
    told = await tell(f"{first},9", tmp_path)

    assert "protocol.intro" not in told.heard[: told.heard.index("menu.main") + 1]
    assert told.heard.count("protocol.intro") == 1
    assert told.queues == ["l1"]


async def test_nine_is_a_person_in_the_middle_of_the_greeting(tmp_path: Path) -> None:
    told = await tell("!9", tmp_path)

    assert told.heard[0] == "greeting.welcome"
    assert "menu.main" not in told.heard
    told.hears("protocol.intro", "person.transferring")
    assert told.queues == ["l1"]


async def test_a_choice_typed_into_the_greeting_is_taken(tmp_path: Path) -> None:
    told = await tell("!3,9", tmp_path)
    told.hears("protocol.intro", "identify.how", "person.transferring")


async def test_zero_repeats_and_star_goes_back(tmp_path: Path) -> None:
    told = await tell("2,0,*,3,9", tmp_path)
    told.hears("identify.how", "identify.how", "menu.main", "identify.how")


async def test_the_same_wrong_key_twice_brings_a_person(tmp_path: Path) -> None:
    told = await tell("7,7", tmp_path)

    told.hears("menu.main", "system.invalid", "menu.main.short", "person.transferring")
    assert told.queues == ["l1"]


async def test_zero_again_and_again_brings_a_person_with_priority(tmp_path: Path) -> None:
    told = await tell("0,0,0,0", tmp_path)

    assert told.queues == ["l1"]
    assert told.result.priority == 1


async def test_nine_again_and_again_raises_the_priority(tmp_path: Path) -> None:
    told = await tell("9,9,9", tmp_path, queues_give_back=["timeout", "timeout"])

    assert told.queues == ["l1", "l1", "l1"]
    assert told.result.priority == 1


async def test_hanging_up_in_the_greeting_is_no_error(tmp_path: Path) -> None:
    told = await tell("!x", tmp_path)
    assert told.path.ends == ["abandoned"]


async def test_a_second_call_within_two_hours_hears_short_sentences_and_the_person_first(tmp_path: Path) -> None:
    told = await tell("", tmp_path, repeat_call=True)

    assert told.heard[:2] == ["greeting.again", "menu.main.short"]
    assert told.queues == ["l1"]


@pytest.mark.parametrize(
    ("keys", "short"),
    [
        ("1,1,1", ["choose.method"]),
        ("1,1,1,2", ["choose.letters"]),
        ("1,1,1,1", ["choose.not_listed"]),
        ("1,1,1,2,7256#,1", ["plans.send", "plans.sales", "plans.done"]),
        ("2", ["identify.how"]),
        ("2,4,1", ["steps.keys"]),
        ("2,4,4", ["steps.keys_look"]),
    ],
)
async def test_who_calls_again_hears_the_short_words_at_every_question_and_the_long_ones_by_zero(
    keys: str, short: list[str], tmp_path: Path
) -> None:
    long = (await tell(keys, tmp_path / "first")).heard
    again = (await tell(f"{keys},0", tmp_path / "again", repeat_call=True)).heard

    for key in short:
        assert key in long
        assert f"{key}.short" in again
        assert durations()[f"{key}.short"] < durations()[key]
    assert "menu.keys.short" in again
    last = short[-1]
    assert again.index(f"{last}.short") < again.index(last), "zero says it in full"


async def test_a_hang_up_closes_the_record_once(tmp_path: Path) -> None:
    told = await tell("2,1,x", tmp_path)

    assert told.outcome == "abandoned"
    assert told.path.ends == ["abandoned"]
