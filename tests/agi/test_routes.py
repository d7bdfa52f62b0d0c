"""Whole calls through the real server, journal and engine, with a fake Asterisk on loopback and a small flow."""

import asyncio
import io
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog

from agi import routes
from agi.live import LivePositions
from agi.routes import Routes, Tools
from agi.server import Server
from tests.agi.conftest import Apart
from tests.agi.fake_asterisk import HANG_UP, FakeAsterisk, header
from ura import journal as journals
from ura import logs
from ura.call_ids import call_id
from ura.errors import Unavailable
from ura.flows import documents
from ura.flows.engine import CompiledFlow, compile_flow
from ura.flows.facts import FIRST_FACTS
from ura.flows.nodes import Flow
from ura.flows.published import Number
from ura.journal import Journal, Record
from ura.protocol import BLOCK, Protocols

FLOW = """
schema_version: 1
key: small
title: Pequeno
start: welcome
person: person
keys: {repeat: "0", back: "*", person: "9"}
fallback: {queue: l1, prompts: [fallback], goodbye: [bye], no_input: [no_input], invalid: [invalid]}
nodes:
  - {key: welcome, type: say, title: Oi, prompts: [welcome], short_prompts: [welcome_again], next: main}
  - key: main
    type: menu
    title: Menu
    prompts: [main]
    choices:
      "1": {label: Protocolo, next: protocol}
      "2": {label: Recado, next: message}
      "4": {label: Reclamação, next: complaint, topic: complaint}
      "5": {label: Cancelamento, next: person, topic: cancellation}
    no_input: {tries: 2, prompts: [no_input], next: person}
    invalid: {tries: 2, prompts: [invalid], next: person}
  - {key: protocol, type: protocol, title: Protocolo, prompts: [{say: protocol, of: protocol}], next: goodbye}
  - {key: message, type: message, title: Recado, prompts: [speak], max_s: 60, next: goodbye, empty: main,
     failed: person}
  - {key: complaint, type: ticket, title: Chamado, category: complaint, summary: Reclamação, queue: l1,
     next: goodbye, failed: person}
  - {key: goodbye, type: end, title: Tchau, prompts: [bye]}
  - key: person
    type: queue
    title: Pessoa
    queue: l1
    prompts: [person]
    on: {timeout: main, empty: goodbye, full: main, key: main, failed: goodbye}
"""


class Prompts:
    def playable(self, keys: Sequence[str]) -> list[str]:
        return [f"prosa/{key}" for key in keys]


@dataclass
class Flows:
    flow: CompiledFlow
    forgotten: bool = False
    number: Number | None = None

    def get(self, did: str) -> CompiledFlow:
        return self.flow

    def find(self, key: str, number: int) -> CompiledFlow | None:
        return None if self.forgotten else self.flow

    def find_number(self, did: str) -> Number | None:
        return self.number


