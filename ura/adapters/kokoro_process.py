"""The Kokoro voice in a process of its own: JSON lines in, JSON lines out.

    python -m ura.adapters.kokoro_process MODEL VOICES.npz
    < {"text": "Olá!", "voice": "pf_dora", "speed": 1.0}
    > {"rate": 24000, "samples": "<base64 of float32, little endian>"}      or   {"error": "…"}

The only file that imports kokoro_onnx, and nothing of ours: phonemizer and espeak-ng behind it are GPL. First line out
is {"ready": true}. Ends when its input ends.
"""

import base64
import json
import sys
from typing import Any


def speak(kokoro: Any, line: str) -> dict[str, Any]:
    try:
        wanted = json.loads(line)
        samples, rate = kokoro.create(
            wanted["text"], voice=wanted["voice"], speed=wanted["speed"], lang="pt-br", sentence_pause=0.35
        )
    except Exception as error:  # whatever it is, the parent must hear of it and go on with the next text
        return {"error": f"{type(error).__name__}: {error}"}
    return {"rate": rate, "samples": base64.b64encode(samples.astype("<f4").tobytes()).decode()}


def main(model: str, voices: str) -> None:
    from kokoro_onnx import Kokoro  # here, so that what the tests need is not GPL

    kokoro = Kokoro(model, voices)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(speak(kokoro, line)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
