"""When our server is gone: a classic AGI script, started by Asterisk itself, on pyst2 and the standard library alone.

    rescue <state folder> menu <why>      the service is limited; 1 or silence leads to a person
    rescue <state folder> pressed <why>   the same for who has pressed a key already
    rescue <state folder> promise <why>   nobody can take the call: it is written down, somebody rings back

The call and its ticket go to a journal file of our own (the format of ura/journal.py, proven by a contract test), on
disk before anything is promised. A disk that does not answer is one that refuses. Whatever fails here, the dialplan
finds no URA_RESULT and goes on without us.
"""

import binascii
import fcntl
import io
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timezone
from typing import Any, NoReturn
from uuid import UUID, uuid4, uuid5

from asterisk.agi import AGI, AGIAppError, AGIException, AGIHangup

NAMESPACE = UUID("b1a5f5a0-6f0e-4b53-9f0a-1f2d3c4b5a69")  # of ura/call_ids.py
Record = tuple[str, str, dict[str, Any]]  # kind, key, data

SLOT = 64 * 1024  # of agi/live.py
LIMIT_S = 100
DISK_S = 1.0  # the caller hears nothing meanwhile
QUEUE = "l1"
MENU, REGISTERED = "own/rescue/menu", "own/rescue/registered"
BUSY = "own/system/all_busy"  # when that cannot be played
PROTOCOL, PAUSE = "prosa/protocol/intro", "prosa/pause/short"
USED_UP = 200_000  # of ura/protocol.py, as the form of the number
WAIT_MS = 5000


class Asterisk(io.TextIOWrapper):
    """Its end of the pipe. pyst2 reads on for ever, or stumbles, where it ends."""

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # pyst2 gives no size
        line = super().readline(size)
        if not line:
            raise AGIHangup("Asterisk has closed its end")
        return line


