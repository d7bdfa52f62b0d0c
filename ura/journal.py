"""The local journal: what the phone side has to record, durable before anything is promised to the caller.

One file a process, append only; a line a record: CRC-32 of the JSON in 8 hex digits, a blank, the JSON. The worker
(`worker/projector.py`) reads the files and writes the database; so a call goes on, and nothing is lost, while the
database is away. The writer holds a lock (flock) on its file as long as it lives; a file without one is a file whose
writer is gone.
"""

import asyncio
import errno
import fcntl
import os
import re
import time
from binascii import crc32
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from ura import compact_json
from ura.errors import Unavailable

log = structlog.get_logger("ura.journal")

SUFFIX = ".journal"
ROTATE_AT_BYTES = 8 * 1024 * 1024
READ_AT_MOST_BYTES = 1024 * 1024
CARRIED_LINES = 10_000  # about 3 MiB, and some minutes of calls
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # another file would have none either


class JournalBroken(Unavailable):
    """The disk refused: nothing that depends on this record may be promised."""

    code = "journal-broken"


@dataclass(frozen=True, slots=True)
class Record:
    """`key` names the thing recorded (a call, a step, a ticket): applying a record twice changes nothing."""

    kind: str
    key: str
    at: str
    data: dict[str, Any]


@dataclass(slots=True)
class Batch:
    records: list[Record] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)
    next_offset: int = 0


def encode(record: Record) -> bytes:
    raw = compact_json.dump([record.kind, record.key, record.at, record.data])
    return b"%08x %s\n" % (crc32(raw), raw)


def decode(line: bytes) -> Record | None:
    """None when the line is damaged."""
    try:
        if int(line[:8], 16) != crc32(line[9:]):
            return None
        kind, key, at, data = compact_json.load(line[9:])
    except ValueError:
        return None
    return Record(kind, key, at, data)


def read(path: Path, offset: int = 0) -> Batch:
    """The whole lines from `offset` on, one mebibyte at the most. A half line at the end is left for next time."""
    chunk = new_bytes(path, offset)
    end = chunk.rfind(b"\n") + 1
    batch = Batch(next_offset=offset + end)
    for line in chunk[:end].split(b"\n"):
        if not line:
            continue
        record = decode(line)
        if record is None:
            batch.bad.append(line)
        else:
            batch.records.append(record)
    return batch


def new_bytes(path: Path, offset: int) -> bytes:
    """What is there from `offset` on, at most a mebibyte. Room is taken for that alone: a reader that takes a mebibyte
    twice a second for a few lines never gives it back (malloc(3), M_MMAP_THRESHOLD)."""
    with path.open("rb", buffering=0) as file:
        there = os.fstat(file.fileno()).st_size - offset
        return os.pread(file.fileno(), min(max(there, 0), READ_AT_MOST_BYTES), offset)


def files(folder: Path) -> list[Path]:
    """The journal files, oldest first."""
    return [path for path, _ in sizes(folder)]


def sizes(folder: Path) -> list[tuple[Path, int]]:
    """The journal files, oldest first, and how many bytes are in each; none when there is no such folder."""
    found: list[tuple[str, int]] = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with suppress(FileNotFoundError):  # the projector was done with it
                    found.append((entry.name, entry.stat().st_size))
    found.sort(key=lambda one: one[0].removesuffix(SUFFIX).rsplit("-", 1)[-1])
    return [(folder / name, size) for name, size in found]


def blank(path: Path, until: int, needles: Collection[bytes]) -> int:
    """Take lines that hold any of these out of the file, as far as it has been applied (`until`, in bytes). Line ends
    stand in their place, which every reader passes over: offsets stay, and its writer goes on. Returns how many."""
    wanted = re.compile(b"|".join(map(re.escape, sorted(needles))))
    blanked, place = 0, 0
    with suppress(FileNotFoundError), path.open("r+b") as file:  # the projector may be done with it
        for line in iter(file.readline, b""):
            if place + len(line) > until:
                break
            if wanted.search(line):
                os.pwrite(file.fileno(), b"\n" * len(line), place)
                blanked += 1
            place += len(line)
        if blanked:
            os.fsync(file.fileno())
    return blanked


