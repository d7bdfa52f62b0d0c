"""A backup beside calls, put back into an empty house: all that was promised before it is there, once."""

import asyncio
import stat
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from prosa import backup, setup
from prosa.backup import CannotBackUp, CannotRestore
from tests.factories import NOON, call_opened, make_id
from tests.prosa.test_setup import Notes
from ura import users
from ura.db import Sessions, make_engine, make_sessions
from ura.journal import Journal
from ura.models import Call
from ura.models.user import Role
from ura.protocol import Protocols
from ura.settings import Settings
from worker.projector import Projector

PASSWORD = "uma-senha-boa"


@pytest.fixture
def elsewhere(settings: Settings, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Another machine: an empty state folder and an empty database of the same kind."""
    new = settings.model_copy(update={"state_dir": tmp_path / "new"})
    if settings.db_url.startswith("sqlite"):
        yield new.model_copy(update={"database_url": ""})
        return
    administer: Callable[[str], None] = request.getfixturevalue("postgres_template")
    name = settings.db_url.rpartition("/")[2] + "_new"
    administer(f"CREATE DATABASE {name}")
    yield new.model_copy(update={"database_url": settings.db_url + "_new"})
    administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def house(settings: Settings, engine: AsyncEngine) -> Settings:
    """The demo provider, somebody who may log in, a recording and the audio of a name."""
    settings.state_dir.mkdir(parents=True)
    settings.secret("secret_key")
    await setup.prepare(settings, Notes().step)
    await setup.add_user(settings, email="bia@provedor.test", role="admin", name="Bia", password=PASSWORD)
    for name in ("recordings/2026/11/a.wav", "prompts/name.alaw"):
        (settings.state_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.state_dir / name).write_bytes(name.encode() * 1000)
    return settings


async def kept_calls(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(select(Call.id)))


async def test_what_was_recorded_before_a_backup_beside_calls_is_there_once_on_another_machine(
    house: Settings, elsewhere: Settings, sessions: Sessions, tmp_path: Path
) -> None:
    writer, projector = Journal(house.journal_dir, "agi"), Projector(house.journal_dir, sessions)
    taken: list[str] = []

    async def take_calls() -> None:
        while True:
            taken.append(make_id())
            record = call_opened(taken[-1])
            writer.append(record.kind, record.key, record.data)
            await writer.sync()
            await asyncio.sleep(0)

    async def project() -> None:
        while True:
            await projector.step()
            await asyncio.sleep(0)

    work = [asyncio.create_task(take_calls()), asyncio.create_task(project())]
    while len(taken) < 50:
        await asyncio.sleep(0)
    promised = taken[:-1]
    kept = await backup.back_up(house, tmp_path / "kept" / "prosa.tar.gz")
    for each in work:
        each.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    writer.close()

    restored = await backup.restore(elsewhere, tmp_path / "kept" / "prosa.tar.gz")
    assert (restored.made_at, restored.files) == (kept.made_at, kept.files)
    engine = make_engine(elsewhere.db_url)
    there = make_sessions(engine, elsewhere.place)
    behind = Projector(elsewhere.journal_dir, there)
    while await behind.step():
        pass
    calls = await kept_calls(there)
    assert set(promised) <= set(calls)
    assert len(calls) == len(set(calls)) <= len(taken)
    async with there() as session:
        limits = users.LoginLimits()
        user, _ = await users.log_in(
            session, limits, email="bia@provedor.test", password=PASSWORD, source="x", now=NOON
        )
    assert user.role is Role.ADMIN
    await engine.dispose()
    for name in ("recordings/2026/11/a.wav", "prompts/name.alaw", "secrets/secret_key"):
        assert (elsewhere.state_dir / name).read_bytes() == (house.state_dir / name).read_bytes()
    assert await setup.is_current(elsewhere)


async def test_a_backup_is_for_its_owner_alone_and_leaves_nothing_beside_it(house: Settings, tmp_path: Path) -> None:
    file = tmp_path / "prosa.tar.gz"
    await backup.back_up(house, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as tar:
        assert {entry.uname for entry in tar} == {""}
        assert all(entry.mode & 0o007 == 0 for entry in tar)
    assert [left.name for left in tmp_path.iterdir() if left.name.startswith(".prosa")] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("first_numbers_of", [None, NOON - timedelta(days=1), NOON, NOON + timedelta(days=1)], ids=str)
async def test_a_protocol_that_was_told_after_the_backup_is_not_told_again(
    house: Settings, elsewhere: Settings, tmp_path: Path, first_numbers_of: datetime | None
) -> None:
    today = NOON.astimezone(house.zone).date()
    there, here = (Protocols(one.state_dir / "protocol", one.node) for one in (house, elsewhere))
    told = {there.next(first_numbers_of.date()) for _ in range(50)} if first_numbers_of else set()
    await backup.back_up(house, tmp_path / "prosa.tar.gz")
    told |= {there.next(today) for _ in range(5000)}
    await backup.restore(elsewhere, tmp_path / "prosa.tar.gz", now=NOON)
    assert not told & {here.next(today) for _ in range(5000)}


async def test_no_backup_is_overwritten_and_none_is_put_into_a_house_that_has_something(
    house: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "prosa.tar.gz"
    await backup.back_up(house, file)
    before = file.read_bytes()
    with pytest.raises(CannotBackUp, match="overwrites none"):
        await backup.back_up(house, file)
    assert file.read_bytes() == before
    with pytest.raises(CannotRestore, match="something already: recordings"):
        await backup.restore(house, file)
    with_tables = elsewhere.model_copy(update={"database_url": house.db_url})
    with pytest.raises(CannotRestore, match="something already"):
        await backup.restore(with_tables, file)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_file_that_is_no_whole_backup_changes_nothing(
    house: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    file, torn = tmp_path / "prosa.tar.gz", tmp_path / "torn.tar.gz"
    await backup.back_up(house, file)
    data = file.read_bytes()
    for wrong in (b"", b"nothing", data[: len(data) // 2], data[:-20]):
        torn.write_bytes(wrong)
        with pytest.raises(CannotRestore, match="no whole backup"):
            await backup.restore(elsewhere, torn)
        assert list(elsewhere.state_dir.iterdir()) == []
    other = elsewhere.model_copy(update={"database_url": "postgresql+psycopg://prosa@127.0.0.1:1/prosa"})
    with pytest.raises(CannotRestore, match="cannot be asked"):
        await backup.restore(other, file)
    await backup.restore(elsewhere, file)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_is_not_there_is_no_empty_backup(elsewhere: Settings, tmp_path: Path) -> None:
    with pytest.raises(CannotBackUp, match="PROSA_STATE_DIR"):
        await backup.back_up(elsewhere, tmp_path / "prosa.tar.gz")
    assert not (tmp_path / "prosa.tar.gz").exists()
