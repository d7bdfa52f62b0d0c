"""Which one file does Asterisk play for a list of prompts, and how long is it?

`GET DATA` takes one file (app.c 22, ast_app_getdata_full: only `Read` splits at `&`), and a key pressed between two
commands is lost. So prompts that follow each other are joined, byte after byte, into one raw A-law file under the
rendered prompts, named by its content and kept while it is used again. One command an effect, no gap in between.
"""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import structlog

log = structlog.get_logger("agi.sounds")

BYTES_PER_S = 8000  # A-law, and G.722 too
SHORT_BYTES = 16_000
MOST_SHORT = 500
SUFFIXES = (".alaw", ".g722")


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
    """Finds and joins prompts. One a process; the folder may be shared, since equal names have equal content."""

    def __init__(self, index: PromptFiles, roots: dict[str, Path], *, keep: int = 400) -> None:
        """`roots`: Asterisk's first path element → folder, "dyn" among them, where joined files are put."""
        self._index = index
        self._roots = roots
        self._folder = roots["dyn"] / "joined"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._joined: OrderedDict[str, Sound] = OrderedDict()
        self._keep = keep
        self._missing: set[str] = set()
        self._short: dict[tuple[str, int, int], bytes] = {}

    def sound(self, keys: Sequence[str]) -> Sound:
        """One file for all of them, the next best where one is missing; SILENCE when there is nothing to play."""
        files = self._index.playable(keys)
        if not files:
            return SILENCE
        return self.piece(files[0]) if len(files) == 1 else self._join(files)

    def forget(self, sound: Sound) -> None:
        """Asterisk could not open it: make it anew the next time."""
        self._joined.pop(sound.name, None)
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
        name = "dyn/joined/" + blake2b(repr(sources).encode(), digest_size=12).hexdigest()
        if (known := self._joined.get(name)) is not None:
            self._joined.move_to_end(name)
            return known
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
        target = self._folder / f"{name.rpartition('/')[2]}.alaw"
        try:
            if not (target.exists() and target.stat().st_size == len(audio)):  # another process may have made it
                part = f"{target}.{os.getpid()}"
                with open(part, "wb", buffering=0) as file:
                    file.write(audio)
                os.replace(part, target)
        except OSError as error:  # disk full: the pieces are played one by one
            log.warning("joined prompt could not be written", reason=error.strerror)
            return Sound("", len(audio) / BYTES_PER_S, pieces)
        sound = Sound(name, len(audio) / BYTES_PER_S, pieces)
        self._joined[name] = sound
        while len(self._joined) > self._keep:
            old, _ = self._joined.popitem(last=False)
            (self._folder / f"{old.rpartition('/')[2]}.alaw").unlink(missing_ok=True)
        return sound
