"""Where is each call in its flow? One small file a call, so that another process can go on with it.

Written at each menu border, and not fsynced: it must survive our process, not the machine (then the call is gone too).
One `pwrite` each time, into two slots in turn: a process that is killed in the middle of it spoils one, and the other
is whole. Read by `/resume`, `/queue-left` and the rescue script; removed when the call has ended.
"""

import json
import os
from binascii import crc32
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SLOT = 64 * 1024


class LivePositions:
    """The folder. `writer` is one call's file, kept open while the call is ours."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = str(folder)

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

    def remove(self, uniqueid: str) -> None:
        try:
            os.unlink(self.path(uniqueid))
        except FileNotFoundError:
            return

    def writer(self, uniqueid: str) -> "Position":
        return Position(self.path(uniqueid))


class Position:
    """One call's file, for writing. Best effort: a full disk costs the resumption, never the call."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._turn = 0

    def save(self, position: dict[str, Any]) -> None:
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
                self._turn = max((turn for turn, _ in _whole(os.pread(self._fd, 2 * SLOT, 0))), default=-1) + 1
            raw = json.dumps([self._turn, position], ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
            if len(raw) + 10 < SLOT:
                os.pwrite(self._fd, b"%08x %s\n" % (crc32(raw), raw), SLOT * (self._turn % 2))
                self._turn += 1
        except OSError:
            return

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _whole(data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """The slots that are not spoilt: their turn, and what is in them."""
    for start in (0, SLOT):
        line = data[start : start + SLOT].partition(b"\n")[0]
        try:
            if int(line[:8], 16) != crc32(line[9:]):
                continue
            turn, position = json.loads(line[9:])
        except (ValueError, TypeError):
            continue
        if isinstance(turn, int) and isinstance(position, dict):
            yield turn, position
