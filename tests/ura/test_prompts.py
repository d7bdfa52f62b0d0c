"""Texts, keys, pronunciation, and the index by which the phone finds a sound file."""

import json
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ura import prompts
from ura.errors import BadInput
from ura.prompts import Clip, PromptIndex, Pronunciation
from ura.settings import ROOT

SHIPPED = ROOT / "prompts"


def test_a_key_that_is_written_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "catalogue.yaml").write_text("menu.main: Um.\nmenu.other: Dois.\nmenu.main: Outro.\n")
    with pytest.raises(BadInput, match=r"written twice: menu\.main"):
        prompts.load_texts(tmp_path / "catalogue.yaml")


@pytest.mark.parametrize("line", ["Menu.Main: Um.", "../etc: Um.", "menu..main: Um.", "menu.main:", "menu.main: 7"])
def test_a_bad_key_or_an_empty_text_names_its_file(tmp_path: Path, line: str) -> None:
    (tmp_path / "catalogue.yaml").write_text(line + "\n")
    with pytest.raises(BadInput, match=r"catalogue\.yaml"):
        prompts.load_texts(tmp_path / "catalogue.yaml")


def test_a_key_in_the_catalogue_and_in_the_pieces_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "catalogue.yaml").write_text("number.1: Um.\n")
    (tmp_path / "pieces.yaml").write_text("number.1: um\n")
    with pytest.raises(BadInput, match=r"number\.1"):
        prompts.load_all(tmp_path)


def test_the_same_name_has_the_same_key_however_it_was_typed() -> None:
    assert prompts.name_key("  Jardim  das Palmeiras ") == prompts.name_key("Jardim das Palmeiras")
    assert prompts.name_key("São José") == prompts.name_key("Sa\u0303o Jose\u0301")
    assert prompts.name_key("Centro") != prompts.name_key("centro")
    assert prompts.sound(prompts.name_key("Centro")).startswith("name/")


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "a/b", "a..b", "a b", "é"])
def test_no_key_leads_out_of_its_folder(key: str) -> None:
    with pytest.raises(BadInput):
        prompts.sound(key)


def test_words_are_replaced_whole_and_only_for_the_voice() -> None:
    how = Pronunciation({"words": {"LAN": "lã", "Wi-Fi": "uai-fai"}, "keys": {"and": "i"}, "pace": {"digit.*": 0.9}})
    assert how.spoken("a", "LAN, LANÇA e Wi-Fi.") == "lã, LANÇA e uai-fai."
    assert how.spoken("and", "e") == "i"
    assert (how.speed("digit.5"), how.speed("menu.main")) == (0.9, 1.0)


def make_index(tmp_path: Path, *keys: str) -> PromptIndex:
    """An index over `keys`, each with 100 bytes of audio."""
    clips = {}
    for key in keys:
        file = tmp_path / "audio" / f"{prompts.sound(key)}.alaw"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\x55" * 100)
        clips[key] = make_clip()
    (tmp_path / "manifest.json").write_text(prompts.manifest_json(clips))
    return PromptIndex(tmp_path / "audio", tmp_path / "manifest.json", tmp_path / "state")


def make_clip() -> Clip:
    return Clip("0" * 64, "espeak", "pt-br", 1.0, 0.01, -19.0, {"alaw": 100}, {"alaw": 0x596E04CC})


def test_a_whole_file_is_found_under_the_name_asterisk_knows(tmp_path: Path) -> None:
    assert make_index(tmp_path, "menu.main").file("menu.main") == "prosa/menu/main"


def test_a_file_that_is_lost_while_we_run_is_none_and_is_reported_once(tmp_path: Path) -> None:
    index = make_index(tmp_path, "menu.main", "fallback.prompt")
    (tmp_path / "audio" / "menu" / "main.alaw").unlink()
    with capture_logs() as logs:
        assert index.file("menu.main") is None
        assert index.file("menu.main") is None
    assert [entry["key"] for entry in logs] == ["menu.main"]


@pytest.mark.parametrize("content", [b"", b"\x55" * 99, b"\x55" * 50], ids=["empty", "one byte short", "half"])
def test_an_empty_or_cut_file_is_none(tmp_path: Path, content: bytes) -> None:
    index = make_index(tmp_path, "menu.main")
    (tmp_path / "audio" / "menu" / "main.alaw").write_bytes(content)
    assert index.file("menu.main") is None


def test_a_file_with_the_right_size_and_the_wrong_content_is_found_at_start(tmp_path: Path) -> None:
    make_index(tmp_path, "menu.main")
    (tmp_path / "audio" / "menu" / "main.alaw").write_bytes(b"\x00" * 100)
    with capture_logs() as logs:
        index = PromptIndex(tmp_path / "audio", tmp_path / "manifest.json", tmp_path / "state")
    assert index.file("menu.main") is None
    assert logs[0]["event"] == "prompt_damaged"


