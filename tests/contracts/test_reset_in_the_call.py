"""The session is ended at the NAS with the caller's consent, and whether it came back is seen in the same call.

Real: the flow, its conductor, acts and lookups, the journal, the worker's projector and requests, the database, and a
FreeRADIUS with its accounting in PostgreSQL. While the caller waits, the NAS tells what became of the session.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from prosa.example import ExampleProvider
from tests.radius import SECRET, STUBBORN, Nas, freeradius
from tests.scenarios.story import MONDAY_10H, Told, tell
from ura.adapters.accounting import RadiusAccounting
from ura.adapters.erp.local import LocalErp
from ura.adapters.network import Network
from ura.adapters.radius import RadiusReset
from ura.billing import Policy
from ura.caller_lookups import CallerLookups, House
from ura.caller_lookups.line import LOOK_AGAIN_S
from ura.crypto import Keyring
from ura.db import Sessions
from ura.demo.tables import load_subscribers
from ura.erp import Contract, Reply
from ura.models import ErpRequest, Operation
from ura.network import OutageFacts, SignalLimits, Sources
from ura.settings import Settings
from ura.subscribers import Identification, Limits
from worker.erp_requests import ErpRequests
from worker.projector import Projector

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HELENA, LOGIN = "+5511955550101", "helena.prado"
WIFI_DID_NOT_HELP = "2,1,2,2,2,2"
FIRST, SECOND = "s1", "s2"
DATABASE = "radius_in_a_call"

Story = Callable[..., Awaitable[Told]]


@pytest.fixture(scope="module")
def radius(postgres_template: Callable[[str], None], postgres_server: str) -> Iterator[tuple[Nas, str]]:
    """The NAS's side, and where its accounting is."""
    postgres_template(f"CREATE DATABASE {DATABASE}")
    with freeradius("postgresql", int(postgres_server.rpartition(":")[2]), "prosa", DATABASE) as nas:
        yield nas, f"{postgres_server}/{DATABASE}"


async def no_outage(contract: Contract) -> OutageFacts | None:
    return None


class System(LocalErp):
    """Our own tables, and a restart of devices, as SGP and HubSoft have it."""

    reboots_devices = True

    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        return self._answer(contract.access.login == LOGIN)


class Line:
    """Helena's. The clock stands at ten on a Monday, and goes on while she waits for the line to come back."""

    def __init__(self, nas: Nas, settings: Settings) -> None:
        self.now = MONDAY_10H.replace(tzinfo=settings.zone)
        self.news: list[tuple[str, str]] = []
        self._nas = nas

    def tell(self, status: str, session: str, *, ago: timedelta = timedelta()) -> None:
        self._nas.tell(status, LOGIN, session, (self.now - ago).timestamp())

    async def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if seconds < LOOK_AGAIN_S:  # for the worker, which needs its real time
            await asyncio.sleep(seconds)
        elif self.news:
            await asyncio.to_thread(self.tell, *self.news.pop(0))


@asynccontextmanager
async def worker(folder: Path, sessions: Sessions, requests: ErpRequests) -> AsyncIterator[None]:
    projector = Projector(folder, sessions, {"erp_requested": requests.wake})
    running = [asyncio.create_task(projector.run()), asyncio.create_task(requests.run())]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
