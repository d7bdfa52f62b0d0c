"""Large tables in seconds: the database counts, and makes the rows itself."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ura.db import Base

Row = Callable[[ColumnElement[int]], Mapping[str, Any]]


async def fill(engine: AsyncEngine, model: type[Base], total: int, row: Row) -> None:
    """`total` rows, numbered from 1. `row`: from that number to columns, each a value or an expression."""
    numbers = select(literal(1, BigInteger).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < total))
    columns = row(numbers.c.n)
    values = [
        value if isinstance(value, ColumnElement) else literal(value, model.__table__.c[name].type)
        for name, value in columns.items()
    ]
    async with engine.begin() as connection:
        await _without_deadline(connection)
        if connection.dialect.name == "postgresql":  # nor is each row's parent looked up
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(insert(model).from_select(list(columns), select(*values)))


async def analyze(engine: AsyncEngine) -> None:
    """As every database has it done that is left alone for an hour."""
    async with engine.begin() as connection:
        await _without_deadline(connection)
        await connection.execute(text("ANALYZE"))


async def _without_deadline(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":  # no question of a call may take more than two seconds; this is none
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
