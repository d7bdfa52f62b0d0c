"""The rescue script: on pyst2 and the standard library, with Asterisk's half played from a script."""

import fcntl
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from agi import live, rescue
from agi.live import LivePositions
from ura import call_ids, phones, projection, speech
from ura import journal as journals
from ura.journal import Record
from ura.protocol import BLOCK, Protocols, is_valid

HEADER = "agi_uniqueid: prosa-1.1\nagi_callerid: 11987654321\n\n"
DID = "200 result=1 (551133330001)\n"
OK = "200 result=1\n"
TODAY = date(2026, 11, 22)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "journal").mkdir()
    (tmp_path / "live").mkdir()
    return tmp_path


@pytest.fixture
def run(state: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[str]]]:
    def run(mode: str, replies: str, header: str = HEADER, why: str = "down") -> tuple[int, list[str]]:
        out = io.StringIO()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((header + replies).encode("latin-1"))))
        monkeypatch.setattr(sys, "stdout", out)
        code = rescue.main(["rescue", str(state), mode, why])
        return code, out.getvalue().splitlines()

    return run


Run = Callable[..., tuple[int, list[str]]]


def records(state: Path) -> list[Record]:
    found: list[Record] = []
    for file in journals.files(state / "journal"):
        batch = journals.read(file)
        assert batch.bad == []
        found += batch.records
    return found


def test_the_menu_leads_to_a_person_and_the_call_and_a_ticket_are_on_disk(run: Run, state: Path) -> None:
    code, asked = run("menu", DID + "200 result=1\n" + OK * 3)
    assert code == 0
    assert asked[1] == "GET DATA own/rescue/menu 5000 1"
    assert asked[-1] == 'SET VARIABLE "URA_RESULT" "queue"'
    opened, ticket, closed = records(state)
    assert (opened.kind, opened.data["door"], opened.data["did"]) == ("call_opened", "rescue", "551133330001")
    assert (ticket.kind, ticket.data["category"], ticket.data["summary"]) == ("ticket_opened", "fallback", "menu: down")
    assert (closed.kind, closed.data["outcome"]) == ("call_closed", "queue")


def test_who_has_pressed_a_key_hears_no_menu_and_is_written_down_like_the_others(run: Run, state: Path) -> None:
    code, asked = run("pressed", DID + OK * 5)
    assert code == 0
    assert not [line for line in asked if "rescue/menu" in line]
    assert asked[-1] == 'SET VARIABLE "URA_RESULT" "queue"'
    assert [record.data["summary"] for record in records(state) if record.kind == "ticket_opened"] == ["menu: down"]


def test_every_record_can_be_projected(run: Run, state: Path) -> None:
    run("promise", DID + "200 result=\n" + OK)
    run("menu", DID + "200 result=\n" + OK * 3)
    for record in records(state):
        assert projection.PROJECTIONS[record.kind].row(record.data)


def test_it_reads_the_positions_that_the_server_writes() -> None:
    assert rescue.SLOT == live.SLOT


def test_its_ids_are_those_of_the_server(run: Run, state: Path) -> None:
    run("menu", DID + "200 result=\n" + OK * 3)
    assert records(state)[0].key == call_ids.call_id("prosa-1.1")


def test_silence_leads_to_a_person_too_and_so_does_a_missing_prompt(run: Run) -> None:
    assert run("menu", DID + "200 result= (timeout)\n" + OK * 3)[1][-1] == 'SET VARIABLE "URA_RESULT" "queue"'
    assert (
        run("menu", DID + "200 result=-1\n" + "200 result=0\n" + OK * 3)[1][-1] == 'SET VARIABLE "URA_RESULT" "queue"'
    )


