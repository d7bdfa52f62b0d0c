"""Filters of the list of tickets that somebody wants again, under names of their own."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.errors import BadInput, Refused
from ura.models import SavedFilter
from ura.models.saved_filter import LONGEST_NAME

MOST = 20  # as many as a page shows in one look


class NameOfFilterMissing(BadInput):
    code = "filter-name-missing"


class TooManyFilters(Refused):
    code = "too-many-filters"


async def list_of(session: AsyncSession, user_id: int) -> Sequence[SavedFilter]:
    """Somebody's own, by name."""
    query = select(SavedFilter).where(SavedFilter.user_id == user_id).order_by(SavedFilter.name)
    return (await session.scalars(query)).all()


async def save(session: AsyncSession, user_id: int, *, name: str, wanted: Mapping[str, str], now: datetime) -> None:
    """New, or another one under a known name. Raises NameOfFilterMissing, TooManyFilters."""
    name = name.strip()[:LONGEST_NAME]
    if not name:
        raise NameOfFilterMissing("Give the filter a name, to find it again.")
    row = await session.get(SavedFilter, (user_id, name))
    if row is None:
        mine = select(func.count()).where(SavedFilter.user_id == user_id)
        if (await session.scalar(mine) or 0) >= MOST:
            raise TooManyFilters(f"There are {MOST} filters already. Remove one first.")
        row = SavedFilter(user_id=user_id, name=name)
        session.add(row)
    row.wanted, row.saved_at = dict(wanted), now
    await session.flush()


async def remove(session: AsyncSession, user_id: int, *, name: str) -> None:
    """One that is gone already is gone."""
    await session.execute(delete(SavedFilter).where(SavedFilter.user_id == user_id, SavedFilter.name == name))
