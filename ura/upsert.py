"""INSERT … ON CONFLICT, which both of our databases speak and SQLAlchemy offers for each apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from ura.db import Base

Row = Mapping[str, Any]
Insert = postgresql.Insert | sqlite.Insert


def insert(session: AsyncSession, model: type[Base]) -> Insert:
    """An INSERT of this session's database; add `.on_conflict_do_update(...)` yourself."""
    table = model.__table__
    assert isinstance(table, Table)
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


async def add_new(session: AsyncSession, model: type[Base], rows: Sequence[Row]) -> None:
    """Insert the rows that are not there yet; the others stay as they are. The rows have the same columns."""
    if rows:
        await session.execute(insert(session, model).on_conflict_do_nothing(), list(rows))