class Disk:
    """Asked in a thread: nobody can take back a question to a disk that hangs."""

    def __init__(self) -> None:
        self._hangs = False

    def ask(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises; OSError when it is not done in time. A disk that hung is not asked again."""
        if self._hangs:
            raise OSError("the disk hangs")
        found: list[Any] = []
        failed: list[Exception] = []

        def work_there() -> None:
            try:
                found.append(work())
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=work_there, daemon=True)
        thread.start()
        thread.join(DISK_S)
        if failed:
            raise failed[0]
        if not found:
            self._hangs = True
            raise OSError("the disk hangs")
        return found[0]


class Journal:
    """One file for one call, as ura.journal.Journal writes it."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, f"rescue-{os.getpid()}-{time.time_ns() // 1000}.journal")
        self._hidden = self.path[: -len("journal")] + "new"
        self._fd = os.open(self._hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def write(self, *records: Record) -> None:
        """All of them on disk, or OSError."""
        lines = b"".join(_line(*record) for record in records)
        if os.write(self._fd, lines) != len(lines):
            raise OSError("the disk is full")
        os.fsync(self._fd)
        if self._hidden:
            os.rename(self._hidden, self.path)
            self._hidden = ""


def _line(kind: str, key: str, data: dict[str, Any]) -> bytes:
    body = json.dumps([kind, key, now(), data], ensure_ascii=False, separators=(",", ":"))
    raw = body.encode("utf-8", errors="replace")
    return b"%08x %s\n" % (binascii.crc32(raw), raw)


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")  # noqa: UP017 - Python 3.9 may run this


def e164(number: str) -> str:
    """As ura.phones does for what carriers send; what is not plainly Brazilian is left out."""
    digits = re.sub(r"\D", "", number)
    if re.fullmatch(r"55[1-9][1-9][2-9]\d{7,8}", digits):
        return "+" + digits
    if re.fullmatch(r"0?[1-9][1-9][2-9]\d{7,8}", digits):
        return "+55" + digits.lstrip("0")
    return "+" + digits if number.startswith("+") and 8 <= len(digits) <= 15 else ""


def draw_protocol(state: str) -> str:
    """A number that nobody else has, out of the server's own count: the next of the newest day there. "" without one:
    this machine's server has never run, or the disk refuses."""
    folder = os.path.join(state, "protocol")
    try:
        [name] = [each for each in os.listdir(folder) if re.fullmatch(r"[0-9]\.json", each)]
        fd = os.open(os.path.join(folder, name), os.O_RDWR)
        try:
            _lock(fd)
            count = json.loads(os.read(fd, 1000))
            day, used = date.fromisoformat(count["day"]), int(count["used"])
            if used >= USED_UP:
                return ""
            os.pwrite(fd, json.dumps({"day": count["day"], "used": used + 1}).encode().ljust(64), 0)
            os.fdatasync(fd)
        finally:
            os.close(fd)
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    page, number = divmod(used, USED_UP // 2)
    digits = f"{day.year % 100:02d}{day.timetuple().tm_yday + 400 * page:03d}{name[0]}{number:05d}"
    return digits + _check_digit(digits)


def _lock(fd: int) -> None:
    """OSError when the server holds it for longer than it ever needs: it is frozen."""
    ends = time.monotonic() + DISK_S / 2
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.01)


def _check_digit(digits: str) -> str:
    """Luhn's."""
    doubled = (2 * int(digit) if at % 2 == 0 else int(digit) for at, digit in enumerate(reversed(digits)))
    return str(-sum(value // 10 + value % 10 for value in doubled) % 10)


def spoken(protocol: str) -> str:
    """As ura.speech.protocol says it, in one command: a key cuts all of it."""
    groups = [protocol[at : at + 3] for at in range(0, len(protocol), 3)]
    said = ["&".join(f"prosa/digit/{digit}" for digit in (*group[:-1], f"end/{group[-1]}")) for group in groups]
    return f"{PROTOCOL}&" + f"&{PAUSE}&".join(said)


class Call:
    """Who rings, under the id that the server gave the call if it had it, and the records about it."""

    def __init__(self, disk: Disk, state: str, env: dict[str, str], did: str) -> None:
        uniqueid = env.get("agi_uniqueid", "")
        self.id = uuid5(NAMESPACE, uniqueid).hex if uniqueid else uuid4().hex
        self.uniqueid, self.did = uniqueid, did
        self.caller = e164(env.get("agi_callerid", ""))
        self.known, self.protocol = {}, ""
        try:
            self.known = disk.ask(lambda: _position(state, uniqueid))
            self.protocol = str(self.known.get("protocol") or "") or disk.ask(lambda: draw_protocol(state))
        except OSError:
            pass  # a call without a number is a call all the same

    def records(self, why: str, *, promised: bool) -> list[Record]:
        data: dict[str, Any] = {"call_id": self.id, "at": now()}
        ticket = {
            "ticket_id": uuid5(NAMESPACE, self.id + ":fallback").hex,
            "protocol": self.protocol,
            "category": "fallback",
            "summary": why,
            "phone": self.caller,
            "queue": QUEUE,
        }
        found: list[Record] = [("ticket_opened", ticket["ticket_id"], {**data, **ticket})]
        if not self.known.get("protocol"):  # else the server has opened it with its number
            found.insert(0, ("call_opened", self.id, self._opened()))
        if promised and self.caller:
            callback: dict[str, Any] = {
                "callback_id": uuid5(NAMESPACE, self.id + ":callback").hex,
                "phone": self.caller,
                "queue": QUEUE,
                "not_before": None,
            }
            found.append(("callback_requested", callback["callback_id"], {**data, **callback}))
        return found

    def closed(self, outcome: str) -> Record:
        data = {"call_id": self.id, "outcome": outcome, "ended_at": now(), "last_node": "rescue"}
        return ("call_closed", self.id, data)

    def _opened(self) -> dict[str, Any]:
        return {
            "call_id": self.id,
            "uniqueid": self.uniqueid,
            "linkedid": self.uniqueid,
            "protocol": self.protocol,
            "caller": self.caller,
            "did": self.did,
            "door": "rescue",
            "flow_key": "",
            "flow_version": None,
            "opened_at": now(),
        }


def _position(state: str, uniqueid: str) -> dict[str, Any]:
    """What the server knew of the call (var/live); {} when it knew nothing."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", uniqueid):
        return {}
    try:
        with open(os.path.join(state, "live", uniqueid + ".json"), "rb") as file:
            lines = file.read(2 * SLOT).replace(b"\0", b"").splitlines()
    except OSError:
        return {}
    found: list[list[Any]] = [[-1, {}]]
    for line in lines:
        try:
            if int(line[:8], 16) == binascii.crc32(line[9:]):
                found.append(json.loads(line[9:]))
        except ValueError:
            continue
    newest = max(found, key=lambda slot: slot[0])[1]
    return newest if isinstance(newest, dict) else {}


def keep(disk: Disk, journal: Callable[[], Journal], *records: Record) -> bool:
    """Whether they are on disk."""
    try:
        disk.ask(lambda: journal().write(*records))
    except OSError:
        return False
    return True


def rescue(agi: AGI, state: str, mode: str, why: str) -> None:
    """One call. Raises AGIException when the caller goes."""
    did = re.sub(r"\D", "", agi.get_variable("URA_DID"))[:20]
    disk = Disk()
    call = Call(disk, state, agi.env, did)
    made: list[Journal] = []

    def journal() -> Journal:
        if not made:
            made.append(Journal(os.path.join(state, "journal")))
        return made[0]

    promise = mode == "promise"
    kept = keep(disk, journal, *call.records(f"{'promise' if promise else 'menu'}: {why}", promised=promise))
    try:
        if promise:
            # The caller hears that the call was registered only when it was, and that we ring back only when we can.
            if not (kept and call.caller):
                return
            if not play(agi, REGISTERED, 1, 1):
                play(agi, BUSY, 1, 1)
            tell_protocol(agi, call)
            keep(disk, journal, call.closed("rescue"))
            agi.set_variable("URA_RESULT", "end")
        else:
            if mode != "pressed":
                play(agi, MENU, WAIT_MS, 1)  # any key, and none, lead to a person
            if kept:  # never a number that is not written down
                tell_protocol(agi, call)
            keep(disk, journal, call.closed("queue"))
            agi.set_variable("URA_CALL_ID", call.id)
            agi.set_variable("URA_QUEUE", QUEUE)
            agi.set_variable("URA_RESULT", "queue")
    except AGIException:
        keep(disk, journal, call.closed("abandoned"))
        raise


def tell_protocol(agi: AGI, call: Call) -> None:
    """Unless the server may have told it already."""
    if call.protocol and not call.known.get("protocol"):
        play(agi, spoken(call.protocol), 1, 1)


def play(agi: AGI, file: str, timeout_ms: int, keys: int) -> bool:
    """Whether it was said. A missing file costs the sentence: the way on is there all the same."""
    try:
        agi.get_data(file, timeout_ms, keys)
    except AGIAppError:
        agi.noop()  # raises if the caller has gone
        return False
    return True


def main(argv: list[str]) -> int:
    signal.alarm(LIMIT_S)  # whatever hangs: Asterisk sees us end, and goes on
    state, mode, why = [*argv[1:], "", "", ""][:3]
    stdin = Asterisk(sys.stdin.buffer, encoding="utf-8", errors="replace")
    with open(os.devnull, "w") as nowhere:  # pyst2 writes every line it reads to stderr, with the caller's number
        try:
            rescue(AGI(stdin, sys.stdout, nowhere), state, mode, re.sub(r"[^a-z_-]", "", why)[:20])
        except (AGIException, OSError, ValueError):  # ValueError: what pyst2 makes of a reply that is none
            return 1
    return 0


def leave(code: int) -> NoReturn:
    """Asterisk goes on when the pipe is closed. A thread that still hangs on the disk would hold it open for us."""
    os.close(sys.stdout.fileno())
    os.close(sys.stdin.fileno())
    os._exit(code)


if __name__ == "__main__":
    leave(main(sys.argv))