def test_a_file_whose_content_is_lost_while_we_run_is_none_until_it_is_made_good(tmp_path: Path) -> None:
    """R16: of the right size all the while, so only its content tells."""
    index, file = make_index(tmp_path, "menu.main"), tmp_path / "audio" / "menu" / "main.alaw"
    assert index.file("menu.main")
    for moment, (content, found) in enumerate([(b"\x00", None), (b"\x55", "prosa/menu/main"), (b"\xff", None)]):
        file.write_bytes(content * 100)
        os.utime(file, ns=(moment, moment))  # however coarse the disk's clock is
        assert index.file("menu.main") == found


def test_a_damaged_manifest_leaves_no_prompt_and_says_so(tmp_path: Path) -> None:
    make_index(tmp_path, "menu.main")
    (tmp_path / "manifest.json").write_text('{"clips": {"menu.main": {}}}')
    with capture_logs() as logs:
        index = PromptIndex(tmp_path / "audio", tmp_path / "manifest.json", tmp_path / "state")
    assert index.file("menu.main") is None
    assert "prosa prompts build" in logs[0]["error"]


@pytest.mark.parametrize("key", ["nothing.here", "name.0123456789abcdef", "name.../../x", "", "a b"])
def test_an_unknown_key_is_none(tmp_path: Path, key: str) -> None:
    assert make_index(tmp_path).file(key) is None


def test_what_cannot_be_played_is_heard_as_the_next_best(tmp_path: Path) -> None:
    """R16: never silence. A number in digits, a name as a name without sound, a menu as the way to a person, once."""
    index = make_index(tmp_path, "digit.5", "digit.7", "fallback.name", "fallback.prompt", "menu.keys")
    assert index.playable(["number.57"]) == ["prosa/digit/5", "prosa/digit/7"]
    assert index.playable(["name.0123456789abcdef"]) == ["prosa/fallback/name"]
    assert index.playable(["menu.main", "menu.main.short", "menu.keys"]) == ["prosa/fallback/prompt", "prosa/menu/keys"]
    assert index.playable(["pause.short"]) == []
    assert index.playable(["number.12"]) == ["prosa/fallback/prompt"]


def test_the_same_digit_twice_is_heard_twice(tmp_path: Path) -> None:
    assert make_index(tmp_path, "digit.5").playable(["digit.5", "digit.5"]) == ["prosa/digit/5"] * 2


def test_a_name_that_was_saved_while_we_run_is_found(tmp_path: Path) -> None:
    index, key = make_index(tmp_path), prompts.name_key("Vila Nova")
    assert index.file(key) is None
    rendered = tmp_path / "state" / f"{prompts.sound(key)}.alaw"
    rendered.parent.mkdir(parents=True)
    rendered.write_bytes(b"\x55" * 100)
    (tmp_path / "state" / "manifest.json").write_text(prompts.manifest_json({key: make_clip()}))
    assert index.file(key) == f"dyn/{prompts.sound(key)}"
    rendered.write_bytes(b"")
    assert index.file(key) is None


def test_a_damaged_manifest_of_names_does_not_stop_a_call(tmp_path: Path) -> None:
    index = make_index(tmp_path, "menu.main")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "manifest.json").write_text("{")
    assert index.file("name.0123456789abcdef") is None
    assert index.file("menu.main") == "prosa/menu/main"


def test_a_prompt_that_is_built_anew_while_we_run_is_played(tmp_path: Path) -> None:
    """`prosa prompts build` beside a running phone door: another size, and a key that was not there before."""
    index = make_index(tmp_path, "menu.main")
    assert index.file("menu.new") is None
    for key in ("menu.main", "menu.new"):
        (tmp_path / "audio" / f"{prompts.sound(key)}.alaw").write_bytes(b"\x55" * 50)
    assert index.file("menu.main") is None, "its manifest is not there yet"
    clip = replace(make_clip(), bytes={"alaw": 50}, crc32={"alaw": zlib.crc32(b"\x55" * 50)})
    (tmp_path / "manifest.json").write_text(prompts.manifest_json({"menu.main": clip, "menu.new": clip}))
    assert index.file("menu.main") == "prosa/menu/main"
    assert index.file("menu.new") == "prosa/menu/new"


@pytest.mark.parametrize("damage", ["{", None], ids=["damaged", "gone"])
def test_a_manifest_that_is_damaged_while_we_run_takes_no_prompt_away(tmp_path: Path, damage: str | None) -> None:
    index, manifest = make_index(tmp_path, "menu.main"), tmp_path / "manifest.json"
    if damage is None:
        manifest.unlink()
    else:
        manifest.write_text(damage)
    with capture_logs() as logs:
        assert [index.file("menu.new"), index.file("menu.other")] == [None, None]
    assert [entry["event"] for entry in logs].count("prompt_manifest_damaged") == (1 if damage else 0)
    assert index.file("menu.main") == "prosa/menu/main"


# ── what ships ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return prompts.load_all(SHIPPED)


@pytest.fixture(scope="module")
def clips() -> dict[str, Clip]:
    return prompts.read_manifest(SHIPPED / "manifest.json")


