"""Where is each call in its flow? One small file a call, so that another process can go on with it.

Written at each menu border, and not fsynced: it must survive our process, not the machine (then the call is gone too).
One `pwrite` each time, into two slots in turn: a process that is killed in the middle of it spoils one, and the other
is whole. Read by `/resume`, `/queue-left` and the rescue script; gone when the call has ended. Its file then serves the
next call, emptied and under another name: to make one and remove it costs ext4 more than all that is written into it,
and ever more the faster they come and go (ialloc.c, recently_deleted).
"""

import os
from binascii import crc32
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ura import compact_json

SLOT = 64 * 1024
MOST_SPARE = 200
SPARE = ".spare"


class LivePositions:
    """The folder. `writer` is one call's file, kept open while the call is ours."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = str(folder)
        self._spare: list[tuple[int, str]] = []  # empty files of ended calls: descriptor, path

    def path(self, uniqueid: str) -> str:
        return f"{self._folder}/{uniqueid}.json"

    def find(self, uniqueid: str) -> dict[str, Any] | None:
        """The newest whole position; None when there is none."""
        try:
            with open(self.path(uniqueid), "rb") as file:
                found = list(_whole(file.read(2 * SLOT)))
        except OSError:
            return None
        return max(found, key=lambda one: one[0])[1] if found else None

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(path)

    def writer(self, uniqueid: str) -> "Position":
        return Position(self, self.path(uniqueid))

    def open(self, path: str) -> int:
        """A descriptor of the file, of an empty one when there is none yet. Raises OSError."""
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR)
        while self._spare:
            fd, spare = self._spare.pop()
            try:
                os.rename(spare, path)
            except OSError:  # somebody tidied up
                os.close(fd)
            else:
                return fd
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def take_back(self, fd: int, path: str) -> None:
        """The call has ended: what is in its file must not be found any more, and another call may have the file."""
        spare = f"{self._folder}/{os.getpid()}-{fd}{SPARE}"
        try:
            os.ftruncate(fd, 0)
            if len(self._spare) >= MOST_SPARE:
                os.unlink(path)
            else:
                os.rename(path, spare)
                self._spare.append((fd, spare))
                return
        except OSError:  # the worker, which heard of the hang-up, was first
            pass
        os.close(fd)


class Position:
    """One call's file, for writing. Best effort: a full disk costs the resumption, never the call."""

    def __init__(self, folder: LivePositions, path: str) -> None:
        self._folder = folder
        self._path = path
        self._fd = -1
        self._turn = 0

    def save(self, position: dict[str, Any]) -> None:
        try:
            if self._fd < 0:
                self._fd = self._folder.open(self._path)
                self._turn = max((turn for turn, _ in _whole(os.pread(self._fd, 2 * SLOT, 0))), default=-1) + 1
            raw = compact_json.dump([self._turn, position])
            if len(raw) + 10 < SLOT:
                os.pwrite(self._fd, b"%08x %s\n" % (crc32(raw), raw), SLOT * (self._turn % 2))
                self._turn += 1
        except OSError:
            return

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def end(self) -> None:
        """The call is over: nobody goes on with it."""
        if self._fd < 0:
            self._folder.remove(self._path)
        else:
            self._folder.take_back(self._fd, self._path)
            self._fd = -1


def _whole(data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """The slots that are not spoilt: their turn, and what is in them."""
    for start in (0, SLOT):
        line = data[start : start + SLOT].partition(b"\n")[0]
        try:
            if int(line[:8], 16) != crc32(line[9:]):
                continue
            turn, position = compact_json.load(line[9:])
        except (ValueError, TypeError):
            continue
        if isinstance(turn, int) and isinstance(position, dict):
            yield turn, position
