"""Support: six guided lists, answers kept, and a person for who is not helped."""

from pathlib import Path

import pytest

from tests.scenarios.story import provedor, tell
from ura.flows.nodes import Steps

SUPPORT = ("2", "4")  # and on without saying who calls
LISTS = {"1": "no_signal", "2": "slow", "3": "wifi", "4": "lights", "5": "cables", "6": "restart"}


def test_there_are_six_lists() -> None:
    lists = {key for key, node in provedor().nodes.items() if isinstance(node, Steps)}
    assert lists == {*LISTS.values(), "wifi_known"}  # the Wi-Fi list again, for who is known to have a good line


@pytest.mark.parametrize(("key", "name"), LISTS.items())
async def test_who_cannot_do_any_step_gets_a_person_and_the_answers_are_kept(
    key: str, name: str, tmp_path: Path
) -> None:
    node = provedor().nodes[name]
    assert isinstance(node, Steps)
    told = await tell(",".join([*SUPPORT, key, *"2" * len(node.steps)]), tmp_path)

    [answers] = [row for row in told.stored("steps_answered") if row["node"] == name]
    assert answers["answers"] == {step.key: "not_done" for step in node.steps}


async def test_no_signal_is_solved_after_the_restart(tmp_path: Path) -> None:
    told = await tell("2,4,1,1,1,1,1,1", tmp_path)

    told.hears("support.no_signal.intro", "support.fiber_warning", "support.no_signal.power", "steps.keys")
    told.hears("support.no_signal.restart", "support.no_signal.test", "steps.solved", "support.solved_yes")
    told.hears("support.solved_yes", "end.anything_else", "end.thanks")
    [row] = told.stored("steps_answered")
    assert row["answers"] == {"power": "done", "outlet": "done", "restart": "done", "test": "done"}
    assert told.queues == []


async def test_a_step_can_be_repeated_skipped_and_gone_back_to(tmp_path: Path) -> None:
    told = await tell("2,4,6,0,3,*,1,3,2", tmp_path)

    assert told.heard.count("support.restart.off") == 3  # asked, repeated, gone back to
    [row] = told.stored("steps_answered")
    assert row["answers"] == {"off": "done", "wait": "skipped", "test": "not_done"}
    told.hears("support.solved_no", "person.transferring")


async def test_slow_internet_is_solved_at_the_second_step(tmp_path: Path) -> None:
    told = await tell("2,4,2,1,2,1,1", tmp_path)

    told.hears("support.slow.closer", "steps.solved", "support.slow.others", "steps.solved", "support.solved_yes")
    assert "support.slow.clean" not in told.heard


async def test_a_red_light_is_not_told_to_restart(tmp_path: Path) -> None:
    told = await tell("2,4,4,1,1,2", tmp_path)

    told.hears("support.lights.alarm", "support.lights.alarm_on", "person.transferring")
    assert not any(key.startswith("support.restart") for key in told.heard)


async def test_a_dark_box_is_led_to_the_power_steps(tmp_path: Path) -> None:
    told = await tell("2,4,4,2,1,1,2,x", tmp_path)
    told.hears("support.lights.no_power", "support.no_signal.power")


async def test_good_lights_without_internet_lead_to_a_restart(tmp_path: Path) -> None:
    told = await tell("2,4,4,1,1,1,2,x", tmp_path)
    told.hears("support.lights.solved", "support.lights.fine", "support.restart.off")


async def test_answers_are_kept_when_the_caller_hangs_up_half_way(tmp_path: Path) -> None:
    told = await tell("2,4,5,2,x", tmp_path)

    [row] = told.stored("steps_answered")
    assert row["answers"] == {"poe": "not_done"}


async def test_there_is_time_for_a_router_to_come_back(tmp_path: Path) -> None:
    told = await tell("2,4,6", tmp_path)

    told.hears("support.restart.off", "support.take_your_time", "support.restart.off", "system.no_keys")
    assert told.caller.waited_s >= 180
