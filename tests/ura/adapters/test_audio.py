"""From a voice to what a telephone plays."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ura.adapters import audio
from ura.adapters.audio import Samples
from ura.errors import BadInput


def hum(seconds: float, *, rate: int = 24_000, peak: float = 0.2, before: float = 0.0, after: float = 0.0) -> Samples:
    voice = peak * np.sin(np.arange(int(rate * seconds)) * 2 * np.pi * 440 / rate)
    return np.pad(voice, (int(rate * before), int(rate * after))).astype(np.float32)


def heard(alaw: bytes) -> Samples:
    samples, _ = soundfile.read(
        io.BytesIO(alaw), format="RAW", subtype="ALAW", samplerate=8000, channels=1, dtype="float32"
    )
    return np.asarray(samples)


def test_silence_at_both_ends_is_cut_to_what_was_asked() -> None:
    sound = audio.finish(hum(1.0, before=1.0, after=2.0), 24_000, lead_ms=50, tail_ms=120)
    assert 1.17 <= sound.duration_s <= 1.20
    loud = np.flatnonzero(np.abs(heard(sound.alaw)) > 0.02)
    assert 45 <= loud[0] / 8 <= 56
    assert 110 <= (len(sound.alaw) - loud[-1]) / 8 <= 145


def test_silence_that_is_missing_is_added() -> None:
    assert 1.17 <= audio.finish(hum(1.0), 24_000, lead_ms=50, tail_ms=120).duration_s <= 1.20


@pytest.mark.parametrize("peak", [0.01, 0.1, 0.9])
@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 24_000, 48_000])
def test_loud_and_quiet_voices_leave_at_one_level(peak: float, rate: int) -> None:
    sound = audio.finish(hum(1.0, rate=rate, peak=peak), rate, lead_ms=0, tail_ms=0)
    assert sound.level_dbfs == pytest.approx(audio.TARGET_DBFS, abs=0.3)
    assert audio.speech_level(heard(sound.alaw)[20:-20]) == pytest.approx(audio.TARGET_DBFS, abs=0.6)


def test_a_peak_never_reaches_full_scale() -> None:
    spiky = hum(2.0, peak=0.02)
    spiky[::2400] = 1.0
    sound = audio.finish(spiky, 24_000, lead_ms=0, tail_ms=0)
    assert float(np.abs(heard(sound.alaw)).max()) < 1.0


def test_both_formats_are_whole_packets_of_the_same_number_of_bytes() -> None:
    sound = audio.finish(hum(0.777), 24_000, lead_ms=7, tail_ms=13)
    assert sound.sizes() == {"alaw": len(sound.alaw), "g722": len(sound.alaw)}
    assert len(sound.alaw) % 160 == 0
    assert sound.duration_s == len(sound.alaw) / 8000
    assert sound.crc32().keys() == sound.sizes().keys()


def test_the_g722_says_the_same_as_the_alaw() -> None:
    import av

    sound = audio.finish(hum(1.0), 24_000, lead_ms=50, tail_ms=50)
    with av.open(io.BytesIO(sound.g722), format="g722") as container:
        wide = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]) / 32768
    assert len(wide) == 2 * len(sound.alaw)
    assert audio.speech_level(wide.astype(np.float32)) == pytest.approx(sound.level_dbfs, abs=0.5)


def test_without_pyav_there_is_alaw_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "av", None)
    assert audio.finish(hum(1.0), 24_000, lead_ms=0, tail_ms=0).sizes().keys() == {"alaw"}


@pytest.mark.parametrize(
    "samples", [hum(0), hum(0.01), np.zeros(24_000, dtype=np.float32), hum(1.0, peak=0.0001), hum(0, after=1)]
)
def test_nothing_heard_is_no_prompt(samples: Samples) -> None:
    with pytest.raises(BadInput, match="Nothing is heard"):
        audio.finish(samples, 24_000, lead_ms=50, tail_ms=120)


def test_silence_is_silent_and_lasts_as_long_as_was_asked() -> None:
    sound = audio.silence(240)
    assert sound.duration_s == 0.24
    assert float(np.abs(heard(sound.alaw)).max()) < 0.001


def test_a_tone_is_as_loud_as_a_voice_and_of_its_pitch() -> None:
    sound = audio.tone(1000, 300)
    assert (sound.duration_s, sound.files) == (0.3, audio.tone(1000, 300).files)
    assert -20 < sound.level_dbfs < -18
    spectrum = np.abs(np.fft.rfft(heard(sound.alaw)))
    assert int(spectrum.argmax()) * 8000 / (0.3 * 8000) == pytest.approx(1000, abs=4)


def test_stereo_becomes_one_channel_and_what_is_no_audio_is_bad_input(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([hum(0.5), -hum(0.5)], axis=1), 24_000)
    samples, rate = audio.decode(tmp_path / "a.wav")
    assert (samples.ndim, rate) == (1, 24_000)
    assert float(np.abs(samples).max()) < 0.001
    for wrong in (b"", b"nonsense", tmp_path / "nothing.wav"):
        with pytest.raises(BadInput):
            audio.decode(wrong)