def is_abandoned(path: Path) -> bool:
    """True when no process holds the file any more: what is in it is all there will be."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def waiting(folder: Path, offsets: Mapping[str, int]) -> int:
    """How many records the database does not have yet. `offsets`: file name → bytes applied."""
    count = 0
    for path in files(folder):
        try:
            with path.open("rb") as file:
                file.seek(offsets.get(path.name, 0))
                count += file.read().count(b"\n")
        except FileNotFoundError:  # the projector was done with it
            continue
    return count


class Journal:
    """The writing end, one a process (made after a fork, never before).

    A disk that refuses a file is no reason not to serve: each `append` asks it again. What was appended and is not
    known to be on disk goes with us into the next file, so that applying it twice is all that can happen to it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._fd = -1
        self._written = 0  # appended lines
        self._synced = 0  # of which known to be on disk
        self._unsynced: deque[bytes] = deque(maxlen=CARRIED_LINES)  # the lines between the two
        self._torn = False  # the last write stopped half-way
        self._broken = True  # the file is not to be used any more, or there is none
        self._syncing: asyncio.Task[None] | None = None
        try:
            self._renew()
        except OSError as error:
            log.error("no journal: nothing is recorded or promised until the disk takes it", reason=error.strerror)

    def append(self, kind: str, key: str, data: dict[str, Any]) -> None:
        """Hand one record to the operating system: it survives the death of this process, and after `sync` that of
        the machine. Raises JournalBroken when the disk does not take it."""
        line = encode(Record(kind, key, datetime.now(UTC).isoformat(timespec="milliseconds"), data))
        try:
            if self._broken:
                self._renew()
            # After a half line: close it, or it would spoil this record too.
            done = os.write(self._fd, b"\n" + line if self._torn else line) - self._torn
        except OSError as error:
            self._broken = self._broken or error.errno not in _NO_ROOM
            raise JournalBroken(f"the journal cannot be written: {error.strerror}") from error
        self._torn = done != len(line)
        if self._torn:
            raise JournalBroken("the journal's disk is full")
        self._size += done
        self._written += 1
        self._unsynced.append(line)

    async def sync(self) -> None:
        """Return when all that was appended so far is on disk; raises JournalBroken when the disk refuses. Callers who
        wait together share one fdatasync. A disk may also hang: who has a caller waiting sets a limit."""
        wanted = self._written
        while self._synced < wanted:
            if self._syncing is None:
                self._syncing = asyncio.create_task(self._sync())
                self._syncing.add_done_callback(_seen)
            await asyncio.shield(self._syncing)

    async def _sync(self) -> None:
        try:
            if self._broken:
                self._renew()
            covers = self._written
            await asyncio.to_thread(os.fdatasync, self._fd)
        except OSError as error:
            # After a failed fdatasync the kernel may forget the pages: never ask the same file again.
            self._broken = True
            with suppress(OSError):  # else `append` tries it
                self._renew()
            raise JournalBroken(f"the journal cannot be made durable: {error.strerror}") from error
        else:
            self._synced = covers
            while len(self._unsynced) > self._written - covers:
                self._unsynced.popleft()
            if self._size > ROTATE_AT_BYTES and self._written == covers:
                with suppress(OSError):  # this one is sound: go on in it
                    self._renew()
        finally:
            self._syncing = None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._broken = -1, True

    def _renew(self) -> None:
        """Go on in a new file, beginning with what is not on disk yet. Raises OSError, and then nothing has changed:
        the old one is ours until there is another, or its number would soon be a caller's socket."""
        path = self._folder / f"{self._name}-{os.getpid()}-{time.time_ns() // 1000}{SUFFIX}"
        hidden = path.with_suffix(".new")  # named last: a reader must never see the file without its lock
        self._folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            carried = b"".join(self._unsynced)
            if os.write(fd, carried) != len(carried):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            hidden.rename(path)
        except OSError:
            os.close(fd)
            with suppress(OSError):
                hidden.unlink()
            raise
        lost = self._written - self._synced - len(self._unsynced)
        if lost:
            log.error("the disk refused for too long: records may be lost", records=lost)
        self.close()
        self._fd, self._size, self._torn, self._broken = fd, len(carried), False, False
        self.path = path


def _seen(syncing: "asyncio.Task[None]") -> None:
    """All who waited may have left: what came of it is no news then."""
    if not syncing.cancelled():
        syncing.exception()
