"""What the phone's Channel makes of effects, and what the caller hears when a file is gone."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agi.channel import PhoneChannel
from agi.sounds import SILENCE, Sounds
from tests.agi.conftest import Line
from tests.agi.fake_asterisk import parse_args
from ura.errors import HungUp
from ura.flows.channel import Recording


class Prompts:
    """Prompt keys are their own files under `prosa/`; `.` is `/`."""

    def __init__(self, missing: Sequence[str] = ()) -> None:
        self.missing = missing

    def playable(self, keys: Sequence[str]) -> list[str]:
        return [f"prosa/{key.replace('.', '/')}" for key in keys if key not in self.missing]


WAITS_SET = "200 result=1\n" * 2  # the channel's TIMEOUTs, before a number is asked for


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, Path]:
    audio = tmp_path / "audio"
    (audio / "menu").mkdir(parents=True)
    for name, content in {
        "menu/main": b"M" * 8000,
        "menu/more": b"m" * 4000,
        "hello": b"H" * 16000,
        "tone": b"T" * 2400,
    }.items():
        (audio / f"{name}.alaw").write_bytes(content)
    return {"prosa": audio, "dyn": tmp_path / "dyn"}


@pytest.fixture
def sounds(roots: dict[str, Path]) -> Sounds:
    return Sounds(Prompts(), roots)


@pytest.fixture
def channel(line: Line, sounds: Sounds, tmp_path: Path) -> PhoneChannel:
    return PhoneChannel(line.session, sounds, tmp_path / "recordings")


async def test_one_prompt_is_one_command_and_a_key_cuts_it(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result=5\n")
    assert await channel.play(["menu.main"]) == "5"
    assert await line.asked() == 'GET DATA "prosa/menu/main" 1 1'


async def test_several_prompts_are_joined_into_one_file(
    line: Line, channel: PhoneChannel, roots: dict[str, Path]
) -> None:
    line.says("200 result= (timeout)\n200 result=1\n")
    assert await channel.play(["hello", "menu.main"]) == ""
    assert await channel.collect(["hello", "menu.main"], max_digits=1, timeout_s=5) == "1"
    first, second = parse_args(await line.asked()), parse_args(await line.asked())
    assert first[2] == second[2]
    assert second[3:] == ["5000", "1"]
    (joined,) = (roots["dyn"] / "joined").iterdir()
    assert first[2] == f"dyn/joined/{joined.stem}"
    assert joined.read_bytes() == b"H" * 16000 + b"M" * 8000


async def test_no_input_and_a_lone_hash(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result= (timeout)\n200 result=\n" + WAITS_SET + "200 result=\n")
    assert await channel.collect(["hello"], max_digits=1, timeout_s=5) == ""
    assert await channel.collect(["hello"], max_digits=1, timeout_s=5) == "#"
    assert await channel.collect(["hello"], max_digits=4, timeout_s=5) == ""


async def test_collecting_without_a_prompt_just_waits(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result=7\n")
    assert await channel.collect([], max_digits=1, timeout_s=5) == "7"
    assert await line.asked() == 'GET DATA "" 5000 1'


async def test_listening_is_a_short_silent_command_that_a_key_ends(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result= (timeout)\n200 result=7\n200 result=\n")
    assert [await channel.listen(0.04) for _ in range(3)] == ["", "7", "#"]
    assert await line.asked() == 'GET DATA "" 40 1'


async def test_a_universal_key_that_stays_alone_in_a_number_acts_after_two_seconds(
    line: Line, channel: PhoneChannel
) -> None:
    line.says(WAITS_SET + "200 result=9 (timeout)\n" + "200 result=7\n")
    assert await channel.collect(["hello"], max_digits=11, timeout_s=8) == "9"
    asked = [await line.asked() for _ in range(3)]
    assert asked[:2] == ['SET VARIABLE "TIMEOUT(response)" "8"', 'SET VARIABLE "TIMEOUT(digit)" "2"']
    assert asked[2] == 'GET DATA "prosa/hello" 0 11'
    assert await channel.play(["hello"]) == "7", "no command in between"


@pytest.mark.parametrize(
    ("first", "then", "number"),
    [
        ("98765432100", "", "98765432100"),
        ("987 (timeout)", "200 result=65432100\n", "98765432100"),
        ("12 (timeout)", "200 result= (timeout)\n", "12"),
        ("1400", "", "1400"),
        (" (timeout)", "", ""),
    ],
    ids=["begins with nine", "a long pause", "given up", "hash", "silence"],
)
async def test_a_number_with_a_pause_in_it_is_one_number(
    line: Line, channel: PhoneChannel, first: str, then: str, number: str
) -> None:
    line.says(WAITS_SET + f"200 result={first}\n" + then)
    assert await channel.collect(["hello"], max_digits=11, timeout_s=8) == number
    if then:
        asked = [await line.asked() for _ in range(4)]
        assert asked[3] == f'GET DATA "" 6000 {11 - len(first.split()[0])}'


@dataclass
class Breath:
    """ "hello" and a question, said in one breath. `heard` is set when the first has been heard out."""

    channel: PhoneChannel
    line: Line
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0

    def _hear(self) -> None:
        self.times += 1
        self.heard.set()

    def begin(self, first: str = "hello", question: str = "menu.main") -> "asyncio.Task[str]":
        said = self.channel.play_on([first], [question], timeout_s=5, heard=self._hear)
        return asyncio.get_running_loop().create_task(said)

    async def commands(self, count: int) -> list[list[str]]:
        return [parse_args(await self.line.asked()) for _ in range(count)]


@pytest.fixture
def breath(channel: PhoneChannel, line: Line) -> Breath:
    return Breath(channel, line)


async def test_a_question_follows_in_the_same_command_and_a_key_in_the_first_part_cuts_it(
    breath: Breath, roots: dict[str, Path]
) -> None:
    said = breath.begin()
    [command] = await breath.commands(1)
    assert command[3:] == ["5000", "1"]
    (joined,) = (roots["dyn"] / "joined").iterdir()
    assert joined.read_bytes() == b"H" * 16000 + b"M" * 8000
    breath.line.says("200 result=4\n")
    assert (await said, breath.times) == ("4", 0)


@pytest.mark.parametrize(
    ("reply", "keys"), [("200 result=4", "4"), ("200 result=", "#"), ("200 result= (timeout)", "")]
)
async def test_when_the_first_part_has_been_heard_out_keys_answer_the_question(
    breath: Breath, roots: dict[str, Path], reply: str, keys: str
) -> None:
    (roots["prosa"] / "hello.alaw").write_bytes(b"H" * 80)  # ten milliseconds
    said = breath.begin()
    await breath.commands(1)
    await breath.heard.wait()
    breath.line.says(f"{reply}\n")
    assert (await said, breath.times) == (keys, 1)


async def test_silence_after_both_is_silence_however_late_we_hear_of_it(breath: Breath) -> None:
    breath.line.says("200 result= (timeout)\n")
    assert (await breath.begin(), breath.times) == ("", 1)


async def test_a_hash_cuts_the_first_part_and_the_question_is_put(breath: Breath) -> None:
    breath.line.says("200 result=\n200 result=3\n")
    assert (await breath.begin(), breath.times) == ("3", 1)
    assert [command[2] for command in await breath.commands(2)][1] == "prosa/menu/main"


async def test_a_breath_that_asterisk_cannot_open_is_two(breath: Breath) -> None:
    breath.line.says("200 result=-1\n200 result=0\n200 result= (timeout)\n200 result=6\n")
    assert (await breath.begin(), breath.times) == ("6", 1)
    files = [command[2] for command in await breath.commands(4) if command[0] == "GET"]
    assert files[1:] == ["prosa/hello", "prosa/menu/main"]


async def test_who_hangs_up_meanwhile_has_hung_up_and_hears_no_more(breath: Breath) -> None:
    breath.line.says("200 result=-1\nHANGUP\n511 Command Not Permitted on a dead channel\n")
    with pytest.raises(HungUp):
        await breath.begin()
    assert breath.times == 0


async def test_a_breath_that_a_full_disk_has_no_room_for_is_two(breath: Breath, roots: dict[str, Path]) -> None:
    (roots["dyn"] / "joined").rmdir()
    (roots["dyn"] / "joined").write_bytes(b"")
    breath.line.says("200 result= (timeout)\n200 result=5\n")
    assert (await breath.begin(), breath.times) == ("5", 1)
    assert [command[2] for command in await breath.commands(2)] == ["prosa/hello", "prosa/menu/main"]


async def test_without_audio_for_one_of_them_each_is_played_by_itself(
    line: Line, roots: dict[str, Path], tmp_path: Path
) -> None:
    breath = Breath(PhoneChannel(line.session, Sounds(Prompts(missing=["menu.main"]), roots), tmp_path), line)
    line.says("200 result= (timeout)\n200 result=2\n")
    assert (await breath.begin(), breath.times) == ("2", 1)
    assert [command[2] for command in await breath.commands(2)] == ["prosa/hello", ""]


async def test_a_joined_file_that_asterisk_cannot_open_is_played_piece_by_piece(
    line: Line, channel: PhoneChannel
) -> None:
    line.says(WAITS_SET + "200 result=-1\n200 result=0\n200 result= (timeout)\n200 result=4\n200 result=2\n")
    assert await channel.collect(["hello", "menu.main", "menu.more"], max_digits=2, timeout_s=5) == "42"
    commands = [parse_args(await line.asked()) for _ in range(7)]
    assert [command[2] for command in commands if command[0] == "GET"] == [
        commands[2][2],
        "prosa/hello",
        "prosa/menu/main",
        "",
    ]


async def test_pieces_that_cannot_be_opened_either_are_skipped(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result=-1\n200 result=0\n200 result=-1\n200 result=0\n200 result=-1\n200 result=0\n200 result=3\n")
    assert await channel.collect(["hello", "menu.main"], max_digits=1, timeout_s=5) == "3"


async def test_a_hash_between_pieces_ends_the_input(line: Line, channel: PhoneChannel) -> None:
    line.says(WAITS_SET + "200 result=-1\n200 result=0\n200 result=\n")
    assert await channel.collect(["hello", "menu.main"], max_digits=4, timeout_s=5) == ""


async def test_a_lost_file_never_costs_more_than_two_seconds_of_silence(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result=-1\n200 result=0\n200 result= (timeout)\n")
    assert await channel.collect(["hello"], max_digits=1, timeout_s=8) == ""
    await line.asked()
    await line.asked()
    assert await line.asked() == 'GET DATA "" 2000 1'


async def test_nothing_to_play_at_all(line: Line, roots: dict[str, Path], tmp_path: Path) -> None:
    channel = PhoneChannel(line.session, Sounds(Prompts(missing=["hello"]), roots), tmp_path)
    assert await channel.play(["hello"]) == ""
    line.says("200 result=9\n")
    assert await channel.collect(["hello"], max_digits=1, timeout_s=8) == "9"
    assert await line.asked() == 'GET DATA "" 2000 1'


async def record(channel: PhoneChannel, *prompts: str) -> Recording:
    return await channel.record(prompts, tone=["tone"], recording_id="ab12", max_s=60, ends="0*9")


async def test_recording_begins_after_the_tone_stops_at_hash_and_returns_its_length(
    line: Line, channel: PhoneChannel, roots: dict[str, Path], tmp_path: Path
) -> None:
    line.says("200 result= (timeout)\n200 result=35 (dtmf) endpos=20000\n")
    assert await record(channel, "hello") == Recording(2.5)
    before = roots["dyn"] / f"{parse_args(await line.asked())[2].removeprefix('dyn/')}.alaw"
    assert before.read_bytes() == b"H" * 16000 + b"T" * 2400
    assert await line.asked() == f'RECORD FILE "{tmp_path}/recordings/ab12" wav "#0*9" 60000 s=4'


@pytest.mark.parametrize("cut", ["200 result=5\n", "200 result=\n"], ids=["a key", "hash"])
async def test_who_cuts_the_words_before_a_message_hears_the_tone_all_the_same(
    line: Line, channel: PhoneChannel, cut: str
) -> None:
    line.says(cut + "200 result= (timeout)\n200 result=0 (timeout) endpos=8000\n")
    assert await record(channel, "hello") == Recording(1.0)
    commands = [parse_args(await line.asked()) for _ in range(3)]
    assert (commands[1][2], commands[2][0]) == ("prosa/tone", "RECORD")


async def test_a_universal_key_before_a_message_records_nothing(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result=9\n200 result=7\n")
    assert await record(channel, "hello") == Recording(0.0, "9")
    assert await channel.play(["hello"]) == "7", "the next command: none was sent in between"


async def test_a_universal_key_in_the_middle_of_a_message_ends_it(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result= (timeout)\n200 result=57 (dtmf) endpos=20000\n")
    assert await record(channel, "hello") == Recording(2.5, "9")


async def test_without_a_tone_the_words_are_enough(line: Line, channel: PhoneChannel, roots: dict[str, Path]) -> None:
    (roots["prosa"] / "tone.alaw").unlink()
    line.says("200 result= (timeout)\n200 result=0 (timeout) endpos=8000\n")
    assert await record(channel, "hello") == Recording(1.0)


async def silent(channel: PhoneChannel) -> Recording:
    """A message with nothing said before it."""
    return await channel.record([], tone=[], recording_id="ab12", max_s=60, ends="0*9")


async def test_hanging_up_after_the_message_leaves_the_message(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result=-1 (hangup) endpos=24000\nHANGUP\nHANGUP\n")
    assert (await silent(channel)).seconds == 3.0
    with pytest.raises(HungUp):
        await channel.play(["hello"])


async def test_hanging_up_before_a_word_is_a_hangup(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result=-1 (hangup) endpos=0\n")
    with pytest.raises(HungUp):
        await silent(channel)


async def test_a_recording_that_cannot_be_written_is_empty(line: Line, channel: PhoneChannel) -> None:
    line.says("200 result=-1 (writefile)\n200 result=0\n")
    assert await silent(channel) == Recording(0.0)


# -- sounds


def test_a_changed_piece_makes_a_new_join(roots: dict[str, Path]) -> None:
    now = 0.0
    sounds = Sounds(Prompts(), roots, clock=lambda: now)
    before = sounds.sound(["hello", "menu.main"])
    (roots["prosa"] / "hello.alaw").write_bytes(b"h" * 100)
    now = 2.0
    after = sounds.sound(["hello", "menu.main"])
    assert before.name != after.name
    assert after.seconds == pytest.approx(8100 / 8000)


def test_a_forgotten_join_is_made_again(sounds: Sounds, roots: dict[str, Path]) -> None:
    sound = sounds.sound(["hello", "menu.main"])
    file = roots["dyn"] / "joined" / f"{sound.name.rpartition('/')[2]}.alaw"
    file.unlink()
    sounds.forget(sound)
    assert sounds.sound(["hello", "menu.main"]) == sound
    assert file.exists()


def test_the_file_of_what_was_said_long_ago_is_written_over(roots: dict[str, Path]) -> None:
    now = 0.0
    sounds = Sounds(Prompts(), roots, keep=1, clock=lambda: now)
    folder = roots["dyn"] / "joined"
    first = sounds.sound(["hello", "menu.main"])  # 3 seconds
    (made,) = folder.iterdir()
    inode = made.stat().st_ino
    now = 62.9
    sounds.sound(["menu.main", "hello"])
    assert len(list(folder.iterdir())) == 2, "the first one may still be heard"
    now = 63.0
    third = sounds.sound(["menu.main", "menu.more"])
    file = folder / f"{third.name.rpartition('/')[2]}.alaw"
    assert file.stat().st_ino == inode
    assert file.read_bytes() == b"M" * 8000 + b"m" * 4000
    assert not (folder / f"{first.name.rpartition('/')[2]}.alaw").exists()


def test_files_are_looked_for_again_after_two_seconds_or_when_one_could_not_be_played(roots: dict[str, Path]) -> None:
    now = 0.0
    sounds = Sounds(Prompts(), roots, clock=lambda: now)
    assert sounds.sound(["menu.more"]).seconds == 0.5
    (roots["prosa"] / "menu" / "more.alaw").write_bytes(b"m" * 16000)
    now = 1.9
    assert sounds.sound(["menu.more"]).seconds == 0.5
    now = 2.0
    assert sounds.sound(["menu.more"]).seconds == 2
    (roots["prosa"] / "menu" / "more.alaw").write_bytes(b"m" * 8000)
    sounds.forget(sounds.sound(["menu.more"]))
    assert sounds.sound(["menu.more"]).seconds == 1


def test_not_everything_that_was_ever_asked_for_is_remembered(
    roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agi.sounds.MOST_SAME", 2)
    sounds = Sounds(Prompts(), roots)
    for key in ("hello", "menu.main", "menu.more"):
        sounds.sound([key])
    assert len(sounds._same) <= 2


def test_what_is_asked_for_again_is_kept_and_after_a_rush_there_are_fewer(roots: dict[str, Path]) -> None:
    now = 0.0
    sounds = Sounds(Prompts(), roots, keep=2, clock=lambda: now)
    rush = [sounds.sound(keys) for keys in (["hello", "hello"], ["hello", "menu.main"], ["menu.main", "hello"])]
    now = 100.0
    assert sounds.sound(["hello", "hello"]) == rush[0]
    last = sounds.sound(["menu.main", "menu.main"])
    names = {f"dyn/joined/{file.stem}" for file in (roots["dyn"] / "joined").iterdir()}
    assert names == {rush[0].name, last.name}


def test_a_file_that_somebody_removed_is_made_anew(roots: dict[str, Path]) -> None:
    now = 0.0
    sounds = Sounds(Prompts(), roots, keep=1, clock=lambda: now)
    sounds.sound(["hello", "menu.main"])
    for file in (roots["dyn"] / "joined").iterdir():
        file.unlink()
    now = 100.0
    sounds.sound(["menu.main", "hello"])
    (made,) = (roots["dyn"] / "joined").iterdir()
    assert made.read_bytes() == b"M" * 8000 + b"H" * 16000


def test_pieces_that_vanish_are_left_out(sounds: Sounds) -> None:
    assert sounds.sound(["hello", "gone"]).pieces == ("prosa/hello",)
    assert sounds.sound(["gone", "gone.too"]) is SILENCE
    assert sounds.sound(["gone"]).seconds == 0


def test_a_full_disk_leaves_the_pieces(sounds: Sounds, roots: dict[str, Path]) -> None:
    folder = roots["dyn"] / "joined"
    folder.rmdir()
    folder.write_text("in the way")
    sound = sounds.sound(["hello", "menu.main"])
    assert (sound.name, sound.pieces, sound.seconds) == ("", ("prosa/hello", "prosa/menu/main"), 3.0)


async def test_without_a_joined_file_the_pieces_are_played(line: Line, channel: PhoneChannel, sounds: Sounds) -> None:
    line.says("200 result= (timeout)\n200 result= (timeout)\n200 result= (timeout)\n")
    sounds._folder.rmdir()
    sounds._folder.write_text("in the way")
    assert await channel.play(["hello", "menu.main"]) == ""
    assert [parse_args(await line.asked())[2] for _ in range(3)] == ["prosa/hello", "prosa/menu/main", ""]
