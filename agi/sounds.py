"""Which one file does Asterisk play for a list of prompts, and how long is it?

`GET DATA` takes one file (app.c 22, ast_app_getdata_full: only `Read` splits at `&`), and a key pressed between two
commands is lost. So prompts that follow each other are joined, byte after byte, into one raw A-law file under the
rendered prompts, kept while it is used again. One command an effect, no gap in between.

Most are for one caller (a protocol number), so the file of one that was said long ago is written over: to make a file
and remove it costs ext4 more than all the rest (see agi/live.py). Therefore a process touches only files of its own.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOSPC
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import structlog

log = structlog.get_logger("agi.sounds")

BYTES_PER_S = 8000  # A-law, and G.722 too
SHORT_BYTES = 16_000
MOST_SHORT = 500
SUFFIXES = (".alaw", ".g722")
SAME_S = 2.0  # so long nobody looks again whether the files of a prompt are there: many callers hear the same
MOST_SAME = 1000
SAID_S = 60.0  # so long after its end nobody hears a prompt any more, however late Asterisk began with it


class PromptFiles(Protocol):
    """ura.prompts.PromptIndex, as far as we need it."""

    def playable(self, keys: Sequence[str]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Sound:
    """`name` as Asterisk knows it, "" for silence. `pieces`: what it was joined from."""

    name: str
    seconds: float
    pieces: tuple[str, ...] = ()


SILENCE = Sound("", 0.0)


class Sounds:
    """Finds and joins prompts. One a process, made after a fork; the folder is shared."""

    def __init__(
        self,
        index: PromptFiles,
        roots: dict[str, Path],
        *,
        keep: int = 150,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`roots`: Asterisk's first path element → folder, "dyn" among them, where joined files are put. `keep`: so
        many of those at least."""
        self._index = index
        self._roots = roots
        self._folder = roots["dyn"] / "joined"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._joined: OrderedDict[str, tuple[Sound, float]] = OrderedDict()  # and when it was last asked for
        self._keep = keep
        self._clock = clock
        self._same: dict[tuple[str, ...], tuple[Sound, float]] = {}  # what was asked for lately, and until when
        self._missing: set[str] = set()
        self._short: dict[tuple[str, int, int], bytes] = {}

    def sound(self, keys: Sequence[str]) -> Sound:
        """One file for all of them, the next best where one is missing; SILENCE when there is nothing to play."""
        now, asked = self._clock(), tuple(keys)
        known = self._same.get(asked)
        if known is not None and now < known[1]:
            return known[0]
        sound = self._find(keys)
        self._same.pop(asked, None)
        while self._same:  # every caller's protocol is a prompt that is asked for once
            oldest = next(iter(self._same))
            if self._same[oldest][1] > now and len(self._same) < MOST_SAME:
                break
            del self._same[oldest]
        self._same[asked] = sound, now + SAME_S
        return sound

    def run_on(self, first: Sequence[str], then: Sequence[str]) -> tuple[Sound, float]:
        """One file for both, and how many seconds of it are `first`; SILENCE when either cannot be played."""
        lead = self._index.playable(first)
        if not lead or not self._index.playable(then):
            return SILENCE, 0.0
        return self.sound([*first, *then]), sum(map(self._size, lead)) / BYTES_PER_S

    def _find(self, keys: Sequence[str]) -> Sound:
        files = self._index.playable(keys)
        if not files:
            return SILENCE
        return self.piece(files[0]) if len(files) == 1 else self._join(files)

    def forget(self, sound: Sound) -> None:
        """Asterisk could not open it: make it anew the next time."""
        self._joined.pop(sound.name, None)
        self._same.clear()
        self.report(sound.name)

    def report(self, name: str) -> None:
        """Log a prompt that cannot be played, once."""
        if name not in self._missing:
            self._missing.add(name)
            log.warning("prompt cannot be played; callers hear the next best one", prompt=name)

    def piece(self, name: str) -> Sound:
        """A sound that is one file already."""
        return Sound(name, self._size(name) / BYTES_PER_S)

    def _size(self, name: str) -> int:
        root, _, rest = name.partition("/")
        for suffix in SUFFIXES:
            try:
                return os.stat(f"{self._roots[root]}/{rest}{suffix}").st_size
            except (OSError, KeyError):
                continue
        return 0

    def _join(self, names: list[str]) -> Sound:
        sources: list[tuple[str, int, int]] = []
        used: list[str] = []
        for name in names:
            root, _, rest = name.partition("/")
            path = f"{self._roots[root]}/{rest}.alaw"
            try:
                stat = os.stat(path)
            except OSError:  # gone since the index looked
                self.report(name)
                continue
            sources.append((path, stat.st_size, stat.st_mtime_ns))
            used.append(name)
        if not sources:
            return SILENCE
        name = f"dyn/joined/{os.getpid()}-{blake2b(repr(sources).encode(), digest_size=12).hexdigest()}"
        if (known := self._joined.get(name)) is not None:
            self._joined[name] = known[0], self._clock()
            self._joined.move_to_end(name)
            return known[0]
        return self._write(name, sources, tuple(used))

    def _read(self, source: tuple[str, int, int]) -> bytes:
        """One piece. Short ones (digits, numbers) are kept in memory."""
        known = self._short.get(source)
        if known is not None:
            return known
        with open(source[0], "rb", buffering=0) as file:
            audio = file.read()
        if len(audio) < SHORT_BYTES:
            if len(self._short) >= MOST_SHORT:
                self._short.clear()
            self._short[source] = audio
        return audio

    def _write(self, name: str, sources: list[tuple[str, int, int]], pieces: tuple[str, ...]) -> Sound:
        audio = b"".join(self._read(source) for source in sources)
        sound = Sound(name, len(audio) / BYTES_PER_S, pieces)
        part = f"{self._file(name)}.part"
        try:
            # Written under another name: Asterisk must never find half a file.
            fd = os.open(part, os.O_WRONLY if self._make_room(part) else os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                if os.write(fd, audio) != len(audio):
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
                os.ftruncate(fd, len(audio))
            finally:
                os.close(fd)
            os.rename(part, self._file(name))
        except OSError as error:  # disk full: the pieces are played one by one
            log.warning("joined prompt could not be written", reason=error.strerror)
            return Sound("", sound.seconds, pieces)
        self._joined[name] = sound, self._clock()
        return sound

    def _file(self, name: str) -> str:
        return f"{self._folder}/{name.rpartition('/')[2]}.alaw"

    def _make_room(self, part: str) -> bool:
        """Of what was said long ago, the oldest is `part` now: True when there is such a file. A second one goes, so
        that after a rush there are fewer again."""
        found = False
        for _ in range(2):
            if len(self._joined) < self._keep:
                break
            oldest, (sound, used_at) = next(iter(self._joined.items()))
            if self._clock() < used_at + sound.seconds + SAID_S:
                break
            del self._joined[oldest]
            with suppress(OSError):
                if found:
                    os.unlink(self._file(oldest))
                else:
                    os.rename(self._file(oldest), part)
                    found = True
        return found
