"""The phone door as it runs: a parent and its workers, real forks, real signals, a fake Asterisk on loopback."""

import asyncio
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from agi import main as module
from agi import routes
from prosa.run import Steps
from prosa.setup import prepare
from tests.agi.fake_asterisk import FakeAsterisk, header
from ura import journal as journals
from ura.db import make_engine
from ura.settings import ROOT, Settings


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@dataclass
class Door:
    process: subprocess.Popen[str]
    port: int
    log: Path

    def workers(self) -> list[int]:
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def said(self) -> str:
        return self.log.read_text()

    async def until(self, done: Callable[[], bool], limit_s: float = 20) -> None:
        async with asyncio.timeout(limit_s):
            while not done():
                await asyncio.sleep(0.02)

    async def ready(self, workers: int) -> None:
        await self.until(lambda: self.said().count("agi worker ready") >= workers)


def start(folder: Path, port: int, **settings: str) -> Door:
    log = folder / "agi.log"
    with log.open("a") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "agi"],
            cwd=ROOT,
            env={**os.environ, "PROSA_STATE_DIR": str(folder), "PROSA_AGI_PORT": str(port), **settings},
            stdout=out,
            stderr=out,
            text=True,
        )
    return Door(process, port, log)


@pytest.fixture(scope="module")
def one_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    door = start(tmp_path_factory.mktemp("agi"), free_port(), PROSA_AGI_WORKERS="2")
    yield door
    door.process.terminate()
    door.process.wait(30)


@pytest.fixture
async def door(one_door: Door) -> Door:
    await one_door.until(lambda: len(one_door.workers()) == 2, limit_s=60)
    await one_door.ready(2)
    return one_door


async def held(door: Door, uniqueid: str) -> tuple[FakeAsterisk, "asyncio.Task[FakeAsterisk]", asyncio.Event]:
    """A caller who listens to the first menu until told to press."""
    press = asyncio.Event()

    class Holding(FakeAsterisk):
        async def _serve(self, reader: asyncio.StreamReader) -> None:
            for reply in (b"200 result=1\n", b"200 result=0\n", b"200 result= (timeout)\n"):
                self.commands.append((await reader.readline()).decode().split())
                self.writer.write(reply)
            self.commands.append((await reader.readline()).decode().split())
            press.set()
            await super()._serve(reader)

    call = Holding(door.port, header=header(agi_uniqueid=uniqueid))
    task = asyncio.create_task(call.call())
    await asyncio.wait_for(press.wait(), 20)
    return call, task, press


async def test_calls_are_answered_and_the_flow_of_the_house_is_heard(door: Door) -> None:
    call = await FakeAsterisk(door.port, keys=["", "9"]).call()
    assert call.variables["URA_RESULT"] == "queue"
    assert len(call.variables["URA_PROTOCOL"]) == 12
    assert len(door.workers()) == 2


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_worker_killed_or_frozen_is_replaced_and_its_call_goes_on_in_another(
    door: Door, signum: signal.Signals
) -> None:
    uniqueid = f"prosa-1.{signum}"
    _, task, _ = await held(door, uniqueid)
    before, ready = door.workers(), door.said().count("ready")
    for pid in before:
        os.kill(pid, signum)
    lost = await asyncio.wait_for(task, 20)
    assert "URA_RESULT" not in lost.variables
    await door.ready(ready + 2)
    call = await FakeAsterisk(
        door.port, keys=["9"], header=header(agi_uniqueid=uniqueid, agi_network_script="resume")
    ).call()
    assert call.variables["URA_RESULT"] == "queue"
    assert not any("greeting" in file for file in call.heard)
    assert "position" not in door.said()


async def test_while_one_worker_is_blocked_the_other_serves(door: Door) -> None:
    before, ready = door.workers(), door.said().count("ready")
    os.kill(before[0], signal.SIGSTOP)
    calls = await asyncio.gather(
        *(FakeAsterisk(door.port, keys=["", "9"], header=header(agi_uniqueid=f"prosa-5.{n}")).call() for n in range(6))
    )
    assert [call.variables.get("URA_RESULT") for call in calls] == ["queue"] * 6
    await door.ready(ready + 1)
    await door.until(lambda: before[0] not in door.workers())
    assert before[1] in door.workers()


async def test_a_worker_told_to_stop_is_replaced_first(door: Door) -> None:
    before, ready, died = door.workers(), door.said().count("ready"), door.said().count("died")
    os.kill(before[0], signal.SIGTERM)
    await door.ready(ready + 1)
    await door.until(lambda: before[0] not in door.workers())
    assert before[1] in door.workers()
    assert door.said().count("died") == died


async def test_without_its_parent_no_worker_keeps_the_port(door: Door) -> None:
    """The last test with this door: it ends with it."""
    ready = door.said().count("ready")
    door.process.kill()
    door.process.wait()
    again = start(door.log.parent, door.port, PROSA_AGI_WORKERS="1")
    try:
        await door.ready(ready + 1)
    finally:
        again.process.terminate()
        again.process.wait(30)
    assert again.process.returncode == 0


