"""Which sentence does a prompt key stand for, and which sound file speaks it?

Texts are in prompts/*.yaml, audio is next to them (shipped) or under the state folder (names that admins typed).
A key `menu.main` is the file `menu/main.alaw`; a manifest in each place says what every file must be like.
Light on purpose: the phone door loads this; what makes audio is in `ura.rendering`.
"""

import hashlib
import json
import os
import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import structlog
import yaml

from ura.errors import BadInput
from ura.settings import Settings

log = structlog.get_logger(__name__)

KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
FORMATS = ("alaw", "g722")
MARKUP_VERSION = 1
MANIFEST = "manifest.json"


class _UniqueKeys(yaml.SafeLoader):
    """YAML's own loader lets a second key silently win: half of a menu would vanish."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    if doubles := sorted({str(key) for key in keys if keys.count(key) > 1}):
        raise BadInput(f"{node.start_mark.name}: written twice: {', '.join(doubles)}. Keep one of each.")
    return {str(k): v for k, v in yaml.SafeLoader.construct_mapping(loader, node, deep=True).items()}


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(file: Path) -> Any:
    """The document in `file`; BadInput when a key is there twice."""
    with file.open(encoding="utf-8") as stream:
        return yaml.load(stream, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader with one more check


def load_texts(file: Path) -> dict[str, str]:
    """key → text of catalogue.yaml or pieces.yaml. Raises BadInput with the file and the key that is wrong."""
    texts: dict[str, str] = {}
    for key, text in (load_yaml(file) or {}).items():
        if not KEY.fullmatch(key):
            raise BadInput(f"{file.name}: {key!r} is not a prompt key. Use a-z, 0-9, _ and dots.")
        if not isinstance(text, str) or not text.strip():
            raise BadInput(f"{file.name}: {key} has no text.")
        texts[key] = " ".join(text.split())
    return texts


def load_all(folder: Path) -> dict[str, str]:
    """Everything that ships with audio: the catalogue, the pieces and the names. A key in two files is an error."""
    catalogue, pieces = load_texts(folder / "catalogue.yaml"), load_texts(folder / "pieces.yaml")
    names = {name_key(name): clean_name(name) for name in load_names(folder)}
    if doubles := (catalogue.keys() & pieces.keys()) | ((catalogue.keys() | pieces.keys()) & names.keys()):
        raise BadInput(f"In more than one file of {folder.name}: {', '.join(sorted(doubles))}.")
    return catalogue | pieces | names


def load_names(folder: Path) -> list[str]:
    """The names that ship with audio (those of the demo provider)."""
    file = folder / "names.yaml"
    return [str(name) for name in load_yaml(file) or []] if file.exists() else []


def clean_name(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def name_key(text: str) -> str:
    """The prompt key of a name typed by an admin: the same name has the same key wherever it is used."""
    return f"name.{hashlib.sha256(clean_name(text).encode()).hexdigest()[:16]}"


def sound(key: str) -> str:
    """`menu.main` → `menu/main`. Raises BadInput for what is no key, so that no key leads out of its folder."""
    if not KEY.fullmatch(key):
        raise BadInput(f"{key!r} is not a prompt key.")
    return key.replace(".", "/")


class Pronunciation:
    """prompts/pronounce.yaml: how to write a word so that a synthetic voice says it right, and how fast to say what."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._words = [
            (re.compile(rf"(?<!\w){pattern}(?!\w)"), str(spoken))
            for pattern, spoken in (document.get("words") or {}).items()
        ]
        self._keys: dict[str, str] = {key: str(text) for key, text in (document.get("keys") or {}).items()}
        self._pace: dict[str, float] = {glob: float(speed) for glob, speed in (document.get("pace") or {}).items()}
        self._tight: list[str] = list(document.get("tight") or [])

    @classmethod
    def load(cls, folder: Path) -> "Pronunciation":
        file = folder / "pronounce.yaml"
        return cls(load_yaml(file) or {} if file.exists() else {})

    def spoken(self, key: str, text: str) -> str:
        """What the engine gets: the text of `keys` for this key, else the text with every word of `words` replaced."""
        if key in self._keys:
            return self._keys[key]
        for pattern, spoken in self._words:
            text = pattern.sub(spoken, text)
        return text

    def speed(self, key: str) -> float:
        return next((speed for glob, speed in self._pace.items() if fnmatchcase(key, glob)), 1.0)

    def is_piece(self, key: str) -> bool:
        """Is it played next to others within a sentence, and so needs its silence cut short?"""
        return any(fnmatchcase(key, glob) for glob in self._tight)


