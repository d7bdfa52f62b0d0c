"""The row of bells: "this changed, look again", numbered. Panels read on from the last number they saw.

A bell can ring twice for one change and says nothing but where to look; the truth is in the tables.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.models import Event

KEPT = 10_000


async def ring(session: AsyncSession, kind: str, data: dict[str, Any], *, now: datetime) -> None:
    """Add a bell in the caller's transaction. Only the newest KEPT stay, so the table needs no housekeeping."""
    event = Event(kind=kind, data=data, at=now)
    session.add(event)
    await session.flush()
    if event.id % 100 == 0:
        await session.execute(delete(Event).where(Event.id <= event.id - KEPT))


async def last_id(session: AsyncSession) -> int:
    return await session.scalar(select(func.max(Event.id))) or 0


async def list_since(session: AsyncSession, after: int, *, limit: int = 100) -> Sequence[Event]:
    return (await session.scalars(select(Event).where(Event.id > after).order_by(Event.id).limit(limit))).all()
