"""The engines: each within its deadline, and the next one when one fails."""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from ura.adapters import kokoro_process, tts
from ura.adapters.audio import Samples
from ura.adapters.tts import EngineFailed, Line
from ura.errors import BadInput
from ura.settings import Settings

LINE = Line("menu.main", "Olá")


class FakeEngine:
    """Speaks a tone, or fails. Counts how often it was asked."""

    def __init__(self, name: str, *, down: bool = False) -> None:
        self.name, self.down, self.asked, self.closed = name, down, 0, False

    def voice(self, line: Line) -> str:
        return "a voice"

    def synthesise(self, line: Line) -> tuple[Samples, int]:
        self.asked += 1
        if self.down:
            raise EngineFailed(f"{self.name} is down")
        return np.zeros(8000, dtype=np.float32), 8000

    def close(self) -> None:
        self.closed = True


def test_the_first_engine_that_works_speaks() -> None:
    voice = tts.Voice([FakeEngine("gtts", down=True), FakeEngine("kokoro"), FakeEngine("espeak")])
    with capture_logs() as logs:
        assert voice.synthesise(LINE).engine == "kokoro"
    assert [(entry["event"], entry["engine"], entry["key"]) for entry in logs] == [
        ("speech_engine_failed", "gtts", "menu.main")
    ]


def test_a_dead_engine_rests_and_is_tried_again_later() -> None:
    now = [0.0]
    dead, alive = FakeEngine("gtts", down=True), FakeEngine("espeak")
    voice = tts.Voice([dead, alive], patience=2, rest_s=300, clock=lambda: now[0])
    for _ in range(10):
        assert voice.synthesise(LINE).engine == "espeak"
    assert dead.asked == 2
    now[0], dead.down = 301, False
    assert voice.synthesise(LINE).engine == "gtts"


def test_failures_that_are_not_in_a_row_do_not_make_it_rest() -> None:
    moody, alive = FakeEngine("gtts"), FakeEngine("espeak")
    voice = tts.Voice([moody, alive], patience=2, clock=lambda: 0.0)
    for moody.down in (True, False, True, False, True, False):
        voice.synthesise(LINE)
    assert moody.asked == 6


def test_when_all_fail_every_reason_is_given() -> None:
    voice = tts.Voice([FakeEngine("gtts", down=True), FakeEngine("espeak", down=True)])
    with pytest.raises(EngineFailed, match=r"menu\.main: gtts is down; espeak is down"):
        voice.synthesise(LINE)


def test_closing_the_voice_closes_every_engine() -> None:
    engines = [FakeEngine("a"), FakeEngine("b")]
    tts.Voice(engines).close()
    assert all(engine.closed for engine in engines)


def test_the_settings_give_the_order(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, tts_engines="espeak, recorded")
    assert [engine.name for engine in tts.voice(settings).engines] == ["espeak", "recorded"]
    assert [engine.name for engine in tts.voice(settings, ["kokoro"]).engines] == ["kokoro"]
    with pytest.raises(BadInput, match=r"polly.*recorded, gtts, kokoro, espeak"):
        tts.voice(settings, ["polly"])


# ── a person's recordings ────────────────────────────────────────────────────────────────────────────────────────


def record(folder: Path, name: str, *, seconds: float = 1.0, peak: float = 0.3) -> None:
    samples = peak * np.sin(np.arange(int(48_000 * seconds)) * 0.05)
    soundfile.write(folder / name, np.stack([samples, samples], axis=1), 48_000)


@pytest.mark.parametrize("ending", ["wav", "mp3", "ogg", "flac"])
def test_a_recording_beats_every_engine(tmp_path: Path, ending: str) -> None:
    record(tmp_path, f"menu.main.{ending}")
    google = FakeEngine("gtts")
    spoken = tts.Voice([tts.Recorded(tmp_path), google]).synthesise(LINE)
    assert spoken.engine == "recorded"
    assert spoken.samples.ndim == 1
    assert google.asked == 0


