"""Which of our prompts were heard in a recording?

The trunk is A-law from the prompt's file to the caller's ear, so what was heard is, byte for byte, what was shipped.
Every 20 ms of every prompt that is not silence gets a 64-bit hash; the recording is hashed at every offset (a
rolling hash, in numpy), and hits that lie on one line are one playing of one prompt. Cut ends (barge-in), lost or
late packets and any shift are therefore no trouble, and no word is ever guessed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 8000
WINDOW = 160  # bytes: 20 ms, one packet
LATE = RATE // 2  # how far a playing may drift from its own line by lost or late packets
GAP = RATE * 3  # the longest pause inside a prompt
VOTES = 4  # windows that must agree before we say that a prompt was heard
QUIET_LEVEL = 400  # of 32768

Words = npt.NDArray[np.uint64]
_random = np.random.default_rng(20)
_MIX: Words = _random.integers(1, 2**63, 256, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_BASE = 0x9E3779B97F4A7C15
_POWERS: Words = np.array([pow(_BASE, k, 2**64) for k in range(WINDOW)], dtype=np.uint64)


def _loudness() -> npt.NDArray[np.int32]:
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    loud = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return loud.astype(np.int32)


_LOUD = _loudness()


@dataclass(frozen=True, slots=True)
class Heard:
    """One playing of one prompt. Seconds count from the start of the recording; `complete`: nobody cut it."""

    key: str
    started_s: float
    ended_s: float
    complete: bool


class Fingerprints:
    """The prompts, ready to be recognised. Two keys with the same audio are one: `same(key)` says which."""

    def __init__(self, audio: Mapping[str, bytes]) -> None:
        self.keys: list[str] = []
        self._same: dict[str, str] = {}
        first_with: dict[bytes, str] = {}
        hashes, prompts, places = [], [], []
        for key in sorted(audio):
            self._same[key] = first_with.setdefault(audio[key], key)
            if self._same[key] != key:
                continue
            number = len(self.keys)
            self.keys.append(key)
            found, at = _windows(audio[key])
            hashes.append(found)
            prompts.append(np.full(found.size, number, dtype=np.int32))
            places.append(at)
        self.sizes = [len(audio[key]) for key in self.keys]
        self.first = [int(at[0]) if at.size else 0 for at in places]
        self.last = [int(at[-1]) if at.size else 0 for at in places]
        self.windows = [int(at.size) for at in places]
        joined = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        order = np.argsort(joined, kind="stable")
        self.hashes: Words = joined[order]
        self.prompts = np.concatenate(prompts)[order] if prompts else np.empty(0, np.int32)
        self.places = np.concatenate(places)[order] if places else np.empty(0, np.int64)
        self.maybe = np.zeros(1 << 22, dtype=bool)  # most offsets of a recording are in no prompt: ask this first
        self.maybe[(self.hashes >> np.uint64(42)).astype(np.int64)] = True

    @classmethod
    def of_folders(cls, *folders: Path) -> "Fingerprints":
        """`<folder>/menu/main.alaw` is `menu.main`. What agi/ joined from prompts (`joined/`) is heard as those."""
        return cls(
            {
                ".".join(file.relative_to(folder).with_suffix("").parts): file.read_bytes()
                for folder in folders
                for file in folder.rglob("*.alaw")
                if file.relative_to(folder).parts[0] != "joined"
            }
        )

    def same(self, key: str) -> str:
        return self._same.get(key, key)

    def __contains__(self, key: str) -> bool:
        return key in self._same


def _windows(audio: bytes) -> tuple[Words, npt.NDArray[np.int64]]:
    """Hash and place of each whole packet of a prompt that can tell it from another."""
    whole = np.frombuffer(audio, dtype=np.uint8)
    frames = whole[: whole.size // WINDOW * WINDOW].reshape(-1, WINDOW)
    if not frames.size:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    telling = _LOUD[frames].max(axis=1) > QUIET_LEVEL
    places = np.nonzero(telling)[0]
    return (_MIX[frames[places]] * _POWERS).sum(axis=1, dtype=np.uint64), places.astype(np.int64) * WINDOW


def _powers(start: int, size: int, base: int) -> Words:
    """base^start … base^(start+size-1), modulo 2^64."""
    powers = np.empty(size, dtype=np.uint64)
    if size:
        powers[0] = pow(base, start, 2**64)
        filled = 1
        while filled < size:
            step = min(filled, size - filled)
            powers[filled : filled + step] = powers[:step] * np.uint64(pow(base, filled, 2**64))
            filled += step
    return powers


_INVERSE = pow(_BASE, -1, 2**64)


class Listener:
    """Recognises while the recording grows: `feed` what is new, ask `heard` at any time."""

    def __init__(self, index: Fingerprints) -> None:
        self._index = index
        self._tail = b""
        self._start = 0  # offset of the tail in the recording
        self._hits: list[tuple[int, int, int]] = []  # prompt, offset in the recording, place in the prompt

    def feed(self, audio: bytes) -> None:
        part = np.frombuffer(self._tail + audio, dtype=np.uint8)
        offsets = part.size - WINDOW + 1
        if offsets <= 0:
            self._tail = part.tobytes()
            return
        sums = np.zeros(part.size + 1, dtype=np.uint64)
        np.cumsum(_MIX[part] * _powers(0, part.size, _BASE), out=sums[1:])
        hashes = (sums[WINDOW:] - sums[:-WINDOW]) * _powers(0, offsets, _INVERSE)
        self._look_up(hashes)
        self._start += offsets
        self._tail = part[offsets:].tobytes()

    def _look_up(self, hashes: Words) -> None:
        index = self._index
        likely = np.nonzero(index.maybe[(hashes >> np.uint64(42)).astype(np.int64)])[0]
        left = np.searchsorted(index.hashes, hashes[likely], side="left")
        right = np.searchsorted(index.hashes, hashes[likely], side="right")
        for at, low, high in zip(likely.tolist(), left.tolist(), right.tolist(), strict=True):
            for place in range(low, high):
                self._hits.append((int(index.prompts[place]), self._start + at, int(index.places[place])))

    def heard(self) -> list[Heard]:
        index = self._index
        playings = [p for p in _playings(sorted(self._hits)) if len(p) >= min(VOTES, -(-index.windows[p[0][0]] // 2))]
        claimed: set[int] = set()
        found: list[Heard] = []
        for playing in sorted(playings, key=len, reverse=True):
            offsets = {offset for _, offset, _ in playing}
            if len(offsets & claimed) * 2 > len(offsets):
                continue  # these packets are explained by a longer prompt
            claimed |= offsets
            found.append(self._describe(playing))
        return sorted(found, key=lambda heard: (heard.started_s, heard.ended_s))

    def _describe(self, playing: list[tuple[int, int, int]]) -> Heard:
        prompt, offset, place = playing[0]
        _, last_offset, last_place = playing[-1]
        complete = last_place + 5 * WINDOW >= self._index.last[prompt]
        ended = last_offset - last_place + self._index.sizes[prompt] if complete else last_offset + WINDOW
        return Heard(self._index.keys[prompt], max(0, offset - place) / RATE, ended / RATE, complete)


def _playings(hits: Iterable[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """Hits of one prompt, in order and near one line, are one playing."""
    playings: list[list[tuple[int, int, int]]] = []
    for hit in hits:
        if playings:
            prompt, offset, place = playings[-1][-1]
            drift = (hit[1] - hit[2]) - (offset - place)
            if hit[0] == prompt and hit[2] > place and abs(drift) <= LATE and hit[1] - offset <= GAP:
                playings[-1].append(hit)
                continue
        playings.append([hit])
    return playings


def silences(recording: bytes, *, at_least_s: float = 1.0) -> list[tuple[float, float]]:
    """Where nothing at all was heard for that long: (start, end) in seconds."""
    frames = np.frombuffer(recording, dtype=np.uint8)[: len(recording) // WINDOW * WINDOW].reshape(-1, WINDOW)
    loud = np.concatenate(([True], _LOUD[frames].max(axis=1) > QUIET_LEVEL, [True])) if frames.size else np.array([])
    edges = np.nonzero(loud)[0]
    return [
        (a * WINDOW / RATE, (b - 1) * WINDOW / RATE)
        for a, b in pairwise(edges.tolist())
        if (b - 1 - a) * WINDOW / RATE >= at_least_s
    ]
