"""Rows that wait to be worked on, each by one worker at a time: claim, settle, give back, try again later."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, String, Text, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Moment

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=24)


class Claimable:
    """Columns of such a table; it adds `id` and `state`. `attempts` is also the version that guards a claim."""

    id: Mapped[str]
    state: Mapped[Any]
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime] = mapped_column(Moment)
    claimed_by: Mapped[str] = mapped_column(String(64), default="")
    claimed_at: Mapped[datetime | None] = mapped_column(Moment)
    last_error: Mapped[str] = mapped_column(Text, default="")


Row = TypeVar("Row", bound=Claimable)


class Claims(Generic[Row]):
    """`waiting` and `taken`: how the table calls the two states between which a claim moves a row."""

    def __init__(self, model: type[Row], *, waiting: StrEnum, taken: StrEnum) -> None:
        self._model = model
        self._waiting = waiting
        self._taken = taken

    async def claim(
        self, session: AsyncSession, *, worker: str, now: datetime, limit: int, only: ColumnElement[bool] | None = None
    ) -> Sequence[Row]:
        """Take rows that are due; commit before working on them. No two workers ever take the same attempt.

        PostgreSQL: SKIP LOCKED. SQLite (which leaves that clause out): one statement is one writer. On both the state
        is asked again by the UPDATE itself.
        """
        model = self._model
        due = (
            select(model.id)
            .where(model.state == self._waiting, model.next_at <= now, true() if only is None else only)
            .order_by(model.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")  # asked once: a plain subquery may be planned to run again, and take more than `limit`
        )
        take = (
            update(model)
            .where(model.id.in_(select(due.c.id)), model.state == self._waiting)
            .values(state=self._taken, claimed_by=worker, claimed_at=now, attempts=model.attempts + 1)
            .returning(model)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        taken = (await session.scalars(take)).all()
        return sorted(taken, key=lambda row: (row.next_at, row.id))

    async def settle(self, session: AsyncSession, row: Row, **values: Any) -> bool:
        """Only if the claim still holds. False: it had been given up meanwhile, and another worker has the row."""
        model = self._model
        change = (
            update(model)
            .where(
                model.id == row.id,
                model.state == self._taken,
                model.attempts == row.attempts,
                model.claimed_by == row.claimed_by,
            )
            .values(**values)
            .returning(model.id)
            .execution_options(synchronize_session=False)
        )
        return await session.scalar(change) is not None

    async def try_later(self, session: AsyncSession, row: Row, *, error: str, now: datetime, **values: Any) -> bool:
        pause = pause_after(row.attempts)
        return await self.settle(
            session, row, state=self._waiting, next_at=now + pause, last_error=error[:2000], **values
        )

    async def release_stale(self, session: AsyncSession, *, claimed_before: datetime, now: datetime) -> int:
        """Give back what a worker claimed and, having died, never settled. Returns how many."""
        model = self._model
        free = (
            update(model)
            .where(model.state == self._taken, model.claimed_at < claimed_before)
            .values(state=self._waiting, claimed_by="", next_at=now)
            .returning(model.id)
            .execution_options(synchronize_session=False)
        )
        return len((await session.scalars(free)).all())


def pause_after(attempts: int) -> timedelta:
    """30 s, 1 min, 2 min, … a day at the most."""
    return min(FIRST_PAUSE * (1 << max(0, min(attempts, 20) - 1)), LONGEST_PAUSE)
