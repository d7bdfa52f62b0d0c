"""Doors are kept open, and nothing is left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from prosa import supervisor as module
from prosa.supervisor import Door, NotReady, Supervisor, ended, rotate, spawn

STAYS = "import time; print('up', flush=True); time.sleep(60)"


async def until(test: Callable[[], bool], timeout_s: float = 5) -> None:
    async with asyncio.timeout(timeout_s):
        while not test():
            await asyncio.sleep(0.02)


class Desk:
    """A supervisor, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.status = folder / "run" / "prosa.json"
        self.supervisor = Supervisor(logs_dir=folder / "log", status_file=self.status, say=self.said.append)

    def door(self, name: str, code: str, *, ready_in_s: float = 5) -> Door:
        log = self.supervisor.log_of(name)

        async def ready(_: object) -> bool:
            return log.exists() and "up" in log.read_text()

        return Door(name, lambda: spawn([sys.executable, "-c", code], log), ready, ready_in_s=ready_in_s, stop_in_s=0.5)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    await desk.supervisor.close()


async def test_a_door_that_dies_is_opened_again_with_one_clear_line(desk: Desk) -> None:
    door = desk.door("agi", STAYS)
    await desk.supervisor.start(door)
    assert door.process is not None
    first = door.process.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: door.starts == 2)
    assert door.process.pid != first
    assert desk.said == ["agi was killed by SIGKILL; starting it again in 0.1 s"]
    assert json.loads(desk.status.read_text())["doors"] == {"agi": door.process.pid}


async def test_a_door_that_dies_again_and_again_is_opened_less_and_less_often(desk: Desk) -> None:
    await desk.supervisor.start(desk.door("agi", "import time; print('up', flush=True); time.sleep(0.2)"))
    await until(lambda: len(desk.said) >= 2)
    assert [line.rpartition(" in ")[2] for line in desk.said[:2]] == ["0.1 s", "0.4 s"]


async def test_a_door_that_does_not_open_says_its_last_words(desk: Desk) -> None:
    with pytest.raises(NotReady, match=r"(?s)api: stopped with exit code 3.*port is taken"):
        await desk.supervisor.start(desk.door("api", "print('port is taken'); raise SystemExit(3)"))
    with pytest.raises(NotReady, match=r"slow: not ready after 0\.2 s"):
        await desk.supervisor.start(desk.door("slow", "import time; time.sleep(60)", ready_in_s=0.2))


async def test_a_door_that_ignores_sigterm_is_killed_with_its_children(desk: Desk, tmp_path: Path) -> None:
    note = tmp_path / "child"
    stubborn = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = os.fork()\nif child: open({str(note)!r}, 'w').write(str(child)); print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    await desk.supervisor.start(desk.door("worker", stubborn))
    child = int(note.read_text())
    await desk.supervisor.stop("worker")
    await until(lambda: _is_gone(child))
    assert desk.said == []


async def test_what_a_dead_door_left_behind_is_gone_before_it_opens_again(desk: Desk, tmp_path: Path) -> None:
    """A child that lives on would hold the port."""
    note = tmp_path / "children"
    forks = (
        "import os, time\nchild = os.fork()\n"
        f"if child: open({str(note)!r}, 'a').write(f'{{child}} '); print('up', flush=True)\ntime.sleep(60)\n"
    )
    door = desk.door("agi", forks)
    await desk.supervisor.start(door)
    assert door.process is not None
    door.process.kill()
    await until(lambda: len(note.read_text().split()) == 2)
    assert _is_gone(int(note.read_text().split()[0]))


BEATS = (
    "import pathlib, sys, time\nprint('up', flush=True)\n"
    "for turn in range(10**9): turn % 5 or pathlib.Path({!r}).touch(); time.sleep(0.1)"
)


async def test_a_door_that_stands_still_is_killed_with_its_children_and_opened_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STILL_S", 1.5)
    beat = tmp_path / "beat"
    door = desk.door("agi", BEATS.format(str(beat)))
    door.heartbeat = beat
    await desk.supervisor.start(door)
    assert door.process is not None
    for _ in range(2):  # one beat may be older than the watching
        beat.unlink(missing_ok=True)
        await until(beat.exists)
    os.killpg(door.process.pid, signal.SIGSTOP)
    await until(lambda: door.starts == 2, 30)
    assert desk.said == [
        "agi stood still for 1.5 s and is killed",
        "agi was killed by SIGKILL; starting it again in 0.1 s",
    ]


