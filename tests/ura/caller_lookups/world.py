"""The demo's people as a call asks for them, on a clock that only waiting moves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.factories import NOON
from tests.fake_erp import FakeErp
from ura import outages
from ura.billing import Policy
from ura.caller_lookups import CallerLookups, House
from ura.crypto import Keyring
from ura.db import Sessions
from ura.erp import Contract, Invoice, InvoicePayload, Reply, SendChannel
from ura.models import Cause
from ura.network import Diagnosis, Verdict
from ura.outages import Scope
from ura.subscribers import Identification, Limits

Json = Any
ZONE = ZoneInfo("America/Sao_Paulo")
HELENA, HELENAS_CPF, OTAVIO, CELIA = "+5511955550101", "12345678909", "+5511955550102", "+5511955550103"
RAUL, IVONE, MONTEIROS, STRANGER = "+5511955550104", "+551133331105", "+551133331115", "+5511900000000"


@dataclass
class Erp(FakeErp):
    """With what invoices say, and the tickets of the demo."""

    spoil_lines: bool = False

    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        found = next(each for one in self.world.contracts() for each in one.invoices if each.invoice.id == invoice.id)
        payload = found.payload
        if self.spoil_lines:
            payload = InvoicePayload(
                payload.invoice_id,
                line=payload.line[:9] + str((int(payload.line[9]) + 1) % 10) + payload.line[10:],
                pix=payload.pix,
            )
        return await self._ask("invoice_payload", payload)

    async def list_tickets(self, contract_id: str) -> Reply[Any]:
        return await self._ask("list_tickets", self._of(contract_id).tickets)


@dataclass
class Network:
    says: list[Diagnosis] = field(default_factory=lambda: [Diagnosis(Verdict.GOOD)])
    asked: list[str] = field(default_factory=list)
    as_of: datetime | None = None

    async def diagnose(self, contract: Contract, *, as_of: datetime | None = None) -> Diagnosis:
        self.as_of = as_of
        self.asked.append(contract.id)
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]


class World:
    """The house with the demo's people, at noon; time passes when somebody waits."""

    def __init__(self, sessions: Sessions, **house: Any) -> None:
        self.sessions = sessions
        self.erp: Any = house.pop("erp", None) or Erp()
        self.network = house.pop("network", None) or Network()
        self.wanted: list[str] = []
        self.mute: set[str] = set()
        self.now = NOON
        self.on_wait: Callable[[], Awaitable[None]] | None = None
        who = Identification(
            self.erp, sessions, Keyring(["tests"]), Limits(), now=lambda: self.now, wait=self.passes, clock=self._clock
        )
        self.ask = CallerLookups(
            House(
                erp=self.erp,
                identification=who,
                network=self.network,
                sessions=sessions,
                policy=Policy(),
                zone=ZONE,
                can_speak=lambda key: key not in self.mute,
                want_name=self.wanted.append,
                **({"channels": (SendChannel.SMS, SendChannel.EMAIL)} | house),
            ),
            now=lambda: self.now,
            wait=self.passes,
        )

    def _clock(self) -> float:
        return (self.now - NOON).total_seconds()

    async def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.on_wait:
            await self.on_wait()

    async def known(self, phone: str) -> dict[str, Json]:
        """Who calls → the arguments that name the contract."""
        found = await self.ask("who_calls", {"caller": phone})
        return {"subscriber_id": found["subscriber"]["id"], "contract_id": found["contracts"][0]["id"]}


async def outage_at(sessions: Sessions, *scopes: Scope, hours: float | None = 3) -> str:
    async with sessions.begin() as session:
        opened = await outages.open_outage(
            session,
            cause=Cause.FIBRE_CUT,
            scopes=scopes,
            started_at=NOON - timedelta(hours=1),
            ends_at=None if hours is None else NOON + timedelta(hours=hours),
            opened_by="noc",
            now=NOON,
        )
        return opened.id
