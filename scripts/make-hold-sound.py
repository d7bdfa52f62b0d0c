"""Makes asterisk_conf/moh/espera.alaw, what callers hear between announcements: slow, quiet chords of our own making.

Run it by hand after changing the recipe: .venv/bin/python scripts/make-hold-sound.py
"""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
TARGET = Path(__file__).parent.parent / "asterisk_conf/moh/espera.alaw"
CHORD_S = 4.0
# C, Am, F, G in a low, soft register.
CHORDS = [
    (261.6, 329.6, 392.0, 523.3),
    (220.0, 261.6, 329.6, 440.0),
    (174.6, 261.6, 349.2, 523.3),
    (196.0, 246.9, 392.0, 493.9),
]


def chord(notes: tuple[float, ...]) -> np.ndarray:
    """Each note enters a little after the one before, rises softly and dies away."""
    out = np.zeros(int(RATE * CHORD_S * 1.5))
    for place, note in enumerate(notes):
        begin = int(RATE * 0.35 * place)
        t = np.arange(len(out) - begin) / RATE
        envelope = np.minimum(t / 0.08, 1.0) * np.exp(-t / 1.6)
        out[begin:] += envelope * (np.sin(2 * np.pi * note * t) + 0.25 * np.sin(4 * np.pi * note * t))
    return out


def main() -> None:
    step = int(RATE * CHORD_S)
    music = np.zeros(step * len(CHORDS) * 2)
    for place in range(len(CHORDS) * 2):
        sound = chord(CHORDS[place % len(CHORDS)])
        at = (np.arange(len(sound)) + place * step) % len(music)  # the last chord rings into the first: a seamless loop
        music[at] += sound
    music *= 0.09 / np.abs(music).max()  # about -21 dBFS: a voice stands well above it
    TARGET.parent.mkdir(exist_ok=True)
    soundfile.write(TARGET, music, RATE, format="RAW", subtype="ALAW")


if __name__ == "__main__":
    main()
