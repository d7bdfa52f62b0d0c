"""aiosqlite with one trip to its thread a statement, instead of one each to make a cursor, run it, fetch and close it.

A trip wakes two threads: that cost more than the statement itself, and was a quarter of a call's time in `agi`.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import aiosqlite
from aiosqlite.context import contextmanager

BUSY_S = 5.0
Found = tuple[Any, int, int | None, list[Any]]


class Cursor:
    """As much of a cursor as SQLAlchemy uses. Rows are all fetched by the statement."""

    arraysize = 1
    description: Any = None
    rowcount = -1
    lastrowid: int | None = None

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: list[Any] = []

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> Self:
        return await self._run("execute", sql, values)

    async def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Self:
        return await self._run("executemany", sql, values)

    async def fetchall(self) -> list[Any]:
        return self._rows

    async def close(self) -> None:
        self._rows = []

    async def _run(self, method: str, sql: str, values: Any) -> Self:
        found = await self._connection.run(method, sql, values)
        self.description, self.rowcount, self.lastrowid, self._rows = found
        return self


class Connection(aiosqlite.Connection):
    _settled = True  # the last trip came back: what it left behind is known

    @contextmanager
    async def cursor(self) -> Cursor:  # type: ignore[override]  # less than aiosqlite's, all that SQLAlchemy needs
        return Cursor(self)

    async def run(self, method: str, sql: str, values: Any) -> Found:
        """One statement, in the thread, from its cursor's beginning to its end."""

        def there() -> Found:
            cursor = getattr(self._conn, method)(sql, values)
            try:
                rows = cursor.fetchall() if cursor.description else []
                return cursor.description, cursor.rowcount, cursor.lastrowid, rows
            finally:
                cursor.close()

        found: Found = await self._execute(there)
        return found

    async def commit(self) -> None:
        if self._open():
            await super().commit()

    async def rollback(self) -> None:
        if self._open():
            await super().rollback()

    def _open(self) -> bool:
        """May there be a transaction? After a statement that failed, or whose caller was cancelled, nobody knows."""
        return not self._settled or self.in_transaction

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._settled = False
        result = await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]  # aiosqlite gives no types here
        self._settled = True
        return result


def connector(uri: str) -> Callable[[], Connection]:
    """For `create_async_engine(async_creator=...)`. `uri` as SQLite understands it, `file:…?mode=rw`."""

    def connect() -> Connection:
        connection = Connection(lambda: sqlite3.connect(uri, uri=True, timeout=BUSY_S, check_same_thread=False), 64)
        connection._thread.daemon = True  # as SQLAlchemy's dialect does: a thread must not keep a process from ending
        return connection

    return connect


def _connect(file: str) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=BUSY_S, check_same_thread=False, uri=file.startswith("file:"))
