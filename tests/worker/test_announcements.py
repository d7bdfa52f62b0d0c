"""The words of an emergency are rendered as soon as they are typed, once."""

from datetime import timedelta
from pathlib import Path

from tests.factories import NOON, later
from ura import emergency
from ura.db import Sessions
from worker.announcements import Announcements


async def test_new_words_are_rendered_once_and_shipped_or_known_ones_never(sessions: Sessions, tmp_path: Path) -> None:
    asked: list[str] = []

    async def render(text: str) -> None:
        asked.append(text)

    announcements = Announcements(sessions, tmp_path, render)

    async def begin(text: str) -> emergency.Emergency:
        async with sessions.begin() as session:
            return await emergency.begin(session, by="ana", now=NOON, lasts=timedelta(hours=4), text=text)

    await announcements.turn(NOON)
    await begin("")
    await announcements.turn(NOON)
    assert asked == []
    await begin("Sem energia.")
    for _ in range(2):
        await announcements.turn(NOON)
    assert asked == ["Sem energia."]
    known = await begin("Fibra rompida.")
    file = tmp_path / f"{known.prompt_key.replace('.', '/')}.alaw"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\xd5" * 8000)
    await announcements.turn(NOON)
    await begin("Tarde demais.")
    await announcements.turn(later(4 * 3600))
    assert asked == ["Sem energia."]