@dataclass
class Lookups:
    """How often has this caller rung? How long may one wait in this queue, how long do conversations take?"""

    calls: int = 0
    max_wait_s: int = 240
    talk_s: float | None = 150.0
    down: bool = False
    slow: bool = False
    asked: list[str] = field(default_factory=list)

    async def __call__(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        if "caller" in args:
            self.asked.append(args["caller"])
        if self.slow:
            await asyncio.sleep(30)
        if self.down:
            raise Unavailable
        if name == "recent_calls":
            return {"count": self.calls}
        return {"seconds": {"max_wait": self.max_wait_s, "talk_time": self.talk_s}[name]}


@dataclass
class House:
    """A server, and what it leaves behind."""

    tools: Tools
    server: Server
    port: int
    folder: Path
    flows: Flows
    lookups: Lookups

    async def call(self, *, keys: Sequence[str] = (), **more: Any) -> FakeAsterisk:
        caller = await FakeAsterisk(self.port, keys=keys, **more).call()
        while self.server._tasks:
            await asyncio.wait(self.server._tasks)
        return caller

    def fill_the_disk(self) -> None:
        with open("/dev/full", "wb") as full:
            os.dup2(full.fileno(), self.tools.journal._fd)

    def records(self) -> list[Record]:
        found: list[Record] = []
        for file in journals.files(self.folder / "journal"):
            batch = journals.read(file)
            assert batch.bad == []
            found += batch.records
        return found

    def kinds(self) -> list[str]:
        return [record.kind for record in self.records() if record.kind != "call_step"]

    def closed(self) -> list[str]:
        return [record.data["outcome"] for record in self.records() if record.kind == "call_closed"]

    def live(self) -> list[str]:
        return [file.name for file in (self.folder / "live").glob("*.json")]


@pytest.fixture
async def house(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    node, speak_half = getattr(request, "param", (0, False))
    audio = tmp_path / "audio"
    audio.mkdir()
    flows = Flows(compile_flow(Flow.model_validate(documents.load(FLOW)), number=7))
    lookups = Lookups()
    journal = Journal(tmp_path / "journal", "agi")
    tools = Tools(
        flows=flows,
        lookups=lookups,
        journal=journal,
        protocols=Protocols(tmp_path / "protocol", node),
        sounds=Apart(Prompts(), {"prosa": audio, "dyn": tmp_path / "dyn"}),
        live=LivePositions(tmp_path / "live"),
        recordings=tmp_path / "recordings",
        zone=ZoneInfo("America/Sao_Paulo"),
        speak_half=speak_half,
        draining=lambda: server.draining,
    )
    for name in (
        "welcome",
        "welcome_again",
        "main",
        "no_input",
        "invalid",
        "bye",
        "person",
        "complained",
        "speak",
        *(f"queue.wait.{step}" for step in ("under_1", "under_3", "under_5", "under_10", "over_10")),
    ):
        (audio / f"{name}.alaw").write_bytes(b"a" * 80)
    server = Server(Routes(tools), max_calls=100)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.listen(sock)
    yield House(tools, server, sock.getsockname()[1], tmp_path, flows, lookups)
    server.drain()
    await server.drained(0)
    journal.close()


async def test_a_call_is_answered_recorded_and_ends(house: House) -> None:
    caller = await house.call(keys=["", "4", ""])
    assert [" ".join(command[:2]) for command in caller.commands[:2]] == ["SET VARIABLE", "GET DATA"]
    assert caller.variables["TIMEOUT(absolute)"] == "3600"
    assert caller.variables["URA_RESULT"] == "end"
    assert caller.variables["URA_CALL_ID"] == call_id("prosa-1700000000.1")
    assert len(caller.variables["URA_PROTOCOL"]) == 12
    assert caller.heard[:2] == ["prosa/welcome", "prosa/main"]
    assert house.kinds() == ["call_opened", "ticket_opened", "call_closed"]
    opened = house.records()[0].data
    assert (opened["caller"], opened["did"], opened["flow_version"]) == ("+5511987654321", "551133330001", 7)
    assert house.closed() == ["done"]
    assert house.live() == []


@pytest.mark.parametrize(("house", "six"), [((6, False), "6"), ((6, True), "h")], indirect=["house"])
async def test_six_is_said_as_the_setting_wants(house: House, six: str) -> None:
    """Of node 6, so that every protocol has one. Each digit's sound is its own letter; a joined file shows them."""
    for name in (*"0123456789", "half"):
        for file in (f"digit.{name}", f"digit.end.{name}"):
            (house.folder / "audio" / f"{file}.alaw").write_text(name[0])
    caller = await house.call(keys=["", "1", ""])
    joined = [file for file in caller.heard if file.startswith("dyn/joined/")]
    said = "".join((house.folder / f"{file}.alaw").read_text() for file in joined)
    assert said == caller.variables["URA_PROTOCOL"].replace("6", six)


async def test_a_flow_knows_from_the_start_what_it_was_promised(house: House) -> None:
    house.flows.number = Number("551133330001", "mobile", "", "")
    await house.call(keys=["", "9"])
    position = house.tools.live.find("prosa-1700000000.1")
    assert position is not None
    facts = position["state"]["facts"]
    assert set(facts) - {"person_calls"} == FIRST_FACTS
    assert (facts["number_kind"], facts["caller_kind"], facts["did"]) == ("mobile", "mobile", "551133330001")


async def test_a_key_that_cuts_the_greeting_counts_in_the_menu(house: House) -> None:
    caller = await house.call(keys=["4"])
    assert "prosa/main" not in caller.heard
    assert "ticket_opened" in house.kinds()


async def test_the_person_is_one_key_away_and_the_queue_gives_the_call_back(house: House) -> None:
    caller = await house.call(keys=["", "9"])
    assert {name: value for name, value in caller.variables.items() if name in ("URA_RESULT", "URA_QUEUE")} == {
        "URA_RESULT": "queue",
        "URA_QUEUE": "l1",
    }
    assert house.closed() == ["queue"]
    assert house.live() == ["prosa-1700000000.1.json"]
    back = await house.call(keys=["4"], header=header(agi_network_script="queue-left?reason=timeout"))
    assert back.heard[0] == "prosa/main"
    assert back.variables["URA_RESULT"] == "end"
    assert house.kinds().count("call_opened") == 1
    sequence = [record.data["seq"] for record in house.records() if record.kind == "call_step"]
    assert len(set(sequence)) == len(sequence)


async def test_the_wait_that_is_configured_now_goes_with_the_caller(house: House) -> None:
    assert (await house.call(keys=["", "9"])).variables["URA_MAX_WAIT_S"] == "240"
    house.lookups.max_wait_s = 20
    assert (await house.call(keys=["", "9"])).variables["URA_MAX_WAIT_S"] == "20"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("0 1 1", ""),  # somebody is free
        ("0 0 0", ""),  # nobody is there: the queue says so at once
        ("0 0 1", "under_3"),  # 150 s
        ("1 0 1", "under_10"),  # 300 s
        ("1 0 2", "under_3"),  # 150 s
        ("5 0 1", "over_10"),  # 900 s
        ("29 0 1", "over_10"),
        ("30 0 1", ""),  # full: the queue says so at once
        ("1 1 2", "under_3"),  # one more is ahead than can be served: 75 s
    ],
)
async def test_who_will_have_to_wait_is_told_how_long_that_may_take(house: House, state: str, told: str) -> None:
    caller = await house.call(keys=["", "9"], queue=state)
    assert [file.rpartition(".")[2] for file in caller.heard if "queue.wait" in file] == ([told] if told else [])
    assert caller.variables["URA_RESULT"] == "queue"


