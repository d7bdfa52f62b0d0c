"""Keeps the doors open: starts processes, knows when they are ready, starts one that died again, stops them in order.

A door that stands still as a whole, and so nobody in it can say so, is killed: what waits for it goes on elsewhere.
A door writes its log to a file, never to a pipe: a terminal that nobody reads must not stop a call. What is a warning
or worse is shown here too. No process outlives us: the kernel kills a door whose supervisor is gone (PR_SET_PDEATHSIG).
"""

import asyncio
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
LOG_BYTES, LOGS_KEPT = 10 * 1024 * 1024, 5
LOOK_EVERY_S = 0.05
FEEL_EVERY_S = 0.25
STILL_S = 3.0  # a caller is to hear something within five
FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 30.0
STEADY_AFTER_S = 60.0  # a door that stayed up that long begins again with the first delay
WORTH_SHOWING = re.compile(  # structlog's console, its JSON, Asterisk's console, and what nobody caught
    r'\[(warning|error|critical)\s*\]|"level": ?"(warning|error|critical)"|\b(WARNING|ERROR)\[|^Traceback'
)

_libc = ctypes.CDLL(None)


class NotReady(Exception):
    """A door did not open; the message has its last words."""


@dataclass
class Door:
    """One process. `spawn` starts it and may block until it is up; `ready` is asked until it says yes."""

    name: str
    spawn: Callable[[], "subprocess.Popen[bytes]"]
    ready: Callable[["subprocess.Popen[bytes]"], Awaitable[bool]]
    ready_in_s: float = 45.0  # a small server, busy with something else, takes its time
    stop_in_s: float = 10.0
    log: Path | None = None  # where it writes; None: <logs>/<name>.log
    heartbeat: Path | None = None  # the file that it touches every second; None: only its end is watched
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    watch: "asyncio.Task[None] | None" = field(default=None, repr=False)


def malloc_environment(heaps: int = 1) -> dict[str, str]:
    """glibc keeps up to eight heaps a core, and each holds on to what its threads once needed (malloc(3), M_ARENA_MAX).
    One is enough for Python, whose threads take turns anyway; for Asterisk see prosa/asterisk.py."""
    return {"MALLOC_ARENA_MAX": str(heaps)}


def spawn(argv: Sequence[str | Path], log: Path, *, nice: int = 0) -> "subprocess.Popen[bytes]":
    """A process in a group of its own (Ctrl-C in the terminal is for us alone), dead when we are. `nice`: how far it
    steps back for others when the processor is short (nice(2)); 0: not at all."""

    def die_with_us() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.nice(nice)
        for name, value in malloc_environment().items():
            _libc.setenv(name.encode(), value.encode(), 0)

    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 - our own programs
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, preexec_fn=die_with_us
        )


async def ended(process: "subprocess.Popen[bytes]", timeout_s: float = float("inf")) -> bool:
    """Wait for its end; False when the time ran out."""
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_EVERY_S)
    return True


