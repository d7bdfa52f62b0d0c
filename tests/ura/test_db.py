"""A SQLite database whose file is moved, missing or replaced under open connections."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import URL, select, text
from sqlalchemy.exc import OperationalError

from ura.db import Sessions, database_is_away, make_engine, make_sessions
from ura.models import City

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def file(database_url: str) -> Path:
    return Path(database_url.partition(":///")[2])


def move(file: Path, name: str) -> Path:
    """With its log, as somebody with a shell would."""
    for end in ("", "-wal", "-shm"):
        if (part := file.with_name(file.name + end)).exists():
            part.rename(part.with_name(name + end))
    return file.with_name(name)


async def add(sessions: Sessions, name: str) -> None:
    async with sessions.begin() as session:
        session.add(City(name=name, prompt_key="name.x"))


async def names(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(select(City.name).order_by(City.name)))


async def test_a_file_that_was_moved_is_not_reached_any_more_and_no_new_one_is_made(
    sessions: Sessions, file: Path
) -> None:
    await add(sessions, "Serra Azul")
    away = move(file, "away.db")
    before = away.read_bytes(), away.with_name("away.db-wal").read_bytes()
    for attempt in (add(sessions, "Vale Verde"), names(sessions)):
        with pytest.raises(OperationalError) as trouble:
            await attempt
        assert database_is_away(trouble.value)
    assert not file.exists()
    assert (away.read_bytes(), away.with_name("away.db-wal").read_bytes()) == before


async def test_a_file_that_is_put_back_is_there_with_all_that_it_had(sessions: Sessions, file: Path) -> None:
    await add(sessions, "Serra Azul")
    away = move(file, "away.db")
    with pytest.raises(OperationalError):
        await names(sessions)
    move(away, file.name)
    await add(sessions, "Vale Verde")
    assert await names(sessions) == ["Serra Azul", "Vale Verde"]


async def test_after_a_backup_was_put_in_its_place_everybody_works_on_the_backup(
    sessions: Sessions, file: Path, tmp_path: Path
) -> None:
    shutil.copyfile(file, tmp_path / "backup.db")
    async with sessions() as busy:  # a second open connection
        await busy.execute(text("SELECT 1"))
        await add(sessions, "Serra Azul")
    old = move(file, "old.db")
    (tmp_path / "backup.db").rename(file)
    await add(sessions, "Vale Verde")
    assert await names(sessions) == ["Vale Verde"]
    engine = make_engine(f"sqlite+aiosqlite:///{old}")
    assert await names(make_sessions(engine)) == ["Serra Azul"]
    await engine.dispose()


async def test_a_name_with_odd_signs_is_a_name(tmp_path: Path, file: Path) -> None:
    odd = tmp_path / "mode=ro&a b?%41#ç.db"
    shutil.copyfile(file, odd)
    engine = make_engine(URL.create("sqlite+aiosqlite", database=str(odd)).render_as_string())
    await add(make_sessions(engine), "Serra Azul")
    await engine.dispose()
    assert sorted(path.name for path in tmp_path.glob("*.db")) == [odd.name, file.name]
