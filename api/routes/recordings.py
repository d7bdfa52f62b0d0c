"""What callers recorded, as sound."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from api.deps import RecordingHearer, SessionDep, WiredDep
from api.errors import described
from api.records import opened
from ura import calls, recordings
from ura.models import AccessHow, RecordKind

router = APIRouter(prefix="/recordings", tags=["recordings"])

MEDIA_TYPE = "audio/wav"


@router.get(
    "/{recording_id}/audio",
    summary="Hear a recording",
    response_class=FileResponse,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The sound."}, **described(404)},
)
async def hear_recording(
    actor: RecordingHearer,
    session: SessionDep,
    things: WiredDep,
    recording_id: str,
    download: Annotated[bool, Query(description="To be kept as a file; the audit says so.")] = False,
) -> FileResponse:
    """The audit says who heard it, before the first byte leaves. Parts can be asked for (`Range`)."""
    recording = await recordings.get_recording(session, recording_id)
    file = await recordings.hear(
        session,
        recording,
        folder=things.settings.recordings_dir,
        actor=actor.name,
        keep=download,
        now=datetime.now(UTC),
    )
    await opened(session, things, actor, RecordKind.RECORDING, recording.id, how=AccessHow.HEARD)
    known = await calls.list_by_ids(session, [recording.call_id])
    call_name = known[0].protocol if known and known[0].protocol else recording.call_id
    name = f"{call_name}-{recording.id[:6]}.wav"
    how = "attachment" if download else "inline"
    return FileResponse(file, media_type=MEDIA_TYPE, filename=name, content_disposition_type=how)
