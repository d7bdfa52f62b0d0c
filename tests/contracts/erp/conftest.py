"""The four simulators, real servers in a process of their own, and the adapters that ask them."""

import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from prosa.erp_sim.serve import SETTINGS
from prosa.erp_sim.world import ZONE
from tests.conftest import free_port, run_apart
from tests.contracts.erp.rigs import FakeLedger, Rig
from ura.adapters.erp import LocalErp, remote_erp
from ura.billing import Policy
from ura.crypto import Keyring
from ura.db import make_engine, make_sessions
from ura.demo import load_demo
from ura.demo.subscribers import DemoWorld, demo_world
from ura.settings import ROOT, Settings

REMOTE = ("sgp", "hubsoft", "ixc", "mkauth")
READY_S = 30
SECRET = "of-the-tests-and-nobody-else-0000"


@dataclass(frozen=True)
class Simulator:
    url: str
    control: httpx.Client


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Simulator]]:
    log = tmp_path_factory.mktemp("simulators") / "log"
    found: dict[str, Simulator] = {}
    command = [sys.executable, "-m", "tests.contracts.erp.servers"]
    for name in REMOTE:
        port, control = free_port(), free_port()
        command.append(f"{name}:{port}:{control}")
        client = httpx.Client(base_url=f"http://127.0.0.1:{control}", timeout=10, trust_env=False)
        found[name] = Simulator(f"http://127.0.0.1:{port}", client)
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
    try:
        for simulator in found.values():
            _wait_for(simulator, process, log)
        yield found
    finally:
        for simulator in found.values():
            simulator.control.close()
        process.kill()
        process.wait(10)


def _wait_for(simulator: Simulator, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + READY_S
    while True:
        try:
            simulator.control.post("/_sim/reset").raise_for_status()
            return
        except httpx.HTTPError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)


@pytest.fixture
def world() -> DemoWorld:
    return demo_world(datetime.now(ZONE))


@pytest.fixture(params=REMOTE)
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def remote_rig(system: str, simulators: dict[str, Simulator], world: DemoWorld) -> AsyncIterator[Rig]:
    simulator = simulators[system]
    given = {name.removeprefix("PROSA_").lower(): text for name, text in SETTINGS[system].items()}
    settings = Settings(erp=system, erp_url=simulator.url, **given)
    rig = Rig(system, remote_erp(settings, ledger=FakeLedger(world)), simulator.control, world)
    rig.reset()
    yield rig
    await rig.erp.close()


@pytest.fixture
async def rig(system: str, simulators: dict[str, Simulator], world: DemoWorld) -> AsyncIterator[Rig]:
    """One system, as new."""
    async with remote_rig(system, simulators, world) as rig:
        yield rig


@pytest.fixture
async def rigs(simulators: dict[str, Simulator], world: DemoWorld) -> AsyncIterator[list[Rig]]:
    """All four, as new: what waits for a deadline does so for all of them at once."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(remote_rig(system, simulators, world)) for system in REMOTE]


@pytest.fixture(scope="session")
def demo_database(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own tables with the demo's subscribers in them."""
    file = tmp_path_factory.mktemp("demo") / "demo.db"
    shutil.copyfile(sqlite_template, file)

    async def fill() -> None:
        engine = make_engine(f"sqlite+aiosqlite:///{file}")
        async with make_sessions(engine).begin() as session:
            assert await load_demo(session, Settings(secret_key=SECRET))
        await engine.dispose()

    run_apart(fill())
    return file


@pytest.fixture(params=("local", *REMOTE))
async def any_rig(
    request: pytest.FixtureRequest, simulators: dict[str, Simulator], world: DemoWorld, tmp_path: Path
) -> AsyncIterator[Rig]:
    """One system, as new, or our own tables."""
    if request.param != "local":
        async with remote_rig(request.param, simulators, world) as rig:
            yield rig
        return
    file = tmp_path / "demo.db"
    shutil.copyfile(request.getfixturevalue("demo_database"), file)
    engine = make_engine(f"sqlite+aiosqlite:///{file}")
    settings = Settings(secret_key=SECRET)
    erp = LocalErp(make_sessions(engine), Keyring.of(settings), Policy.of(settings), zone=settings.zone)
    yield Rig("local", erp, None, world)
    await engine.dispose()
