"""Who may hear what a caller recorded? Whoever does is written down first."""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit
from ura.errors import NotFound
from ura.models import AuditEntry, Recording

HEARD, DOWNLOADED = "recording-heard", "recording-downloaded"
SAME_HEARING = timedelta(minutes=10)  # a player asks for a sound in pieces, and again when somebody winds back


class RecordingNotFound(NotFound):
    code = "recording-not-found"


async def get_recording(session: AsyncSession, recording_id: str) -> Recording:
    recording = await session.get(Recording, recording_id)
    if recording is None:
        raise RecordingNotFound("There is no such recording.")
    return recording


async def hear(
    session: AsyncSession, recording: Recording, *, folder: Path, actor: str, keep: bool, now: datetime
) -> Path:
    """The sound file, once the audit says that `actor` heard it (`keep`: took a copy). Raises RecordingNotFound when
    the file is gone, or is none of ours."""
    file = (folder / recording.path).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise RecordingNotFound("The sound of this recording is no longer here.")
    action = DOWNLOADED if keep else HEARD
    heard = select(AuditEntry.id).where(
        AuditEntry.at > now - SAME_HEARING,
        AuditEntry.actor == actor,
        AuditEntry.action == action,
        AuditEntry.subject == recording.id,
    )
    if await session.scalar(heard.limit(1)) is None:
        await audit.record(
            session, actor=actor, action=action, subject=recording.id, detail={"call_id": recording.call_id}
        )
    return file
