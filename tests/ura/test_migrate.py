"""The written migrations and the models are the same thing, on both databases."""

import asyncio
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

import ura.models
from ura.db import Base, Sessions, make_engine
from ura.migrate import config, upgrade

assert ura.models.__all__


async def test_migrations_and_models_agree(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": Base.metadata})
        return list(compare_metadata(context, Base.metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_column_has_the_same_length_in_the_database(engine: AsyncEngine) -> None:
    """PostgreSQL refuses text that is too long where SQLite takes it: the two must be told the same."""

    def lengths(connection: Connection) -> dict[str, Any]:
        tables = inspect(connection).get_multi_columns()
        return {
            f"{table}.{column['name']}": getattr(column["type"], "length", None)
            for (_, table), columns in tables.items()
            for column in columns
        }

    async with engine.connect() as connection:
        found = await connection.run_sync(lengths)
    wanted = {
        f"{table.name}.{column.name}": getattr(column.type, "length", None)
        for table in Base.metadata.tables.values()
        for column in table.columns
    }
    assert {name: found[name] for name in wanted} == wanted


async def test_upgrading_again_changes_nothing(database_url: str, sessions: Sessions) -> None:
    await upgrade(database_url)
    await upgrade(database_url)


async def test_two_doors_that_start_together_migrate_once(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new/folder/prosa.db"
    await asyncio.gather(upgrade(url), upgrade(url))
    engine = make_engine(url)
    async with engine.connect() as connection:
        assert "call_step" in await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()


async def test_who_had_opted_out_already_gets_an_id_of_their_own(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(config(sync), "0005"))
        for target in ("+5511987650001", "+5511987650002"):
            row = {"target": target, "at": "2026-11-22 12:00:00"}
            into = "INSERT INTO message_opt_out (channel, target, by, at) VALUES ('sms', :target, 'reply', :at)"
            await connection.execute(text(into), row)
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
        ids = (await connection.scalars(text("SELECT id FROM message_opt_out"))).all()
    assert sorted(map(len, set(ids))) == [32, 32]


async def test_the_days_that_a_town_keeps_stay_when_branches_get_their_own(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(config(sync), "0008"))
        day = "INSERT INTO holiday (on_day, name, scope) VALUES ('2026-06-24', 'Padroeiro', 'municipal')"
        await connection.execute(text(day))
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
        branch = "INSERT INTO holiday (on_day, name, timetable) VALUES ('2026-06-25', 'Outra cidade', 'filial')"
        await connection.execute(text(branch))
        wanted = text("SELECT CAST(on_day AS TEXT), timetable, name FROM holiday ORDER BY on_day")
        found = [tuple(row) for row in await connection.execute(wanted)]
        await connection.run_sync(lambda sync: command.downgrade(config(sync), "0008"))
        left = (await connection.scalars(text("SELECT name FROM holiday"))).all()
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
    assert found == [("2026-06-24", "", "Padroeiro"), ("2026-06-25", "filial", "Outra cidade")]
    assert left == ["Padroeiro"]


def test_the_migrations_are_one_line() -> None:
    assert len(ScriptDirectory.from_config(config()).get_heads()) == 1
