"""`prosa run`: everything in the foreground, until Ctrl-C.

Set up the state folder and the database, start Asterisk, agi, api and worker, call ourselves once, say `ready:`; then
keep the doors open. At the end calls in progress come first, then agi, api and worker, and Asterisk last.
"""

import asyncio
import contextlib
import fcntl
import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from prosa import asterisk, calling, ports
from prosa.asterisk import Asterisk, AsteriskError, Attendant, Did
from prosa.caller import CallerError
from prosa.setup import Prepared, prepare, read_numbers
from prosa.supervisor import Door, NotReady, Supervisor, ended, spawn
from ura import health
from ura.errors import UraError
from ura.settings import Settings

Say = Callable[[str], None]
FIRST_CALL_S = 15.0
NUMBERS_EVERY_S = 20.0
# A call comes first: what is written down a moment later is written in larger, cheaper pieces.
STEPS_BACK = {"worker": 5}


class CannotStart(Exception):
    """Something that the person at the terminal can put right; the message says how."""


def status_file(settings: Settings) -> Path:
    """{"pid": ours, "doors": {"agi": pid, …}} while we run."""
    return settings.state_dir / "run" / "prosa.json"


class Steps:
    """Progress: what is being done, and how long it took. A step that takes long is seen while it runs."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self._began = time.monotonic()

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        began, notes = time.monotonic(), list[str]()
        self.say(f"  {what} …")
        yield notes
        note = f": {', '.join(notes)}" if notes else ""
        self.say(f"  {what}{note} ({time.monotonic() - began:.1f} s)")

    @property
    def total_s(self) -> float:
        return time.monotonic() - self._began


async def run(settings: Settings, *, say: Say, first_call: bool = True) -> int:
    """Returns the exit code: 0 after an orderly stop."""
    stop = _Stop()
    steps = Steps(say)
    try:
        with _alone(settings):
            return await _run(settings, steps, stop, first_call=first_call)
    except (CannotStart, NotReady, AsteriskError, UraError) as error:
        say(f"prosa cannot start: {error}")
        return 1


async def _run(settings: Settings, steps: Steps, stop: "_Stop", *, first_call: bool) -> int:
    if taken := ports.troubles(settings):
        raise CannotStart("\n  ".join(taken))
    prepared = await _prepare(settings, steps)
    supervisor = Supervisor(logs_dir=settings.logs_dir, status_file=status_file(settings), say=steps.say)
    phone = _Telephone(settings, prepared)
    try:
        await _open_doors(settings, supervisor, phone, steps)
        if first_call and not stop.asked:
            await _call_ourselves(settings, prepared, steps)
        _say_ready(settings, prepared, steps)
        following = asyncio.create_task(_follow_numbers(settings, phone, steps.say))
        await stop.wait()
        following.cancel()
        await _close_doors(settings, supervisor, phone, stop, steps.say)
        return 0
    finally:
        await supervisor.close()
        phone.forget()
        if prepared.password_unseen:
            steps.say(prepared.password_unseen)


# --- starting


async def _prepare(settings: Settings, steps: Steps) -> Prepared:
    """A telephone service is needed when the database is away, too: then the numbers are those of the last start."""
    try:
        settings.secret("secret_key")  # without it the phone door's workers would die one after the other
    except ValueError as error:
        raise CannotStart(str(error)) from error
    try:
        return await prepare(settings, steps.step)
    except (DBAPIError, OSError) as error:
        reason = str(error).partition("\n")[0]
        if not (asterisk.home_dir(settings) / "numbers.json").exists():
            raise CannotStart(f"the database does not answer: {reason}. See PROSA_DATABASE_URL") from error
        steps.say(f"  the database is away ({reason}); starting with the numbers of the last time")
        dids, attendants = asterisk.remembered(settings)
        return Prepared(list(dids), list(attendants), "as before", "")


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Two at a time on one state folder would write over each other's calls."""
    file = settings.state_dir / "run" / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"prosa runs already with the state folder {settings.state_dir}. Stop it, or choose another "
                "folder and ports: PROSA_STATE_DIR, PROSA_SIP_PORT, PROSA_AGI_PORT, PROSA_AMI_PORT, PROSA_HTTP_PORT"
            ) from None
        yield