@pytest.mark.parametrize("unknown", [{"talk_s": None}, {"down": True}])
async def test_no_wait_is_told_when_none_is_known(house: House, unknown: dict[str, Any]) -> None:
    for name, value in unknown.items():
        setattr(house.lookups, name, value)
    caller = await house.call(keys=["", "9"], queue="4 0 1")
    assert not [file for file in caller.heard if "queue.wait" in file]
    assert caller.variables["URA_RESULT"] == "queue"


@pytest.mark.parametrize("state", ["", "nonsense", "1 0"])
async def test_a_queue_that_asterisk_says_nothing_of_is_entered_all_the_same(house: House, state: str) -> None:
    assert (await house.call(keys=["", "9"], queue=state)).variables["URA_RESULT"] == "queue"


async def test_a_database_that_is_slow_keeps_nobody_from_the_queue(house: House) -> None:
    house.lookups.slow = True
    began = asyncio.get_running_loop().time()
    caller = await house.call(keys=["", "9"], queue="4 0 1")
    assert asyncio.get_running_loop().time() - began < 2
    assert caller.variables["URA_RESULT"] == "queue"
    assert "URA_MAX_WAIT_S" not in caller.variables  # the dialplan has a wait of its own


async def test_who_hangs_up_while_the_wait_is_told_is_gone_quietly(house: House) -> None:
    caller = await house.call(keys=["", "9", "", HANG_UP], queue="4 0 1")
    assert "URA_RESULT" not in caller.variables
    assert house.closed() == ["queue"]


async def test_a_call_that_no_flow_conducts_is_told_its_wait_and_nothing_else_happens(house: House) -> None:
    caller = await house.call(header=header(agi_network_script="max-wait?queue=corporativo"))
    assert caller.variables == {"URA_MAX_WAIT_S": "240", "URA_RESULT": "told"}
    assert caller.heard == []
    assert house.records() == []


async def test_an_odd_reason_of_the_queue_is_a_failure(house: House) -> None:
    await house.call(keys=["", "9"])
    back = await house.call(header=header(agi_network_script="queue-left?reason=%24%7BSHELL%7D"))
    assert back.heard == ["prosa/bye"]


