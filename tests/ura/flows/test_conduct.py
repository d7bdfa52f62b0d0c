"""The conductor: effects performed on a channel, answers given back, and nothing that goes wrong felt by the caller."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fakes import HANG_UP, SILENCE, FakeActs, FakeChannel, FakeLookups, FakeRecorder, speak
from tests.ura.flows.conducting import FLOW, House
from tests.ura.flows.making import make_flow, menu
from ura.errors import HungUp
from ura.flows import conduct as module
from ura.flows.channel import ChannelLost
from ura.flows.conduct import CallContext, conduct
from ura.flows.effects import EndCall, Spoken
from ura.flows.engine import Mode, State, compile_flow
from ura.flows.events import QueueLeft, Started


async def test_a_call_from_greeting_to_a_plan_sent() -> None:
    house = House(FakeChannel(["1", "2"]))
    result = await house.call()
    assert (result.kind, result.reason) == ("end", "done")
    assert house.channel.heard[:4] == ["say.hello", "ask.main", "protocol.intro", "<protocol 263260000017>"]
    assert "<money 99.90>" in house.channel.heard
    assert house.channel.heard[-1] == "system.goodbye"
    assert house.acts.named("send_plans") == [{"plan_ids": [2], "to": "+5516999990000"}]
    assert house.recorder.path == ["hello", "main", "lead", "tell", "plans", "goodbye"]
    assert house.recorder.closed == [("done", "goodbye")]


async def test_a_call_to_a_person_leaves_for_the_queue_and_comes_back() -> None:
    house = House(FakeChannel(["9"]))
    result = await house.call()
    assert (result.kind, result.queue, result.priority) == ("queue", "l1", 0)
    assert house.recorder.closed == []
    again = State.from_json(house.saved.states[-1].to_json())
    result = await house.call(event=QueueLeft("l1", "timeout"), state=again)
    assert (result.kind, result.reason) == ("end", "done")
    assert house.recorder.steps[-2][1:] == ("queue_left", {"queue": "l1", "reason": "timeout", "to": "goodbye"})


async def test_hanging_up_on_the_plans_leaves_an_abandoned_lead_and_a_closed_record() -> None:
    house = House(FakeChannel(["1", HANG_UP]))
    result = await house.call()
    assert (result.kind, result.reason) == ("end", "abandoned")
    assert [args["status"] for args in house.acts.named("save_lead")] == ["interested", "abandoned"]
    assert house.recorder.closed == [("abandoned", "plans")]
    assert house.recorder.count("hung_up") == 1


@pytest.mark.parametrize("at", range(1, 7))
async def test_a_hang_up_at_any_moment_closes_once(at: int) -> None:
    house = House(FakeChannel(["1", "6"], hang_up_at=at))
    result = await house.call()
    assert result.kind == "end"
    assert len(house.recorder.closed) == 1


async def test_a_hang_up_into_the_goodbye_takes_nothing_back() -> None:
    house = House(FakeChannel(["3"], hang_up_at=3))
    assert (await house.call()).reason == "done"
    assert house.recorder.closed == [("done", "goodbye")]


async def test_nine_in_the_goodbye_finds_a_person() -> None:
    house = House(FakeChannel(["3"], cuts={"system.goodbye": "9"}))
    result = await house.call()
    assert (result.kind, result.queue) == ("queue", "l1")
    assert house.recorder.closed == []
    assert house.channel.heard.count("protocol.intro") == 2  # it was cut before it was heard out


async def test_nine_before_a_message_records_nothing_and_finds_a_person() -> None:
    house = House(FakeChannel(["2"], cuts={"speak.now": "9"}))
    result = await house.call()
    assert (result.kind, house.channel.recordings, house.acts.named("save_recording")) == ("queue", [], [])


async def test_a_message_is_recorded() -> None:
    house = House(FakeChannel(["2"], speaks_s=3.0))
    await house.call()
    (saved,) = house.acts.named("save_recording")
    assert saved == {"recording_id": house.channel.recordings[0], "seconds": 3.0}


async def test_only_the_key_of_a_menu_is_written_down() -> None:
    document = {"key": "doc", "type": "collect", "prompts": ["p"], "into": "cpf", "max_digits": 11, "next": "goodbye"}
    ways = {"no_input": {"next": "goodbye"}, "invalid": {"next": "goodbye"}}
    house = House(FakeChannel(["1", "12345678909"], cuts={"say.hello": ""}))
    await house.call(make_flow(menu("main", k1="doc"), document | ways))
    details = [detail for _, event, detail in house.recorder.steps if event == "digits"]
    assert details == [{"keys": "1", "to": "doc"}, {"count": 11, "to": "goodbye"}]
    assert "12345678909" not in str(house.recorder.steps)


async def test_keys_that_cut_the_greeting_are_counted_not_written() -> None:
    house = House(FakeChannel(cuts={"say.hello": "3"}))
    await house.call()
    assert ("hello", "played", {"count": 1, "to": "goodbye"}) in house.recorder.steps


async def test_silence_is_told_apart() -> None:
    house = House(FakeChannel([SILENCE, SILENCE]))
    assert (await house.call()).kind == "queue"
    assert house.recorder.count("no_input") == 2


# -- lookups


async def test_a_lookup_that_is_down_is_said_to_the_flow() -> None:
    house = House(FakeChannel(["1"]), lookups=FakeLookups(down={"plans"}))
    assert (await house.call()).reason == "done"
    assert house.recorder.count("lookup_failed") == 1


async def test_a_lookup_with_a_bug_is_a_lookup_that_failed() -> None:
    house = House(FakeChannel(["1"]), lookups=FakeLookups(broken={"plans"}))
    await house.call()
    (failed,) = [detail for _, event, detail in house.recorder.steps if event == "lookup_failed"]
    assert failed["reason"] == "ZeroDivisionError: plans"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILLER_AFTER_S", 0.01)
    monkeypatch.setattr(module, "FILLER_EVERY_S", 0.02)
    monkeypatch.setattr(module, "ACT_DEADLINE_S", 0.05)


@pytest.mark.usefixtures("impatient")
async def test_a_slow_lookup_is_bridged_and_keys_pressed_meanwhile_count() -> None:
    answered = asyncio.Event()

    class Waiting(FakeChannel):
        async def play(self, prompts: Sequence[str]) -> str:
            if prompts == ["system.one_moment"]:
                answered.set()
            return await super().play(prompts)

    class Slow(FakeLookups):
        async def __call__(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
            await answered.wait()
            return await super().__call__(name, args)

    house = House(Waiting(["1"], cuts={"system.one_moment": "6"}), lookups=Slow())
    assert (await house.call()).reason == "done"
    assert "system.one_moment" in house.channel.heard
    assert house.recorder.count("lookup_failed") == 0


async def test_keys_pressed_while_a_lookup_lasts_count_long_before_anything_is_said() -> None:
    pressed = asyncio.Event()

    class Typist(FakeChannel):
        async def listen(self, seconds: float) -> str:
            if pressed.is_set():
                return await super().listen(seconds)
            pressed.set()
            return "6"

    class Slow(FakeLookups):
        async def __call__(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
            await pressed.wait()
            return await super().__call__(name, args)

    house = House(Typist(["1"]), lookups=Slow())
    assert (await house.call()).reason == "done"
    assert "system.one_moment" not in house.channel.heard


async def test_who_has_been_told_to_wait_costs_few_commands_and_who_has_not_is_answered_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred who wait for a system that stalls must not take the processor from everybody else."""
    monkeypatch.setattr(module, "FILLER_AFTER_S", 0.2)
    enough = asyncio.Event()
    untold, told = list[float](), list[float]()

    class Listening(FakeChannel):
        async def listen(self, seconds: float) -> str:
            if "system.one_moment" not in self.heard:
                untold.append(seconds)
                return await super().listen(seconds)
            told.append(seconds)
            enough.set()
            await asyncio.sleep(0)
            return ""

    class Slow(FakeLookups):
        async def __call__(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
            await enough.wait()
            return await super().__call__(name, args)

    house = House(Listening(["1", "6"]), lookups=Slow())
    assert (await house.call()).reason == "done"
    assert untold
    assert max(untold) <= module.LISTEN_S
    assert set(told) == {module.LISTEN_TOLD_S}
    assert module.LISTEN_TOLD_S >= 5 * module.LISTEN_S


async def test_the_person_key_typed_ahead_ends_no_waiting() -> None:
    """Who types a number ahead may have a nine in it; nobody has said yet that there is anything to wait for."""
    pressed = asyncio.Event()

    class Typist(FakeChannel):
        async def listen(self, seconds: float) -> str:
            if pressed.is_set():
                return await super().listen(seconds)
            pressed.set()
            return "9"

    class Slow(FakeLookups):
        async def __call__(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
            await pressed.wait()
            await asyncio.sleep(0.01)
            return {"count": 0}

    house = House(Typist(), lookups=Slow())
    result = await house.call(make_flow({**ASK, "deadline_s": 15, "failed": "goodbye"}, menu("main", k3="goodbye")))
    assert (result.kind, result.queue) == ("queue", "l1")  # at the question that came next
    assert house.recorder.count("lookup_failed") == 0
    assert house.recorder.count("lookup") == 1


async def test_an_answer_that_comes_at_once_is_not_kept_waiting_for_keys() -> None:
    class Deaf(FakeChannel):
        async def listen(self, seconds: float) -> str:
            raise AssertionError("nobody needs to listen")

    house = House(Deaf(["1", "6"]))
    assert (await house.call()).reason == "done"
    assert house.recorder.count("lookup_failed") == 0


ASK = {"key": "ask", "type": "lookup", "name": "recent_calls", "into": "x", "deadline_s": 0.5, "next": "main"}
ASKING = make_flow(ASK | {"failed": "goodbye"}, menu("main", k3="goodbye"))


@pytest.mark.usefixtures("impatient")
async def test_a_lookup_that_never_answers_is_bridged_again_and_again_and_fails_in_time() -> None:
    house = House(FakeChannel(), lookups=FakeLookups(slow_s={"recent_calls": 3600}))
    await house.call(ASKING)
    assert house.recorder.count("lookup_failed") == 1
    assert house.channel.heard.count("system.one_moment") >= 3
    await asyncio.sleep(0)  # the cancelled question sees its end
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


@pytest.mark.usefixtures("impatient")
async def test_a_slow_act_is_bridged_too_and_what_is_pressed_meanwhile_waits_for_the_next_question() -> None:
    heard = asyncio.Event()

    class Waiting(FakeChannel):
        async def play(self, prompts: Sequence[str]) -> str:
            if prompts == ["system.one_moment"]:
                heard.set()
            return await super().play(prompts)

    async def slow(name: str, args: dict[str, Any], *, key: str) -> dict[str, Any]:
        await heard.wait()
        return {"request_id": "r-1"}

    channel = Waiting(["1"], cuts={"system.one_moment": "3"})
    visit = {"key": "visit", "type": "erp_ticket", "what": "visit", "subject": "x"}
    flow = make_flow(
        menu("main", k1="visit", k3="goodbye"), visit | {"on": dict.fromkeys(("opened", "queued", "failed"), "main")}
    )
    facts = {"subscriber": {"id": "1", "level": "document"}, "contract": {"id": "2"}}
    lookups = FakeLookups(down={"erp_result"})
    house = House(channel, lookups=lookups)
    result = await house.call(flow, event=Started({"protocol": "263260000017", **facts}), acts=slow)
    assert result.reason == "done"
    assert channel.heard == [
        "ask.main",
        "system.one_moment",
        "protocol.intro",
        "<protocol 263260000017>",
        "system.goodbye",
    ]


@pytest.mark.usefixtures("impatient")
async def test_the_person_key_ends_the_waiting_and_finds_the_person() -> None:
    house = House(FakeChannel(cuts={"system.one_moment": "9"}), lookups=FakeLookups(slow_s={"recent_calls": 3600}))
    result = await house.call(make_flow({**ASK, "deadline_s": 15, "failed": "goodbye"}, menu("main", k3="goodbye")))
    assert (result.kind, result.queue) == ("queue", "l1")
    assert house.channel.heard.count("system.one_moment") == 1


@pytest.mark.usefixtures("impatient")
async def test_a_lookup_without_filler_waits_in_silence() -> None:
    flow = make_flow({**ASK, "failed": "goodbye"}, menu("main", k3="goodbye"))
    silent = compile_flow(flow)
    silent.nodes["ask"] = silent.nodes["ask"].model_copy(update={"filler": ""})
    house = House(FakeChannel(), lookups=FakeLookups(slow_s={"recent_calls": 3600}))
    assert (await house.call(silent)).reason == "done"
    assert house.channel.heard[-1] == "system.goodbye"
    assert not any(key.startswith("system.one") for key in house.channel.heard)


@pytest.mark.usefixtures("impatient")
async def test_a_hang_up_while_waiting_ends_the_waiting() -> None:
    house = House(FakeChannel(hang_up_at=1), lookups=FakeLookups(slow_s={"recent_calls": 3600}))
    assert (await house.call(ASKING)).reason == "abandoned"
    assert house.recorder.count("lookup_failed") == 0


async def test_an_answer_nobody_waits_for_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> dict[str, Any]:
        raise ZeroDivisionError

    task = asyncio.ensure_future(fails())
    task.add_done_callback(module._seen)
    await asyncio.wait({task})
    del task
    assert caplog.records == []


# -- acts


@pytest.mark.parametrize("fakes", [FakeActs(down={"save_lead"}), FakeActs(broken={"save_lead"})])
async def test_an_act_that_fails_is_said_to_the_flow(fakes: FakeActs) -> None:
    house = House(FakeChannel(["1"]), acts=fakes)
    assert (await house.call()).reason == "done"
    assert house.recorder.count("act_failed") == 1


@pytest.mark.usefixtures("impatient")
async def test_an_act_that_never_ends_has_failed() -> None:
    async def stuck(name: str, args: dict[str, Any], *, key: str) -> dict[str, Any]:
        return await asyncio.Future()

    house = House(FakeChannel(["1"]))
    await house.call(acts=stuck)
    assert house.recorder.count("act_failed") == 1


# -- trouble


async def test_a_channel_that_breaks_once_costs_one_line_and_the_caller_finds_a_person() -> None:
    house = House(FakeChannel(broken_at=(1,)))
    result = await house.call()
    assert (result.kind, result.queue) == ("queue", "l1")


async def test_a_channel_that_plays_nothing_any_more_still_finds_the_queue() -> None:
    house = House(FakeChannel(broken_at=tuple(range(1, 50))))
    result = await house.call()
    assert (result.kind, result.queue, result.priority) == ("queue", "l1", 1)


async def test_a_broken_channel_at_the_goodbye_still_closes() -> None:
    house = House(FakeChannel(["3"], broken_at=(3,)))
    assert (await house.call()).reason == "done"
    assert len(house.recorder.closed) == 1


@pytest.mark.parametrize("at", [1, 3])
async def test_a_line_that_is_lost_is_the_doors_business(at: int) -> None:
    class Lost(FakeChannel):
        async def play(self, prompts: Sequence[str]) -> str:
            if len(self.heard) + 1 >= at:
                raise ChannelLost
            return await super().play(prompts)

    with pytest.raises(ChannelLost):
        await House(Lost(["3"])).call()


async def test_a_broken_node_leads_to_a_person(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(FakeChannel(["1"]))
    flow = compile_flow(FLOW)
    monkeypatch.setitem(flow.nodes, "lead", object())
    result = await house.call(flow)
    assert (result.kind, result.queue) == ("queue", "l1")


async def test_a_broken_person_node_leads_to_the_fallback_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = compile_flow(FLOW)
    monkeypatch.setitem(flow.nodes, "lead", object())
    monkeypatch.setitem(flow.nodes, "person", object())
    result = await House(FakeChannel(["1"])).call(flow)
    assert (result.kind, result.queue) == ("queue", "l1")


async def test_a_value_that_cannot_be_spoken_is_left_out() -> None:
    def mute(spoken: Spoken) -> list[str]:
        raise ValueError(spoken.kind)

    house = House(FakeChannel(["3"]))
    await house.call(speak=mute)
    assert house.channel.heard == ["say.hello", "ask.main", "protocol.intro", "system.goodbye"]


async def test_nothing_to_say_plays_nothing() -> None:
    slot = {"key": "a", "type": "end"}
    house = House(FakeChannel())
    begun = Started({"protocol": ""})
    await house.call(make_flow(slot), event=begun)
    assert house.channel.done == 0


async def test_a_full_disk_does_not_stop_a_call() -> None:
    house = House(FakeChannel(["3"]), recorder=FakeRecorder(disk_full=True))
    assert (await house.call()).reason == "done"


# -- moving


async def test_a_draining_process_hands_the_call_over_at_the_menu_border() -> None:
    house = House(FakeChannel(["3"]))
    house.draining = True
    result = await house.call()
    assert result.kind == "move"
    assert house.channel.heard == ["say.hello"]
    assert house.recorder.closed == []
    house.draining = False
    result = await house.call(event=Started(), state=State.from_json(house.saved.states[-1].to_json()))
    assert result.kind == "end"
    assert house.channel.heard[:2] == ["say.hello", "ask.main"]


async def test_without_injections_nothing_is_saved_and_nothing_moves() -> None:
    channel, recorder = FakeChannel(["3"]), FakeRecorder()
    call = CallContext("call-1", compile_flow(FLOW), Started())
    result = await conduct(call, channel, lookups=FakeLookups(), acts=FakeActs(), recorder=recorder, speak=speak)
    assert result.state.mode is Mode.OVER


def test_an_effect_that_ends_the_call_is_never_performed() -> None:
    with pytest.raises(AssertionError, match="EndCall"):
        module._refuse(EndCall())


async def test_a_hung_up_caller_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await House(FakeChannel([HANG_UP])).call()
    assert caplog.records == []


async def test_a_cancelled_call_stops() -> None:
    started = asyncio.Event()

    class Waits(FakeChannel):
        async def play(self, prompts: Sequence[str]) -> str:
            started.set()
            await asyncio.Future()
            raise HungUp

    task = asyncio.create_task(House(Waits()).call())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