class Pulse:
    """Does a door stand still, its first process and all that beat? Made when it has just been started.

    Its first process wakes ten times a second (agi/parent.py) and replaces those who do not beat. So it is asked first:
    without beats, but awake, it is busy doing that, or the disk takes no beats. Whoever waits for a processor or a disk
    is not helped by being killed, and when we ourselves stood still, so did the machine.
    """

    def __init__(self, pid: int, heartbeat: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid, self._heartbeat, self._clock = pid, heartbeat, clock
        self._beat_before = self._beat()
        self._seen: tuple[str, float] = ("", 0.0)
        self._moved_at = self._felt_at = clock()

    def stands_still(self) -> bool:
        """To be asked several times a second. False until it has beaten once."""
        now, seen = self._clock(), (_switches(self._pid), self._beat())
        waits = _state(self._pid) in ("R", "D")
        if seen != self._seen or seen[1] == self._beat_before or waits or now - self._felt_at > STILL_S / 2:
            self._moved_at = now
        self._felt_at, self._seen = now, seen
        return now - self._moved_at > STILL_S

    def _beat(self) -> float:
        try:
            return self._heartbeat.stat().st_mtime
        except OSError:
            return 0.0


class Supervisor:
    def __init__(self, *, logs_dir: Path, status_file: Path, say: Callable[[str], None]) -> None:
        self.doors: dict[str, Door] = {}
        self._logs_dir, self._status_file, self._say = logs_dir, status_file, say
        self._stopping = False
        self._shown: dict[Path, int] = {}
        self._keeper: asyncio.Task[None] | None = None

    def log_of(self, name: str) -> Path:
        door = self.doors.get(name)
        return door.log if door is not None and door.log is not None else self._logs_dir / f"{name}.log"

    async def start(self, door: Door) -> float:
        """Start it and return, when it is ready, how many seconds that took. Raises NotReady."""
        self.doors[door.name] = door
        log = self.log_of(door.name)
        began, size = time.monotonic(), log.stat().st_size if log.exists() else 0
        self._shown.setdefault(log, size)
        process = self._spawn(door)
        while not await door.ready(process):
            if process.poll() is not None or time.monotonic() - began > door.ready_in_s:
                why = how_it_ended(process) if process.poll() is not None else f"not ready after {door.ready_in_s:g} s"
                raise NotReady(f"{door.name}: {why}; the whole log is {log}{_last_words(log, size)}")
            await asyncio.sleep(LOOK_EVERY_S)
        door.watch = asyncio.create_task(self._watch(door))
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_logs())
        return time.monotonic() - began

    def _spawn(self, door: Door) -> "subprocess.Popen[bytes]":
        door.process = door.spawn()
        door.starts += 1
        self._write_status()
        return door.process

    async def _watch(self, door: Door) -> None:
        delay = FIRST_DELAY_S
        while True:
            began, process = time.monotonic(), door.process
            assert process is not None
            await self._ended_or_still(door, process)
            if self._stopping:
                return
            _kill_group(process)  # children that it left behind hold its port
            if time.monotonic() - began > STEADY_AFTER_S:
                delay = FIRST_DELAY_S
            self._say(f"{door.name} {how_it_ended(process)}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(delay * 4, LONGEST_DELAY_S)
            try:
                self._spawn(door)
            except Exception as error:
                self._say(f"{door.name} did not start: {error}")

    async def _ended_or_still(self, door: Door, process: "subprocess.Popen[bytes]") -> None:
        pulse = Pulse(process.pid, door.heartbeat) if door.heartbeat else None
        while not await ended(process, FEEL_EVERY_S):
            if pulse and pulse.stands_still() and not self._stopping:
                self._say(f"{door.name} stood still for {STILL_S:g} s and is killed")
                _kill_group(process)
                pulse = None

    async def stop(self, name: str) -> None:
        """SIGTERM and patience, then SIGKILL to the whole group."""
        self._stopping = True
        door = self.doors.get(name)
        if door is None or door.process is None:
            return
        process = door.process
        if process.poll() is None:
            process.terminate()
            await ended(process, door.stop_in_s)
        self.kill(name)

    def kill(self, name: str) -> None:
        """What is left of the door's group, at once."""
        self._stopping = True
        process = self.doors[name].process if name in self.doors else None
        if process is None:
            return
        _kill_group(process)
        if process.poll() is None:
            process.kill()
        process.wait()

    async def close(self) -> None:
        for name in list(self.doors):
            self.kill(name)
        tasks = [task for task in (*(door.watch for door in self.doors.values()), self._keeper) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._show_news()
        self._status_file.unlink(missing_ok=True)

    def stopping(self) -> None:
        """From now on a door that ends is not started again."""
        self._stopping = True

    def _write_status(self) -> None:
        pids = {door.name: door.process.pid for door in self.doors.values() if door.process is not None}
        self._status_file.parent.mkdir(parents=True, exist_ok=True)
        new = self._status_file.with_suffix(".new")
        new.write_text(json.dumps({"pid": os.getpid(), "doors": pids}))
        new.rename(self._status_file)

    async def _keep_logs(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self._show_news()
            for log in [self.log_of(name) for name in self.doors]:
                if log.exists() and log.stat().st_size > LOG_BYTES:
                    rotate(log)
                    self._shown[log] = 0

    def _show_news(self) -> None:
        for name in self.doors:
            log = self.log_of(name)
            if not log.exists():
                continue
            size, seen = log.stat().st_size, self._shown.get(log, 0)
            if size <= seen:
                continue
            with log.open("rb") as file:
                file.seek(seen)
                text = file.read(65536)
            self._shown[log] = seen + len(text)
            for line in text.decode(errors="replace").splitlines():
                if WORTH_SHOWING.search(line) and not self._stopping:  # at the end doors miss each other
                    self._say(f"{name} | {line}")


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _state(pid: int) -> str:
    """R: runs or would like to, D: waits for a disk, S: sleeps, T: stopped, "": gone (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _switches(pid: int) -> str:
    """How often it has gone to sleep or was made to, in the kernel's words: what does not change does not run."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "".join(line for line in lines if "ctxt_switches" in line)


def rotate(log: Path) -> None:
    """log → log.1 → … The writer keeps its file: it is copied and cut (it appends, so it goes on at the start)."""
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.rename(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)


def how_it_ended(process: "subprocess.Popen[bytes]") -> str:
    code = process.poll()
    if code is None:
        return "is running"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"stopped with exit code {code}"


def _last_words(log: Path, start: int) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()[-15:]
    return "".join(f"\n  {line}" for line in lines)
