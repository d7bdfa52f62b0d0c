"""The Kokoro voice in a process of its own: JSON lines in, JSON lines out.

    python -m ura.adapters.kokoro_process MODEL VOICES.npz
    < {"text": "Olá!", "voice": "pf_dora", "speed": 1.0}
    > {"rate": 24000, "samples": "<base64 of float32, little endian>"}      or   {"error": "…"}

The only file that imports kokoro_onnx and phonemizer, and nothing of ours: phonemizer and espeak-ng behind it are GPL.
First line out is {"ready": true}. Ends when its input ends.
"""

import base64
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

RATE = 24_000
SENTENCE_PAUSE_S = 0.28

# kokoro_onnx hands espeak's phonemes to the model as they are. The model was trained on those of misaki (espeak.py,
# E2M): affricates and falling diphthongs are one symbol. And espeak ends "digite" in y, which the model knows from
# French as in "tu"; a Brazilian says i. The r of "reais" is x for espeak and sounds like a g then; h is nearer. Without
# this a listener hears "de gê tê um" for "digite um", and "declamação desistrada" for "reclamação registrada".
_SYMBOLS = (
    ("a^ɪ", "I"),
    ("a^ʊ", "W"),
    ("d^z", "ʣ"),
    ("d^ʒ", "ʤ"),
    ("e^ɪ", "A"),
    ("t^s", "ʦ"),
    ("t^ʃ", "ʧ"),
    ("ɔ^ɪ", "Y"),
    ("^", ""),
    ("-", ""),
    ("y", "i"),
    ("x", "h"),
    ("æn", "an"),
    ("ʧj ", "ʧi "),
    ("ʤˌiʒˈi", "ʤiʒˈi"),  # "digite" is in every menu: one stress, not two
)


def symbols(espeak: str) -> str:
    """espeak's phonemes (with ^ between those that belong together) as the model learnt them."""
    for theirs, ours in _SYMBOLS:
        espeak = espeak.replace(theirs, ours)
    return espeak.strip()


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?:])\s+", text.strip()) if part]


def speak(kokoro: Any, phonemes: Callable[[str], str], line: str) -> dict[str, Any]:
    """One answer for one line. Sentence by sentence, with a real pause between: the model hardly makes any."""
    try:
        wanted = json.loads(line)
        parts: list[Any] = []
        for sentence in sentences(wanted["text"]):
            spoken, _ = kokoro.create(
                symbols(phonemes(sentence)), voice=wanted["voice"], speed=wanted["speed"], is_phonemes=True
            )
            parts += [np.zeros(int(RATE * SENTENCE_PAUSE_S), dtype=np.float32)] if parts else []
            parts.append(spoken)
        samples = np.concatenate(parts)
    except Exception as error:  # whatever it is, the parent must hear of it and go on with the next text
        return {"error": f"{type(error).__name__}: {error}"}
    return {"rate": RATE, "samples": base64.b64encode(samples.astype("<f4").tobytes()).decode()}


def main(model: str, voices: str) -> None:
    # Here, so that what the tests need is not GPL. Kokoro comes first: it tells phonemizer where its espeak-ng is.
    from kokoro_onnx import Kokoro
    from onnxruntime import InferenceSession, SessionOptions
    from phonemizer.backend import EspeakBackend

    options = SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a third less CPU, and calls share it
    kokoro = Kokoro.from_session(InferenceSession(model, options, providers=["CPUExecutionProvider"]), voices)
    espeak = EspeakBackend(
        "pt-br", preserve_punctuation=True, with_stress=True, tie="^", language_switch="remove-flags"
    )
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(speak(kokoro, lambda text: str(espeak.phonemize([text])[0]), line)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
