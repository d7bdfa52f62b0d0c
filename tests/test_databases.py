"""The databases that the tests run on are real, migrated and separate."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ura.db import Base, Sessions, database_is_away
from ura.models import City


async def test_every_table_is_there_and_empty(sessions: Sessions) -> None:
    async with sessions() as session:
        for table in Base.metadata.sorted_tables:
            assert await session.scalar(text(f'SELECT count(*) FROM "{table.name}"')) == 0


async def test_what_one_test_writes_the_next_does_not_see(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO city (name, prompt_key) VALUES ('Vila Teste', 'name.x')"))
        assert await connection.scalar(text("SELECT count(*) FROM city")) == 1


async def add_city(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(City(name="Recife", prompt_key="name.x"))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_server_that_takes_no_writes_any_more_is_away_and_is_left(sessions: Sessions) -> None:
    """As one is whose place another has taken: what was to be written waits, it is not at fault."""
    async with sessions.begin() as session:
        name = (await session.execute(text("SELECT current_database()"))).scalar_one()
        await session.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    await sessions.kw["bind"].dispose()
    with pytest.raises(DBAPIError) as refused:
        await add_city(sessions)
    assert database_is_away(refused.value)
    async with sessions() as session:
        await session.execute(text("SET default_transaction_read_only = off"))
        await session.commit()  # the next transaction is one that writes
        await session.execute(text(f"ALTER DATABASE {name} RESET default_transaction_read_only"))
        await session.commit()
    await sessions.kw["bind"].dispose()
    await add_city(sessions)
