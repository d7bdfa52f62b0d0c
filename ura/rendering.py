"""How do texts become audio files? Ahead of any call: the shipped prompts (`build`), and names when they are saved.

A file is written beside its place, fsynced and renamed: whoever looks sees the old one or the new one, never half of
one. The manifest is written the same way, and only after the files that it speaks of.
"""

import asyncio
import fcntl
import json
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import islice
from pathlib import Path

import structlog

from ura import prompts, wanted_names
from ura.adapters import audio, tts
from ura.adapters.audio import Sound
from ura.errors import BadInput
from ura.prompts import FORMATS, MANIFEST, Clip, Pronunciation
from ura.settings import Settings

log = structlog.get_logger(__name__)

PENDING = "pending.json"  # names that nobody has spoken yet, key → text
NAMES = "names.json"  # what the sounds of names say, key → text: to be spoken again when the voice changes
MOST_AT_ONCE = 200  # names that wait, in one turn of the worker: some two minutes of a core
_SENTENCE_MS, _PIECE_MS = (50, 120), (10, 30)
_SAVE_EVERY = 20
_BATCH = 25
_one_at_a_time = threading.Lock()

Progress = Callable[[int, int, str], None]
"""(done, in all, key)"""


@dataclass(slots=True)
class Report:
    rendered: list[str] = field(default_factory=list)
    kept: int = 0
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        text = f"{len(self.rendered)} rendered, {self.kept} unchanged, {len(self.removed)} removed"
        return text + "".join(f"\n  failed: {key}: {why}" for key, why in self.failed.items())


def build(
    settings: Settings,
    *,
    engines: Sequence[str] | None = None,
    everything: bool = False,
    progress: Progress = lambda done, total, key: None,
    voice: tts.Voice | None = None,
) -> Report:
    """Render what changed among the shipped texts: the text or its pronunciation, the speed, the engine, a recording,
    a damaged file. Then the names of this house in the same way, in the voice of the texts. `engines` overrides the
    configured order; `everything` renders all. Can be broken off and repeated.
    """
    folder = settings.prompts_dir
    texts = prompts.load_all(folder)
    store = _Store(folder / "audio", folder / MANIFEST)
    work = _Work(Pronunciation.load(folder), voice or tts.voice(settings, engines), store)
    report = Report()
    try:
        with store.locked():
            todo = {k: t for k, t in texts.items() if everything or not work.is_current(k, t)}
            report.kept = len(texts) - len(todo)
            for done, (key, text) in enumerate(todo.items(), 1):
                progress(done, len(todo), key)
                try:
                    work.render(key, text, formats=FORMATS)
                    report.rendered.append(key)
                except (tts.EngineFailed, BadInput) as error:
                    report.failed[key] = error.message
                if done % _SAVE_EVERY == 0:
                    store.save()
            report.removed = store.remove_all_but(texts)
            store.save()
        report.rendered += _refresh_names(settings, work.voice, everything, progress)
    finally:
        work.voice.close()
    return report


async def ensure_names(settings: Settings, texts: Sequence[str], *, voice: tts.Voice | None = None) -> dict[str, str]:
    """text → prompt key for every name; audio is rendered for those that have none. Takes seconds: never in a call.

    When no engine works the keys are right all the same: the names wait in pending.json, calls hear a general sentence,
    and `render_pending` tries again.
    """
    return await asyncio.to_thread(_ensure_names, settings, list(texts), voice)


async def leave_for_later(settings: Settings, texts: Sequence[str]) -> dict[str, str]:
    """text → prompt key for every name, however many. Those that have no audio wait in pending.json for
    `render_pending`, and calls hear a general sentence meanwhile."""
    return await asyncio.to_thread(_leave_for_later, settings, list(texts))


async def render_pending(settings: Settings, *, voice: tts.Voice | None = None, most: int = MOST_AT_ONCE) -> int:
    """At most so many of the names that wait: first those that calls wanted. Returns how many still wait."""
    return await asyncio.to_thread(_render_pending, settings, voice, most)


async def refresh_names(settings: Settings, *, voice: tts.Voice | None = None) -> list[str]:
    """Render again what is spoken as it was once: before a change of pronunciation or pace, by a lesser engine, or
    damaged. Returns the keys. A name that cannot be had better stays as it is."""
    return await asyncio.to_thread(_refresh_names, settings, voice)


def _ensure_names(settings: Settings, texts: Sequence[str], voice: tts.Voice | None = None) -> dict[str, str]:
    keys, wanted = _wanted(settings, texts)
    if wanted:
        with _one_at_a_time:
            _render_names(settings, wanted, voice or tts.voice(settings))
    return keys


def _leave_for_later(settings: Settings, texts: Sequence[str]) -> dict[str, str]:
    keys, wanted = _wanted(settings, texts)
    with _one_at_a_time:
        _add_pending(settings.rendered_dir, wanted)
    return keys