def test_without_a_recording_nothing_is_logged_and_the_next_speaks(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert tts.Voice([tts.Recorded(tmp_path), FakeEngine("gtts")]).synthesise(LINE).engine == "gtts"
    assert logs == []
    with pytest.raises(EngineFailed, match=r"menu\.main"):
        tts.Recorded(tmp_path).synthesise(LINE)


@pytest.mark.parametrize(
    ("seconds", "peak", "reason"), [(0.1, 0.3, "0.1 s long"), (121, 0.3, "121.0 s long"), (1, 0.001, "nearly silent")]
)
def test_a_recording_that_nobody_would_understand_is_refused(
    tmp_path: Path, seconds: float, peak: float, reason: str
) -> None:
    record(tmp_path, "menu.main.wav", seconds=seconds, peak=peak)
    with pytest.raises(EngineFailed, match=reason):
        tts.Recorded(tmp_path).synthesise(LINE)


def test_a_file_that_is_no_audio_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "menu.main.wav").write_text("not audio")
    with pytest.raises(EngineFailed, match=r"menu\.main\.wav"):
        tts.Recorded(tmp_path).synthesise(LINE)


# ── Kokoro, in its own process ───────────────────────────────────────────────────────────────────────────────────

ONE_SECOND = base64.b64encode(np.full(24_000, 0.5, dtype="<f4").tobytes()).decode()
SPEAKS = f"""
import json, sys
print(json.dumps({{"ready": True}}), flush=True)
for line in sys.stdin:
    text = json.loads(line)["text"]
    print(json.dumps({{"error": "odd"}} if text == "odd" else {{"rate": 24000, "samples": "{ONE_SECOND}"}}), flush=True)
    if text == "last words":
        break
"""


def kokoro(folder: Path, program: str, *, timeout_s: float = 20.0) -> tts.Kokoro:
    return tts.Kokoro(folder, timeout_s=timeout_s, command=[sys.executable, "-c", program])


def test_kokoro_speaks_text_after_text_from_one_process(tmp_path: Path) -> None:
    engine = kokoro(tmp_path, SPEAKS)
    for _ in range(2):
        samples, rate = engine.synthesise(LINE)
        assert (len(samples), rate, float(samples[0])) == (24_000, 24_000, 0.5)
    with pytest.raises(EngineFailed, match="odd"):
        engine.synthesise(Line("a", "odd"))
    assert len(engine.synthesise(LINE)[0]) == 24_000
    engine.close()


def test_kokoro_that_died_is_started_again(tmp_path: Path) -> None:
    engine = kokoro(tmp_path, SPEAKS)
    engine.synthesise(Line("a", "last words"))
    heard = []
    for _ in range(2):  # the first may still reach the dying process
        try:
            heard.append(len(engine.synthesise(LINE)[0]))
        except EngineFailed:
            heard.append(0)
    assert heard[-1] == 24_000
    engine.close()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import time; time.sleep(60)", "no answer in 0.5 s"),
        ("raise SystemExit(1)", "has ended"),
        ("print('Traceback')", "no answer"),
        ("print('{\"hello\": 1}')", "did not start"),
        ("print('[1]')", "has ended"),
    ],
    ids=["hangs", "dies", "babbles", "something else", "a list"],
)
def test_kokoro_that_does_not_answer_fails_within_its_deadline(tmp_path: Path, program: str, reason: str) -> None:
    engine = kokoro(tmp_path, program, timeout_s=0.5 if "sleep" in program else 20.0)
    with pytest.raises(EngineFailed, match=reason):
        engine.synthesise(LINE)
    engine.close()


def test_kokoro_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="prosa voices install"):
        tts.Kokoro(tmp_path).synthesise(LINE)
    with pytest.raises(EngineFailed, match="did not start"):
        tts.Kokoro(tmp_path, command=[str(tmp_path / "nothing")]).synthesise(LINE)


# ── espeak-ng ────────────────────────────────────────────────────────────────────────────────────────────────────

FAKE_ESPEAK = """#!{python}
import sys, wave
text = sys.stdin.read()
with open({seen!r}, "w") as seen:
    seen.write(repr((sys.argv[1:], text)))
with wave.open(sys.stdout.buffer, "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(22050); out.writeframes(b"\\x00\\x20" * 22050)
"""


