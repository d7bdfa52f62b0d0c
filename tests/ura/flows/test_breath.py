"""What is said before a question and the question in one breath; what may be asked early is asked before."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.fakes import HANG_UP, FakeChannel, FakeLookups
from tests.ura.flows.conducting import House
from tests.ura.flows.making import make_flow, menu, say
from ura.errors import Unavailable
from ura.flows.channel import ChannelLost
from ura.flows.engine import State
from ura.flows.events import Started


async def test_what_is_said_before_a_question_and_the_question_are_two_in_the_record() -> None:
    house = House(FakeChannel([HANG_UP]))
    await house.call()
    assert [step[:2] for step in house.recorder.steps] == [
        ("hello", "started"),
        ("hello", "played"),
        ("main", "hung_up"),
    ]
    assert [state.node for state in house.saved.states] == ["hello", "main"]
    assert house.recorder.closed == [("abandoned", "main")]


async def test_a_key_during_what_is_said_before_a_question_answers_it_unheard() -> None:
    house = House(FakeChannel([], cuts={"say.hello": "3"}))
    assert (await house.call()).reason == "done"
    assert house.channel.questions == []
    assert [step[:2] for step in house.recorder.steps][:2] == [("hello", "started"), ("hello", "played")]


NEAR = {"key": "near", "type": "lookup", "name": "outage_for_caller", "into": "near", "next": "main", "failed": "main"}
EARLY = make_flow(say("hello", "near"), NEAR, menu("main", k1="goodbye"))


class Nearby(FakeLookups):
    """Answers when it is let; `asked` counts."""

    def __init__(self, error: Exception | None = None, *, at_once: bool = True) -> None:
        super().__init__()
        self.error, self.asked, self.cancelled = error, 0, False
        self.may = asyncio.Event()
        if at_once:
            self.may.set()

    async def __call__(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.error:
            raise self.error
        return {"outage": None}


class OneBreath(FakeChannel):
    breaths = 0

    async def play_on(self, *args: Any, **more: Any) -> str:
        self.breaths += 1
        return await super().play_on(*args, **more)


async def test_what_can_be_asked_early_is_answered_before_the_greeting_ends() -> None:
    house = House(caller := OneBreath(["1"]), lookups=(nearby := Nearby()))
    assert (await house.call(EARLY)).reason == "done"
    assert (nearby.asked, caller.breaths) == (1, 1)
    assert [step[:2] for step in house.recorder.steps] == [
        ("hello", "started"),
        ("hello", "played"),
        ("near", "lookup"),
        ("main", "digits"),
        ("goodbye", "played"),
    ]


@pytest.mark.parametrize("error", [None, Unavailable("away"), RuntimeError("broken")])
async def test_a_slow_answer_does_not_keep_the_greeting_and_is_asked_for_once(error: Exception | None) -> None:
    nearby = Nearby(error, at_once=False)

    class Greeted(OneBreath):
        async def play(self, prompts: Sequence[str]) -> str:
            nearby.may.set()  # the answer comes while the greeting plays
            return await super().play(prompts)

    house = House(caller := Greeted(["1"]), lookups=nearby)
    assert (await house.call(EARLY)).reason == "done"
    assert (nearby.asked, caller.breaths) == (1, 0)
    assert house.recorder.count("lookup_failed" if error else "lookup") == 1


BOTH = make_flow(
    say("hello", "known"),
    {**NEAR, "key": "known", "name": "standing", "into": "known", "next": "near", "failed": "near"},
    NEAR,
    menu("main", k1="goodbye"),
)


async def test_two_things_are_asked_early_one_after_the_other_and_the_breath_is_one() -> None:
    house = House(caller := OneBreath(["1"]), lookups=(nearby := Nearby()))
    assert (await house.call(BOTH)).reason == "done"
    assert (nearby.asked, caller.breaths) == (2, 1)
    assert [step[0] for step in house.recorder.steps][:5] == ["hello", "hello", "known", "near", "main"]


async def test_who_cuts_the_greeting_gets_both_early_answers_and_nothing_is_asked_twice() -> None:
    house = House(OneBreath(cuts={"say.hello": "1"}), lookups=(nearby := Nearby()))
    assert (await house.call(BOTH)).reason == "done"
    assert nearby.asked == 2
    assert [step[0] for step in house.recorder.steps][:4] == ["hello", "hello", "known", "near"]


async def test_what_is_asked_behind_a_slow_question_is_asked_beside_it() -> None:
    """With the database away both are given up while the greeting is said, and not one after the other after it."""
    nearby, asked = Nearby(Unavailable("away"), at_once=False), []

    class Greeted(OneBreath):
        async def play(self, prompts: Sequence[str]) -> str:
            await asyncio.sleep(0)  # what was asked begins
            asked.append(nearby.asked)
            nearby.may.set()
            return await super().play(prompts)

    house = House(Greeted(["1"]), lookups=nearby)
    assert (await house.call(BOTH)).reason == "done"
    assert asked[0] == nearby.asked == 2
    assert house.recorder.count("lookup_failed") == 2


async def test_an_early_answer_is_not_kept_for_later() -> None:
    again = make_flow(say("hello", "near"), NEAR, menu("main", k1="hello", k2="goodbye"))
    house = House(caller := OneBreath(["1", "2"]), lookups=(nearby := Nearby()))
    assert (await house.call(again)).reason == "done"
    assert (nearby.asked, caller.breaths) == (2, 2)


async def test_nobody_waits_for_an_early_answer_when_the_caller_has_gone() -> None:
    nearby = Nearby(at_once=False)
    house = House(FakeChannel(hang_up_at=1), lookups=nearby)
    assert (await house.call(EARLY)).reason == "abandoned"
    await asyncio.sleep(0)
    assert nearby.cancelled


@pytest.mark.parametrize(("heard_out", "again"), [(False, ["say.hello", "ask.main"]), (True, ["ask.main"])])
async def test_who_is_taken_over_in_one_breath_hears_again_what_was_being_said(
    heard_out: bool, again: list[str]
) -> None:
    """The process dies in the greeting, or in the question behind it."""

    class Dies(FakeChannel):
        async def play_on(self, *args: Any, heard: Callable[[], None], **more: Any) -> str:
            if heard_out:
                heard()
            raise ChannelLost

    first = House(Dies())
    with pytest.raises(ChannelLost):
        await first.call()
    saved = State.from_json(first.saved.states[-1].to_json())
    other = House(FakeChannel(["3"]))
    assert (await other.call(event=Started(), state=saved)).reason == "done"
    assert other.channel.heard[: len(again)] == again


async def test_a_call_that_must_move_is_not_asked_first() -> None:
    house = House(FakeChannel(["3"]))
    house.draining = True
    result = await house.call()
    assert (result.kind, result.state.node) == ("move", "main")
    assert house.channel.questions == []
