"""A guard around any Erp: a deadline for each call, and no calls at all to a system that has stopped answering.

* Five failures in a row open the circuit: for half a minute callers hear at once that the system is away, instead of
  waiting eight seconds each. Then one call is let through; when it is answered the circuit closes.
* Meanwhile who has a number or a document, which contracts there are, and what is sold where, is answered from memory,
  with the moment when it was so in `as_of`. Never what is owed, never whether a line is up, never "nobody".
* Whatever an adapter raises that is not ErpUnavailable is a fault of ours: logged, and ErpUnavailable for the caller.
"""

import asyncio
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ura.erp import (
    Answer,
    Connection,
    Contract,
    Erp,
    ErpPlan,
    ErpTicket,
    ErpUnavailable,
    Invoice,
    InvoicePayload,
    LeadWish,
    Opened,
    Optical,
    OutageNotice,
    Promised,
    Reply,
    SendChannel,
    Served,
    Subscriber,
    Unlock,
    Unsupported,
)

log = structlog.get_logger(__name__)

T = TypeVar("T")
# Below the eight seconds that a call waits: this deadline has to end the question, or it is counted nowhere.
DEADLINE_S = 7.0
# A change is asked for by the worker, who can wait: one that is given up too soon leaves nobody knowing.
CHANGE_DEADLINE_S = 20.0
FAILURES = 5
OPEN_S = 30.0
AT_ONCE = 20
WAITED_LONG = 0.6  # part of the deadline; who hangs up after that has waited for a system that does not answer
REMEMBERED_S = 3600.0
MOST_REMEMBERED = 5000


