"""The row of bells: "this changed, look again", numbered. Panels read on from the last number they saw.

A bell can ring twice for one change and says nothing but where to look; the truth is in the tables.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.models import Event

KEPT = 10_000
TIDY_EVERY = 100
_rung = count(1)
_INSERT = insert(Event.__table__)  # type: ignore[arg-type]  # typed as any FROM clause


async def ring(session: AsyncSession, bells: Mapping[str, dict[str, Any]], *, now: datetime) -> None:
    """Add bells, kind → data, in the caller's transaction. The newest KEPT stay: the table keeps house by itself."""
    if not bells:
        return
    await session.execute(_INSERT, [{"kind": kind, "data": data, "at": now} for kind, data in bells.items()])
    if next(_rung) % TIDY_EVERY == 0:
        newest = select(func.max(Event.id)).scalar_subquery()
        await session.execute(delete(Event.__table__).where(Event.id <= newest - KEPT))  # type: ignore[arg-type]  # typed as any FROM clause


async def last_id(session: AsyncSession) -> int:
    return await session.scalar(select(func.max(Event.id))) or 0


async def list_since(session: AsyncSession, after: int, *, limit: int = 100) -> Sequence[Event]:
    return (await session.scalars(select(Event).where(Event.id > after).order_by(Event.id).limit(limit))).all()
