"""What every test may ask for: a migrated database (each test runs on SQLite and on PostgreSQL), and settings.

    async def test_something(sessions): ...                                     # twice: sqlite, postgresql
    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)         # once, where the database is no matter

Each test gets a database of its own, copied from a template that was migrated once.
"""

import asyncio
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from ura.db import Sessions, make_engine, make_sessions
from ura.migrate import upgrade
from ura.settings import Settings

PR_SET_PDEATHSIG = 1
INITDB_OPTIONS = ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
# structlog's own way draws a traceback with all its variables, which takes seconds for each error that a test provokes.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer(colors=False),
    ]
)
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
# Begun first, the longest before the others: else one of two workers is at it when the other has nothing left to do.
LONG = (
    "tests/worker/test_a_bad_day_for_messages.py",
    "tests/browser/",
    "tests/ura/test_imports_people.py",
    "tests/api/",
    "tests/live/test_erp_stories.py",
    "tests/live/test_caller_stories.py",
    "tests/live/drills/test_wrecked.py",
    "tests/live/test_stories.py",
    "tests/live/test_queues.py",
    "tests/live/drills/",
)
ONE_HOUSE = "tests/live/drills/hard_times/"  # its files share a fixture and its ports
_names = count(1)


SOUND = range(30000, 50000)  # where the tests' and the bench's Asterisks take calls' sound


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Of UDP, none that a call's sound may want."""
    while True:
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if kind is socket.SOCK_STREAM or port not in SOUND:
            return port


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread of its own: pytest-asyncio's loop stays untouched."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    run_apart(upgrade(f"sqlite+aiosqlite:///{file}"))
    return file


def _postgres_program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda file: int(file.parts[4]))
    program = str(found[-1]) if found else shutil.which(name)
    assert program, f"{name} is missing: run scripts/bootstrap.sh test, or apt-get install postgresql"
    return program


def _not_root() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("no user to run PostgreSQL as")


def _die_with_us() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A private PostgreSQL on a free port, gone with the tests (so nothing is fsynced); yields `user@host:port`."""
    user = _not_root()
    folder = Path(tempfile.mkdtemp(prefix="prosa-postgres-"))
    if user:
        os.chown(folder, user["user"], user["group"])
    try:
        made = subprocess.run(
            [_postgres_program("initdb"), "-D", folder / "data", "-U", "prosa", *INITDB_OPTIONS],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            **user,
        )
        assert made.returncode == 0, made.stderr
        port = free_port()
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, **NOT_DURABLE}
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [_postgres_program("postgres"), "-D", folder / "data", *(f"--{k}={v}" for k, v in options.items())],
                cwd=folder,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_us,
                **user,
            )
        try:
            _wait_for(server, port, folder / "log")
            yield f"prosa@127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(f"postgresql://prosa@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Callable[[str], None]:
    """Migrate a template once; returns what runs one administrative statement."""

    def administer(statement: str) -> None:
        with psycopg.connect(f"postgresql://{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    administer("CREATE DATABASE template_prosa")
    run_apart(upgrade(f"postgresql+psycopg://{postgres_server}/template_prosa"))
    return administer


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty, migrated database that nobody else uses."""
    if request.param == "sqlite":
        file = tmp_path / "prosa.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite+aiosqlite:///{file}"
        return
    administer = request.getfixturevalue("postgres_template")
    name = f"test_{next(_names)}"
    administer(f"CREATE DATABASE {name} TEMPLATE template_prosa")
    yield f"postgresql+psycopg://{request.getfixturevalue('postgres_server')}/{name}"
    administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(database_url)
    yield engine
    await _sessions_closed()
    await engine.dispose()


async def _sessions_closed() -> None:
    """SQLAlchemy closes the session of a task that was cancelled in a task of its own (`AsyncSession.__aexit__`). Cut
    off by the end of the loop, it waits for ever for a thread that has nobody to answer."""
    tasks = [task for task in asyncio.all_tasks() if _is_sqlalchemys(task.get_coro())]
    if tasks:
        await asyncio.wait(tasks, timeout=5)


def _is_sqlalchemys(coroutine: object) -> bool:
    return "sqlalchemy" in getattr(getattr(coroutine, "cr_code", None), "co_filename", "")


@pytest.fixture
def sessions(engine: AsyncEngine) -> Sessions:
    return make_sessions(engine)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """An installation of its own: state folder, database and free ports."""
    return Settings(
        state_dir=tmp_path / "var",
        database_url=database_url,
        sip_port=free_port(socket.SOCK_DGRAM),
        agi_port=free_port(),
        ami_port=free_port(),
        http_port=free_port(),
    )


class ByFile(LoadFileScheduling):
    """A file is one worker's, in the order of the files; so are files that share what there is one of."""

    def _split_scope(self, nodeid: str) -> str:
        return ONE_HOUSE if nodeid.startswith(ONE_HOUSE) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    config.option.loadscopereorder = False  # xdist's own order is by the number of tests, which tells no length
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def length(item: pytest.Item) -> int:
        return next((n for n, beginning in enumerate(LONG) if item.nodeid.startswith(beginning)), len(LONG))

    items.sort(key=length)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("Skipped tests count as failed: nothing may be skipped here.", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
