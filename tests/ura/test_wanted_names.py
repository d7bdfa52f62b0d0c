"""A street that nobody has spoken yet: asked for by a call, rendered by the worker, heard by the next caller."""

from pathlib import Path

from tests.ura.test_rendering import Tone
from ura import rendering, wanted_names
from ura.adapters import tts
from ura.prompts import PromptIndex, name_key
from ura.settings import Settings
from ura.wanted_names import MOST, WantedNames

STREET = "Rua dos  Eucaliptos"


async def test_a_street_that_a_call_wanted_is_rendered_and_heard_by_the_next(settings: Settings) -> None:
    assert not wanted_names.is_any(settings.rendered_dir)
    WantedNames(settings.rendered_dir)(STREET)
    WantedNames(settings.rendered_dir)(STREET)  # another process
    assert wanted_names.is_any(settings.rendered_dir)

    assert await rendering.render_pending(settings, voice=tts.Voice([Tone()])) == 0

    assert not wanted_names.is_any(settings.rendered_dir)
    index = PromptIndex(settings.rendered_dir, settings.rendered_dir / "none.json", settings.rendered_dir)
    assert index.file(name_key(STREET)) is not None


async def test_a_name_that_no_engine_speaks_now_goes_on_waiting(settings: Settings) -> None:
    WantedNames(settings.rendered_dir)(STREET)
    assert await rendering.render_pending(settings, voice=tts.Voice([Tone(down=True)])) == 1
    assert await rendering.render_pending(settings, voice=tts.Voice([Tone()])) == 0


def test_nonsense_is_neither_wanted_without_end_nor_taken(tmp_path: Path) -> None:
    want = WantedNames(tmp_path)
    for number in range(MOST + 20):
        want(f"Rua {number}")
    assert len(wanted_names.take(tmp_path)) == MOST
    (tmp_path / wanted_names.FOLDER / "name.0000000000000000").write_text('"Rua"')
    (tmp_path / wanted_names.FOLDER / "name.1").write_text("no json")
    assert wanted_names.take(tmp_path) == {}


def test_there_is_room_again_when_the_worker_has_taken_them(tmp_path: Path) -> None:
    want = WantedNames(tmp_path)
    for number in range(MOST):
        want(f"Rua {number}")
    want(STREET)
    assert name_key(STREET) not in wanted_names.take(tmp_path)
    want(STREET)
    assert list(wanted_names.take(tmp_path)) == [name_key(STREET)]


def test_a_full_disk_costs_a_line_in_the_log(tmp_path: Path) -> None:
    (tmp_path / wanted_names.FOLDER).write_text("no folder")
    WantedNames(tmp_path)(STREET)
    assert not wanted_names.is_any(tmp_path)
