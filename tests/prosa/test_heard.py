"""What a caller heard is told from the bytes alone."""

import time
from pathlib import Path

import numpy as np
import pytest

from prosa.heard import Fingerprints, Heard, Listener, silences

RATE = 8000
rng = np.random.default_rng(7)


def noise(seconds: float) -> bytes:
    return rng.integers(0, 256, int(seconds * RATE), dtype=np.uint8).tobytes()


def quiet(seconds: float) -> bytes:
    return b"\xd5" * int(seconds * RATE)


@pytest.fixture(scope="module")
def prompts() -> dict[str, bytes]:
    main = quiet(0.1) + noise(1.5) + quiet(0.4) + noise(1.0) + quiet(0.2)
    return {"menu.main": main, "greeting": noise(2.0), "number.1": noise(0.4), "sales.home": noise(3.0)}


@pytest.fixture(scope="module")
def index(prompts: dict[str, bytes]) -> Fingerprints:
    return Fingerprints(prompts)


def recognise(recording: bytes, index: Fingerprints) -> list[Heard]:
    """All of it at once."""
    listener = Listener(index)
    listener.feed(recording)
    return listener.heard()


def keys(heard: list[Heard]) -> list[str]:
    return [one.key for one in heard]


@pytest.mark.parametrize("shift", [0, 1, 40, 159, 4321])
def test_prompts_are_recognised_wherever_the_recording_begins(
    prompts: dict[str, bytes], index: Fingerprints, shift: int
) -> None:
    heard = recognise(b"\xd5" * shift + prompts["greeting"] + prompts["menu.main"] + quiet(1), index)
    assert keys(heard) == ["greeting", "menu.main"]
    assert heard[0].started_s == pytest.approx(shift / RATE)
    assert heard[1].started_s == pytest.approx(shift / RATE + 2.0)
    assert heard[1].ended_s == pytest.approx(shift / RATE + 2.0 + 3.2)
    assert all(one.complete for one in heard)


def test_a_key_that_cuts_the_prompt_is_seen(prompts: dict[str, bytes], index: Fingerprints) -> None:
    heard = recognise(quiet(0.3) + prompts["menu.main"][: int(0.93 * RATE)] + prompts["sales.home"], index)
    assert keys(heard) == ["menu.main", "sales.home"]
    assert not heard[0].complete
    assert heard[0].ended_s == pytest.approx(0.3 + 0.93, abs=0.02)
    assert heard[1].complete


def test_the_same_prompt_twice_is_heard_twice(prompts: dict[str, bytes], index: Fingerprints) -> None:
    menu = prompts["menu.main"]
    assert keys(recognise(menu + menu, index)) == ["menu.main"] * 2
    assert keys(recognise(menu[: RATE // 2] + menu, index)) == ["menu.main"] * 2
    assert keys(recognise(menu + quiet(6) + menu, index)) == ["menu.main"] * 2


def test_lost_and_late_packets_do_not_split_a_prompt(prompts: dict[str, bytes], index: Fingerprints) -> None:
    audio = prompts["sales.home"]
    lost = audio[:8000] + quiet(0.02) + audio[8160:16000] + audio[16160:]
    heard = recognise(quiet(0.2) + lost[:4000] + quiet(0.06) + lost[4000:], index)
    assert keys(heard) == ["sales.home"]
    assert heard[0].complete


def test_a_short_piece_is_recognised_between_others(prompts: dict[str, bytes], index: Fingerprints) -> None:
    heard = recognise(prompts["greeting"][:9600] + prompts["number.1"] + prompts["sales.home"], index)
    assert keys(heard) == ["greeting", "number.1", "sales.home"]


def test_music_and_silence_are_nothing_of_ours(index: Fingerprints) -> None:
    assert recognise(noise(5) + quiet(5), index) == []
    assert recognise(b"", index) == []


def test_two_keys_with_the_same_audio_are_one(prompts: dict[str, bytes]) -> None:
    index = Fingerprints({**prompts, "digit.1": prompts["number.1"]})
    assert index.same("number.1") == index.same("digit.1") == "digit.1"
    assert keys(recognise(prompts["number.1"], index)) == ["digit.1"]


def test_a_growing_recording_gives_the_same_as_a_whole_one(prompts: dict[str, bytes], index: Fingerprints) -> None:
    recording = quiet(0.013) + prompts["greeting"] + prompts["menu.main"][:7000] + prompts["sales.home"]
    listener = Listener(index)
    for start in range(0, len(recording), 117):
        listener.feed(recording[start : start + 117])
    assert listener.heard() == recognise(recording, index)


def test_silence_is_measured(prompts: dict[str, bytes]) -> None:
    found = silences(prompts["greeting"] + quiet(3) + prompts["greeting"] + quiet(1.5))
    assert [(round(a, 1), round(b, 1)) for a, b in found] == [(2.0, 5.0), (7.0, 8.5)]
    assert silences(b"") == []


def test_keys_come_from_the_file_names(tmp_path: Path, prompts: dict[str, bytes]) -> None:
    (tmp_path / "menu").mkdir()
    (tmp_path / "menu" / "main.alaw").write_bytes(prompts["menu.main"])
    index = Fingerprints.of_folders(tmp_path, tmp_path / "missing")
    assert keys(recognise(prompts["menu.main"], index)) == ["menu.main"]


def test_thirty_seconds_against_two_thousand_prompts_take_little() -> None:
    many = {f"p.{n}": noise(2.5) for n in range(2000)}
    index = Fingerprints(many)
    recording = b"".join(many[f"p.{n}"] for n in range(12))
    started = time.process_time()
    heard = recognise(recording, index)
    assert time.process_time() - started < 2.0
    assert keys(heard) == [f"p.{n}" for n in range(12)]
