"""The real thing, once for all live tests: `prosa run` with Asterisk, agi, api and worker, and telephones to call it.

async def test_something(house, caller):
    call = await caller.dial(LANDLINE)
    await call.heard("menu.main")
    ...
    async with house.sessions() as session: ...
"""

import asyncio
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from prosa import asterisk as asterisks
from prosa import calling
from prosa.caller import Caller
from prosa.heard import Fingerprints
from tests.conftest import free_port
from ura.db import make_engine, make_sessions
from ura.settings import ROOT, Settings

T = TypeVar("T")
START_S, STOP_S = 90, 60


async def eventually(look: Callable[[], Awaitable[T]], timeout_s: float = 10) -> T:
    """What `look` finds, as soon as it finds something: the record follows the call, it does not wait for us."""
    deadline = time.monotonic() + timeout_s
    while not (found := await look()):
        if time.monotonic() > deadline:
            pytest.fail(f"{look.__name__}: nothing after {timeout_s} s")
        await asyncio.sleep(0.05)
    return found


@dataclass
class House:
    """A running `prosa run`."""

    settings: Settings
    process: "subprocess.Popen[str]"
    index: Fingerprints
    lines: list[str] = field(default_factory=list)  # all that it printed
    _news: "queue.Queue[str]" = field(default_factory=queue.Queue)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            self._news.put(line)
        self._news.put("")

    def until(self, word: str, timeout_s: float) -> None:
        """Wait for a line that begins with `word`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._news.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = ""
            if line.startswith(word):
                return
            if not line:
                pytest.fail(f"`prosa run` did not say {word!r}:\n" + "\n".join(self.lines))

    def pid(self, door: str) -> int:
        """asterisk, agi, api or worker, as it is now."""
        file = self.settings.state_dir / "run" / "prosa.json"
        return int(json.loads(file.read_text())["doors"][door])

    def log(self, door: str) -> str:
        return (self.settings.logs_dir / f"{door}.log").read_text(errors="replace")

    def sessions(self) -> "Database":
        return Database(self.settings.db_url)

    def caller(self) -> Caller:
        return Caller(self.settings.sip_port, index=self.index)


class Database:
    """`async with house.sessions() as session`: a look at the running installation's database, from any loop."""

    def __init__(self, url: str) -> None:
        self._engine = make_engine(url)
        self._session = make_sessions(self._engine)()

    async def __aenter__(self) -> AsyncSession:
        return self._session

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()
        await self._engine.dispose()


def start_house(
    state_dir: Path, *, launcher: Sequence[str] = (), options: Sequence[str] = ("--no-first-call",), **values: Any
) -> House:
    """`prosa run` on free ports; `values` are settings, `launcher` is a command that becomes the one after it.
    Returns when it says ready."""
    usual: dict[str, Any] = {
        "state_dir": state_dir,
        "sip_port": free_port(socket.SOCK_DGRAM),
        "agi_port": free_port(),
        "ami_port": free_port(),
        "http_port": free_port(),
        "rtp_first_port": 45000,
        "rtp_last_port": 45999,
        "drain_s": 2,
        "message_first_hour": 0,  # what is told does not wait for the morning
        "message_last_hour": 24,
    }
    settings = Settings(**(usual | values))
    if asterisks.find(settings) is None:
        asterisks.install(settings)
    given = {name: _told(value) for name, value in settings.model_dump(exclude_unset=True).items()}
    process = subprocess.Popen(
        [*launcher, sys.executable, "-m", "prosa.main", "run", *options],
        cwd=ROOT,
        env={**_clean_environment(), **{f"PROSA_{name.upper()}": value for name, value in given.items()}},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    house = House(settings, process, calling.fingerprints(settings))
    threading.Thread(target=house.read, daemon=True).start()
    house.until("ready:", START_S)
    return house


def _told(value: object) -> str:
    """As the environment has it."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _clean_environment() -> dict[str, str]:
    """Without settings of whoever runs the tests, and without the coverage tracer: it would make the calls slower."""
    ours = {"PROSA_", "COVERAGE", "COV_"}
    return {name: value for name, value in os.environ.items() if not any(name.startswith(one) for one in ours)}


def stop_house(house: House) -> None:
    """Ctrl-C; everything must be gone."""
    pids = [house.pid(door) for door in ("asterisk", "agi", "api", "worker")]
    house.process.send_signal(signal.SIGINT)
    try:
        code = house.process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        house.process.kill()
        pytest.fail("`prosa run` did not stop:\n" + "\n".join(house.lines))
    assert code == 0, "\n".join(house.lines)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = start_house(tmp_path_factory.mktemp("house") / "state")
    try:
        yield house
    finally:
        stop_house(house)


@pytest.fixture
async def caller(house: House) -> AsyncIterator[Caller]:
    """A customer's telephone."""
    async with house.caller() as phone:
        yield phone


@pytest.fixture
async def attendant(house: House) -> AsyncIterator[Caller]:
    """A second telephone, to be registered as an extension: `await register(house, attendant, "201")`."""
    async with house.caller() as phone:
        yield phone


async def register(house: House, phone: Caller, extension: str) -> None:
    await phone.register(f"ramal-{extension}", asterisks.attendant_secret(house.settings, extension))