@pytest.mark.parametrize("key", [*"0123456789*#ABCD", "0123456789*#" * 20])
@pytest.mark.parametrize(("mode", "prompts", "told"), [("menu", 2, 3), ("pressed", 1, 3), ("promise", 2, 1)])
def test_keys_hammered_into_every_word_change_nothing(  # R25
    run: Run, state: Path, mode: str, prompts: int, told: int, key: str
) -> None:
    """Each cuts what is said, and the call goes where silence would have taken it, recorded in the same way."""
    Protocols(state / "protocol", 4).next(TODAY)
    ways = []
    for answer in ("", key):
        code, asked = run(mode, DID + f"200 result={answer}\n" * prompts + OK * told)
        ways.append(
            (code, ["protocol" if "/protocol/" in line else re.sub("[0-9a-f]{32}", "id", line) for line in asked])
        )
    kinds = [record.kind for record in records(state)]
    assert ways[0] == ways[1]
    assert (ways[0][0], len(ways[0][1])) == (0, 1 + prompts + told)
    assert kinds[: len(kinds) // 2] == kinds[len(kinds) // 2 :]
    assert kinds[-1] == "call_closed"


def test_a_call_that_the_server_knew_keeps_its_record_and_protocol(run: Run, state: Path) -> None:
    writer = LivePositions(state / "live").writer("prosa-1.1")
    for protocol in ("", "", "261326000017"):
        writer.save({"protocol": protocol})
    writer.close()
    run("menu", DID + "200 result=\n" + OK * 3)
    assert [record.kind for record in records(state)] == ["ticket_opened", "call_closed"]
    assert records(state)[0].data["protocol"] == "261326000017"


def test_a_call_that_the_server_did_not_know_gets_a_number_out_of_the_servers_count(run: Run, state: Path) -> None:
    server = Protocols(state / "protocol", 4)
    before = server.next(TODAY)
    code, asked = run("promise", DID + "200 result=\n" + OK * 2)
    opened, ticket, *_ = records(state)
    number = opened.data["protocol"]
    assert (code, is_valid(number), ticket.data["protocol"]) == (0, True, number)
    said = ["protocol.intro", *speech.protocol(number)]
    files = "&".join("prosa/" + key.replace(".", "/") for key in said)
    assert asked[2] == f"GET DATA {files} 1 1"
    others = [server.next(TODAY) for _ in range(BLOCK)] + [Protocols(state / "protocol", 4).next(TODAY)]
    assert len({before, number, rescue.draw_protocol(str(state)), *others}) == len(others) + 3


@pytest.mark.parametrize("used", [0, 7, 99_999, 100_000, 199_980])
def test_its_numbers_have_the_form_of_the_servers(state: Path, used: int) -> None:
    (state / "protocol").mkdir()
    count = state / "protocol" / "4.json"
    drawn = []
    for draw in (lambda: rescue.draw_protocol(str(state)), lambda: Protocols(count.parent, 4).next(TODAY)):
        count.write_text(f'{{"day": "{TODAY}", "used": {used}}}'.ljust(64))
        drawn.append(draw())
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("count", ["", "{", "[]", '{"day": "x", "used": 1}', f'{{"day": "{TODAY}", "used": 200000}}'])
def test_without_a_number_it_goes_on_without(run: Run, state: Path, count: str) -> None:
    (state / "protocol").mkdir()
    (state / "protocol" / "4.json").write_text(count)
    _, asked = run("promise", DID + "200 result=\n" + OK)
    assert asked[1:] == ["GET DATA own/rescue/registered 1 1", 'SET VARIABLE "URA_RESULT" "end"']


def test_a_number_that_is_not_written_down_is_not_told(run: Run, state: Path) -> None:
    Protocols(state / "protocol", 4).next(TODAY)
    (state / "journal").rmdir()
    assert not [line for line in run("menu", DID + "200 result=\n" + OK * 3)[1] if "protocol" in line]


@pytest.mark.parametrize("damage", ["[]", "{", ""])
def test_a_damaged_position_is_none(run: Run, state: Path, damage: str) -> None:
    (state / "live" / "prosa-1.1.json").write_text(damage)
    run("menu", DID + "200 result=\n" + OK * 3)
    assert records(state)[0].kind == "call_opened"


def test_the_promise_is_spoken_after_it_is_written(run: Run, state: Path) -> None:
    code, asked = run("promise", DID + "200 result=\n" + OK, why="timeout")
    assert (code, asked[1:]) == (0, ["GET DATA own/rescue/registered 1 1", 'SET VARIABLE "URA_RESULT" "end"'])
    assert [record.kind for record in records(state)] == [
        "call_opened",
        "ticket_opened",
        "callback_requested",
        "call_closed",
    ]
    assert records(state)[-1].data["outcome"] == "rescue"


def test_a_promise_that_cannot_be_spoken_is_not_silence(run: Run) -> None:
    _, asked = run("promise", DID + "200 result=-1\n" + "200 result=0\n" + "200 result=\n" + OK)
    assert asked[1:4] == ["GET DATA own/rescue/registered 1 1", "NOOP", "GET DATA own/system/all_busy 1 1"]
    assert asked[-1] == 'SET VARIABLE "URA_RESULT" "end"'


def test_nothing_is_promised_to_a_hidden_number(run: Run, state: Path) -> None:
    code, asked = run("promise", DID, header="agi_uniqueid: \nagi_callerid: unknown\n\n")
    assert (code, len(asked)) == (0, 1)
    assert [record.kind for record in records(state)] == ["call_opened", "ticket_opened"]


def test_nothing_is_promised_when_the_disk_refuses_and_a_person_is_offered_all_the_same(run: Run, state: Path) -> None:
    (state / "journal").rmdir()
    assert len(run("promise", DID)[1]) == 1
    assert run("menu", DID + "200 result=\n" + OK * 3)[1][-1] == 'SET VARIABLE "URA_RESULT" "queue"'


@pytest.mark.parametrize(("mode", "told"), [("menu", 'SET VARIABLE "URA_RESULT" "queue"'), ("promise", "URA_DID")])
def test_a_disk_that_hangs_is_waited_for_once_and_is_one_that_refuses(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch, mode: str, told: str
) -> None:
    """Nothing is promised, no number told; a person is offered all the same."""
    Protocols(state / "protocol", 4).next(TODAY)
    answers = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda fd: answers.wait(30))
    began = time.monotonic()
    try:
        _, asked = run(mode, DID + "200 result=\n" + OK * 3)
        took_s = time.monotonic() - began
    finally:
        answers.set()
    assert rescue.DISK_S <= took_s < 2 * rescue.DISK_S
    assert told in asked[-1]
    assert not [line for line in asked if "protocol" in line or "registered" in line]


