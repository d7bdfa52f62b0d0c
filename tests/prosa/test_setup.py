"""What must be there before a door opens, and that the second start only looks."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from prosa import setup
from tests.factories import NOON
from ura import users
from ura.db import make_engine, make_sessions
from ura.errors import BadInput, Refused
from ura.migrate import config
from ura.settings import Settings


class Notes:
    def __init__(self) -> None:
        self.steps: dict[str, list[str]] = {}

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        yield self.steps.setdefault(what, [])


async def test_an_empty_database_gets_the_demo_a_flow_and_a_first_log_in_and_only_once(settings: Settings) -> None:
    first, second = Notes(), Notes()
    prepared = await setup.prepare(settings, first.step)
    assert [(did.number, str(did.kind)) for did in prepared.dids] == [
        ("551133330001", "landline"),
        ("5511933330002", "mobile"),
        ("551133330003", "corporate"),
    ]
    assert {attendant.extension for attendant in prepared.attendants} == {"101", "201"}
    assert prepared.log_in.startswith("admin / ")
    assert first.steps["provider"] == ["demo loaded"]
    assert first.steps["flow and prompts"] == ["published provedor 1"]

    again = await setup.prepare(settings, second.step)
    assert again.log_in == "as before"
    assert again.dids == prepared.dids
    assert second.steps["provider"] == ["is there"]
    assert second.steps["flow and prompts"] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_demos_days_count_from_today_at_a_start_on_a_later_day(settings: Settings) -> None:
    said = []
    for now in (NOON, NOON + timedelta(hours=3), NOON + timedelta(days=2), NOON + timedelta(days=2, hours=1)):
        notes = Notes()
        await setup.prepare(settings, notes.step, now=now)
        said += notes.steps["provider"]
    assert said == ["demo loaded", "is there", "is there; the demo's days count from today", "is there"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "changed", [{"environment": "production", "secret_key": SecretStr("x" * 32)}, {"erp": "sgp"}], ids=str
)
async def test_where_the_demo_is_not_what_is_tried_out_no_day_is_moved(
    settings: Settings, changed: dict[str, Any]
) -> None:
    await setup.prepare(settings, Notes().step, now=NOON)
    notes = Notes()
    await setup.prepare(settings.model_copy(update=changed), notes.step, now=NOON + timedelta(days=2))
    assert notes.steps["provider"] == ["is there"]


async def test_a_migrated_database_is_known_without_alembic(settings: Settings, engine: AsyncEngine) -> None:
    assert await setup.is_current(settings)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    assert not await setup.is_current(settings)


def test_the_newest_migration_is_the_last_file() -> None:
    newest = max(file.name.partition("_")[0] for file in setup.MIGRATIONS.glob("[0-9]*.py"))
    assert ScriptDirectory.from_config(config()).get_current_head() == newest


async def test_a_database_that_is_not_there_is_not_current(tmp_path: Path) -> None:
    missing = Settings(state_dir=tmp_path / "nothing")
    assert not await setup.is_current(missing)
    await setup.prepare(missing, Notes().step)
    assert await setup.is_current(missing)
    engine = make_engine(missing.db_url)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM neighbourhood")) == 24
    await engine.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_demo_goes_into_an_empty_database_only(settings: Settings) -> None:
    assert await setup.demo_into_empty(settings)
    with pytest.raises(Refused, match="empty one only"):
        await setup.demo_into_empty(settings)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_user_is_added_with_a_role_that_exists(settings: Settings) -> None:
    said = await setup.add_user(
        settings, email="bia@example.com", role="attendant", name="Bia", password="uma-senha-boa"
    )
    assert said == "bia@example.com may log in as attendant."
    with pytest.raises(BadInput, match="Choose one of admin, supervisor"):
        await setup.add_user(settings, email="x@example.com", role="king", name="", password="uma-senha-boa")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_token_opens_what_its_scopes_name_and_nothing_without_them(settings: Settings) -> None:
    token = await setup.create_token(settings, name="erp", scopes=["calls:read"], days=30)
    engine = make_engine(settings.db_url)
    async with make_sessions(engine)() as session:
        actor = await users.find_token_actor(session, token=token, now=datetime.now(UTC))
    await engine.dispose()
    assert actor is not None
    assert actor.permissions == {users.Permission.CALLS_READ}
    with pytest.raises(BadInput, match="tickets:write"):
        await setup.create_token(settings, name="all", scopes=[], days=30)