# -- in this process: what a worker does, and what is cleaned up before


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, agi_port=free_port())


@pytest.fixture
def _limits() -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("_limits")
def test_what_an_earlier_run_left_is_cleared_when_it_is_old(settings: Settings) -> None:
    module.prepare(settings)
    old, new = settings.live_dir / "old.json", settings.live_dir / "new.json"
    old.write_text("{}")
    new.write_text("{}")
    os.utime(old, (1, 1))
    module.prepare(settings)
    assert (old.exists(), new.exists()) == (False, True)


class AllPrompts:
    def playable(self, keys: list[str]) -> list[str]:
        return [f"prosa/{key}" for key in keys]

    def can_play(self, key: str) -> bool:
        return True


async def test_a_worker_serves_until_its_parent_is_gone(settings: Settings) -> None:
    sock = module.bind(settings)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    prompts: Any = AllPrompts()
    serving = module.serve(settings, make_engine(settings.db_url), prompts, sock, writing)
    worker = asyncio.create_task(serving)
    call = await FakeAsterisk(settings.agi_port, keys=["", "9"]).call()
    assert call.variables["URA_RESULT"] == "queue"
    while not os.read(reading, 100):
        await asyncio.sleep(0.01)
    os.close(reading)
    await asyncio.wait_for(worker, 20)
    os.close(writing)


async def test_a_worker_that_starts_on_a_disk_that_refuses_serves_and_records_as_soon_as_it_can(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where its folder should be: no journal can be opened, and no protocol number drawn."""
    refusing = [settings.journal_dir, settings.state_dir / "protocol"]
    for folder in refusing:
        folder.write_text("")
    monkeypatch.setattr(routes, "DURABLE_WITHIN_S", 30)  # refused is not slow
    sock = module.bind(settings)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    prompts: Any = AllPrompts()
    serving = module.serve(settings, make_engine(settings.db_url), prompts, sock, writing)
    worker = asyncio.create_task(serving)
    try:
        call = await FakeAsterisk(settings.agi_port, keys=["", "9"]).call()
        assert (call.variables["URA_RESULT"], call.variables["URA_UNRECORDED"]) == ("queue", "yes")
        assert "URA_PROTOCOL" not in call.variables
        for folder in refusing:
            folder.unlink()
        call = await FakeAsterisk(settings.agi_port, keys=["", "9"]).call()
        records = [record for file in journals.files(settings.journal_dir) for record in journals.read(file).records]
        assert records[0].data["protocol"] == call.variables["URA_PROTOCOL"] != ""
    finally:
        os.close(reading)
        await asyncio.wait_for(worker, 20)
        os.close(writing)


def test_a_full_pipe_is_no_reason_to_stop() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b"x" * 4096)
        except BlockingIOError:
            break
    assert module._say(writing, module.BEAT)
    os.close(reading)
    assert not module._say(writing, module.BEAT)
    os.close(writing)


@pytest.fixture
def run_main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    handlers, level = logging.getLogger().handlers, logging.getLogger().level

    def run(**settings: str) -> int:
        for name, value in {"PROSA_STATE_DIR": str(tmp_path), **settings}.items():
            monkeypatch.setenv(name, value)
        return module.main()

    yield run
    logging.getLogger().handlers, logging.getLogger().level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("_limits")
def test_a_port_that_is_taken_is_named_with_its_setting(
    run_main: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BIND_S", 0.15)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_main(PROSA_AGI_PORT=str(port)) == 1
    assert f"127.0.0.1:{port}" in (said := capsys.readouterr().err)
    assert "PROSA_AGI_PORT" in said


def test_a_wrong_setting_is_named(run_main: Callable[..., int]) -> None:
    with pytest.raises(SystemExit, match="agi cannot start: PROSA_AGI_WORKERS: "):
        run_main(PROSA_AGI_WORKERS="0")


@pytest.mark.usefixtures("_limits")
def test_the_parent_runs_with_the_socket_and_the_prompts(
    run_main: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[object, int]] = []

    class Parent:
        def __init__(self, spawn: object, count: int) -> None:
            made.append((spawn, count))

        def run(self) -> None:
            gc.unfreeze()

    monkeypatch.setattr(module, "Parent", Parent)
    assert run_main(PROSA_AGI_PORT=str(free_port()), PROSA_AGI_WORKERS="3") == 0
    assert made[0][1] == 3


def test_nothing_is_left_over_before_the_fork(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    asyncio.run(prepare(settings, Steps(lambda _line: None).step))
    engine, threads = make_engine(settings.db_url), set(threading.enumerate())
    files = set(os.listdir("/proc/self/fd"))
    module.warm_up(settings, engine)
    assert set(threading.enumerate()) == threads
    assert not [fd for fd in set(os.listdir("/proc/self/fd")) - files if Path(f"/proc/self/fd/{fd}").exists()]
    assert list(settings.flows_dir.iterdir()), "the flows in force were read"
