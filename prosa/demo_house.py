"""The demo provider with its people, for callers of the simulator: the house's own rules on a database nobody keeps.

Lookups, identification and acts are those of a real call. What other processes do a moment later (the journal's way
into the database, wishes to the provider's system, messages) is done here at once, and nobody waits for a clock.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ura import erp_requests, network, outages, outbox
from ura.acts import Acts, CallFacts
from ura.adapters.erp.local import LocalErp
from ura.billing import Policy
from ura.caller_lookups import CallerLookups, House
from ura.crypto import Keyring
from ura.db import Base, Sessions, make_engine, make_sessions
from ura.demo.tables import load_subscribers
from ura.erp import Contract, Erp, ErpUnavailable, Reply, Unsupported
from ura.errors import BadInput, Unavailable
from ura.flows.conduct import Acts as Performs
from ura.gateways import OFFERED
from ura.journal import Record
from ura.models import OutboxMessage
from ura.network import Diagnosis, OutageFacts, Sources
from ura.projection import apply
from ura.settings import Settings
from ura.subscribers import Identification, Limits
from ura.visits import Policy as VisitPolicy

Json = Any
WORKER = "simulator"


async def _no_time(seconds: float) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the demo, asked of the provider's system and of our own outages. Nothing can be reset from here."""

    sessions: Sessions
    erp: Erp
    now: datetime

    async def diagnose(self, contract: Contract, *, as_of: datetime | None = None) -> Diagnosis:
        sources = Sources(self._outage, notices=(self.erp,), sessions=(self.erp,), signals=(self.erp,))
        return await network.diagnose(contract, sources, now=self.now, as_of=as_of)

    async def _outage(self, contract: Contract) -> OutageFacts | None:
        async with self.sessions() as session:
            found = await outages.find_for(session, contract, now=self.now)
        return OutageFacts(found.id, found.cause.value, found.started_at, found.ends_at) if found else None

    async def reset(self, contract: Contract, *, key: str) -> Reply[bool]:
        return Unsupported(self.erp.name, "session_reset")


class DemoHouse:
    """`now`: aware, in the provider's zone. `erp`: another system than our own tables. `gateway`: does it confirm?"""

    def __init__(
        self, sessions: Sessions, settings: Settings, now: datetime, *, erp: Erp | None = None, gateway: bool = True
    ) -> None:
        keyring, policy = Keyring.of(settings), Policy.of(settings)
        self._sessions = sessions
        self._keyring = keyring
        self._now = now
        self._zone = settings.zone
        self._gateway = gateway
        self._erp: Erp = erp or LocalErp(sessions, keyring, policy, zone=settings.zone, clock=lambda: now)
        self._line = _Line(sessions, self._erp, now)
        who = Identification(self._erp, sessions, keyring, Limits.of(settings), now=lambda: now, wait=_no_time)
        visits = VisitPolicy.of(settings)
        house = House(self._erp, who, self._line, sessions, policy, settings.zone, OFFERED, visit_policy=visits)
        self.lookups = CallerLookups(house, now=lambda: now, wait=_no_time)

    async def move_in(self) -> None:
        """The demo's people, into an empty database."""
        async with self._sessions.begin() as session:
            await load_subscribers(session, self._keyring, self._now)

    def acts(self, call: CallFacts, *, broken: Collection[str] = ()) -> Performs:
        """What this call changes is changed when it returns. `broken`: acts that the disk refuses."""
        written = Acts(_AtOnce(self), call, zone=self._zone, now=lambda: self._now)

        async def act(name: str, args: dict[str, Json], *, key: str) -> dict[str, Json]:
            if name in broken:
                raise Unavailable(f"{name} cannot be written down")
            return await written(name, args, key=key)

        return act

    async def take(self, record: Record) -> None:
        async with self._sessions.begin() as session:
            await apply(session, record)
        if record.kind == "erp_requested":
            await self._ask_erp()
        if record.kind == "message_queued" and self._gateway:
            await self._send()

    async def _ask_erp(self) -> None:
        async with self._sessions.begin() as session:
            claimed = await erp_requests.claim(session, worker=WORKER, now=self._now, limit=10)
        for request in claimed:
            try:
                result: dict[str, Json] | ErpUnavailable = await erp_requests.perform(
                    self._erp, self._line, request, now=self._now
                )
            except (ErpUnavailable, BadInput) as error:
                result = error if isinstance(error, ErpUnavailable) else ErpUnavailable(error.message)
            async with self._sessions.begin() as session:
                if isinstance(result, ErpUnavailable):
                    await erp_requests.put_off(session, request, result, now=self._now)
                else:
                    await erp_requests.settle(session, request, result, now=self._now, source=self._erp.name)

    async def _send(self) -> None:
        async with self._sessions.begin() as session:
            for message in await outbox.claim(session, worker=WORKER, now=self._now + timedelta(seconds=1)):
                await outbox.mark_sent(session, message, now=self._now)

    async def messages(self) -> list[OutboxMessage]:
        """Everything that this house has sent, or would."""
        async with self._sessions() as session:
            return list((await outbox.list_messages(session)).items)


class _AtOnce:
    """A journal that is applied whenever it is made durable."""

    def __init__(self, house: DemoHouse) -> None:
        self._house = house
        self._records: list[Record] = []

    def append(self, kind: str, key: str, data: dict[str, Any]) -> None:
        self._records.append(Record(kind, key, data["at"], data))

    async def sync(self) -> None:
        records, self._records = self._records, []
        for record in records:
            await self._house.take(record)


@asynccontextmanager
async def open_house(settings: Settings, now: datetime) -> AsyncIterator[DemoHouse]:
    with TemporaryDirectory(prefix="prosa-demo-") as folder:
        file = Path(folder) / "demo.db"
        file.touch()  # the house opens what is there, and makes none
        engine = make_engine(f"sqlite+aiosqlite:///{file}")
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            house = DemoHouse(make_sessions(engine), settings, now)
            await house.move_in()
            yield house
        finally:
            await engine.dispose()
