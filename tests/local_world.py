"""The demo's subscribers in our own tables: what the local ERP answers from."""

from dataclasses import dataclass, field
from datetime import datetime

from tests.factories import NOON
from ura.adapters.erp.local import LocalErp
from ura.billing import Policy
from ura.crypto import Keyring
from ura.db import Sessions
from ura.demo.subscribers import DemoWorld, demo_world
from ura.demo.tables import load_subscribers
from ura.erp import Answer, Contract, Invoice, Subscriber
from ura.settings import Settings


@dataclass
class LocalWorld:
    """`now` may be moved; the demo's days were counted from NOON."""

    sessions: Sessions
    settings: Settings
    keyring: Keyring
    now: datetime = NOON
    world: DemoWorld = field(default_factory=lambda: demo_world(NOON))

    @property
    def erp(self) -> LocalErp:
        def clock() -> datetime:
            return self.now

        return LocalErp(self.sessions, self.keyring, Policy(), zone=self.settings.zone, clock=clock)

    async def subscriber(self, story: str) -> Subscriber:
        reply = await self.erp.find_by_document(self.world.story(story).subscriber.document)
        assert isinstance(reply, Answer)
        assert reply.value
        return reply.value

    async def contract(self, story: str) -> Contract:
        reply = await self.erp.list_contracts((await self.subscriber(story)).id)
        assert isinstance(reply, Answer)
        return reply.value[0]

    async def invoices(self, story: str) -> tuple[Invoice, ...]:
        reply = await self.erp.open_invoices((await self.contract(story)).id)
        assert isinstance(reply, Answer)
        return reply.value


async def load_local_world(sessions: Sessions, settings: Settings) -> LocalWorld:
    keyring = Keyring.of(settings)
    async with sessions.begin() as session:
        await load_subscribers(session, keyring, NOON)
    return LocalWorld(sessions, settings, keyring)