def _wanted(settings: Settings, texts: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """text → key for all that can be spoken; key → text for those that do not ship with their audio."""
    keys = {text: prompts.name_key(text) for text in texts if prompts.clean_name(text)}
    shipped = prompts.read_manifest(settings.prompts_dir / MANIFEST)
    return keys, {key: prompts.clean_name(text) for text, key in keys.items() if key not in shipped}


def _render_pending(settings: Settings, voice: tts.Voice | None = None, most: int = MOST_AT_ONCE) -> int:
    with _one_at_a_time:
        waiting = _add_pending(settings.rendered_dir, wanted_names.take(settings.rendered_dir))
        if waiting:
            _render_names(settings, dict(islice(waiting.items(), most)), voice or tts.voice(settings))
        return len(_read_texts(settings.rendered_dir / PENDING))


def _refresh_names(
    settings: Settings,
    voice: tts.Voice | None = None,
    everything: bool = False,
    progress: Progress = lambda done, total, key: None,
) -> list[str]:
    with _one_at_a_time:
        known = _read_texts(settings.rendered_dir / NAMES)
        if not known:
            return []
        return _render_names(settings, known, voice or tts.voice(settings), everything=everything, progress=progress)


def _add_pending(folder: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Those that wait now, `names` first. They are on disk before anybody forgets them."""
    with _Store(folder, folder / MANIFEST).locked():
        waiting = {**names, **_read_texts(folder / PENDING)}
        if names:
            _write_texts(folder / PENDING, waiting)
        return waiting


def _render_names(
    settings: Settings,
    wanted: Mapping[str, str],
    voice: tts.Voice,
    *,
    everything: bool = False,
    progress: Progress = lambda done, total, key: None,
) -> list[str]:
    """Render `wanted` (key → text) into the state folder as far as they are not as good as can be; returns the keys.

    A batch at a time: what is done is heard, and others get their turn at the folder. When a batch brings nothing the
    engines are down, and the rest waits.
    """
    folder = settings.rendered_dir
    store = _Store(folder, folder / MANIFEST)
    work = _Work(Pronunciation.load(settings.prompts_dir), _in_the_shipped_voice(settings, voice), store)
    names = list(wanted.items())
    rendered: list[str] = []
    try:
        for start in range(0, len(names), _BATCH):
            batch, rest = dict(names[start : start + _BATCH]), dict(names[start + _BATCH :])
            with store.locked():
                spoken = {}
                for place, (key, text) in enumerate(batch.items(), start + 1):
                    progress(place, len(names), key)
                    spoken[key] = _render_name(work, key, text, everything=everything)
                mute = [key for key, how in spoken.items() if how is _Spoken.NOT]
                new = [key for key, how in spoken.items() if how is _Spoken.ANEW]
                down = bool(mute) and not new
                later = {key: text for key, text in rest.items() if not store.is_whole(key)} if down else {}
                _settle(store, folder, batch, {key: batch[key] for key in mute} | later)
            rendered += new
            if down:
                if later:
                    log.error("names_not_rendered", names=len(later), heard="a general sentence")
                break
    finally:
        work.voice.close()
    return rendered


class _Spoken(Enum):
    ANEW = auto()
    AS_BEFORE = auto()
    NOT = auto()  # callers hear a general sentence


def _render_name(work: "_Work", key: str, text: str, *, everything: bool) -> _Spoken:
    engines = work.voice.engines if everything else work.better_engines(key, text)
    heard = work.store.is_whole(key)
    if heard and not engines:
        return _Spoken.AS_BEFORE
    try:
        work.render(key, text, formats=("alaw",), among=engines)
    except (tts.EngineFailed, BadInput) as error:
        if heard:
            return _Spoken.AS_BEFORE
        log.error("name_not_rendered", text=text, key=key, reason=error.message, heard="a general sentence")
        return _Spoken.NOT
    if heard:
        work.store.save()  # its size has changed: until the manifest says so the phone takes it for damaged
    return _Spoken.ANEW


def _settle(store: "_Store", folder: Path, batch: Mapping[str, str], mute: Mapping[str, str]) -> None:
    """Write down what came of a batch: the sounds, what they say, and who waits (on)."""
    store.save()
    known, waiting = _read_texts(folder / NAMES), _read_texts(folder / PENDING)
    if not batch.items() <= known.items():
        _write_texts(folder / NAMES, {**known, **batch})
    still = {key: text for key, text in waiting.items() if key not in batch} | dict(mute)
    if still != waiting:
        _write_texts(folder / PENDING, still)


def _in_the_shipped_voice(settings: Settings, voice: tts.Voice) -> tts.Voice:
    """Names are said within sentences: by the engine that spoke most of these, as long as it works."""
    able = {engine.name for engine in voice.engines} - {"recorded"}
    clips = prompts.read_manifest(settings.prompts_dir / MANIFEST).values()
    engines = Counter(clip.engine for clip in clips if clip.engine in able)
    return voice.preferring(engines.most_common(1)[0][0]) if engines else voice


def _write_texts(file: Path, texts: Mapping[str, str]) -> None:
    _replace(file, json.dumps(texts, indent=1, ensure_ascii=False).encode())


def _read_texts(file: Path) -> dict[str, str]:
    try:
        return {str(key): str(text) for key, text in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


@dataclass(frozen=True, slots=True)
class _Work:
    pronunciation: Pronunciation
    voice: tts.Voice
    store: "_Store"

    def line(self, key: str, text: str) -> tts.Line:
        return tts.Line(key, self.pronunciation.spoken(key, text), self.pronunciation.speed(key))

    def is_current(self, key: str, text: str) -> bool:
        """Would rendering it again give the same? The engine that made it must still be one that may."""
        clip, line = self.store.clips.get(key), self.line(key, text)
        if clip is None or not self._says(clip, key, line):
            return False
        if clip.engine in ("silence", "tone"):
            return True
        voices = {engine.name: engine.voice(line) for engine in self.voice.engines}
        if recording := voices.get("recorded"):
            return clip.voice == recording
        return voices.get(clip.engine) == clip.voice

    def better_engines(self, key: str, text: str) -> Sequence[tts.Engine]:
        """Who would speak it better than it is spoken now: all when it is not, or not as it is said today; else those
        before the engine that did."""
        clip, line = self.store.clips.get(key), self.line(key, text)
        able = [engine for engine in self.voice.engines if engine.voice(line)]
        if clip is None or not self._says(clip, key, line):
            return able or self.voice.engines
        made = [(engine.name, engine.voice(line)) == (clip.engine, clip.voice) for engine in able]
        return able[: made.index(True)] if True in made else able

    def _says(self, clip: Clip, key: str, line: tts.Line) -> bool:
        same = clip.text_sha256 == prompts.text_sha256(line.text) and clip.speed == line.speed
        return same and self.store.is_whole(key)

    def render(self, key: str, text: str, *, formats: Sequence[str], among: Sequence[tts.Engine] | None = None) -> None:
        line = self.line(key, text)
        if pause := re.fullmatch(r"\{pausa (\d+)\}", text):
            sound, engine, voice = audio.silence(int(pause[1])), "silence", ""
        elif tone := re.fullmatch(r"\{tom (\d+) (\d+)\}", text):
            sound, engine, voice = audio.tone(int(tone[1]), int(tone[2])), "tone", ""
        else:
            spoken = self.voice.synthesise(line, among=among)
            lead_ms, tail_ms = _PIECE_MS if self.pronunciation.is_piece(key) else _SENTENCE_MS
            sound = audio.finish(spoken.samples, spoken.rate, lead_ms=lead_ms, tail_ms=tail_ms)
            engine, voice = spoken.engine, spoken.voice
        if missing := [form for form in formats if form not in sound.files]:
            raise BadInput(f"{', '.join(missing)} needs PyAV. Install requirements/voice.txt.")
        self.store.put(key, line, sound, engine, voice)


class _Store:
    """A folder of sound files and its manifest."""

    def __init__(self, folder: Path, manifest: Path) -> None:
        self._folder, self._manifest = folder, manifest
        self.clips: dict[str, Clip] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; what another one wrote meanwhile is read first."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(BadInput):  # a damaged manifest: everything is rendered again
                self.clips = prompts.read_manifest(self._manifest)
            yield
        finally:
            os.close(lock)

    def is_whole(self, key: str) -> bool:
        clip = self.clips.get(key)
        return clip is not None and not clip.fault(self._folder, key, formats=tuple(clip.bytes))

    def put(self, key: str, line: tts.Line, sound: Sound, engine: str, voice: str) -> None:
        for form, content in sound.files.items():
            _replace(self._folder / f"{prompts.sound(key)}.{form}", content)
        self.clips[key] = Clip(
            text_sha256=prompts.text_sha256(line.text),
            engine=engine,
            voice=voice,
            speed=line.speed,
            duration_s=round(sound.duration_s, 2),
            level_dbfs=sound.level_dbfs,
            bytes=sound.sizes(),
            crc32=sound.crc32(),
        )

    def remove_all_but(self, keys: Mapping[str, str]) -> list[str]:
        """Sounds of texts that are no more, and files that no manifest knows."""
        gone = sorted(self.clips.keys() - keys.keys())
        for key in gone:
            del self.clips[key]
        known = {f"{prompts.sound(key)}.{form}" for key in self.clips for form in FORMATS}
        for file in self._folder.rglob("*"):
            if file.is_file() and file.suffix and str(file.relative_to(self._folder)) not in known:
                file.unlink()
        return gone

    def save(self) -> None:
        _replace(self._manifest, prompts.manifest_json(self.clips).encode())


def _replace(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".new")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)  # Asterisk runs as another user
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
