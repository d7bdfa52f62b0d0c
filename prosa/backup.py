"""`prosa backup` and `prosa restore`: a whole house in one file. A backup may run beside calls.

What is written while a backup is made is in it or not; nothing that was moved meanwhile is lost between two places. So
the journal is taken first and the database after it: a record that was in both is known by its id, and applied once.
"""

import asyncio
import gzip
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from psycopg.conninfo import make_conninfo
from sqlalchemy import inspect, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from ura import migrate
from ura.errors import UraError
from ura.settings import Settings

FORM = 1
MANIFEST, STATE = "prosa.json", "state"
TABLES = {"sqlite": "prosa.db", "postgresql": "prosa.pgdump"}
# Of the state folder. The rest is made anew: Asterisk's files, the last flows, what calls are at, logs, figures.
JOURNAL = ("journal",)  # before the database
FILES = ("protocol", "recordings", "prompts", "packages", "secrets")  # after it
# So many numbers of a restore's day are not given out: calls may have gone on after the backup.
SKIPPED, LAST_OF_A_DAY = 20_000, 199_980


class CannotBackUp(UraError):
    code = "cannot-back-up"


class CannotRestore(UraError):
    code = "cannot-restore"


@dataclass(frozen=True, slots=True)
class Kept:
    made_at: datetime
    database: str  # a key of TABLES
    files: int
    size: int  # bytes of the archive


async def back_up(settings: Settings, target: Path) -> Kept:
    """Whole or not at all; readable by its owner only. Raises CannotBackUp, OSError."""
    url = make_url(settings.db_url)
    kind = url.get_backend_name()
    made_at = datetime.now(UTC)
    with _beside(target) as (folder, new):
        journal = folder / STATE
        files = sum(_copy(settings.state_dir / name, journal / name) for name in JOURNAL)
        tables = folder / TABLES[kind]
        await (
            _dump_sqlite(url, tables) if kind == "sqlite" else _pg(url, folder, "pg_dump", "-Fc", f"--file={tables}")
        )
        manifest = folder / MANIFEST
        manifest.write_text(json.dumps({"form": FORM, "made_at": made_at.isoformat(), "database": kind}))
        files += await asyncio.to_thread(_pack, new, settings.state_dir, [manifest, tables, journal])
        new.replace(target)
    return Kept(made_at, kind, files, target.stat().st_size)


async def restore(settings: Settings, archive: Path, *, now: datetime | None = None) -> Kept:
    """Into an empty state folder and an empty database of the same kind; then the tables are brought up to date.
    `now`: None for this moment. Raises CannotRestore, OSError."""
    url = make_url(settings.db_url)
    kind = url.get_backend_name()
    await _must_be_empty(settings, url)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.state_dir, prefix="restore-") as name:
        folder = Path(name)
        manifest = await asyncio.to_thread(_unpack, archive, folder)
        if manifest["database"] != kind:
            raise CannotRestore(f"This backup is of {manifest['database']}, and PROSA_DATABASE_URL says {kind}.")
        tables = folder / TABLES[kind]
        if kind == "sqlite":
            tables.replace(_sqlite_file(url))
        else:
            options = ("--no-owner", "--exit-on-error", "--single-transaction", str(tables))
            await _pg(url, folder, "pg_restore", *options)
        files = _move(folder / STATE, settings.state_dir)
        today = (now or datetime.now(UTC)).astimezone(settings.zone).date()
        _skip_numbers(settings.state_dir / "protocol", settings.node, today.isoformat())
    await migrate.upgrade(settings.db_url)
    return Kept(datetime.fromisoformat(manifest["made_at"]), kind, files, archive.stat().st_size)


# -- the archive