@pytest.mark.parametrize("route", ["resume", "queue-left?reason=timeout"])
async def test_a_call_that_nobody_remembers_begins_anew(house: House, route: str) -> None:
    caller = await house.call(keys=["", "4"], header=header(agi_network_script=route))
    assert caller.heard[0] == "prosa/welcome"
    assert house.closed() == ["done"]


@pytest.mark.parametrize("damage", [{"call_id": 1}, {}, {"state": {}}])
async def test_a_damaged_position_begins_anew(house: House, damage: dict[str, Any]) -> None:
    writer = house.tools.live.writer("prosa-1700000000.1")
    writer.save(damage)
    writer.close()
    caller = await house.call(keys=["", "4"], header=header(agi_network_script="resume"))
    assert caller.heard[0] == "prosa/welcome"


async def test_a_flow_version_that_is_gone_begins_anew(house: House) -> None:
    await house.call(keys=["", "9"])
    house.flows.forgotten = True
    caller = await house.call(keys=["", "4"], header=header(agi_network_script="resume"))
    assert caller.heard[0] == "prosa/welcome"


async def test_a_state_that_cannot_be_read_begins_anew(house: House) -> None:
    await house.call(keys=["", "9"])
    position = house.tools.live.find("prosa-1700000000.1")
    assert position is not None
    writer = house.tools.live.writer("prosa-1700000000.1")
    writer.save(position | {"state": {"mode": "nonsense"}})
    writer.close()
    caller = await house.call(keys=["", "4"], header=header(agi_network_script="resume"))
    assert caller.heard[0] == "prosa/welcome"


async def test_a_draining_server_moves_its_calls_at_the_menu_and_another_goes_on(house: House) -> None:
    first = FakeAsterisk(house.port, keys=[""])
    task = asyncio.create_task(first.call())
    while not first.heard:
        await asyncio.sleep(0)
    house.server.draining = True
    await task
    house.server.draining = False
    assert first.variables["URA_RESULT"] == "move"
    assert house.closed() == []
    second = await house.call(keys=["4"], header=header(agi_network_script="resume"))
    assert second.heard[0] == "prosa/main"
    assert second.variables["URA_PROTOCOL"] == first.variables["URA_PROTOCOL"]
    assert house.closed() == ["done"]


async def test_a_repeated_call_gets_the_short_greeting(house: House) -> None:
    house.lookups.calls = 2
    assert (await house.call()).heard[0] == "prosa/welcome_again"


@pytest.mark.parametrize("trouble", [{"down": True}, {"slow": True}])
async def test_a_database_that_is_away_or_slow_does_not_keep_the_greeting(
    house: House, trouble: dict[str, bool]
) -> None:
    for name, value in trouble.items():
        setattr(house.lookups, name, value)
    assert (await house.call()).heard[0] == "prosa/welcome"


async def test_an_unknown_caller_is_not_looked_up(house: House) -> None:
    await house.call(header=header(agi_callerid="unknown"))
    assert house.lookups.asked == []
    assert house.records()[0].data["caller"] == ""


async def test_a_call_without_uniqueid_is_served_and_leaves_nothing(house: House) -> None:
    await house.call(keys=["", "9"], header=header(agi_uniqueid="../x"))
    assert house.live() == []
    assert house.closed() == ["queue"]


async def test_a_recorded_message_is_kept_when_the_caller_hangs_up_after_it(house: House) -> None:
    await house.call(keys=["", "2", "", HANG_UP])
    assert "recording_saved" in house.kinds()
    assert len(house.closed()) == 1


async def test_without_protocol_numbers_the_call_goes_on(house: House, tmp_path: Path) -> None:
    (tmp_path / "protocol" / "0.json").mkdir(parents=True)
    caller = await house.call(keys=["", "1"])
    assert "URA_PROTOCOL" not in caller.variables
    assert caller.variables["URA_RESULT"] == "end"


async def test_a_journal_that_refuses_costs_the_record_and_never_the_call(house: House) -> None:
    house.fill_the_disk()
    caller = await house.call(keys=["", "9"])
    assert (caller.heard[1], caller.variables["URA_RESULT"]) == ("prosa/main", "queue")
    assert caller.variables["URA_UNRECORDED"] == "yes"