def test_every_text_has_audio_of_exactly_this_text(texts: dict[str, str], clips: dict[str, Clip]) -> None:
    """Red here means: run `prosa prompts build` and commit prompts/audio with its manifest."""
    how = Pronunciation.load(SHIPPED)
    wanted = {key: (prompts.text_sha256(how.spoken(key, text)), how.speed(key)) for key, text in texts.items()}
    assert {key: (clip.text_sha256, clip.speed) for key, clip in clips.items()} == wanted


def test_every_file_is_there_in_both_formats_and_is_what_was_rendered(clips: dict[str, Clip]) -> None:
    assert [fault for key, clip in clips.items() if (fault := clip.fault(SHIPPED / "audio", key))] == []
    wrong = {
        key: clip.bytes
        for key, clip in clips.items()
        if clip.bytes["alaw"] != clip.bytes["g722"] or abs(clip.bytes["alaw"] / 8000 - clip.duration_s) > 0.011
    }
    assert wrong == {}


def test_no_file_lies_about_that_the_manifest_does_not_know(clips: dict[str, Clip]) -> None:
    known = {f"{prompts.sound(key)}.{form}" for key in clips for form in prompts.FORMATS}
    found = {
        os.path.relpath(file, SHIPPED / "audio")
        for file in (SHIPPED / "audio").rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }
    assert found == known


def test_one_voice_speaks_at_one_level(clips: dict[str, Clip]) -> None:
    """Recordings aside, all that ships is one voice; no prompt is much louder than the one before it."""
    made = {("kokoro", "pf_dora"), ("silence", ""), ("tone", "")}
    assert {(clip.engine, clip.voice) for clip in clips.values()} <= made
    levels = [clip.level_dbfs for clip in clips.values() if clip.engine != "silence"]
    assert min(levels) > -22
    assert max(levels) < -17


def test_what_ships_is_small_enough_to_clone(clips: dict[str, Clip]) -> None:
    assert sum(sum(clip.bytes.values()) for clip in clips.values()) < 32_000_000


def test_the_greeting_is_short(clips: dict[str, Clip]) -> None:
    assert clips["greeting.welcome"].duration_s <= 5
    assert clips["system.corporate"].duration_s <= 3


def test_the_manifest_is_readable_by_people(clips: dict[str, Clip]) -> None:
    document = json.loads((SHIPPED / "manifest.json").read_text())
    assert list(document["clips"]) == sorted(clips)


NEVER_SAID_ALONE = {"pause", "and", "of", "tone"}  # between pieces: the sentence is heard without them
DAMAGES: dict[str, Callable[[bytes, bytes], bytes | None]] = {
    "missing": lambda alaw, g722: None,
    "empty": lambda alaw, g722: b"",
    "cut": lambda alaw, g722: alaw[: len(alaw) // 2],
    "garbage": lambda alaw, g722: bytes(255 - byte for byte in alaw),
    "another codec and rate": lambda alaw, g722: g722,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("when", ["before we start", "while we run"])
def test_no_prompt_that_ships_is_silence_or_noise_when_its_file_is_damaged(
    tmp_path: Path, clips: dict[str, Clip], damage: str, when: str
) -> None:
    """R16, each prompt with each damage: the next best sentence, in words of its own, and it is told once."""
    audio, spoil = tmp_path / "audio", DAMAGES[damage]
    shutil.copytree(SHIPPED / "audio", audio, ignore=shutil.ignore_patterns("*.g722"))
    manifest, rendered = SHIPPED / "manifest.json", tmp_path / "state"
    index = PromptIndex(audio, manifest, rendered)
    assert index.file("menu.main")
    for key in clips:
        file = audio / f"{prompts.sound(key)}.alaw"
        whole = file.read_bytes()
        spoilt = spoil(whole, (SHIPPED / "audio" / f"{prompts.sound(key)}.g722").read_bytes())
        if spoilt is None:
            file.unlink()
        else:
            file.write_bytes(spoilt)
            os.utime(file, ns=(0, 0))
        if when == "before we start":
            one = tmp_path / "manifest.json"
            fallbacks = [f"digit.{digit}" for digit in range(10)] + ["fallback.name", "fallback.prompt"]
            one.write_text(prompts.manifest_json({each: clips[each] for each in {key, *fallbacks}}))
            index = PromptIndex(audio, one, rendered)
        with capture_logs() as logs:
            heard = [index.playable([key]) for _ in range(2)][1]
        assert [entry["key"] for entry in logs] == [key], damage
        assert f"prosa/{prompts.sound(key)}" not in heard
        # Its own next best is there as long as it is; who says nothing then is agi/channel.py, which goes on.
        assert heard or key == "fallback.prompt" or key.partition(".")[0] in NEVER_SAID_ALONE, key
        file.write_bytes(whole)
        os.utime(file, ns=(1, 1))
        assert index.playable([key]) == [f"prosa/{prompts.sound(key)}"]
