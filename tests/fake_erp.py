"""A provider's system in memory that knows the demo's people: FakeErp(down=True), FakeErp(cannot={"promise"})."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.factories import NOON
from ura.demo.subscribers import DemoWorld, demo_world
from ura.erp import (
    Answer,
    Connection,
    Contract,
    ContractStatus,
    ErpUnavailable,
    Invoice,
    Opened,
    Optical,
    OutageNotice,
    Reply,
    Subscriber,
    Unlock,
    UnlockVerdict,
    Unsupported,
)

CHANGES = {"trust_unlock", "promise", "open_ticket", "add_note", "open_order", "reboot_cpe", "send_invoice"}


@dataclass
class FakeErp:
    """`takes`: what an operation waits for first (a clock of the test, or for ever). `asked`: how often each operation
    was. `unlocks`: contracts unlocked, and how often: this system has no limit of its own. `loses_answer`: a change is
    made, and then the line breaks. `notices`: outages, by the contract that they touch. `opened`: tickets and orders,
    by the wish."""

    now: datetime = NOON
    name: str = "fake"
    down: bool = False
    broken: Exception | None = None
    loses_answer: bool = False
    cannot: set[str] = field(default_factory=set)
    takes: Callable[[str], Awaitable[None]] | None = None
    asked: Counter[str] = field(default_factory=Counter)
    unlocks: Counter[str] = field(default_factory=Counter)
    notices: dict[str, tuple[OutageNotice, ...]] = field(default_factory=dict)
    opened: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world: DemoWorld = demo_world(self.now)

    @property
    def takes_promises(self) -> bool:
        return "promise" not in self.cannot

    async def _ask(self, operation: str, value: Any) -> Reply[Any]:
        self.asked[operation] += 1
        if self.takes:
            await self.takes(operation)
        if self.broken:
            raise self.broken
        if self.down:
            raise ErpUnavailable("down", maybe_done=operation in CHANGES)
        if operation in self.cannot:
            return Unsupported(self.name, operation)
        return Answer(value, self.name, self.now)

    async def find_by_document(self, document: str) -> Reply[Subscriber | None]:
        found = [each.subscriber for each in self.world.subscribers if each.subscriber.document == document]
        return await self._ask("find_by_document", found[0] if found else None)

    async def find_by_phone(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        found = tuple(each.subscriber for each in self.world.subscribers if phone in each.subscriber.phones)
        return await self._ask("find_by_phone", found)

    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]:
        found = [
            each.subscriber
            for each in self.world.subscribers
            for contract in each.contracts
            if contract.contract.number == number
        ]
        return await self._ask("find_by_contract", found[0] if found else None)

    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        found = tuple(each.contract for each in self.world.contracts() if each.contract.subscriber_id == subscriber_id)
        return await self._ask("list_contracts", found)

    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        found = [each for each in self.world.contracts() if each.contract.id == contract_id]
        return await self._ask("open_invoices", found[0].open_invoices if found else ())

    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        return await self._ask("may_unlock", Unlock(self._may(contract_id)))

    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        verdict = self._may(contract_id)
        if verdict is not UnlockVerdict.ALLOWED:
            return await self._ask("trust_unlock", Unlock(verdict))
        reply = await self._ask("trust_unlock", Unlock(UnlockVerdict.GRANTED, self.now + timedelta(days=1), "778899"))
        self.unlocks[contract_id] += 1
        if self.loses_answer:
            raise ErpUnavailable("the line broke", maybe_done=True)
        return reply

    async def connection(self, contract: Contract) -> Reply[Connection]:
        return await self._ask("connection", self._of(contract.id).connection)

    async def outages(self, contract: Contract) -> Reply[tuple[OutageNotice, ...]]:
        return await self._ask("outages", self.notices.get(contract.id, ()))

    async def optical(self, contract: Contract) -> Reply[Optical]:
        return await self._ask("optical", self._of(contract.id).optical)

    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]:
        return await self._open("open_ticket", key, contract_id, subject, text, protocol)

    async def open_order(
        self, contract_id: str, *, subject: str, text: str, at: datetime | None, key: str, again: bool = False
    ) -> Reply[Opened]:
        return await self._open("open_order", key, contract_id, subject, text, at)

    async def _open(self, operation: str, key: str, *what: Any) -> Reply[Opened]:
        known = list(self.opened)
        number = known.index(key) if key in known else len(known)
        reply = await self._ask(operation, Opened(f"ERP-{number + 1}"))
        if isinstance(reply, Answer):
            self.opened[key] = what
        if self.loses_answer:
            raise ErpUnavailable("the line broke", maybe_done=True)
        return reply

    def _of(self, contract_id: str) -> Any:
        return next(each for each in self.world.contracts() if each.contract.id == contract_id)

    def _may(self, contract_id: str) -> UnlockVerdict:
        found = [each for each in self.world.contracts() if each.contract.id == contract_id]
        if not found:
            return UnlockVerdict.UNKNOWN_CONTRACT
        blocked = found[0].contract.status is ContractStatus.BLOCKED
        return UnlockVerdict.ALLOWED if blocked else UnlockVerdict.NOT_BLOCKED


async def for_ever(_operation: str) -> None:
    await asyncio.Event().wait()
