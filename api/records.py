"""Whoever opens the record of a person is written down, before it is shown."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from api.deps import Wired
from ura import access_log
from ura.models import AccessHow, RecordKind
from ura.users import Actor


async def opened(
    session: AsyncSession,
    things: Wired,
    actor: Actor,
    kind: RecordKind,
    record_id: str,
    *,
    how: AccessHow = AccessHow.OPENED,
) -> None:
    """In each route that answers one record, in the transaction that reads it."""
    alarm_at = things.settings.access_alarm_records
    now = datetime.now(UTC)
    await access_log.note(session, actor, kind, record_id, now=now, alarm_at=alarm_at, how=how)