@contextmanager
def _beside(target: Path) -> Iterator[tuple[Path, Path]]:
    """A folder to work in, on the disk of `target`, and the file that becomes it."""
    if target.exists():
        raise CannotBackUp(f"{target} is there already. Choose another name: a backup overwrites none.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".prosa-backup-") as name:
        Path(name, "work").mkdir()
        yield Path(name, "work"), Path(name, "new")  # a folder of mode 0700, so nobody else reads it half made


def _pack(target: Path, state: Path, first: list[Path]) -> int:
    """On the disk when it returns how many files of the state folder are in it beside `first`."""
    files = 0
    out: IO[bytes]
    target.touch(mode=0o600)
    with target.open("wb") as out, tarfile.open(fileobj=out, mode="w:gz", compresslevel=3) as tar:
        for each in first:
            if each.exists():
                tar.add(each, arcname=each.name, filter=_ours_alone)
        for name in FILES:
            for file in sorted((state / name).rglob("*")):
                try:
                    if file.is_file():
                        tar.add(file, arcname=f"{STATE}/{file.relative_to(state)}", filter=_ours_alone)
                        files += 1
                except FileNotFoundError:  # its time was over meanwhile
                    continue
        tar.close()
        out.flush()
        os.fsync(out.fileno())
    return files


def _ours_alone(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mode &= 0o750
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _unpack(archive: Path, folder: Path) -> dict[str, Any]:
    try:
        with gzip.open(archive) as whole:
            with tarfile.open(fileobj=whole, mode="r|") as tar:
                tar.extractall(folder, filter="data")  # nothing outside the folder, no devices, no links out of it
            while whole.read(1024 * 1024):  # to the checksum
                pass
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        form = manifest["form"]
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, KeyError, FileNotFoundError) as error:
        raise CannotRestore(f"{archive} is no whole backup of Prosa ({error}).") from error
    if form != FORM:
        raise CannotRestore(f"{archive} was made by a newer Prosa. Update this one first.")
    return manifest


def _copy(source: Path, target: Path) -> int:
    target.mkdir(parents=True)
    files = 0
    for file in sorted(source.glob("*")):  # files only, all of them flat
        try:
            shutil.copy2(file, target / file.name)
            files += 1
        except FileNotFoundError:  # the worker was done with it: the database has what was in it
            continue
    return files


def _move(source: Path, target: Path) -> int:
    files = 0
    for file in sorted(each for each in source.rglob("*") if each.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        file.replace(place)
        files += 1
    secrets = target / "secrets"
    if secrets.exists():
        secrets.chmod(0o700)
    return files


def _skip_numbers(folder: Path, node: int, today: str) -> None:
    """Protocols that were given out today and after the backup are not given again (ura/protocol.py)."""
    file = folder / f"{node}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    count: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"day": today, "used": 0}
    day = max(today, count["day"])
    used = SKIPPED + (count["used"] if count["day"] == day else 0)
    file.write_text(json.dumps({"day": day, "used": min(used, LAST_OF_A_DAY)}).ljust(64))


# -- the database


def _sqlite_file(url: URL) -> Path:
    return Path(str(url.database))


async def _dump_sqlite(url: URL, target: Path) -> None:
    """As of one moment. Whoever writes meanwhile does not wait (write-ahead log)."""

    def dump() -> None:
        if not _sqlite_file(url).exists():
            raise CannotBackUp(f"There is no database at {url.database}. Which is the state folder? PROSA_STATE_DIR")
        with closing(sqlite3.connect(_sqlite_file(url))) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it

    await asyncio.to_thread(dump)


async def _pg(url: URL, folder: Path, program: str, *options: str) -> None:
    """PostgreSQL's own program. The password goes by a file in `folder`: arguments are shown to everybody by `ps`."""
    where = dict(url.get_dialect()().create_connect_args(url)[1])  # as the house itself connects
    if password := where.pop("password", None):
        where["passfile"] = folder / "pgpass"
        escaped = str(password).replace("\\", "\\\\").replace(":", "\\:")
        where["passfile"].write_text(f"*:*:*:*:{escaped}\n")
        where["passfile"].chmod(0o600)
    arguments = (f"--dbname={make_conninfo(**where)}", *options)
    try:
        process = await asyncio.create_subprocess_exec(program, *arguments, stderr=asyncio.subprocess.PIPE)
    except FileNotFoundError:
        raise CannotBackUp(f"{program} is not installed. It comes with PostgreSQL's client programs.") from None
    _, said = await process.communicate()
    if process.returncode:
        raise CannotBackUp(f"{program}: {said.decode(errors='replace').strip()[:500]}")


async def _must_be_empty(settings: Settings, url: URL) -> None:
    found = [name for name in (*JOURNAL, *FILES) if any((settings.state_dir / name).glob("*"))]
    if url.get_backend_name() == "sqlite":
        file = _sqlite_file(url)
        found += sorted(each.name for each in file.parent.glob(file.name + "*"))  # a lost write-ahead log, too
    else:
        found += await _tables(url)
    if found:
        raise CannotRestore(
            f"There is something already: {', '.join(found[:5])}. A backup is put back into an empty house: stop "
            "Prosa, move the state folder aside or choose another (PROSA_STATE_DIR), and make an empty database."
        )


async def _tables(url: URL) -> list[str]:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    except DBAPIError as error:
        raise CannotRestore(f"The database of PROSA_DATABASE_URL cannot be asked: {error.orig}") from error
    finally:
        await engine.dispose()
