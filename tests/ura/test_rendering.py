"""Texts become files: only what changed, never half of one, by the next engine when one fails."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from ura import prompts, rendering
from ura.adapters import tts
from ura.adapters.audio import Samples
from ura.errors import BadInput
from ura.prompts import PromptIndex
from ura.settings import ROOT, Settings


class Tone:
    """An engine that hums for as long as the text is. Remembers what it was asked."""

    def __init__(self, name: str = "espeak", voice: str = "pt-br", *, down: bool = False) -> None:
        self.name, self._voice, self.down = name, voice, down
        self.lines: list[tts.Line] = []

    def voice(self, line: tts.Line) -> str:
        return self._voice

    def synthesise(self, line: tts.Line) -> tuple[Samples, int]:
        self.lines.append(line)
        if self.down:
            raise tts.EngineFailed(f"{self.name} is down")
        seconds = 0.3 + len(line.text) / 50
        return np.asarray(0.1 * np.sin(np.arange(int(24_000 * seconds)) * 0.1), dtype=np.float32), 24_000

    def close(self) -> None:
        """Nothing is held."""


class House(Settings):
    """Settings whose prompts are in a folder of the test."""

    @property
    def prompts_dir(self) -> Path:
        return self.state_dir / "house"


@pytest.fixture
def settings(tmp_path: Path) -> House:
    settings = House(state_dir=tmp_path)
    settings.prompts_dir.mkdir()
    write(settings, "catalogue.yaml", "menu.main: Para planos, digite um.\nmenu.wifi: Ligue o Wi-Fi.\n")
    write(settings, "pieces.yaml", 'digit.1: um\npause.short: "{pausa 250}"\n')
    write(settings, "names.yaml", "- Jardim das Palmeiras\n")
    write(settings, "pronounce.yaml", "words: {Wi-Fi: uai-fai}\npace: {digit.*: 0.9}\ntight: [digit.*]\n")
    return settings


def write(settings: Settings, name: str, text: str) -> None:
    (settings.prompts_dir / name).write_text(text)


def build(settings: Settings, *engines: tts.Engine, everything: bool = False) -> rendering.Report:
    return rendering.build(settings, voice=tts.Voice(engines or [Tone()]), everything=everything)


NAME = prompts.name_key("Jardim das Palmeiras")


def test_everything_is_rendered_once_and_then_only_what_changed(settings: House) -> None:
    assert sorted(build(settings).rendered) == sorted(["menu.main", "menu.wifi", "digit.1", "pause.short", NAME])
    again = build(settings)
    assert (again.rendered, again.kept, again.removed, again.failed) == ([], 5, [], {})
    write(settings, "catalogue.yaml", "menu.main: Para planos, digite dois.\nmenu.wifi: Ligue o Wi-Fi.\n")
    assert build(settings).rendered == ["menu.main"]
    write(settings, "pronounce.yaml", "words: {Wi-Fi: wai-fai}\npace: {digit.*: 0.8}\n")
    assert sorted(build(settings).rendered) == ["digit.1", "menu.wifi"]
    assert len(build(settings, everything=True).rendered) == 5


def test_the_manifest_says_what_each_file_is(settings: House) -> None:
    build(settings)
    clip = prompts.read_manifest(settings.prompts_dir / "manifest.json")["digit.1"]
    assert (clip.engine, clip.voice, clip.speed) == ("espeak", "pt-br", 0.9)
    assert clip.text_sha256 == prompts.text_sha256("um")
    assert clip.bytes["alaw"] == clip.bytes["g722"] == round(clip.duration_s * 8000)
    assert -20 < clip.level_dbfs < -18
    silence = prompts.read_manifest(settings.prompts_dir / "manifest.json")["pause.short"]
    assert (silence.engine, silence.duration_s) == ("silence", 0.26)


def test_a_tone_is_made_not_spoken_and_always_the_same(settings: House) -> None:
    write(settings, "pieces.yaml", 'tone.record: "{tom 1000 300}"\n')
    build(settings)
    file = settings.prompts_dir / "audio" / "tone" / "record.alaw"
    made = file.read_bytes()
    clip = prompts.read_manifest(settings.prompts_dir / "manifest.json")["tone.record"]
    assert (clip.engine, clip.voice, len(made)) == ("tone", "", 2400)
    assert "tone.record" not in build(settings).rendered
    file.unlink()
    assert build(settings).rendered == ["tone.record"]
    assert file.read_bytes() == made


def test_the_engine_gets_the_pronunciation_and_the_pace(settings: House) -> None:
    tone = Tone()
    build(settings, tone)
    assert tts.Line("menu.wifi", "Ligue o uai-fai.") in tone.lines
    assert tts.Line("digit.1", "um", 0.9) in tone.lines


def test_another_voice_or_engine_renders_again_and_a_recording_beats_them(settings: House) -> None:
    build(settings)
    assert len(build(settings, Tone(voice="other")).rendered) == 4
    assert build(settings, Tone("kokoro"), Tone(voice="other")).rendered == []
    assert len(build(settings, Tone("kokoro")).rendered) == 4
    folder = settings.prompts_dir / "recorded"
    folder.mkdir()
    soundfile.write(folder / "menu.main.wav", 0.2 * np.sin(np.arange(16_000) * 0.1), 16_000)
    engines = (tts.Recorded(folder), Tone("kokoro"))
    assert build(settings, *engines).rendered == ["menu.main"]
    assert build(settings, *engines).rendered == []
    soundfile.write(folder / "menu.main.wav", 0.2 * np.sin(np.arange(20_000) * 0.1), 16_000)
    assert build(settings, *engines).rendered == ["menu.main"]
    (folder / "menu.main.wav").unlink()
    assert build(settings, *engines).rendered == ["menu.main"]


@pytest.mark.parametrize("form", prompts.FORMATS)
@pytest.mark.parametrize("damage", [None, b"", b"x"])
def test_a_file_that_is_missing_or_damaged_is_rendered_again(settings: House, form: str, damage: bytes | None) -> None:
    build(settings)
    file = settings.prompts_dir / "audio" / "menu" / f"main.{form}"
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    assert build(settings).rendered == ["menu.main"]
    assert file.stat().st_size > 1000


def test_what_is_no_longer_said_is_removed_with_its_files(settings: House) -> None:
    build(settings)
    write(settings, "names.yaml", "[]")
    (settings.prompts_dir / "audio" / "menu" / "stray.alaw").write_bytes(b"x")
    assert build(settings).removed == [NAME]
    assert [file.name for file in (settings.prompts_dir / "audio").rglob("*.alaw")] != []
    assert not list((settings.prompts_dir / "audio" / "name").glob("*.alaw"))
    assert not (settings.prompts_dir / "audio" / "menu" / "stray.alaw").exists()


def test_a_text_that_nobody_can_speak_is_reported_and_the_others_go_on(settings: House) -> None:
    class Picky(Tone):
        def synthesise(self, line: tts.Line) -> tuple[Samples, int]:
            if line.key == "menu.main":
                raise tts.EngineFailed("not this one")
            return super().synthesise(line)

    report = build(settings, Picky())
    assert list(report.failed) == ["menu.main"]
    assert len(report.rendered) == 4
    assert "failed: menu.main: No engine speaks menu.main: not this one" in str(report)
    assert build(settings).rendered == ["menu.main"]


def test_an_engine_that_says_nothing_is_no_prompt(settings: House) -> None:
    class Silent(Tone):
        def synthesise(self, line: tts.Line) -> tuple[Samples, int]:
            return np.zeros(24_000, dtype=np.float32), 24_000

    assert len(build(settings, Silent()).failed) == 4


def test_progress_is_told(settings: House) -> None:
    told: list[tuple[int, int, str]] = []
    rendering.build(settings, voice=tts.Voice([Tone()]), progress=lambda *step: told.append(step))
    assert [(done, total) for done, total, _ in told] == [(n, 5) for n in range(1, 6)]


def test_a_build_that_is_broken_off_leaves_whole_files_and_goes_on_where_it_was(
    settings: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine dies between writing and renaming: callers go on hearing the old sentence, all of it."""
    build(settings)
    file = settings.prompts_dir / "audio" / "menu" / "main.alaw"
    before = file.read_bytes()
    write(settings, "catalogue.yaml", "menu.main: Outra frase, bem mais longa.\nmenu.wifi: Ligue o Wi-Fi.\n")

    def die(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        build(settings)
    assert file.read_bytes() == before
    assert not list(settings.prompts_dir.rglob("*.new"))
    monkeypatch.undo()
    assert build(settings).rendered == ["menu.main"]
    assert file.read_bytes() != before


def test_a_damaged_manifest_is_made_anew(settings: House) -> None:
    build(settings)
    write(settings, "manifest.json", "{")
    assert len(build(settings).rendered) == 5


def test_a_text_that_is_wrong_stops_the_build_before_it_begins(settings: House) -> None:
    write(settings, "pieces.yaml", "menu.main: um\n")
    with pytest.raises(BadInput, match=r"menu\.main"):
        build(settings)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_saved_name_is_heard_in_the_next_call(settings: House) -> None:
    index = PromptIndex.load(settings)
    keys = await rendering.ensure_names(settings, ["Vila  Nova", "Centro"], voice=tts.Voice([Tone()]))
    assert keys == {"Vila  Nova": prompts.name_key("Vila Nova"), "Centro": prompts.name_key("Centro")}
    assert index.file(keys["Centro"]) == f"dyn/{prompts.sound(keys['Centro'])}"
    assert index.file(keys["Vila  Nova"])


async def test_a_name_is_rendered_once_and_one_that_ships_never(settings: House) -> None:
    build(settings)
    tone = Tone()
    for _ in range(2):
        await rendering.ensure_names(settings, ["Centro", "Jardim das Palmeiras", " "], voice=tts.Voice([tone]))
    assert [line.text for line in tone.lines] == ["Centro"]
    assert PromptIndex.load(settings).file(NAME) == f"prosa/{prompts.sound(NAME)}"


async def test_when_no_engine_works_the_name_waits_and_is_heard_later(settings: House) -> None:
    """R17: the saving goes through, a call hears a general sentence, and nothing is synthesised inside it."""
    with capture_logs() as logs:
        keys = await rendering.ensure_names(settings, ["Centro"], voice=tts.Voice([Tone(down=True)]))
    assert [entry["event"] for entry in logs] == ["speech_engine_failed", "name_not_rendered"]
    index = PromptIndex.load(settings)
    assert index.file(keys["Centro"]) is None
    assert await rendering.render_pending(settings, voice=tts.Voice([Tone(down=True)])) == 1
    assert await rendering.render_pending(settings, voice=tts.Voice([Tone()])) == 0
    assert index.file(keys["Centro"])
    assert await rendering.render_pending(settings, voice=tts.Voice([])) == 0


async def test_while_an_engine_takes_its_time_callers_hear_the_general_word_and_the_loop_turns(
    settings: House,
) -> None:
    """R17: ten seconds or an hour, that is the same; it is over when the test says so."""
    done, asked = threading.Event(), threading.Event()

    class Slow(Tone):
        def synthesise(self, line: tts.Line) -> tuple[Samples, int]:
            asked.set()
            assert done.wait(60)
            return super().synthesise(line)

    write(settings, "pieces.yaml", 'digit.1: um\nfallback.name: este bairro\npause.short: "{pausa 250}"\n')
    build(settings)
    index, key = PromptIndex.load(settings), prompts.name_key("Centro")
    saving = asyncio.create_task(rendering.ensure_names(settings, ["Centro"], voice=tts.Voice([Slow()])))
    await asyncio.to_thread(asked.wait, 60)
    assert not saving.done()
    assert index.playable([key]) == ["prosa/fallback/name"]
    done.set()
    await saving
    assert index.playable([key]) == [f"dyn/{prompts.sound(key)}"]


def test_the_phone_door_cannot_synthesise_anything() -> None:
    """R17: neither an engine nor what drives one is loaded in a process that has calls, so no thread of it can."""
    script = "import sys, agi.main; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(told.stdout.split())
    assert "ura.prompts" in loaded
    assert not {"ura.rendering", "ura.adapters.tts", "gtts"} & loaded
    assert not [name for name in loaded if name.startswith("kokoro")]


async def test_two_admins_who_save_at_once_lose_no_name(settings: House) -> None:
    names = [f"Bairro {n}" for n in range(8)]
    saved = await asyncio.gather(
        *(rendering.ensure_names(settings, names[n : n + 2], voice=tts.Voice([Tone()])) for n in range(0, 8, 2))
    )
    index = PromptIndex.load(settings)
    assert all(index.file(key) for keys in saved for key in keys.values())