@pytest.mark.parametrize("mode", ["menu", "promise"])
def test_a_server_frozen_over_its_count_costs_the_number_alone(run: Run, state: Path, mode: str) -> None:
    Protocols(state / "protocol", 4).next(TODAY)
    with (state / "protocol" / "4.json").open() as count:
        fcntl.flock(count, fcntl.LOCK_EX)
        began = time.monotonic()
        code, asked = run(mode, DID + "200 result=\n" + OK * 3)
    assert time.monotonic() - began < 2 * rescue.DISK_S
    assert (code, [line for line in asked if "protocol" in line]) == (0, [])
    assert records(state)[0].data["protocol"] == ""
    assert records(state)[-1].kind == "call_closed"


def test_asterisk_goes_on_while_a_thread_still_hangs_on_the_disk(state: Path) -> None:
    """As a process: its end of the pipe is closed, whatever became of the disk."""
    os.mkfifo(state / "live" / "prosa-1.1.json")  # whoever opens it to read waits for a writer
    done = subprocess.run(
        [sys.executable, rescue.__file__, str(state), "menu", "down"],
        input=HEADER + DID + OK * 4, capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    assert 'SET VARIABLE "URA_RESULT" "queue"' in done.stdout


def test_a_disk_that_is_full_in_the_middle_is_an_error(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = rescue.Journal(str(state / "journal"))
    monkeypatch.setattr(os, "write", lambda fd, data: len(data) - 1)
    with pytest.raises(OSError, match="full"):
        journal.write(("call_closed", "x", {}))
    assert journals.files(state / "journal") == []


def test_a_caller_who_hangs_up_is_recorded_as_gone(run: Run, state: Path) -> None:
    code, _ = run("menu", DID + "200 result=-1\n" + "200 result=-1\n")
    assert code == 1
    assert records(state)[-1].data["outcome"] == "abandoned"


@pytest.mark.parametrize("replies", ["", DID, DID + "520-", "nonsense\n", DID + "HANGUP\n", "\xff\xfe\n"])
def test_whatever_asterisk_says_it_ends(run: Run, replies: str) -> None:
    assert run("menu", replies)[0] in (0, 1)


def test_a_latin_1_header_is_no_obstacle(run: Run) -> None:
    assert run("menu", DID + "200 result=\n" + OK * 3, header="agi_calleridname: José\n" + HEADER)[0] == 0


@pytest.mark.parametrize(
    "raw",
    ["11987654321", "5511987654321", "+5511987654321", "01133330001", "1133330001", "+14155552671", "", "unknown"],
)
def test_numbers_are_read_as_the_server_reads_them(raw: str) -> None:
    assert rescue.e164(raw) == phones.to_e164(raw)


def test_it_is_quick_and_needs_nothing_but_pyst2(state: Path) -> None:
    """As Asterisk starts it: without site-packages, with pyst2's folder alone."""
    import asterisk
    import six

    library = state / "lib"
    library.mkdir()
    (library / "asterisk").symlink_to(Path(asterisk.__file__).parent)
    (library / "six.py").symlink_to(six.__file__)
    script = f"runpy.run_path({rescue.__file__!r}, run_name='__main__')"
    start = f"import runpy, sys; sys.path.insert(0, {str(library)!r}); {script}"
    said = HEADER + DID + "200 result=1\n" + OK * 3
    took_s = []
    for _ in range(3):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-SEc", start, str(state), "menu", "down"],
            input=said, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        took_s.append(time.monotonic() - began)
    assert 'SET VARIABLE "URA_RESULT" "queue"' in done.stdout
    assert done.stderr == ""
    assert min(took_s) < 0.6  # 0.06 s on an idle machine
