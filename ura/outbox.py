"""Messages that leave the house. Written with their cause, claimed by one worker, tried again with growing pauses."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import upsert
from ura.models import OutboxMessage, OutboxState
from ura.upsert import Row

MOST_ATTEMPTS = 12  # the last one about a day after the first
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=24)


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


async def claim(session: AsyncSession, *, worker: str, now: datetime, limit: int = 20) -> list[OutboxMessage]:
    """Take messages that are due; commit before sending. No two workers ever take the same attempt.

    PostgreSQL: SKIP LOCKED. SQLite (which leaves that clause out): one statement is one writer. On both the state is
    asked again by the UPDATE itself.
    """
    due = (
        select(OutboxMessage.id)
        .where(OutboxMessage.state == OutboxState.QUEUED, OutboxMessage.next_at <= now)
        .order_by(OutboxMessage.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")  # asked once: a plain subquery may be planned to run again, and take more than `limit`
    )
    take = (
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(select(due.c.id)), OutboxMessage.state == OutboxState.QUEUED)
        .values(state=OutboxState.SENDING, claimed_by=worker, claimed_at=now, attempts=OutboxMessage.attempts + 1)
        .returning(OutboxMessage)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    taken = (await session.scalars(take)).all()
    return sorted(taken, key=lambda message: (message.next_at, message.id))


async def mark_sent(session: AsyncSession, message: OutboxMessage, *, now: datetime) -> bool:
    """The other side confirmed. False: this claim had been given up meanwhile and another worker has the message."""
    return await _settle(session, message, state=OutboxState.SENT, sent_at=now, last_error="")


async def mark_failed(
    session: AsyncSession, message: OutboxMessage, *, error: str, now: datetime, final: bool = False
) -> bool:
    """Try again later; give up after MOST_ATTEMPTS, or at once when the other side said never (`final`)."""
    if final or message.attempts >= MOST_ATTEMPTS:
        return await _settle(session, message, state=OutboxState.FAILED, last_error=error[:2000])
    return await _settle(
        session, message, state=OutboxState.QUEUED, next_at=now + pause_after(message.attempts), last_error=error[:2000]
    )


async def release_stale(session: AsyncSession, *, claimed_before: datetime, now: datetime) -> int:
    """Give back what a worker claimed and, having died, never settled. Such a message may arrive twice; it carries
    its id so that the other side can tell. Returns how many."""
    free = (
        update(OutboxMessage)
        .where(OutboxMessage.state == OutboxState.SENDING, OutboxMessage.claimed_at < claimed_before)
        .values(state=OutboxState.QUEUED, claimed_by="", next_at=now)
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return len((await session.scalars(free)).all())


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


def pause_after(attempts: int) -> timedelta:
    """30 s, 1 min, 2 min, … a day at the most."""
    return min(FIRST_PAUSE * (1 << max(0, min(attempts, 20) - 1)), LONGEST_PAUSE)


async def _settle(session: AsyncSession, message: OutboxMessage, **values: Any) -> bool:
    """Only if the claim still holds: `attempts` is the version."""
    change = (
        update(OutboxMessage)
        .where(
            OutboxMessage.id == message.id,
            OutboxMessage.state == OutboxState.SENDING,
            OutboxMessage.attempts == message.attempts,
            OutboxMessage.claimed_by == message.claimed_by,
        )
        .values(**values)
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return await session.scalar(change) is not None
