import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ura.adapters.sqlite_thread import Connection, connector


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncEngine:
    file = tmp_path / "one.db"
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", async_creator=connector(str(file)), pool_size=1)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT)"))
    return engine


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to the thread."""
    sent: list[str] = []
    original = Connection._execute

    async def counted(self: Connection, fn: object, *args: object) -> object:
        sent.append(getattr(fn, "__name__", ""))
        return await original(self, fn, *args)

    monkeypatch.setattr(Connection, "_execute", counted)
    return sent


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM thing")) or 0)


async def test_a_question_is_one_trip_and_its_end_none(engine: AsyncEngine, trips: list[str]) -> None:
    assert await count(engine) == 0
    assert len(trips) == 1
    await engine.dispose()


async def test_rows_inserted_together_are_one_trip_and_the_commit_another(
    engine: AsyncEngine, trips: list[str]
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO thing (name) VALUES (:name)"), [{"name": "a"}, {"name": "b"}])
    assert len(trips) == 2
    assert await count(engine) == 2
    await engine.dispose()


async def test_a_statement_that_failed_leaves_nothing_behind(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("INSERT INTO thing (id) VALUES (1)"))
        with pytest.raises(IntegrityError):
            await connection.execute(text("INSERT INTO thing (id) VALUES (1)"))
    assert await count(engine) == 0
    with pytest.raises(OperationalError):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT * FROM nothing"))
    await engine.dispose()


async def test_who_is_cancelled_in_a_statement_leaves_no_transaction_open(engine: AsyncEngine) -> None:
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i, 'x' FROM n"

    async def insert() -> None:
        async with engine.begin() as connection:
            await connection.execute(text(f"INSERT INTO thing (id, name) {slow}"))

    inserting = asyncio.create_task(insert())
    await asyncio.sleep(0)
    while not engine.pool.checkedout():
        await asyncio.sleep(0)
    inserting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await inserting
    async with engine.begin() as connection:  # would find the database locked
        await connection.execute(text("INSERT INTO thing (id) VALUES (0)"))
    assert await count(engine) == 1
    await engine.dispose()