class _Telephone:
    """Asterisk as a door. It changes its user, which makes the kernel forget whose child it is; so a shell waits at
    the other end of a pipe that ends with us, and then ends Asterisk."""

    def __init__(self, settings: Settings, prepared: Prepared) -> None:
        self._settings, self._prepared = settings, prepared
        self._guard: subprocess.Popen[bytes] | None = None
        self._unread = False  # written, and not read by the one that runs
        self.asterisk: Asterisk | None = None

    def spawn(self) -> "subprocess.Popen[bytes]":
        self.forget()
        self._unread = False
        self.asterisk = asterisk.start(self._settings, dids=self._prepared.dids, attendants=self._prepared.attendants)
        pid = self.asterisk.process.pid
        self._guard = subprocess.Popen(  # noqa: S603 - the only thing put into it is a number
            ["/bin/sh", "-c", f"read _; kill -KILL -{pid}"], stdin=subprocess.PIPE, start_new_session=True
        )
        return self.asterisk.process

    def renumber(self, dids: list[Did], attendants: list[Attendant]) -> bool:
        """What the database says now, for the Asterisk that runs and for the next one; False when that is nothing new.
        Raises AsteriskError: for a number that is none (nothing changes), or without an answer (ask again)."""
        if self.asterisk is None:
            return False
        if (dids, attendants) != (self._prepared.dids, self._prepared.attendants):
            asterisk.rewrite(self.asterisk, self._settings, dids=dids, attendants=attendants)
            self._prepared.dids, self._prepared.attendants = dids, attendants
            self._unread = True
        if not self._unread:
            return False
        asterisk.reload(self.asterisk)
        self._unread = False
        return True

    def forget(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
            self._guard = None

    async def booted(self, _process: "subprocess.Popen[bytes]") -> bool:
        return self.asterisk is not None  # `asterisk.start` returns when it is

    def ask(self, line: str) -> str:
        try:
            return self.asterisk.command(line, timeout_s=2) if self.asterisk else ""
        except AsteriskError:
            return ""


async def _open_doors(settings: Settings, supervisor: Supervisor, phone: _Telephone, steps: Steps) -> None:
    doors = [
        Door("asterisk", phone.spawn, phone.booted, log=asterisk.home_dir(settings) / "log/console.log"),
        _python_door("agi", supervisor, lambda _: _listens(settings.agi_host, settings.agi_port)),
        _python_door("api", supervisor, lambda _: asyncio.to_thread(_answers, settings)),
        _python_door("worker", supervisor, lambda process: _writes_journal(settings, process.pid)),
    ]
    doors[1].stop_in_s = settings.drain_s + 5
    doors[1].heartbeat = health.heartbeat(settings.state_dir, "agi")
    with steps.step("starting asterisk, agi, api and worker") as notes:
        # Asterisk last of the four: its start blocks us, and the others import meanwhile.
        took = await asyncio.gather(*(supervisor.start(door) for door in [*doors[1:], doors[0]]))
        notes.extend(f"{door.name} {s:.1f} s" for door, s in zip([*doors[1:], doors[0]], took, strict=True))


def _python_door(
    name: str, supervisor: Supervisor, ready: "Callable[[subprocess.Popen[bytes]], Awaitable[bool]]"
) -> Door:
    argv = [sys.executable, "-m", name]
    return Door(name, lambda: spawn(argv, supervisor.log_of(name), nice=STEPS_BACK.get(name, 0)), ready)


async def _listens(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _answers(settings: Settings) -> bool:
    link = http.client.HTTPConnection(settings.http_host, settings.http_port, timeout=2)
    try:
        link.request("GET", "/api/v1/health")
        return link.getresponse().status > 0  # it says itself what is not well
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


async def _writes_journal(settings: Settings, pid: int) -> bool:
    """The worker's journal is open: it has its database and its folder."""
    return any(settings.journal_dir.glob(f"worker-{pid}-*"))


async def _call_ourselves(settings: Settings, prepared: Prepared, steps: Steps) -> None:
    number = prepared.dids[0].number
    # The first time all the way to the menu; later the first second of sound tells that everything works.
    until = "menu.main" if prepared.password_unseen else "greeting.welcome"
    steps.say(f"  calling {number}; what the caller hears:")
    try:
        outcome = await calling.place(
            settings,
            number,
            say=lambda line: steps.say(f"  {line}"),
            listen_s=FIRST_CALL_S,
            until=until,
            from_="prosa",
        )
    except CallerError as error:
        raise CannotStart(f"the first call could not be placed: {error}") from error
    if not outcome.heard:
        raise CannotStart(
            f"the first call to {number} heard none of our prompts ({outcome.line}). "
            f"See the logs in {settings.logs_dir}, and run: prosa doctor"
        )
    steps.say(f"  {outcome.line}")


def _say_ready(settings: Settings, prepared: Prepared, steps: Steps) -> None:
    numbers = ", ".join(f"{did.number} {did.kind}" for did in prepared.dids)
    steps.say(f"ready: sip:{settings.sip_host}:{settings.sip_port} (UDP, A-law) after {steps.total_s:.1f} s")
    steps.say(f"  numbers   {numbers}")
    steps.say(f"  panel     http://{settings.http_host}:{settings.http_port}/")
    steps.say(f"  log-in    {prepared.log_in}")
    steps.say(f"  logs      {settings.logs_dir}")
    steps.say("  Ctrl-C stops everything, calls in progress first")
    prepared.password_unseen = ""


async def _follow_numbers(settings: Settings, phone: _Telephone, say: Say) -> None:
    """An import or the API has changed which numbers are ours or who has a phone: no call ends for that."""
    said = ""
    while True:
        await asyncio.sleep(NUMBERS_EVERY_S)
        try:
            dids, attendants = await read_numbers(settings)
        except (SQLAlchemyError, OSError):  # away: what we know stays
            continue
        try:
            if phone.renumber(dids, attendants):
                said = ""
                say(f"numbers have changed: Asterisk has {len(dids)} and {len(attendants)} attendants' phones now")
        except AsteriskError as error:
            if said != str(error):
                said = str(error)
                say(f"numbers have changed, and Asterisk goes on with those it had: {error}")


# --- stopping


class _Stop:
    """Ctrl-C or SIGTERM once: calls first. Twice: at once."""

    def __init__(self) -> None:
        self._times = 0
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        self._times += 1
        self._changed.set()
        if self._times > 1:
            self._hurry.set()

    @property
    def asked(self) -> bool:
        return self._times > 0

    @property
    def at_once(self) -> bool:
        return self._times > 1

    async def wait(self) -> None:
        await self._changed.wait()


async def _close_doors(settings: Settings, supervisor: Supervisor, phone: _Telephone, stop: _Stop, say: Say) -> None:
    supervisor.stopping()
    await _drain(settings, phone, stop, say)
    for name in ("agi", "api", "worker"):
        if stop.at_once:
            supervisor.kill(name)
        else:
            await supervisor.stop(name)
    if phone.asterisk is not None and phone.asterisk.process.poll() is None:
        phone.ask("core stop now")
        await ended(phone.asterisk.process, 3)
    say("stopped.")


async def _drain(settings: Settings, phone: _Telephone, stop: _Stop, say: Say) -> None:
    """No new call gets in (503); those that are here end by themselves, as long as we are patient."""
    if phone.asterisk is None:
        return
    calls = _calls(phone)
    phone.asterisk.drain()
    if not calls:
        await ended(phone.asterisk.process, 3)
        return
    say(f"stopping: {calls} in progress; they get {settings.drain_s} s to end (Ctrl-C again: at once)")
    deadline = time.monotonic() + settings.drain_s
    while not await ended(phone.asterisk.process, 0.1):
        if stop.at_once or time.monotonic() > deadline:
            break


def _calls(phone: _Telephone) -> str:
    """`2 calls`, or nothing. Asterisk says "1 active call", or "1 of 250 max active calls ( 0.40% of capacity)"."""
    found = re.search(r"^(\d+)(?: of \d+ max)? active (calls?)\b", phone.ask("core show channels count"), re.MULTILINE)
    return f"{found[1]} {found[2]}" if found and found[1] != "0" else ""
