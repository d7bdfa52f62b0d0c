"""`prosa voices install`: the right bytes or none."""

import hashlib
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ura.adapters import voices
from ura.adapters.tts import KOKORO_VOICE, MODEL_FILE, VOICES_FILE
from ura.settings import Settings

MODEL = b"a model in four parts"
VOICE = np.arange(2 * 256, dtype="<f4").tobytes()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A registry of our own: four packages with a part each, and an npm that packs a voice."""
    site = tmp_path / "site"
    parts = tuple(f"fake_voice_model_{n}" for n in range(4))
    for n, name in enumerate(parts):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").touch()
        (site / name / "part.bin").write_bytes(MODEL[n * 6 : n * 6 + 6])
    (site / "kokoro_onnx").mkdir()
    (site / "kokoro_onnx" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(voices, "PARTS", parts)
    monkeypatch.setattr(voices, "MODEL_SHA256", hashlib.sha256(MODEL).hexdigest())
    monkeypatch.setattr(voices, "VOICE_SHA256", hashlib.sha256(VOICE).hexdigest())
    make_npm(tmp_path, monkeypatch, VOICE)
    return Settings(state_dir=tmp_path / "state")


def make_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice: bytes | None) -> None:
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    archive = tmp_path / "kokoro-js.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        if voice is not None:
            member = tarfile.TarInfo(f"package/voices/{KOKORO_VOICE}.bin")
            member.size = len(voice)
            packed.addfile(member, io.BytesIO(voice))
    npm = folder / "npm"
    npm.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        f"assert sys.argv[1:] == ['pack', 'kokoro-js@1.2.1'], sys.argv\nshutil.copy({str(archive)!r}, '.')\n"
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_the_model_is_put_together_and_the_voice_is_where_kokoro_looks(settings: Settings) -> None:
    said: list[str] = []
    folder = voices.install(settings, say=said.append)
    assert (folder / MODEL_FILE).read_bytes() == MODEL
    with np.load(folder / VOICES_FILE) as stored:
        assert stored[KOKORO_VOICE].shape == (2, 1, 256)
        assert stored[KOKORO_VOICE].tobytes() == VOICE
    assert sorted(file.name for file in folder.iterdir()) == sorted([MODEL_FILE, VOICES_FILE])
    assert said[0].startswith("model")
    assert said[-1].startswith("ready")


def test_a_second_time_nothing_is_fetched(settings: Settings, tmp_path: Path) -> None:
    voices.install(settings, say=lambda text: None)
    (tmp_path / "bin" / "npm").unlink()
    said: list[str] = []
    voices.install(settings, say=said.append)
    assert len(said) == 1


@pytest.mark.parametrize("name", [MODEL_FILE, VOICES_FILE])
def test_a_damaged_file_is_put_right(settings: Settings, name: str) -> None:
    folder = voices.install(settings, say=lambda text: None)
    right = (folder / name).read_bytes()
    (folder / name).write_bytes(b"damaged")
    voices.install(settings, say=lambda text: None)
    assert (folder / name).read_bytes() == right


def test_a_model_with_another_hash_is_refused_and_not_left_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "MODEL_SHA256", "0" * 64)
    with pytest.raises(voices.InstallFailed, match=MODEL_FILE):
        voices.install(settings, say=lambda text: None)
    assert list((settings.state_dir / "voices").iterdir()) == []


@pytest.mark.parametrize(("voice", "reason"), [(b"another voice", "SHA-256"), (None, "does not hold")])
def test_a_package_with_another_voice_or_none_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice: bytes | None, reason: str
) -> None:
    make_npm(tmp_path, monkeypatch, voice)
    with pytest.raises(voices.InstallFailed, match=reason):
        voices.install(settings, say=lambda text: None)
    assert not (settings.state_dir / "voices" / VOICES_FILE).exists()


def test_without_npm_it_says_what_to_do_and_a_folder_does_instead(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bin" / "npm").unlink()
    with pytest.raises(voices.InstallFailed, match="apt-get install npm"):
        voices.install(settings, say=lambda text: None)
    source = tmp_path / "release"
    source.mkdir()
    (source / f"{KOKORO_VOICE}.bin").write_bytes(VOICE)
    (source / MODEL_FILE).write_bytes(MODEL)
    assert (voices.install(settings, source=source, say=lambda text: None) / VOICES_FILE).exists()


def test_npm_that_fails_is_quoted(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bin" / "npm").write_text("#!/bin/sh\necho 'no such package' >&2\nexit 1\n")
    with pytest.raises(voices.InstallFailed, match="no such package"):
        voices.install(settings, say=lambda text: None)
