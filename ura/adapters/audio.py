"""How does a voice become what a telephone plays? Trim, level, resample, A-law and G.722."""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ura.errors import BadInput

try:
    import av
except ImportError:  # only in requirements/voice.txt: FFmpeg is large, and names do without G.722
    av = None  # type: ignore[assignment]  # a module, or none

Samples = NDArray[np.float32]

WIDE = 16_000
NARROW = 8_000
TARGET_DBFS = -19.0
_PACKET = WIDE // 50  # 20 ms: whole RTP packets, and the same number of bytes in both formats
_KNEE = 0.7


@dataclass(frozen=True, slots=True)
class Sound:
    """One prompt, ready to be written. Both formats have 8,000 bytes a second."""

    alaw: bytes
    g722: bytes
    duration_s: float
    level_dbfs: float

    @property
    def files(self) -> dict[str, bytes]:
        """Ending → content; without G.722 where PyAV is not installed (Asterisk then makes it from A-law)."""
        return {"alaw": self.alaw, **({"g722": self.g722} if self.g722 else {})}

    def sizes(self) -> dict[str, int]:
        return {form: len(content) for form, content in self.files.items()}

    def crc32(self) -> dict[str, int]:
        return {form: zlib.crc32(content) for form, content in self.files.items()}


def decode(source: Path | bytes) -> tuple[Samples, int]:
    """WAV, MP3, OGG or FLAC → mono samples. Raises BadInput when it is none of them."""
    try:
        samples, rate = soundfile.read(
            io.BytesIO(source) if isinstance(source, bytes) else source, dtype="float32", always_2d=True
        )
    except (soundfile.LibsndfileError, OSError) as error:
        raise BadInput(f"No audio that can be read: {error}") from error
    return samples.mean(axis=1, dtype=np.float32), int(rate)


def silence(ms: int) -> Sound:
    return _encode(np.zeros(_whole_packets(WIDE * ms // 1000), dtype=np.float32), level_dbfs=-120.0)


def tone(hz: int, ms: int) -> Sound:
    """A tone as loud as a voice that dies away, so that no two moments of it are alike."""
    at = np.arange(WIDE * ms // 1000) / WIDE
    falling = np.sin(2 * np.pi * hz * at) * np.linspace(1, 0.25, len(at))
    return finish(falling.astype(np.float32), WIDE, lead_ms=0, tail_ms=0)


def finish(samples: Samples, rate: int, *, lead_ms: int, tail_ms: int) -> Sound:
    """A voice as recorded or synthesised → a prompt: silence cut to `lead_ms` and `tail_ms`, −19 dBFS while it
    speaks, peaks rounded off. Raises BadInput when nothing is heard in it."""
    wide = soxr.resample(samples, rate, WIDE, quality="VHQ") if rate != WIDE else samples
    wide = np.asarray(wide - wide.mean(), dtype=np.float32) if len(wide) else wide
    if len(wide) < WIDE // 20 or (level := speech_level(wide)) < -55:
        raise BadInput("Nothing is heard in it.")
    wide = _limit(_trim(wide, lead_ms, tail_ms) * np.float32(10 ** ((TARGET_DBFS - level) / 20)))
    return _encode(wide, level_dbfs=round(speech_level(wide), 1))


def speech_level(samples: Samples) -> float:
    """Level while somebody speaks, dBFS: the frames less than 10 dB under the mean, as loudness meters gate."""
    power = _power(samples, WIDE // 50)
    heard = power[power > 1e-7]
    if not len(heard):
        return -120.0
    return float(10 * np.log10(heard[heard > heard.mean() / 10].mean()))


def _power(samples: Samples, frame: int) -> Samples:
    whole = len(samples) // frame * frame
    return np.asarray((samples[:whole].reshape(-1, frame).astype(np.float64) ** 2).mean(axis=1), dtype=np.float32)


def _trim(samples: Samples, lead_ms: int, tail_ms: int) -> Samples:
    """From a little before the first sound to a little after the last, with 5 ms ramps so that no join clicks."""
    frame = WIDE // 200
    power = _power(samples, frame)
    loud = np.flatnonzero(power > power.max() * 10**-4)  # 40 dB under the loudest: keeps the s of "seis"
    first, last = int(loud[0]) * frame, (int(loud[-1]) + 1) * frame
    lead, tail = WIDE * lead_ms // 1000, WIDE * tail_ms // 1000
    cut = samples[max(0, first - lead) : last + tail].copy()
    cut = np.pad(cut, (max(0, lead - first), max(0, last + tail - len(samples))))
    ramp = np.linspace(0, 1, WIDE // 200, dtype=np.float32)
    cut[: len(ramp)] *= ramp
    cut[-len(ramp) :] *= ramp[::-1]
    return np.pad(cut, (0, _whole_packets(len(cut)) - len(cut)))


def _whole_packets(length: int) -> int:
    return -(-length // _PACKET) * _PACKET


def _limit(samples: Samples) -> Samples:
    """Soft knee at −3 dBFS: below it nothing changes, above it no sample reaches full scale."""
    over = np.abs(samples) > _KNEE
    room = 1 - _KNEE
    limited = samples.copy()
    limited[over] = np.sign(samples[over]) * (_KNEE + room * np.tanh((np.abs(samples[over]) - _KNEE) / room))
    return limited


def _encode(wide: Samples, *, level_dbfs: float) -> Sound:
    narrow = np.zeros(len(wide) // 2, dtype=np.float32)
    resampled = soxr.resample(wide, WIDE, NARROW, quality="VHQ")[: len(narrow)]
    narrow[: len(resampled)] = np.clip(resampled, -0.99, 0.99)
    return Sound(_alaw(narrow), _g722(wide), len(wide) / WIDE, level_dbfs)


def _alaw(narrow: Samples) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, narrow, NARROW, format="RAW", subtype="ALAW")
    return buffer.getvalue()


def _g722(wide: Samples) -> bytes:
    if av is None:
        return b""
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate, encoder.layout, encoder.format = WIDE, "mono", "s16"
    packets = []
    pcm = (np.clip(wide, -0.99, 0.99) * 32767).astype(np.int16)
    for start in range(0, len(pcm), _PACKET):
        frame = av.AudioFrame.from_ndarray(pcm[None, start : start + _PACKET], format="s16", layout="mono")
        frame.sample_rate = WIDE
        packets += encoder.encode(frame)
    return b"".join(bytes(packet) for packet in [*packets, *encoder.encode(None)])
