"""The guarded manager connection against a fake Asterisk."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_ami import SECRET, FakeAmi, block
from ura.adapters import ami as module
from ura.adapters.ami import (
    Ami,
    AmiEvent,
    AmiRefused,
    AmiUnavailable,
    CallerGone,
    CorporateCall,
    QueueAnswered,
    QueueEntered,
    header,
    read_event,
)
from ura.settings import Settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = datetime(2026, 11, 22, 11, tzinfo=UTC)
STAMP = {"Timestamp": str(AT.timestamp())}
CALLER = {
    "Channel": "PJSIP/trunk-00000001",
    "Context": "flow",
    "Uniqueid": "prosa-1.1",
    "Linkedid": "prosa-1.1",
    **STAMP,
}


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAmi]:
    async with FakeAmi().serve() as fake:
        yield fake


def ami(asterisk: FakeAmi, secret: str = SECRET) -> Ami:
    return Ami("127.0.0.1", asterisk.port, "prosa", secret)


async def first(link: module.AmiLink, count: int) -> list[AmiEvent]:
    found: list[AmiEvent] = []
    async for event in link.events():
        found.append(event)
        if len(found) == count:
            break
    return found


async def test_events_arrive_typed_and_in_order(asterisk: FakeAmi) -> None:
    async with ami(asterisk).connected() as link:
        asterisk.tell("Newchannel", **CALLER)
        asterisk.tell("UserEvent", **CALLER, UserEvent="UraCorporate", Caller="1133330001", Did="551133330003")
        asterisk.tell("QueueCallerJoin", **CALLER, Queue="corporativo")
        asterisk.tell("AgentConnect", **CALLER, Queue="corporativo", MemberName="201")
        asterisk.tell("Hangup", **CALLER, Cause="16")
        assert await first(link, 4) == [
            CorporateCall("prosa-1.1", "1133330001", "551133330003", AT),
            QueueEntered("prosa-1.1", "corporativo", AT),
            QueueAnswered("prosa-1.1", "corporativo", "201", AT),
            CallerGone("prosa-1.1", 16, AT),
        ]


async def test_a_letter_split_over_two_packets_stays_whole(asterisk: FakeAmi) -> None:
    data = block({"Event": "QueueCallerJoin", **CALLER, "Queue": "financeirô"})
    async with ami(asterisk).connected() as link:
        middle = data.index("ô".encode()) + 1
        asterisk.send(data[:middle])
        await asyncio.sleep(0.01)
        asterisk.send(data[middle:])
        (event,) = await first(link, 1)
    assert isinstance(event, QueueEntered)
    assert event.queue == "financeirô"


async def test_a_list_is_asked_for_and_an_error_is_an_error(asterisk: FakeAmi) -> None:
    asterisk.lists["CoreShowChannels"] = [{"Event": "CoreShowChannel", "Uniqueid": "1"}]
    async with ami(asterisk).connected() as link:
        rows = await link.ask("CoreShowChannels", many=True)
        assert [header(row, "uniqueid") for row in rows] == ["1"]
        for many in (False, True):
            with pytest.raises(AmiRefused, match="Permission denied"):
                await link.ask("Originate", many=many)


async def test_a_wrong_secret_is_refused_once_and_not_tried_again(asterisk: FakeAmi) -> None:
    with pytest.raises(AmiRefused, match="Authentication failed"):
        async with ami(asterisk, "wrong").connected():
            raise AssertionError("connected")
    assert [fields["Action"] for fields in asterisk.asked] == ["Login"]


async def test_nobody_there_is_unavailable() -> None:
    async with FakeAmi().serve() as gone:
        pass
    with pytest.raises(AmiUnavailable):
        async with ami(gone).connected():
            raise AssertionError("connected")


async def test_a_peer_that_accepts_and_never_speaks_is_unavailable(
    asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.05)
    asterisk.mute.add("Login")
    with pytest.raises(AmiUnavailable):
        async with ami(asterisk).connected():
            raise AssertionError("connected")


async def test_line_breaks_never_reach_the_wire(asterisk: FakeAmi) -> None:
    async with ami(asterisk).connected() as link:
        with pytest.raises(AmiRefused, match="line break"):
            await link.ask("QueuePause", Reason="lunch\r\nAction: Hangup")
    assert [fields["Action"] for fields in asterisk.asked] == ["Login"]


async def test_every_question_has_a_deadline(asterisk: FakeAmi) -> None:
    asterisk.mute.add("QueueStatus")
    async with ami(asterisk).connected() as link:
        with pytest.raises(AmiUnavailable, match="did not answer"):
            await link.ask("QueueStatus", many=True, timeout_s=0.05)


async def test_the_events_end_with_the_connection(asterisk: FakeAmi) -> None:
    async with ami(asterisk).connected() as link:
        asterisk.cut()
        assert [event async for event in link.events()] == []
        with pytest.raises(AmiUnavailable, match="lost"):
            await link.ask("Ping")


async def test_asterisk_says_that_it_stops(asterisk: FakeAmi) -> None:
    async with ami(asterisk).connected() as link:
        asterisk.tell("Shutdown", Shutdown="Cleanly")
        assert [event async for event in link.events()] == []


async def test_a_peer_that_died_without_a_word_is_found_out(asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    monkeypatch.setattr(module.AmiLink.ask, "__kwdefaults__", {"many": False, "timeout_s": 0.05})
    async with ami(asterisk).connected() as link:
        await asyncio.sleep(0.05)
        asterisk.mute.add("Ping")
        assert [event async for event in link.events()] == []


async def test_a_reader_that_is_too_slow_starts_again(asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENTS", 3)
    async with ami(asterisk).connected() as link:
        for _ in range(10):
            asterisk.tell("QueueCallerJoin", **CALLER, Queue="l1")
        while not link._lost.is_set():
            await asyncio.sleep(0)
        assert len([event async for event in link.events()]) == 3


async def test_a_message_without_end_cuts_the_connection(asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BUFFERED", 100)
    async with ami(asterisk).connected() as link:
        asterisk.send(b"Event: Endless " + b"x" * 200)
        assert [event async for event in link.events()] == []


async def test_after_closing_nothing_connects_again(asterisk: FakeAmi) -> None:
    async with ami(asterisk).connected() as link:
        asterisk.cut()
        [event async for event in link.events()]
    await asyncio.sleep(0.05)
    assert asterisk.log_ins == 1
    assert asyncio.all_tasks() - {asyncio.current_task()} == set() or asterisk.log_ins == 1


def test_the_settings_say_where_it_is(tmp_path: Any) -> None:
    settings = Settings(state_dir=tmp_path, ami_port=15038)
    assert Ami.from_settings(settings)._config["port"] == 15038


@pytest.mark.parametrize(
    "odd",
    [
        {"Event": "Hangup", **CALLER, "Linkedid": "prosa-9.9"},
        {"Event": "Hangup", **CALLER, "Context": "from-attendant"},
        {"Event": "Hangup", **CALLER, "Channel": "Local/1@x-1;2"},
        {"Event": "UserEvent", **CALLER, "UserEvent": "Other"},
        {"Event": "QueueCallerJoin"},
    ],
)
def test_what_does_not_concern_us_is_nothing(odd: dict[str, str]) -> None:
    assert read_event(odd, NOW) is None


def test_a_header_that_is_there_twice_is_its_first_value() -> None:
    assert header({"Linkedid": ["a", "b"]}, "Linkedid") == "a"


@given(
    st.dictionaries(
        st.sampled_from(["Event", "Uniqueid", "Linkedid", "Timestamp", "Cause", "Queue", "UserEvent", "Channel"]),
        st.one_of(st.text(), st.sampled_from(["Hangup", "UserEvent", "UraCorporate", "PJSIP/x", "1e999", "nan", "²"])),
    )
)
def test_reading_an_event_is_total(message: dict[str, str]) -> None:
    read_event(message, NOW)
