"""The databases that the tests run on are real, migrated and separate."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ura.db import Base, Sessions


async def test_every_table_is_there_and_empty(sessions: Sessions) -> None:
    async with sessions() as session:
        for table in Base.metadata.sorted_tables:
            assert await session.scalar(text(f'SELECT count(*) FROM "{table.name}"')) == 0


async def test_what_one_test_writes_the_next_does_not_see(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO city (name, prompt_key) VALUES ('Vila Teste', 'name.x')"))
        assert await connection.scalar(text("SELECT count(*) FROM city")) == 1
