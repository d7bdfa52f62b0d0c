"""Asterisk's events become records; and after a gap the records converge to what Asterisk has."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.fake_ami import SECRET, FakeAmi
from ura import journal as journals
from ura.adapters.ami import Ami, AmiEvent, CallerGone, CorporateCall, QueueAnswered, QueueEntered
from ura.call_ids import call_id
from ura.db import Sessions, make_engine, make_sessions
from ura.journal import Journal, Record
from ura.models import Call, Outcome
from ura.projection import apply_batch
from ura.protocol import Protocols, is_valid
from worker import ami_events
from worker.ami_events import AmiEvents

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def caller(number: int, **more: str) -> dict[str, str]:
    uniqueid = f"prosa-1.{number}"
    return {
        "Channel": f"PJSIP/trunk-{number:08x}",
        "Context": "to-queue",
        "Uniqueid": uniqueid,
        "Linkedid": uniqueid,
    } | more


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAmi]:
    async with FakeAmi(lists={"CoreShowChannels": [], "QueueStatus": []}).serve() as fake:
        yield fake


class Followed:
    """AmiEvents at work, and what it wrote."""

    def __init__(self, folder: Path, asterisk: FakeAmi, sessions: Sessions) -> None:
        self.folder = folder
        self.live = folder / "live"
        self.live.mkdir()
        self.journal = Journal(folder / "journal", "worker")
        ami = Ami("127.0.0.1", asterisk.port, "prosa", SECRET)
        protocols = Protocols(folder / "protocol", 0)
        draw = partial(protocols.next, AT.date())
        self.events = AmiEvents(ami, self.journal, sessions, self.live, forget_after_s=0, draw_protocol=draw)
        self.sessions = sessions

    def records(self) -> list[Record]:
        return [record for file in journals.files(self.folder / "journal") for record in journals.read(file).records]

    def told(self) -> list[tuple[str, str]]:
        return [(record.kind, record.data.get("outcome") or "") for record in self.records()]

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not done():
                await asyncio.sleep(0.005)

    async def store(self) -> None:
        async with self.sessions.begin() as session:
            await apply_batch(session, self.records())

    async def call(self, number: int) -> Call:
        async with self.sessions() as session:
            found = await session.get(Call, call_id(f"prosa-1.{number}"))
            assert found is not None
            return found


@pytest.fixture
async def followed(tmp_path: Path, asterisk: FakeAmi, sessions: Sessions) -> AsyncIterator[Followed]:
    followed = Followed(tmp_path, asterisk, sessions)
    yield followed
    followed.journal.close()


@pytest.fixture
async def apart(tmp_path: Path, asterisk: FakeAmi) -> AsyncIterator[Followed]:
    """Where no database matters: it is away."""
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/nowhere/prosa.db")
    apart = Followed(tmp_path, asterisk, make_sessions(engine))
    yield apart
    apart.journal.close()
    await engine.dispose()


@pytest.fixture
async def running(apart: Followed, asterisk: FakeAmi) -> AsyncIterator[Followed]:
    task = asyncio.create_task(apart.events.run())
    await apart.until(lambda: [f["Action"] for f in asterisk.asked].count("QueueStatus") >= 1)
    yield apart
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_corporate_call_from_ring_to_end(followed: Followed, asterisk: FakeAmi) -> None:
    running = followed
    task = asyncio.create_task(running.events.run())
    await running.until(lambda: asterisk.log_ins == 1)
    (running.live / "prosa-1.1.json").write_text("{}")
    asterisk.tell("UserEvent", **caller(1), UserEvent="UraCorporate", Caller="11987654321", Did="551133330003")
    asterisk.tell("QueueCallerJoin", **caller(1), Queue="corporativo")
    asterisk.tell("AgentConnect", **caller(1), Queue="corporativo", MemberName="201")
    asterisk.tell("Hangup", **caller(1), Cause="16")
    await running.until(lambda: len(running.records()) == 4 and not list(running.live.iterdir()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await running.store()
    call = await running.call(1)
    assert (call.door, call.caller, call.queue, call.attendant) == ("corporate", "+5511987654321", "corporativo", "201")
    assert call.outcome == Outcome.DONE
    assert call.ended_at is not None
    assert call.protocol
    assert is_valid(call.protocol)


def test_a_corporate_call_has_one_protocol_however_often_it_is_told_of(apart: Followed) -> None:
    for number in (1, 1, 2):
        apart.events.take(CorporateCall(f"prosa-1.{number}", "11987654321", "551133330003", AT))
    first, again, other = [record.data["protocol"] for record in apart.records()]
    assert first == again != other
    assert is_valid(first)
    assert is_valid(other)


def test_a_disk_that_gives_no_protocol_costs_no_record(apart: Followed) -> None:
    (apart.folder / "protocol").write_text("a file where the folder should be")
    apart.events.take(CorporateCall("prosa-1.1", "11987654321", "551133330003", AT))
    assert [record.data["protocol"] for record in apart.records()] == [""]


async def test_who_gives_up_in_the_queue_has_abandoned(running: Followed, asterisk: FakeAmi) -> None:
    asterisk.tell("QueueCallerJoin", **caller(1), Queue="l1")
    asterisk.tell("Hangup", **caller(1), Cause="16")
    await running.until(lambda: running.told() == [("call_queued", ""), ("call_closed", "abandoned")])


async def test_a_line_that_broke_was_dropped(running: Followed, asterisk: FakeAmi) -> None:
    asterisk.tell("Hangup", **caller(1), Cause="38")
    await running.until(lambda: running.told() == [("call_closed", "dropped")])


def turned_away(events: AmiEvents, after_s: float) -> list[str]:
    """What is logged as an error when a caller got 503 so many seconds after the first."""
    with structlog.testing.capture_logs() as logs:
        events.take(CallerGone(f"prosa-1.{after_s:g}", ami_events.CONGESTION, AT + timedelta(seconds=after_s)))
    return [line["event"] for line in logs if line["log_level"] == "error"]


async def test_callers_who_are_turned_away_raise_one_alarm_until_it_has_stopped_for_a_minute(apart: Followed) -> None:
    (alarm,) = turned_away(apart.events, 0)
    assert "503" in alarm
    assert "PROSA_MAX_CALLS" in alarm
    assert [turned_away(apart.events, after_s) for after_s in (0.1, 59, 118, 177)] == [[], [], [], []]
    assert turned_away(apart.events, 237.1) == [alarm]


async def test_other_ends_of_calls_raise_no_alarm(apart: Followed) -> None:
    with structlog.testing.capture_logs() as logs:
        for number, cause in enumerate((0, 16, 17, 19, 34, 38, 127)):
            apart.events.take(CallerGone(f"prosa-1.{number}", cause, AT))
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_the_alarm_is_raised_by_what_asterisk_says_of_a_refused_call(
    running: Followed, asterisk: FakeAmi
) -> None:
    with structlog.testing.capture_logs() as logs:
        asterisk.tell("Hangup", **caller(1, Context="from-trunk"), Cause="42")
        await running.until(lambda: len(running.records()) == 1)
    assert ["503" in line["event"] for line in logs] == [True]


async def test_it_connects_again_within_seconds_and_asks_for_the_whole_state(
    running: Followed, asterisk: FakeAmi
) -> None:
    asterisk.cut()
    await running.until(lambda: asterisk.log_ins == 2)
    await running.until(lambda: [fields["Action"] for fields in asterisk.asked].count("QueueStatus") == 2)
    asterisk.tell("QueueCallerJoin", **caller(1), Queue="l1")
    await running.until(lambda: running.told() == [("call_queued", "")])


async def test_a_gap_is_closed_by_asking(followed: Followed, asterisk: FakeAmi) -> None:
    """In the gap 1 hung up, 2 began to wait, 3 was answered; 4 goes on as before."""
    for number in (1, 3, 4):
        followed.events.take(CorporateCall(f"prosa-1.{number}", "", "551133330003", AT))
    followed.events.take(QueueAnswered("prosa-1.4", "l1", "102", AT))
    await followed.store()
    asterisk.lists["CoreShowChannels"] = [
        {"Event": "CoreShowChannel", **caller(2)},
        {"Event": "CoreShowChannel", **caller(3), "BridgeId": "b"},
        {"Event": "CoreShowChannel", "Channel": "PJSIP/ramal-101-0000002a", "Uniqueid": "prosa-1.30",
         "Linkedid": "prosa-1.3", "Context": "from-attendant", "BridgeId": "b"},
        {"Event": "CoreShowChannel", **caller(4)},
        {"Event": "CoreShowChannel", **caller(5), "BridgeId": "alone"},
    ]  # fmt: skip
    asterisk.lists["QueueStatus"] = [
        {"Event": "QueueParams", "Queue": "l1"},
        {"Event": "QueueEntry", "Queue": "l1", "Uniqueid": "prosa-1.2", "Wait": "60"},
    ]
    async with followed.events._ami.connected() as link:
        await followed.events.resynchronise(link)
    await followed.store()
    gone, waiting, speaking, going_on = [await followed.call(number) for number in (1, 2, 3, 4)]
    assert (gone.outcome, gone.ended_at is not None) == (Outcome.ABANDONED, True)
    assert (waiting.queue, waiting.ended_at) == ("l1", None)
    assert waiting.queued_at is not None
    assert timedelta(seconds=55) < datetime.now(UTC) - waiting.queued_at < timedelta(seconds=90)
    assert (speaking.attendant, speaking.ended_at) == ("101", None)
    assert (going_on.attendant, going_on.ended_at) == ("102", None)


async def test_an_answered_call_that_ended_unseen_was_done(followed: Followed, asterisk: FakeAmi) -> None:
    followed.events.take(CorporateCall("prosa-1.1", "", "551133330003", AT))
    followed.events.take(QueueAnswered("prosa-1.1", "l1", "101", AT))
    await followed.store()
    followed.events._answered.clear()  # as after a restart of ours
    async with followed.events._ami.connected() as link:
        await followed.events.resynchronise(link)
    await followed.store()
    assert (await followed.call(1)).outcome == Outcome.DONE


async def test_a_database_that_is_away_does_not_stop_the_following(apart: Followed, asterisk: FakeAmi) -> None:
    asterisk.lists["QueueStatus"] = [{"Event": "QueueEntry", "Queue": "l1", "Uniqueid": "prosa-1.2", "Wait": "x"}]
    async with apart.events._ami.connected() as link:
        await apart.events.resynchronise(link)
    assert apart.told() == [("call_queued", "")]


async def test_a_defect_while_reading_connects_again(
    apart: Followed, asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect(_session: Any) -> Any:
        raise KeyError("a defect")

    monkeypatch.setattr(ami_events.calls, "list_live", defect)
    task = asyncio.create_task(apart.events.run())
    await apart.until(lambda: asterisk.log_ins >= 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_asterisk_that_is_away_is_waited_for(apart: Followed, asterisk: FakeAmi) -> None:
    asterisk.mute.add("CoreShowChannels")
    fake = FakeAmi(lists=asterisk.lists)
    async with fake.serve():
        pass
    apart.events._ami = Ami("127.0.0.1", fake.port, "prosa", SECRET)
    task = asyncio.create_task(apart.events.run())
    await asyncio.sleep(0.05)
    async with fake.serve():
        await apart.until(lambda: fake.log_ins == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_state_is_compared_a_second_time(
    apart: Followed, asterisk: FakeAmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ami_events, "SETTLED_S", 0.0)
    task = asyncio.create_task(apart.events.run())
    await apart.until(lambda: [fields["Action"] for fields in asterisk.asked].count("QueueStatus") == 2)
    asterisk.lists.pop("QueueStatus")  # refused from now on: one line in the log
    async with apart.events._ami.connected() as link:
        await apart.events._again(link)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_full_disk_costs_the_record_only(apart: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise journals.JournalBroken

    monkeypatch.setattr(apart.journal, "append", full)
    apart.events.take(CallerGone("prosa-1.1", 16, AT))
    assert apart.records() == []


async def test_it_does_not_remember_for_ever(apart: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami_events, "REMEMBERED", 2)
    for number in range(5):
        apart.events.take(QueueAnswered(f"prosa-1.{number}", "l1", "101", AT))
    assert len(apart.events._answered) == 2


async def test_any_order_with_duplicates_and_gaps_converges_to_asterisks_truth(
    followed: Followed, asterisk: FakeAmi
) -> None:
    chance = random.Random(1)
    events: list[AmiEvent] = []
    for number in range(60):
        uniqueid = f"prosa-1.{number}"
        events += [
            CorporateCall(uniqueid, "", "551133330003", AT),
            QueueEntered(uniqueid, "l1", AT + timedelta(seconds=1)),
            QueueAnswered(uniqueid, "l1", "101", AT + timedelta(seconds=2)),
        ]
        if number % 2:
            events.append(CallerGone(uniqueid, 16, AT + timedelta(seconds=3)))
    told = [event for event in events * 2 if chance.random() > 0.3]
    chance.shuffle(told)
    for event in told:
        followed.events.take(event)
    await followed.store()
    asterisk.lists["CoreShowChannels"] = [{"Event": "CoreShowChannel", **caller(number)} for number in range(0, 60, 2)]
    async with followed.events._ami.connected() as link:
        await followed.events.resynchronise(link)
    await followed.store()
    async with followed.sessions() as session:
        live = await ami_events.calls.list_live(session)
    assert {call.id for call in live} == {call_id(f"prosa-1.{number}") for number in range(0, 60, 2)}
