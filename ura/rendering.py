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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ura import prompts, wanted_names
from ura.adapters import audio, tts
from ura.adapters.audio import Sound
from ura.errors import BadInput
from ura.prompts import FORMATS, MANIFEST, Clip, Pronunciation
from ura.settings import Settings

log = structlog.get_logger(__name__)

PENDING = "pending.json"
_SENTENCE_MS, _PIECE_MS = (50, 120), (10, 30)
_SAVE_EVERY = 20
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
    a damaged file. `engines` overrides the configured order; `everything` renders all. Can be broken off and repeated.
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
    finally:
        work.voice.close()
    return report


async def ensure_names(settings: Settings, texts: Sequence[str], *, voice: tts.Voice | None = None) -> dict[str, str]:
    """text → prompt key for every name; audio is rendered for those that have none. Takes seconds: never in a call.

    When no engine works the keys are right all the same: the names wait in pending.json, calls hear a general sentence,
    and `render_pending` tries again.
    """
    return await asyncio.to_thread(_ensure_names, settings, list(texts), voice)


def _ensure_names(settings: Settings, texts: Sequence[str], voice: tts.Voice | None = None) -> dict[str, str]:
    keys = {text: prompts.name_key(text) for text in texts if prompts.clean_name(text)}
    shipped = prompts.read_manifest(settings.prompts_dir / MANIFEST)
    wanted = {key: prompts.clean_name(text) for text, key in keys.items() if key not in shipped}
    if wanted:
        with _one_at_a_time:
            _render_names(settings, wanted, voice)
    return keys


async def render_pending(settings: Settings, *, voice: tts.Voice | None = None) -> int:
    """Names that no engine could speak when they were saved, and those that calls could not; how many still wait."""
    return await asyncio.to_thread(_render_pending, settings, voice)


def _render_pending(settings: Settings, voice: tts.Voice | None = None) -> int:
    with _one_at_a_time:
        waiting = _read_pending(settings.rendered_dir / PENDING) | wanted_names.take(settings.rendered_dir)
        return _render_names(settings, waiting, voice) if waiting else 0


def _render_names(settings: Settings, wanted: Mapping[str, str], voice: tts.Voice | None) -> int:
    """Render `wanted` (key → text) into the state folder; returns how many names wait now."""
    folder = settings.rendered_dir
    store = _Store(folder, folder / MANIFEST)
    work = _Work(Pronunciation.load(settings.prompts_dir), voice or tts.voice(settings), store)
    try:
        with store.locked():
            waiting = _read_pending(folder / PENDING)
            for key, text in wanted.items():
                waiting.pop(key, None)
                if store.is_whole(key):
                    continue
                try:
                    work.render(key, text, formats=("alaw",))
                except (tts.EngineFailed, BadInput) as error:
                    waiting[key] = text
                    log.error("name_not_rendered", text=text, key=key, reason=error.message, heard="a general sentence")
            store.save()
            _replace(folder / PENDING, json.dumps(waiting, indent=1, ensure_ascii=False).encode())
            return len(waiting)
    finally:
        work.voice.close()


def _read_pending(file: Path) -> dict[str, str]:
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
        if clip is None or clip.text_sha256 != prompts.text_sha256(line.text) or clip.speed != line.speed:
            return False
        if not self.store.is_whole(key):
            return False
        if clip.engine in ("silence", "tone"):
            return True
        voices = {engine.name: engine.voice(line) for engine in self.voice.engines}
        if recording := voices.get("recorded"):
            return clip.voice == recording
        return voices.get(clip.engine) == clip.voice

    def render(self, key: str, text: str, *, formats: Sequence[str]) -> None:
        line = self.line(key, text)
        if pause := re.fullmatch(r"\{pausa (\d+)\}", text):
            sound, engine, voice = audio.silence(int(pause[1])), "silence", ""
        elif tone := re.fullmatch(r"\{tom (\d+) (\d+)\}", text):
            sound, engine, voice = audio.tone(int(tone[1]), int(tone[2])), "tone", ""
        else:
            spoken = self.voice.synthesise(line)
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