class Body:
    """A process as the kernel tells of it, and a clock in the test's hand."""

    def __init__(self, beat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.switches, self.state, self.beat = 100.0, 0, "S", beat
        monkeypatch.setattr(module, "_switches", lambda _: str(self.switches))
        monkeypatch.setattr(module, "_state", lambda _: self.state)
        self.pulse = module.Pulse(1, beat, clock=lambda: self.now)
        self.beats(1)
        assert not self.pulse.stands_still()

    def beats(self, at: float) -> None:
        self.beat.touch()
        os.utime(self.beat, (at, at))

    def after(self, seconds: float, change: Callable[[], object] = lambda: None) -> bool:
        """Whether it is held for dead once so much time has passed in quarters of a second."""
        found = False
        for _ in range(round(seconds * 4)):
            self.now += 0.25
            change()
            found = self.pulse.stands_still() or found
        return found


@pytest.fixture
def body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Body:
    return Body(tmp_path / "beat", monkeypatch)


def test_one_that_neither_wakes_nor_beats_stands_still_after_three_seconds(body: Body) -> None:
    assert not body.after(3)
    assert body.after(0.25)


def test_one_that_wakes_is_left_to_replace_those_who_do_not_beat(body: Body) -> None:
    """So it is also when the disk takes no beats."""

    def wake() -> None:
        body.switches += 1

    assert not body.after(60, wake)


def test_one_whose_workers_beat_is_left_to_them(body: Body) -> None:
    assert not body.after(60, lambda: body.beats(body.now))


@pytest.mark.parametrize("state", ["R", "D"])
def test_one_that_gets_no_processor_or_no_disk_is_waited_for(body: Body, state: str) -> None:
    body.state = state
    assert not body.after(60)
    body.state = "T"
    assert body.after(4)


def test_after_a_pause_of_the_machine_nobody_is_held_for_dead(body: Body) -> None:
    for _ in range(10):
        body.now += 3600
        assert not body.pulse.stands_still()
    assert body.after(4)


def test_one_that_has_not_beaten_yet_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts, and the file is an earlier one's."""
    beat = tmp_path / "beat"
    body = Body(beat, monkeypatch)
    body.pulse = module.Pulse(1, beat, clock=lambda: body.now)
    assert not body.after(60)
    body.beats(2)
    assert body.after(4)


def test_a_process_that_is_gone_has_no_state_and_one_that_runs_has() -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", "pass"])
    gone.wait()
    assert (module._state(gone.pid), module._switches(gone.pid)) == ("", "")
    assert module._state(os.getpid()) == "R"
    assert "voluntary_ctxt_switches" in module._switches(os.getpid())


async def test_what_is_a_warning_is_shown_and_the_rest_is_only_in_the_log(desk: Desk) -> None:
    code = "import time; print('up [info] quiet\\n[warning  ] disk is full', flush=True); time.sleep(60)"
    await desk.supervisor.start(desk.door("worker", code))
    await until(lambda: desk.said)
    assert desk.said == ["worker | [warning  ] disk is full"]
    assert "quiet" in desk.supervisor.log_of("worker").read_text()


def test_nothing_outlives_the_supervisor(tmp_path: Path) -> None:
    """Even one that was killed with -9."""
    code = (
        "import sys, time; from pathlib import Path; from prosa.supervisor import spawn\n"
        f"print(spawn([sys.executable, '-c', 'import time; time.sleep(60)'], Path({str(tmp_path / 'x.log')!r})).pid,"
        " flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        supervisor.kill()
    asyncio.run(until(lambda: _is_gone(child)))


def test_a_log_is_cut_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "agi.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"first\n")
        rotate(log)
        writer.write(b"second\n")
        rotate(log)
        writer.write(b"third\n")
    assert [file.read_text() for file in (log, tmp_path / "agi.log.1", tmp_path / "agi.log.2")] == [
        "third\n",
        "second\n",
        "first\n",
    ]


async def test_waiting_for_an_end_has_a_limit(tmp_path: Path) -> None:
    process = spawn([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "x.log")
    assert not await ended(process, 0.1)
    process.kill()
    assert await ended(process, 5)


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.parametrize(("own", "seen"), [(None, "1"), ("7", "7")], ids=["ours", "theirs"])
def test_a_door_has_one_heap_unless_the_machine_says_otherwise(
    own: str | None, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    if own:
        monkeypatch.setenv("MALLOC_ARENA_MAX", own)
    code = "import os; print(os.environ['MALLOC_ARENA_MAX'])"
    assert spawn([sys.executable, "-c", code], tmp_path / "log").wait(20) == 0
    assert (tmp_path / "log").read_text().strip() == seen


def test_a_door_steps_back_as_far_as_it_is_told(tmp_path: Path) -> None:
    code = "import os; print(os.nice(0))"
    assert spawn([sys.executable, "-c", code], tmp_path / "log", nice=3).wait(20) == 0
    assert (tmp_path / "log").read_text().strip() == str(os.nice(0) + 3)
