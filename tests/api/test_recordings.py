"""What callers recorded: heard by whoever may, and written down."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from tests.api.conftest import Client
from tests.api.records import left, new_id, opened, write, write_sound
from ura.db import Sessions
from ura.models import AuditEntry, Recording, Role
from ura.recordings import SAME_HEARING
from ura.settings import Settings


def audio(recording_id: str) -> str:
    return f"/api/v1/recordings/{recording_id}/audio"


async def recorded(sessions: Sessions, settings: Settings) -> tuple[str, bytes]:
    call_id, recording_id = new_id(), new_id()
    await write(sessions, opened(call_id, protocol="263260000174"), *left(call_id, recording_id=recording_id))
    return recording_id, write_sound(settings.recordings_dir, recording_id)


async def heard(sessions: Sessions) -> list[tuple[str, str, str]]:
    async with sessions() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    return [(e.actor, e.action, e.subject) for e in entries if e.action.startswith("recording-")]


async def test_a_recording_is_heard_by_whoever_may_and_the_audit_says_so(
    sessions: Sessions, settings: Settings, person: Client
) -> None:
    recording_id, sound = await recorded(sessions, settings)
    async with person(Role.ATTENDANT) as client:
        answer = await client.get(audio(recording_id))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
        assert answer.content == sound
        assert answer.headers["content-disposition"].startswith("inline")
        assert answer.headers["cache-control"] == "no-store"
        part = await client.get(audio(recording_id), headers={"Range": "bytes=44-143"})
        assert (part.status_code, part.content) == (206, sound[44:144])
        assert await heard(sessions) == [("attendant@provedor.test", "recording-heard", recording_id)]
        kept = await client.get(audio(recording_id), params={"download": True})
        assert kept.headers["content-disposition"] == f'attachment; filename="263260000174-{recording_id[:6]}.wav"'
    assert [action for _, action, _ in await heard(sessions)] == ["recording-heard", "recording-downloaded"]


async def test_each_person_and_each_hearing_has_a_line(
    sessions: Sessions, settings: Settings, person: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id, _ = await recorded(sessions, settings)
    async with person(Role.ATTENDANT) as ana, person(Role.SUPERVISOR) as rui:
        await ana.get(audio(recording_id))
        await rui.get(audio(recording_id))
        assert [actor for actor, _, _ in await heard(sessions)] == [
            "attendant@provedor.test",
            "supervisor@provedor.test",
        ]
        monkeypatch.setattr("ura.recordings.SAME_HEARING", SAME_HEARING - timedelta(days=1))  # later
        await ana.get(audio(recording_id))
    assert len(await heard(sessions)) == 3


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.OWNER])
async def test_whoever_may_not_hear_hears_nothing_and_leaves_no_line(
    sessions: Sessions, settings: Settings, person: Client, role: Role
) -> None:
    recording_id, _ = await recorded(sessions, settings)
    async with person(role) as client:
        answer = await client.get(audio(recording_id))
    assert answer.status_code == 403
    assert await heard(sessions) == []


async def test_a_recording_that_is_not_there_or_whose_sound_is_gone_is_not_found(
    sessions: Sessions, settings: Settings, program: Client
) -> None:
    recording_id, _ = await recorded(sessions, settings)
    (settings.recordings_dir / f"{recording_id}.wav").unlink()
    async with program("recordings:hear") as client:
        gone, unknown = await client.get(audio(recording_id)), await client.get(audio(new_id()))
    assert (gone.status_code, gone.json()["code"]) == (404, "recording-not-found")
    assert unknown.status_code == 404
    assert await heard(sessions) == []


@pytest.mark.parametrize("path", ["../prosa.db", "/etc/hostname", "../../secrets"])
async def test_no_other_file_can_be_heard(sessions: Sessions, settings: Settings, program: Client, path: str) -> None:
    """A path comes from a journal; whatever it says, it stays in the folder of recordings."""
    recording_id, _ = await recorded(sessions, settings)
    (settings.state_dir / "prosa.db").write_bytes(b"x")
    async with sessions.begin() as session:
        await session.execute(update(Recording).values(path=path))
    async with program("recordings:hear") as client:
        assert (await client.get(audio(recording_id))).status_code == 404