async def test_a_call_that_is_recorded_leaves_no_word_to_call_back(house: House) -> None:
    assert "URA_UNRECORDED" not in (await house.call(keys=["", "9"])).variables


async def test_a_disk_that_fills_up_in_the_middle_of_a_call_leaves_word_too(house: House) -> None:
    def press() -> Iterator[str]:
        yield ""
        house.fill_the_disk()
        yield "4"

    caller = await house.call(keys=press())
    assert (caller.variables["URA_RESULT"], caller.variables["URA_UNRECORDED"]) == ("queue", "yes")


@pytest.mark.parametrize("drawn", [1, BLOCK], ids=["journal", "protocol"])
async def test_a_disk_that_hangs_is_waited_for_one_second_and_no_protocol_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch, drawn: int
) -> None:
    """fdatasync may hang in the journal, or where the next block of protocol numbers is reserved."""
    for _ in range(drawn):
        house.tools.protocols.next(datetime.now(house.tools.zone).date())
    real, goes_on = os.fdatasync, threading.Event()

    def hang(fd: int) -> None:
        goes_on.wait(60)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", hang)
    monkeypatch.setattr(routes, "DURABLE_WITHIN_S", 0.05)
    try:
        async with asyncio.timeout(30):
            caller = await house.call(keys=["", "1"])
    finally:
        goes_on.set()
    assert caller.heard == ["prosa/welcome", "prosa/main", "prosa/bye"]
    assert caller.variables["URA_UNRECORDED"] == "yes"
    monkeypatch.undo()
    monkeypatch.setattr(routes, "DURABLE_WITHIN_S", 30)
    caller = await house.call(keys=["", "1"])
    assert len(caller.variables["URA_PROTOCOL"]) == 12
    assert "URA_UNRECORDED" not in caller.variables


async def test_a_lost_line_leaves_the_position_so_that_the_call_can_go_on(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(header())
    for reply in (b"200 result=1\n", b"200 result= (timeout)\n", b"nonsense\n"):
        await reader.readline()
        writer.write(reply)
    await reader.read()
    while house.server._tasks:
        await asyncio.wait(house.server._tasks)
    writer.close()
    assert house.closed() == []
    assert house.live() == ["prosa-1700000000.1.json"]


STEPS = ["", "0", "8", "", "2", "", "#", ""]


@pytest.mark.parametrize("exit_on_hangup", [True, False])
@pytest.mark.parametrize("before", range(1, 12))
async def test_a_hangup_at_any_moment_closes_the_record_once(house: House, before: int, exit_on_hangup: bool) -> None:
    caller = await house.call(keys=STEPS, hang_up_before=before, exit_on_hangup=exit_on_hangup)
    opened, closed = house.kinds().count("call_opened"), len(house.closed())
    assert (opened, closed) in {(1, 1), (0, 0)}  # gone before the first command: there was no call
    assert caller.dead or closed == 1
    assert house.live() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("at", range(len(STEPS)))
async def test_a_hangup_while_anything_plays_closes_the_record_once(house: House, at: int) -> None:
    await house.call(keys=[*STEPS[:at], HANG_UP])
    assert house.kinds().count("call_opened") == 1
    assert len(house.closed()) == 1
    assert house.live() == []


async def test_no_caller_and_no_key_gets_into_a_log(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    logs.configure(environment="development", stream=out)
    try:
        await _trouble(house)
    finally:
        structlog.reset_defaults()
    said = out.getvalue() + "".join(capsys.readouterr())
    assert "act failed" in said
    assert "odd AGI header" in said
    assert "987654321" not in said


async def _trouble(house: House) -> None:
    house.fill_the_disk()
    await house.call(keys=["", "4"])
    await house.call(keys=["4"], header=header(agi_network_script="resume")[:-1] + b"agi_evil: 11987654321\n\n")


async def test_ninety_callers_at_once(house: House) -> None:
    headers = [header(agi_uniqueid=f"prosa-1.{n}") for n in range(90)]
    callers = await asyncio.gather(*(house.call(keys=["", "4"], header=each) for each in headers))
    protocols = {caller.variables["URA_PROTOCOL"] for caller in callers}
    assert len(protocols) == 90
    assert house.closed() == ["done"] * 90
