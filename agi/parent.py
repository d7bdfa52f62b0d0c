"""The process that keeps the phone door open: it holds the socket, forks workers, and kills the ones that stand still.

It runs no event loop and no thread, and does nothing that can fail in an interesting way. Each worker writes a byte
into its pipe five times a second; one second without and it is killed and replaced (Asterisk itself would wait for ever
for its next command). A worker that was told to stop writes `d`: its replacement is forked before it is gone.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

import structlog

log = structlog.get_logger("agi.parent")

BEAT_S = 0.2
STILL_S = 1.0  # R05: a worker that stands still this long is killed
STARVED_S = 4.0
STARVED_SHARE = 0.5
FIRST_BEAT_S = 15.0
TICK_S = 0.1
STOP_S = 20.0
BACK_OFF_S = 0.1
MAX_BACK_OFF_S = 5.0
HEALTHY_S = 2.0

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

BEAT = b"."
DRAINING = b"d"


@dataclass
class Worker:
    pid: int
    pipe: int
    started_at: float
    heard_at: float
    speaking: bool = False
    draining: bool = False
    killed: bool = False  # and not gone yet: that may take the kernel longer than a tick
    used_s: float | None = None  # processor time it had used when it began to be late


# Fork one worker: its pid, and the reading end of its pipe (non-blocking). `others`: pipes it must not keep open.
Spawn = Callable[[list[int]], tuple[int, int]]


@dataclass
class Parent:
    spawn: Spawn
    count: int
    workers: list[Worker] = field(default_factory=list)
    stopping: bool = False
    _not_before: float = 0.0
    _back_off_s: float = BACK_OFF_S
    _ticked_at: float = 0.0

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then until the workers are gone."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._stop)
        while not self.stopping:
            self.tick()
        self.end()

    def tick(self) -> None:
        """Fork what is missing, listen for a tenth of a second, bury the dead, kill the still."""
        now = time.monotonic()
        while self._serving() < self.count and now >= self._not_before:
            self._fork()
        self._listen()
        self._reap()
        self._watch()

    def end(self) -> None:
        """Tell the workers to finish, wait for them, kill those that do not."""
        self.stopping = True
        for worker in self.workers:
            _kill(worker.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while self.workers and time.monotonic() < deadline:
            self._listen()
            self._reap()
        for worker in self.workers:
            _kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)

    def _serving(self) -> int:
        return sum(not worker.draining for worker in self.workers)

    def _stop(self, _signum: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _patience_s(self, worker: Worker) -> float:
        """One second. More for a worker that wants to run and gets no processor: replacing it would not help."""
        state = _state(worker.pid)
        got_s = _cpu_s(worker.pid) - (worker.used_s or 0.0)
        starved = state == "R" and got_s < STARVED_SHARE * STILL_S / 2
        return STARVED_S if starved else STILL_S

    def _fork(self) -> None:
        now = time.monotonic()
        try:
            pid, pipe = self.spawn([worker.pipe for worker in self.workers])
        except OSError as error:  # no memory, no process ids
            self._later(now)
            log.error("agi worker cannot be forked; tried again soon", reason=error.strerror)
            return
        self.workers.append(Worker(pid, pipe, now, now))

    def _later(self, now: float) -> None:
        self._not_before = now + self._back_off_s
        self._back_off_s = min(2 * self._back_off_s, MAX_BACK_OFF_S)

    def _listen(self) -> None:
        ready, _, _ = select.select([worker.pipe for worker in self.workers], [], [], TICK_S)
        now = time.monotonic()
        for worker in self.workers:
            if worker.pipe not in ready:
                continue
            said = os.read(worker.pipe, 4096)
            if said:
                worker.heard_at, worker.speaking, worker.used_s = now, True, None
                worker.draining = worker.draining or DRAINING in said
            else:  # its end is closed: it is dying, and waitpid will say so
                time.sleep(0.01)

    def _reap(self) -> None:
        for worker in list(self.workers):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._bury(worker, os.waitstatus_to_exitcode(status))

    def _bury(self, worker: Worker, code: int) -> None:
        self.workers.remove(worker)
        os.close(worker.pipe)
        if worker.draining or self.stopping:
            return
        now = time.monotonic()
        if now - worker.started_at < HEALTHY_S:  # it dies as soon as it is born: do not spin
            self._later(now)
        else:
            self._back_off_s = BACK_OFF_S
        log.error("agi worker died; its calls go on in another", pid=worker.pid, exit_code=code)

    def _watch(self) -> None:
        now = time.monotonic()
        if now - self._ticked_at > STILL_S / 2:  # we, or the whole machine, stood still: nobody is to blame
            for worker in self.workers:
                worker.heard_at = now
        self._ticked_at = now
        for worker in self.workers:
            still_s = now - worker.heard_at
            if worker.killed or still_s < STILL_S / 2:
                continue
            if worker.used_s is None:
                worker.used_s = _cpu_s(worker.pid)
            if still_s > (self._patience_s(worker) if worker.speaking else FIRST_BEAT_S):
                log.error("agi worker stands still; killed, its calls go on in another", pid=worker.pid, for_s=still_s)
                _kill(worker.pid, signal.SIGKILL)
                worker.killed = True


def fork(work: Callable[[int], None], others: list[int]) -> tuple[int, int]:
    """A child that runs `work(writing end of its pipe)` and exits. Fork before any loop or thread exists."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent passes it on
        for pipe in [*others, reading]:
            os.close(pipe)  # or a worker would not notice that the parent is gone
        work(writing)
        code = 0
    except Exception:
        log.exception("agi worker failed")
    finally:
        sys.stderr.flush()
        os._exit(code)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the state on; none when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    return "".join(_stat(pid)[:1])


def _cpu_s(pid: int) -> float:
    return sum(map(int, _stat(pid)[11:13])) / TICKS_PER_S


def _kill(pid: int, signum: signal.Signals) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return