@dataclass(frozen=True, slots=True)
class Clip:
    """One line of a manifest: what was spoken, by whom, and what the files must be like."""

    text_sha256: str
    engine: str
    voice: str
    speed: float
    duration_s: float
    level_dbfs: float
    bytes: dict[str, int]
    crc32: dict[str, int]

    def fault(self, folder: Path, key: str, *, formats: Sequence[str] = FORMATS) -> str:
        """What is wrong with the files of this clip; empty when nothing is."""
        for form in formats:
            file = folder / f"{sound(key)}.{form}"
            try:
                content = file.read_bytes()
                size = len(content)
            except OSError as error:
                return f"{file.name}: {error.strerror or error}"
            if size != self.bytes.get(form):
                return f"{file.name}: {size} bytes instead of {self.bytes.get(form)}"
            if zlib.crc32(content) != self.crc32.get(form):
                return f"{file.name}: the content is not what was rendered"
        return ""


def text_sha256(spoken: str) -> str:
    return hashlib.sha256(f"{MARKUP_VERSION}\n{spoken}".encode()).hexdigest()


def read_manifest(file: Path) -> dict[str, Clip]:
    """The clips of a manifest; empty when there is none. A damaged manifest is BadInput: build it again."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {key: Clip(**fields) for key, fields in document["clips"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{file} is damaged ({error}). Delete it and run: prosa prompts build") from error


def manifest_json(clips: Mapping[str, Clip]) -> str:
    body = {"markup_version": MARKUP_VERSION, "clips": {key: asdict(clips[key]) for key in sorted(clips)}}
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


class PromptIndex:
    """Sound files by prompt key, for the phone. A file that is missing, empty or damaged is as good as none (R16)."""

    def __init__(self, shipped: Path, manifest: Path, rendered: Path) -> None:
        self._audio, self._manifest, self._rendered = shipped, manifest, rendered
        self._shipped_seen = _version(manifest)  # before it is read: a newer one is read again, never missed
        self._shipped = _shipped_files(shipped, manifest)
        self._names_seen: tuple[int, int] | None = None
        self._names: dict[str, _File] = {}
        self._reported: set[str] = set()

    @classmethod
    def load(cls, settings: Settings) -> "PromptIndex":
        folder = settings.prompts_dir
        return cls(folder / "audio", folder / MANIFEST, settings.rendered_dir)

    def file(self, key: str) -> str | None:
        """`prosa/menu/main` or `dyn/name/ab12…`, without the ending; None when no sound file is fit to be played.

        Looks at the disk each time (two microseconds): a file that was lost an hour ago must not become silence.
        """
        if found := self._fit(key):
            return found
        if key not in self._reported:
            self._reported.add(key)
            log.error("prompt_unplayable", key=key, heard="the next best prompt", remedy="prosa prompts build")
        return None

    def can_play(self, key: str) -> bool:
        """As `file`, without a complaint: a name that nobody has rendered yet is no fault."""
        return self._fit(key) is not None

    def _fit(self, key: str) -> str | None:
        if shipped := self._find_shipped(key):
            return shipped.sound
        if key.startswith("name.") and KEY.fullmatch(key) and (name := self._find_name(key)) and name.is_fit():
            return name.sound
        return None

    def playable(self, keys: Sequence[str]) -> list[str]:
        """The sound files of `keys`, the next best in place of each that is unfit: digits for a number, a general
        sentence with a way on for the rest. Never empty if there is any audio at all."""
        files: list[str] = []
        for key in keys:
            found = self.file(key)
            for file in [found] if found else self._next_best(key):
                if not files or files[-1] != file or found:
                    files.append(file)
        return files

    def _next_best(self, key: str) -> list[str]:
        kind, _, rest = key.partition(".")
        if kind in ("number", "reais", "cents") and (spelt := rest.rpartition(".")[2]).isdecimal():
            digits = [self.file(f"digit.{digit}") for digit in spelt]
            if all(digits):
                return [file for file in digits if file]
        if kind in ("pause", "tone", "and", "of"):
            return []
        general = self.file("fallback.name" if kind == "name" else "fallback.prompt")
        return [general] if general else []

    def _find_shipped(self, key: str) -> "_File | None":
        """Fit to be played, or None. What is unfit by the manifest we know may have been built anew while we run
        (`prosa prompts build`): only then is the manifest looked at, so that what is well costs no more."""
        found = self._shipped.get(key)
        if found and found.is_fit():
            return found
        try:
            seen = _version(self._manifest)
            if seen is None or seen == self._shipped_seen:  # one that is gone tells nothing: what we know stays
                return None
            self._shipped_seen = seen  # first: a damaged one is read once, not for each prompt of each call
            self._shipped = _files("prosa", self._audio, read_manifest(self._manifest))
        except (OSError, BadInput) as error:
            log.error("prompt_manifest_damaged", error=str(error))
            return None
        found = self._shipped.get(key)
        return found if found and found.is_fit() else None

    def _find_name(self, key: str) -> "_File | None":
        """Names come while we run: the manifest is read again when it has changed."""
        manifest = self._rendered / MANIFEST
        try:
            seen = _version(manifest)
            if seen is None:  # nothing was ever rendered here
                return None
            if self._names_seen != seen:
                self._names = _files("dyn", self._rendered, read_manifest(manifest))
                self._names_seen = seen
        except (OSError, BadInput) as error:
            log.error("prompt_names_unreadable", error=str(error))
            return None
        return self._names.get(key)


class _File:
    """What the phone asks of a clip, put together ahead: it is asked fifty times a call."""

    __slots__ = ("_crc32", "_fit", "_path", "_seen", "_size", "sound")

    def __init__(self, sound: str, path: str, clip: Clip) -> None:
        self.sound = sound  # as Asterisk calls it
        self._path = path
        self._size = clip.bytes.get("alaw")
        self._crc32 = clip.crc32.get("alaw")
        self._seen = -1  # when the content that was looked at was written
        self._fit = False

    def is_fit(self) -> bool:
        """The size each time, the content once and whenever the file has been written since: A-law has no header, so a
        file of the right size with something else in it would be a screech."""
        try:
            stat = os.stat(self._path)
            if stat.st_size != self._size:
                return False
            if stat.st_mtime_ns != self._seen:
                with open(self._path, "rb", buffering=0) as file:
                    self._fit = zlib.crc32(file.read()) == self._crc32
                self._seen = stat.st_mtime_ns
        except OSError:
            return False
        return self._fit


def _version(file: Path) -> tuple[int, int] | None:
    """Another one whenever the file has been written since; None when it is not there."""
    try:
        stat = os.stat(file)
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _files(root: str, folder: Path, clips: Mapping[str, Clip]) -> dict[str, _File]:
    return {
        key: _File(f"{root}/{sound(key)}", f"{folder}/{sound(key)}.alaw", clip)
        for key, clip in clips.items()
        if KEY.fullmatch(key)
    }


def _shipped_files(folder: Path, manifest: Path) -> dict[str, _File]:
    """Every byte is looked at once, before the first call. Who is damaged now may be made good while we run."""
    try:
        clips = read_manifest(manifest)
    except BadInput as error:
        log.error("prompt_manifest_damaged", error=error.message)
        return {}
    files = _files("prosa", folder, clips)
    for key in [key for key, file in files.items() if not file.is_fit()]:
        fault = clips[key].fault(folder, key, formats=("alaw",))
        log.error("prompt_damaged", key=key, fault=fault, remedy="prosa prompts build")
    return files
