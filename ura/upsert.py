"""INSERT … ON CONFLICT, which both of our databases speak and SQLAlchemy offers for each apart.

Statements are built once a process and dialect: building one costs more than running it.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from ura.db import Base

Row = Mapping[str, Any]
Model = TypeVar("Model", bound=Base)
Insert = postgresql.Insert | sqlite.Insert


def dialect(session: AsyncSession) -> str:
    return session.get_bind().dialect.name


def insert(dialect: str, model: type[Base]) -> Insert:
    """An INSERT for `dialect`; add `.on_conflict_do_update(...)` yourself."""
    table = model.__table__
    assert isinstance(table, Table)
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@lru_cache
def _insert_new(dialect: str, model: type[Base]) -> Insert:
    return insert(dialect, model).on_conflict_do_nothing()


@lru_cache
def _insert_one(dialect: str, model: type[Model]) -> ReturningInsert[tuple[Model]]:
    to = postgresql.insert(model) if dialect == "postgresql" else sqlite.insert(model)
    return to.on_conflict_do_nothing().returning(model)


async def add_new(session: AsyncSession, model: type[Base], rows: Sequence[Row]) -> None:
    """Insert the rows that are not there yet; the others stay as they are. The rows have the same columns."""
    await execute(session, _insert_new(dialect(session), model), rows)


async def add_one(session: AsyncSession, model: type[Model], row: Row) -> Model | None:
    """Insert one row, and have the object as the database has it. None: it is there already, and stays as it is."""
    made: Model | None = await session.scalar(_insert_one(dialect(session), model), row)
    return made


async def is_new(session: AsyncSession, model: type[Base], row: Row) -> bool:
    """Insert one row with an `id`. False: it is there already, and stays as it is."""
    statement = _insert_new(dialect(session), model).values(row).returning(model.__table__.columns["id"])
    return await session.scalar(statement) is not None


async def execute(session: AsyncSession, statement: Insert, rows: Sequence[Row]) -> None:
    """Run it for every row, in this order. Goes past the ORM: objects that the session holds do not notice."""
    if rows:
        await session.execute(statement, list(rows))