def program(file: Path, text: str) -> str:
    file.write_text(text)
    file.chmod(0o755)
    return str(file)


def test_espeak_gets_the_text_by_standard_input_only(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    espeak = program(tmp_path / "espeak-ng", FAKE_ESPEAK.format(python=sys.executable, seen=str(seen)))
    samples, rate = tts.Espeak(program=espeak).synthesise(Line("a", "--help; $(id) Olá", speed=0.8))
    assert (len(samples), rate) == (22_050, 22_050)
    arguments, text = eval(seen.read_text())
    assert text == "--help; $(id) Olá"
    assert arguments == ["-v", "pt-br", "-s", "124", "--stdin", "--stdout"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\nsleep 30 >/dev/null 2>&1\n", "timed out"),
        ("#!/bin/sh\nexit 1\n", "exit status 1"),
        ("#!/bin/sh\necho nonsense\n", "No audio"),
        ("#!/bin/sh\n", "No audio"),
    ],
    ids=["hangs", "fails", "no wave", "empty"],
)
def test_espeak_that_fails_fails_within_its_deadline(tmp_path: Path, text: str, reason: str) -> None:
    espeak = program(tmp_path / "espeak-ng", text)
    with pytest.raises(EngineFailed, match=reason):
        tts.Espeak(program=espeak, timeout_s=0.3 if "sleep" in text else 10).synthesise(LINE)


def test_espeak_that_is_not_there_says_how_to_get_it() -> None:
    with pytest.raises(EngineFailed, match="apt-get install espeak-ng"):
        tts.Espeak(program="espeak-ng-that-is-not-there").synthesise(LINE)


def test_the_lengths_that_espeak_cannot_know_are_put_right() -> None:
    header = b"RIFF\xff\xff\xff\x7fWAVEfmt " + bytes(
        [16, 0, 0, 0, 1, 0, 1, 0, 0x22, 0x56, 0, 0, 0x44, 0xAC, 0, 0, 2, 0, 16, 0]
    )
    samples, rate = tts.decode(tts._with_real_length(header + b"data\x00\xf0\xff\x7f" + b"\x00\x20" * 100))
    assert (len(samples), rate) == (100, 22_050)


class FakeKokoro:
    """Half a second of sound for every sentence; remembers what it was given."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def create(self, text: str, *, voice: str, speed: float, is_phonemes: bool) -> tuple[Samples, int]:
        assert is_phonemes
        self.heard.append(text)
        return np.full(12_000, 0.25, dtype=np.float32), 24_000


def test_the_kokoro_process_speaks_sentence_by_sentence_with_a_pause_between() -> None:
    kokoro = FakeKokoro()
    request = json.dumps({"text": "Para planos, um. Para ouvir: zero!", "voice": "pf_dora", "speed": 1.0})
    answer = kokoro_process.speak(kokoro, str.upper, request)
    assert kokoro.heard == ["PARA PLANOS, UM.", "PARA OUVIR:", "ZERO!"]
    samples = np.frombuffer(base64.b64decode(answer["samples"]), dtype="<f4")
    assert len(samples) / answer["rate"] == pytest.approx(1.5 + 2 * kokoro_process.SENTENCE_PAUSE_S)


@pytest.mark.parametrize(
    ("request_line", "error"), [("{", "JSONDecodeError"), ("{}", "KeyError"), ('{"text": "  "}', "ValueError")]
)
def test_the_kokoro_process_answers_json_for_whatever_happens(request_line: str, error: str) -> None:
    assert error in kokoro_process.speak(FakeKokoro(), str.upper, request_line)["error"]


def test_phonemes_are_those_the_model_was_trained_on() -> None:
    """As espeak-ng 1.52 says "digite um" and "reais", ties and all."""
    assert kokoro_process.symbols("d^ʒˌiʒˈit^ʃj ũŋ") == "ʤiʒˈiʧi ũŋ"
    assert kokoro_process.symbols("xeˈa^ɪs") == "heˈIs"
