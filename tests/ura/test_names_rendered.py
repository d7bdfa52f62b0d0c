"""Names that admins typed, in the voice of the sentences around them: all of them, however many, and as they are said
today."""

import pytest
import soundfile

from tests.ura.test_rendering import House, Tone, build, settings, write
from ura import prompts, rendering
from ura.adapters import tts
from ura.adapters.audio import Samples
from ura.prompts import Clip, PromptIndex, name_key

assert settings  # the fixture: prompts in a folder of the test

CENTRO = name_key("Centro")


def clip(house: House, key: str = CENTRO) -> Clip:
    return prompts.read_manifest(house.rendered_dir / "manifest.json")[key]


def voice(*engines: tts.Engine) -> tts.Voice:
    return tts.Voice(engines)


async def test_seven_hundred_names_are_all_heard_a_turn_of_the_worker_at_a_time(settings: House) -> None:
    names = [f"Bairro {number}" for number in range(700)]
    keys = await rendering.leave_for_later(settings, names)
    assert keys == {name: name_key(name) for name in names}
    index = PromptIndex.load(settings)
    waits, heard = [], []
    for _ in range(4):
        waits.append(await rendering.render_pending(settings, voice=voice(Tone())))
        heard.append(sum(index.can_play(key) for key in keys.values()))
    assert waits == [500, 300, 100, 0]
    assert heard == [200, 400, 600, 700]


async def test_what_a_call_wanted_comes_before_what_an_import_left(settings: House) -> None:
    await rendering.leave_for_later(settings, [f"Bairro {number}" for number in range(30)])
    rendering.wanted_names.WantedNames(settings.rendered_dir)("Rua dos Eucaliptos")
    assert await rendering.render_pending(settings, voice=voice(Tone()), most=1) == 30
    assert PromptIndex.load(settings).can_play(name_key("Rua dos Eucaliptos"))


async def test_names_that_cannot_be_spoken_now_wait_without_trying_each_of_them(settings: House) -> None:
    await rendering.leave_for_later(settings, [f"Bairro {number}" for number in range(200)])
    down = Tone(down=True)
    assert await rendering.render_pending(settings, voice=voice(down)) == 200
    assert len(down.lines) <= 25
    assert await rendering.render_pending(settings, voice=voice(Tone())) == 0


async def test_a_name_is_said_by_the_engine_that_says_the_sentences(settings: House) -> None:
    build(settings, Tone("kokoro"))
    gtts, kokoro = Tone("gtts"), Tone("kokoro")
    await rendering.ensure_names(settings, ["Centro"], voice=voice(gtts, kokoro))
    assert (clip(settings).engine, gtts.lines) == ("kokoro", [])
    await rendering.ensure_names(settings, ["Vila Nova"], voice=voice(gtts, Tone("kokoro", down=True)))
    assert clip(settings, name_key("Vila Nova")).engine == "gtts"


async def test_a_recording_of_a_name_beats_every_engine(settings: House) -> None:
    build(settings, Tone("kokoro"))
    folder = settings.prompts_dir / "recorded"
    folder.mkdir()
    samples, rate = Tone().synthesise(tts.Line(CENTRO, "Centro"))
    soundfile.write(folder / f"{CENTRO}.wav", samples, rate)
    await rendering.ensure_names(settings, ["Centro"], voice=voice(Tone("gtts"), tts.Recorded(folder), Tone("kokoro")))
    assert clip(settings).engine == "recorded"


async def test_a_name_of_a_lesser_engine_is_replaced_when_the_better_one_works(settings: House) -> None:
    build(settings, Tone("kokoro"))
    espeak = Tone("espeak")
    await rendering.ensure_names(settings, ["Centro"], voice=voice(Tone("kokoro", down=True), espeak))
    before = clip(settings)
    assert before.engine == "espeak"
    still_down = voice(Tone("kokoro", down=True), espeak)
    assert await rendering.refresh_names(settings, voice=still_down) == []
    assert (clip(settings), len(espeak.lines)) == (before, 1)  # what is heard is not taken away
    assert await rendering.refresh_names(settings, voice=voice(Tone("kokoro"), espeak)) == [CENTRO]
    assert clip(settings).engine == "kokoro"
    assert await rendering.refresh_names(settings, voice=voice(Tone("kokoro"), espeak)) == []


CHANGES = {
    "pronunciation": ("words: {Centro: sentro}\n", Tone("kokoro"), "sentro"),
    "pace": ("pace: {name.*: 0.8}\n", Tone("kokoro"), "Centro"),
    "voice": ("words: {Wi-Fi: uai-fai}\n", Tone("kokoro", voice="other"), "Centro"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("by", ["build", "worker", "the next import"])
async def test_a_change_of_how_it_is_said_reaches_names_too(settings: House, change: str, by: str) -> None:
    build(settings, Tone("kokoro"))
    await rendering.ensure_names(settings, ["Centro"], voice=voice(Tone("kokoro")))
    document, engine, spoken = CHANGES[change]
    write(settings, "pronounce.yaml", document)
    engine.lines.clear()
    match by:
        case "build":
            assert CENTRO in build(settings, engine).rendered
        case "worker":
            assert await rendering.refresh_names(settings, voice=voice(engine)) == [CENTRO]
        case _:
            await rendering.ensure_names(settings, ["Centro"], voice=voice(engine))
    assert [line.text for line in engine.lines if line.key == CENTRO] == [spoken]
    assert (clip(settings).voice, clip(settings).text_sha256) == (
        engine.voice(engine.lines[0]),
        prompts.text_sha256(spoken),
    )
    assert CENTRO not in build(settings, engine).rendered


async def test_a_build_of_everything_renders_names_too(settings: House) -> None:
    build(settings)
    await rendering.ensure_names(settings, ["Centro"], voice=voice(Tone()))
    assert CENTRO in build(settings, everything=True).rendered


async def test_a_name_is_heard_all_the_while_it_is_made_anew(settings: House) -> None:
    """A file and what the manifest says of it change one after the other, each name for itself."""
    names = ["Centro", "Vila Nova", "Jardim América"]
    await rendering.ensure_names(settings, names, voice=voice(Tone()))
    index = PromptIndex.load(settings)
    playable = []

    class Longer(Tone):
        def synthesise(self, line: tts.Line) -> tuple[Samples, int]:
            playable.append([index.can_play(name_key(name)) for name in names])
            return super().synthesise(tts.Line(line.key, line.text * 2))

    assert len(await rendering.refresh_names(settings, voice=voice(Longer("kokoro")))) == 3
    assert playable == [[True] * 3] * 3
