"""Messages that leave the house. Written with their cause, claimed by one worker, tried again with growing pauses."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import upsert
from ura.claims import Claims
from ura.models import OutboxMessage, OutboxState
from ura.upsert import Row

MOST_ATTEMPTS = 12  # the last one about a day after the first
_CLAIMS = Claims(OutboxMessage, waiting=OutboxState.QUEUED, taken=OutboxState.SENDING)


async def enqueue_rows(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id`, `kind`, `to`, `payload`, `call_id`, `created_at`. One that is there stays as it is."""
    blank = {"state": OutboxState.QUEUED, "attempts": 0, "claimed_by": "", "last_error": ""}
    await upsert.add_new(session, OutboxMessage, [{**blank, "next_at": row["created_at"], **row} for row in rows])


async def enqueue(
    session: AsyncSession,
    *,
    kind: str,
    to: str,
    payload: dict[str, Any],
    now: datetime,
    message_id: str = "",
    call_id: str | None = None,
) -> str:
    """In the caller's transaction: the message goes out if, and only if, its cause is committed."""
    message_id = message_id or uuid4().hex
    row = {"id": message_id, "kind": kind, "to": to, "payload": payload, "call_id": call_id, "created_at": now}
    await enqueue_rows(session, [row])
    return message_id


async def claim(session: AsyncSession, *, worker: str, now: datetime, limit: int = 20) -> Sequence[OutboxMessage]:
    """Take messages that are due; commit before sending."""
    return await _CLAIMS.claim(session, worker=worker, now=now, limit=limit)


async def mark_sent(session: AsyncSession, message: OutboxMessage, *, now: datetime) -> bool:
    """The other side confirmed. False: this claim had been given up meanwhile and another worker has the message."""
    return await _CLAIMS.settle(session, message, state=OutboxState.SENT, sent_at=now, last_error="")


async def mark_failed(
    session: AsyncSession, message: OutboxMessage, *, error: str, now: datetime, final: bool = False
) -> bool:
    """Try again later; give up after MOST_ATTEMPTS, or at once when the other side said never (`final`)."""
    if final or message.attempts >= MOST_ATTEMPTS:
        return await _CLAIMS.settle(session, message, state=OutboxState.FAILED, last_error=error[:2000])
    return await _CLAIMS.try_later(session, message, error=error, now=now)


async def release_stale(session: AsyncSession, *, claimed_before: datetime, now: datetime) -> int:
    """Such a message may arrive twice; it carries its id so that the other side can tell. Returns how many."""
    return await _CLAIMS.release_stale(session, claimed_before=claimed_before, now=now)


async def send_again(session: AsyncSession, message_id: str, *, now: datetime) -> bool:
    """A person asks for one more round of attempts for a message that failed."""
    again = (
        update(OutboxMessage)
        .where(OutboxMessage.id == message_id, OutboxMessage.state == OutboxState.FAILED)
        .values(state=OutboxState.QUEUED, attempts=0, next_at=now)
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return await session.scalar(again) is not None


async def count_by_state(session: AsyncSession) -> dict[OutboxState, int]:
    query = select(OutboxMessage.state, func.count()).group_by(OutboxMessage.state)
    return {state: count for state, count in await session.execute(query)}
