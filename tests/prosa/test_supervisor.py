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