class Circuit(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"  # one question is let through


class ErpMetrics:
    """`outcome`: answered, unsupported, failed, remembered, refused (the circuit was open)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.calls = Counter(
            "ura_erp_calls", "Questions to the provider's system.", ("source", "operation", "outcome"),
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "ura_erp_seconds", "How long it took to answer, or to fail.", ("source", "operation"),
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 20), registry=self.registry,
        )  # fmt: skip
        self.circuit = Gauge(
            "ura_erp_circuit", "1 for what it is now: closed, open (nobody asks it) or half_open.", ("source", "state"),
            registry=self.registry,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Remembered:
    answer: Answer[Any]
    until: float


class GuardedErp:
    """An Erp. One a process: circuit and memory are its own. `at_once`: more questions than that wait for their turn,
    within their deadline."""

    def __init__(
        self,
        erp: Erp,
        *,
        metrics: ErpMetrics | None = None,
        deadline_s: float = DEADLINE_S,
        change_deadline_s: float = CHANGE_DEADLINE_S,
        failures: int = FAILURES,
        open_s: float = OPEN_S,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._erp = erp
        self._metrics = metrics or ErpMetrics()
        self._deadline_s = deadline_s
        self._change_deadline_s = change_deadline_s
        self._most_failures = failures
        self._open_s = open_s
        self._turns = asyncio.Semaphore(at_once)
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False
        self._memory: OrderedDict[Hashable, _Remembered] = OrderedDict()
        self._show()

    @property
    def name(self) -> str:
        return self._erp.name

    @property
    def takes_promises(self) -> bool:
        return self._erp.takes_promises

    @property
    def reboots_devices(self) -> bool:
        return self._erp.reboots_devices

    @property
    def circuit(self) -> Circuit:
        if self._open_until is None:
            return Circuit.CLOSED
        return Circuit.HALF_OPEN if self._probing else Circuit.OPEN

    async def close(self) -> None:
        """Close the adapter's connections, if it holds any."""
        close = getattr(self._erp, "close", None)
        if close:
            await close()

    # -- asking

    async def _read(self, operation: str, ask: Callable[[], Awaitable[Reply[T]]]) -> Reply[T]:
        return await self._ask(operation, ask, changes=False)

    async def _change(self, operation: str, ask: Callable[[], Awaitable[Reply[T]]]) -> Reply[T]:
        return await self._ask(operation, ask, changes=True)

    async def _known(self, operation: str, argument: Hashable, ask: Callable[[], Awaitable[Reply[T]]]) -> Reply[T]:
        """As `_read`; when that fails, the last answer to the same question. `find_…` and lists that found something
        only: "nobody" may have changed since."""
        key = (operation, argument)
        try:
            reply = await self._ask(operation, ask, changes=False)
        except ErpUnavailable:
            known = self._memory.get(key)
            if known is None or known.until < self._clock():
                raise
            self._count(operation, "remembered")
            return known.answer
        if isinstance(reply, Answer):
            self._remember(key, reply)
        return reply

    def _remember(self, key: Hashable, answer: Answer[Any]) -> None:
        self._memory.pop(key, None)
        if answer.value is not None and answer.value != ():
            self._memory[key] = _Remembered(answer, self._clock() + REMEMBERED_S)
        while self._memory:  # the oldest first
            first = next(iter(self._memory.values()))
            if len(self._memory) <= MOST_REMEMBERED and first.until >= self._clock():
                break
            self._memory.popitem(last=False)

    async def _ask(self, operation: str, ask: Callable[[], Awaitable[Reply[T]]], *, changes: bool) -> Reply[T]:
        probe = self._enter(operation)
        started = self._clock()
        deadline_s = self._change_deadline_s if changes else self._deadline_s
        asked = False
        try:
            async with asyncio.timeout(deadline_s), self._turns:
                asked = True
                reply = await ask()
        except ErpUnavailable:
            self._failed(operation, started)
            raise
        except TimeoutError as error:
            if not asked:  # waited for its turn behind others, which say for themselves how the system is
                self._count(operation, "refused")
                raise ErpUnavailable("too many questions at once") from error
            self._failed(operation, started)
            raise ErpUnavailable("no answer in time", maybe_done=changes) from error
        except asyncio.CancelledError:
            if asked and self._clock() - started >= WAITED_LONG * deadline_s:
                self._failed(operation, started)
            raise
        except Exception as error:
            log.error(
                "an adapter failed; the caller hears that the system is away",
                operation=operation,
                error=type(error).__name__,  # its text may quote an answer
                at=_place(error),
            )
            self._failed(operation, started)
            raise ErpUnavailable("an answer that nobody can read", maybe_done=changes) from error
        else:
            self._answered(operation, started, "unsupported" if isinstance(reply, Unsupported) else "answered")
            return reply
        finally:
            if probe:  # also when the caller hung up meanwhile: then the next one tries
                self._probing = False
            self._show()

    def _enter(self, operation: str) -> bool:
        """True for the one call that tries whether the system is back. Raises ErpUnavailable while the circuit is
        open."""
        if self._open_until is None:
            return False
        if self._probing or self._clock() < self._open_until:
            self._count(operation, "refused")
            raise ErpUnavailable("it has not answered for a while, and is left alone")
        self._probing = True
        self._show()
        return True

    def _answered(self, operation: str, started: float, outcome: str) -> None:
        self._count(operation, outcome)
        self._metrics.seconds.labels(self.name, operation).observe(self._clock() - started)
        if outcome == "unsupported":  # said by the adapter, perhaps without asking anybody
            return
        self._failures = 0
        if self._open_until is not None:
            self._open_until = None
            log.warning("the provider's system answers again", source=self.name)

    def _failed(self, operation: str, started: float) -> None:
        self._count(operation, "failed")
        self._metrics.seconds.labels(self.name, operation).observe(self._clock() - started)
        self._failures += 1
        if self._failures < self._most_failures:
            return
        if self._open_until is None:
            log.error(
                "the provider's system does not answer; callers hear so at once, wishes are kept",
                source=self.name,
                failures=self._failures,
            )
        self._open_until = self._clock() + self._open_s

    def _show(self) -> None:
        for state in Circuit:
            self._metrics.circuit.labels(self.name, state.value).set(state is self.circuit)

    def _count(self, operation: str, outcome: str) -> None:
        self._metrics.calls.labels(self.name, operation, outcome).inc()

    # -- who

    async def find_by_document(self, document: str) -> Reply[Subscriber | None]:
        return await self._known("find_by_document", document, lambda: self._erp.find_by_document(document))

    async def find_by_phone(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        return await self._known("find_by_phone", phone, lambda: self._erp.find_by_phone(phone))

    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]:
        return await self._known("find_by_contract", number, lambda: self._erp.find_by_contract(number))

    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        """Where a contract is does not change; its status does: look at `as_of` before it is spoken of."""
        return await self._known("list_contracts", subscriber_id, lambda: self._erp.list_contracts(subscriber_id))

    # -- money

    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        return await self._read("open_invoices", lambda: self._erp.open_invoices(contract_id))

    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        return await self._read("invoice_payload", lambda: self._erp.invoice_payload(invoice))

    async def send_invoice(
        self, invoice: Invoice, channel: SendChannel, to: str, *, key: str, again: bool = False
    ) -> Reply[bool]:
        return await self._change(
            "send_invoice", lambda: self._erp.send_invoice(invoice, channel, to, key=key, again=again)
        )

    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        return await self._read("may_unlock", lambda: self._erp.may_unlock(contract_id))

    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        return await self._change("trust_unlock", lambda: self._erp.trust_unlock(contract_id, key=key, again=again))

    async def promise(self, contract_id: str, on: date, *, key: str, again: bool = False) -> Reply[Promised]:
        return await self._change("promise", lambda: self._erp.promise(contract_id, on, key=key, again=again))

    # -- service

    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]:
        return await self._change(
            "open_ticket",
            lambda: self._erp.open_ticket(
                contract_id, subject=subject, text=text, protocol=protocol, key=key, again=again
            ),
        )

    async def list_tickets(self, contract_id: str) -> Reply[tuple[ErpTicket, ...]]:
        return await self._read("list_tickets", lambda: self._erp.list_tickets(contract_id))

    async def add_note(self, reference: str, text: str, *, key: str, again: bool = False) -> Reply[Opened]:
        return await self._change("add_note", lambda: self._erp.add_note(reference, text, key=key, again=again))

    async def open_order(
        self, contract_id: str, *, subject: str, text: str, at: datetime | None, key: str, again: bool = False
    ) -> Reply[Opened]:
        return await self._change(
            "open_order",
            lambda: self._erp.open_order(contract_id, subject=subject, text=text, at=at, key=key, again=again),
        )

    async def connection(self, contract: Contract) -> Reply[Connection]:
        return await self._read("connection", lambda: self._erp.connection(contract))

    async def optical(self, contract: Contract) -> Reply[Optical]:
        return await self._read("optical", lambda: self._erp.optical(contract))

    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        return await self._change("reboot_cpe", lambda: self._erp.reboot_cpe(contract, key=key, again=again))

    async def outages(self, contract: Contract) -> Reply[tuple[OutageNotice, ...]]:
        return await self._read("outages", lambda: self._erp.outages(contract))

    async def coverage(self, *, neighbourhood: str = "", cep: str = "") -> Reply[tuple[Served, ...]]:
        return await self._known(
            "coverage", (neighbourhood, cep), lambda: self._erp.coverage(neighbourhood=neighbourhood, cep=cep)
        )

    async def plans(self, neighbourhood: str) -> Reply[tuple[ErpPlan, ...]]:
        return await self._known("plans", neighbourhood, lambda: self._erp.plans(neighbourhood))

    async def open_lead(self, wish: LeadWish, *, key: str, again: bool = False) -> Reply[Opened]:
        return await self._change("open_lead", lambda: self._erp.open_lead(wish, key=key, again=again))

    async def notify_attendant(self, extension: str, phone: str, text: str) -> Reply[bool]:
        return await self._change("notify_attendant", lambda: self._erp.notify_attendant(extension, phone, text))


def _place(error: Exception) -> str:
    """File and line where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"