async def ring(radius: tuple[Nas, str], sessions: Sessions, settings: Settings, tmp_path: Path) -> AsyncIterator[Story]:
    """`await ring("1,1", then=[("Stop", "s1")])`: Helena, whose session has been up for an hour, from the end of the
    Wi-Fi steps on. `then`: what the NAS tells, one thing each time before the session is looked for again.
    `has_secret`: do the NASes take our word?"""
    nas, address = radius
    line = Line(nas, settings)
    keyring, policy = Keyring.of(settings), Policy.of(settings)
    accounting = RadiusAccounting(f"postgresql+psycopg://{address}", now=lambda: line.now)
    erp = System(sessions, keyring, policy, zone=settings.zone, clock=lambda: line.now)
    network = Network(
        Sources(no_outage, sessions=(accounting,), signals=(erp,)),
        SignalLimits(),
        erp,
        radius=RadiusReset(accounting, secret=SECRET, port=nas.coa_port),
        accounting=accounting,
    )
    who = Identification(erp, sessions, keyring, Limits.of(settings), now=lambda: line.now)
    house = House(erp, who, network, sessions, policy, settings.zone)
    of_caller, of_page = CallerLookups(house, now=lambda: line.now, wait=line.wait), ExampleProvider(now=MONDAY_10H)

    async def lookups(name: str, args: dict[str, Any]) -> dict[str, Any]:
        return await (of_caller if name in of_caller.names else of_page.lookup)(name, args)

    async def story(
        keys: str, *, session: str = FIRST, then: Sequence[tuple[str, str]] = (), has_secret: bool = True
    ) -> Told:
        line.tell("Start", session, ago=timedelta(hours=1))
        line.tell("Interim-Update", session, ago=timedelta(minutes=1))
        line.news = list(then)
        if not has_secret:
            network.radius = None
        async with worker(tmp_path / "journal", sessions, ErpRequests(sessions, erp, network)):
            return await tell(f"{WIFI_DID_NOT_HELP},{keys}", tmp_path, caller=HELENA, lookups=lookups)

    with psycopg.connect(f"postgresql://{address}", autocommit=True) as connection:
        connection.execute("TRUNCATE radacct")
    async with sessions.begin() as session:
        await load_subscribers(session, keyring, line.now)
    yield story
    await network.close()


async def asked(sessions: Sessions) -> list[tuple[Operation, dict[str, Any] | None]]:
    async with sessions() as session:
        return [(row.operation, row.result) for row in await session.scalars(select(ErpRequest))]


async def test_a_session_that_is_reset_is_seen_to_be_back_in_the_same_call(ring: Story, sessions: Sessions) -> None:
    told = await ring("1,1", then=[("Stop", FIRST), ("Start", SECOND)])
    told.hears("diagnose.good", "support.wifi.place", "session.consent", "session.waiting")
    told.hears("session.waiting", "session.online", "support.solved_yes", "end.anything_else")
    assert told.queues == []
    assert await asked(sessions) == [(Operation.SESSION_RESET, {"ok": True})]


async def test_a_session_that_does_not_come_back_is_not_said_to_be_back(ring: Story, sessions: Sessions) -> None:
    told = await ring("1", then=[("Stop", FIRST)])
    told.hears("session.waiting", "session.offline", "support.solved_no", "person.transferring")
    assert "session.online" not in told.heard
    assert await asked(sessions) == [(Operation.SESSION_RESET, {"ok": True})]


async def test_a_session_that_the_nas_will_not_end_is_not_waited_for(ring: Story, sessions: Sessions) -> None:
    told = await ring("1", session=STUBBORN)
    told.hears("session.consent", "session.failed", "support.solved_no", "person.transferring")
    assert not {"session.waiting", "session.online"} & set(told.heard)
    assert await asked(sessions) == [(Operation.SESSION_RESET, {"ok": False})]


async def test_without_consent_no_session_is_ended(ring: Story, sessions: Sessions) -> None:
    told = await ring("2")
    told.hears("session.consent", "support.solved_no", "person.transferring")
    assert await asked(sessions) == []


async def test_where_only_the_device_can_be_restarted_that_is_what_is_asked_and_told(
    ring: Story, sessions: Sessions
) -> None:
    told = await ring("1,1", then=[("Stop", FIRST), *[("Stop", FIRST)] * 20, ("Start", SECOND)], has_secret=False)
    told.hears("session.consent_device", "session.waiting_device", "session.online", "support.solved_yes")
    assert not {"session.consent", "session.waiting"} & set(told.heard)
    assert await asked(sessions) == [(Operation.SESSION_RESET, {"ok": True})]
