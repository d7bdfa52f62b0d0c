"""The parent against real processes: workers that die, stand still, drain, or cannot be born."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import structlog

from agi import parent as module
from agi.parent import Parent

BEATS = "import os, sys, time\nwhile True:\n os.write(int(sys.argv[1]), b'.'); time.sleep(0.05)"
DRAINS = "import os, sys, time\nos.write(int(sys.argv[1]), b'd'); time.sleep(0.3)"
FREEZES = "import os, sys, time\nos.write(int(sys.argv[1]), b'.'); time.sleep(60)"
DIES = "pass"


class Nursery:
    """Spawns small scripts instead of forking the test process."""

    def __init__(self) -> None:
        self.script = BEATS
        self.made: list[subprocess.Popen[bytes]] = []

    def __call__(self, _others: list[int]) -> tuple[int, int]:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        child = subprocess.Popen([sys.executable, "-S", "-c", self.script, str(writing)], pass_fds=[writing])
        os.close(writing)
        self.made.append(child)
        return child.pid, reading

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self.made]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    for child in nursery.made:
        child.kill()
        child.wait()


def tick_until(parent: Parent, done: Callable[[], bool], limit_s: float = 10.0) -> float:
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < limit_s
        parent.tick()
    return time.monotonic() - began


def test_a_dead_worker_is_replaced(nursery: Nursery) -> None:
    parent = Parent(nursery, 2)
    tick_until(parent, lambda: sum(w.speaking for w in parent.workers) == 2)
    first = parent.workers[0].pid
    os.kill(first, signal.SIGKILL)
    tick_until(parent, lambda: len(nursery.made) == 3 and first not in [w.pid for w in parent.workers])
    parent.end()
    assert parent.workers == []


def test_a_worker_that_stands_still_is_killed_after_a_second(nursery: Nursery) -> None:
    parent = Parent(nursery, 1)
    nursery.script = FREEZES
    tick_until(parent, lambda: any(w.speaking for w in parent.workers))
    nursery.script = BEATS
    took_s = tick_until(parent, lambda: len(nursery.made) == 2)
    assert 0.9 < took_s < 5.5  # as below: other work may keep it from the processor
    parent.end()


def test_a_worker_that_computes_and_computes_is_killed_too(nursery: Nursery) -> None:
    parent = Parent(nursery, 1)
    nursery.script = "import os, sys\nos.write(int(sys.argv[1]), b'.')\nwhile True: pass"
    tick_until(parent, lambda: any(w.speaking for w in parent.workers))
    nursery.script = BEATS
    took_s = tick_until(parent, lambda: len(nursery.made) == 2)
    assert 0.9 < took_s < 5.5  # at the end only where other work keeps it from the processor
    parent.end()


def test_a_worker_that_gets_no_processor_is_waited_for(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_state", lambda pid: "R")
    monkeypatch.setattr(module, "_cpu_s", lambda pid: 1.0)
    parent = Parent(nursery, 1)
    nursery.script = FREEZES
    tick_until(parent, lambda: any(w.speaking for w in parent.workers))
    took_s = tick_until(parent, lambda: len(nursery.made) == 2)
    assert took_s > module.STARVED_S - 0.2
    parent.end()


def test_one_that_takes_its_time_to_die_is_killed_and_told_of_once(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(module, "_kill", lambda pid, _signum: killed.append(pid))  # the kernel is busy with it
    parent = Parent(nursery, 1)
    nursery.script = FREEZES
    with structlog.testing.capture_logs() as logs:
        tick_until(parent, lambda: bool(killed))
        for _ in range(5):
            parent.tick()
    assert killed == nursery.pids
    assert [line["event"].split(";")[0] for line in logs] == ["agi worker stands still"]
    nursery.made[0].kill()
    nursery.script = BEATS
    tick_until(parent, lambda: len(nursery.made) == 2)
    monkeypatch.undo()
    parent.end()


def test_a_process_that_is_gone_has_no_state() -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", DIES])
    gone.wait()
    assert (module._state(gone.pid), module._cpu_s(gone.pid)) == ("", 0.0)


def test_a_draining_worker_has_its_replacement_before_it_is_gone(nursery: Nursery) -> None:
    parent = Parent(nursery, 1)
    nursery.script = DRAINS
    parent.tick()
    nursery.script = BEATS
    tick_until(parent, lambda: len(nursery.made) == 2)
    assert nursery.made[0].pid in [w.pid for w in parent.workers]
    tick_until(parent, lambda: [w.pid for w in parent.workers] == [nursery.made[1].pid])
    parent.end()


def test_workers_that_die_at_birth_do_not_make_it_spin(nursery: Nursery) -> None:
    parent = Parent(nursery, 1)
    nursery.script = DIES
    ends = time.monotonic() + 1.0
    while time.monotonic() < ends:
        parent.tick()
    assert 2 <= len(nursery.made) <= 5
    assert parent._back_off_s > module.BACK_OFF_S
    parent.end()


def test_one_that_lived_well_is_replaced_at_once(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEALTHY_S", 0.0)
    parent = Parent(nursery, 1)
    nursery.script = DIES
    tick_until(parent, lambda: len(nursery.made) == 3)
    assert parent._back_off_s == module.BACK_OFF_S
    parent.end()


def test_no_memory_to_fork_is_tried_again(nursery: Nursery) -> None:
    refusals = [OSError(12, "Cannot allocate memory")]

    def spawn(others: list[int]) -> tuple[int, int]:
        if refusals:
            raise refusals.pop()
        return nursery(others)

    parent = Parent(spawn, 1)
    tick_until(parent, lambda: len(parent.workers) == 1)
    parent.end()


def test_after_a_pause_of_the_whole_machine_nobody_is_killed(nursery: Nursery) -> None:
    parent = Parent(nursery, 1)
    tick_until(parent, lambda: any(w.speaking for w in parent.workers))
    os.kill(nursery.made[0].pid, signal.SIGSTOP)
    time.sleep(1.3)  # neither of us runs, as when a virtual machine is moved
    parent.tick()
    os.kill(nursery.made[0].pid, signal.SIGCONT)
    tick_until(parent, lambda: time.monotonic() - parent.workers[0].heard_at < 0.15)
    assert len(nursery.made) == 1
    parent.end()


def test_workers_that_do_not_stop_are_killed(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.2)
    nursery.script = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + BEATS
    parent = Parent(nursery, 1)
    tick_until(parent, lambda: any(w.speaking for w in parent.workers))
    parent.end()
    assert nursery.made[0].poll() is not None or not _alive(nursery.made[0].pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_killing_who_is_gone_is_no_error(nursery: Nursery) -> None:
    nursery.script = DIES
    pid, pipe = nursery([])
    nursery.made[0].wait()
    module._kill(pid, signal.SIGTERM)
    os.close(pipe)


# A real fork, in a process of its own: pytest has threads, and forking it would be asking for trouble.
FORKS = """
import os, signal, sys, time
from agi import parent
def work(pipe):
    if sys.argv[1] == "raise":
        raise RuntimeError("cannot start")
    os.write(pipe, b"hello")
pid, pipe = parent.fork(work, [])
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status), os.read(pipe, 100).decode())
"""


@pytest.mark.parametrize(("how", "says"), [("work", "0 hello"), ("raise", "1 ")])
def test_a_fork_works_and_exits(how: str, says: str) -> None:
    found = subprocess.run([sys.executable, "-c", FORKS, how], capture_output=True, text=True, timeout=30, check=True)
    assert found.stdout.splitlines()[-1] == says
    assert ("cannot start" in found.stdout + found.stderr) == (how == "raise")
