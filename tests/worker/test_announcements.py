"""The words of an emergency and of outages are rendered as soon as they are typed, once."""

from datetime import timedelta
from pathlib import Path

from tests.factories import NOON, later
from ura import emergency, incidents, outages
from ura.db import Sessions
from ura.models import Cause
from ura.outages import Scope
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


async def test_what_is_said_of_an_outage_that_is_not_over_is_rendered(sessions: Sessions, tmp_path: Path) -> None:
    asked: list[str] = []

    async def render(text: str) -> None:
        asked.append(text)

    announcements = Announcements(sessions, tmp_path, render)
    async with sessions.begin() as session:
        opened = await incidents.open_incident(
            session,
            cause=Cause.FIBRE_CUT,
            scopes=[Scope(olt="olt-1")],
            started_at=NOON,
            ends_at=None,
            opened_by="noc",
            now=NOON,
            text="Um poste  caiu.",
        )
    for _ in range(2):
        await announcements.turn(NOON)
    assert asked == ["Um poste caiu."]
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, opened.id)
        await incidents.tell(session, outage, text="A equipe chegou.", ends_at=None, actor="noc", now=later(60))
    await announcements.turn(later(60))
    assert asked == ["Um poste caiu.", "A equipe chegou."]
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, opened.id)
        await incidents.tell(session, outage, text="Falta pouco.", ends_at=None, actor="noc", now=later(90))
        await incidents.close_incident(session, outage, text="Pronto.", actor="noc", now=later(120))
    await announcements.turn(later(120))
    assert asked == ["Um poste caiu.", "A equipe chegou."]  # nobody hears of it any more
