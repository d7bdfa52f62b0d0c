"""The demo's subscribers as data: who they are, what they owe and how their line is, at a given moment.

    world = demo_world(datetime.now(settings.zone))
    world.story("blocked").contracts[0].invoices

The local tables are filled from it and the ERP simulators answer from it, so one story can be told on every system.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ura.demo import payments
from ura.erp import (
    Access,
    Connection,
    Contract,
    ContractStatus,
    ErpTicket,
    Invoice,
    InvoicePayload,
    Kind,
    Optical,
    SessionState,
    Subscriber,
)

CPF_LENGTH = 11
UNLOCK_LASTS = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class DemoInvoice:
    """`paid`: no longer open; a system that still lists it is wrong."""

    invoice: Invoice
    payload: InvoicePayload
    paid: bool = False


@dataclass(frozen=True, slots=True)
class DemoUnlock:
    """A trust unlock that was granted and has run out."""

    granted_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class DemoContract:
    contract: Contract
    connection: Connection
    optical: Optical
    invoices: tuple[DemoInvoice, ...] = ()
    tickets: tuple[ErpTicket, ...] = ()
    unlock: DemoUnlock | None = None

    @property
    def open_invoices(self) -> tuple[Invoice, ...]:
        """As `Erp.open_invoices` has to give them: overdue first, then by due date."""
        return tuple(sorted((each.invoice for each in self.invoices if not each.paid), key=lambda one: one.due_on))


@dataclass(frozen=True, slots=True)
class DemoSubscriber:
    story: str
    subscriber: Subscriber = field(repr=False)
    contracts: tuple[DemoContract, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoOutage:
    """In progress since `began_at`; `contract_ids`: whom it touches."""

    id: str
    city: str
    neighbourhood: str
    olt: str
    pon: str
    cause: str
    began_at: datetime
    ends_at: datetime
    contract_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """`now`: the moment that everything was counted from."""

    now: datetime
    subscribers: tuple[DemoSubscriber, ...]
    outages: tuple[DemoOutage, ...]

    def story(self, name: str) -> DemoSubscriber:
        """The (first) subscriber with this story. Raises LookupError."""
        for each in self.subscribers:
            if each.story == name:
                return each
        raise LookupError(f"no story {name!r} in the demo")

    def contracts(self) -> Iterator[DemoContract]:
        return (contract for each in self.subscribers for contract in each.contracts)

    def outages_of(self, contract_id: str) -> tuple[DemoOutage, ...]:
        return tuple(outage for outage in self.outages if contract_id in outage.contract_ids)


def demo_world(now: datetime) -> DemoWorld:
    """`now`: aware, in the provider's zone: its date is "today"."""
    if now.tzinfo is None:
        raise ValueError("the demo needs a moment with its time zone")
    document = _document()
    payee = document["payee"]
    return DemoWorld(
        now=now,
        subscribers=tuple(_subscriber(each, payee, now) for each in document["subscribers"]),
        outages=tuple(_outage(each, now) for each in document["outages"]),
    )


def streets() -> list[str]:
    """Every street of the demo, once: what callers hear when they are asked which contract it is about."""
    return list(
        dict.fromkeys(one["place"]["street"] for each in _document()["subscribers"] for one in each["contracts"])
    )


@cache
def _document() -> Mapping[str, Any]:
    document: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return document


def _subscriber(given: Mapping[str, Any], payee: Mapping[str, str], now: datetime) -> DemoSubscriber:
    subscriber = Subscriber(
        id=given["id"],
        name=given["name"],
        document=given["document"],
        kind=Kind.PERSON if len(given["document"]) == CPF_LENGTH else Kind.COMPANY,
        birth_year=given.get("birth_year"),
        phones=tuple(given["phones"]),
        emails=tuple(given["emails"]),
    )
    contracts = tuple(_contract(each, given["id"], payee, now) for each in given["contracts"])
    return DemoSubscriber(given["story"], subscriber, contracts)


def _contract(given: Mapping[str, Any], subscriber_id: str, payee: Mapping[str, str], now: datetime) -> DemoContract:
    contract = Contract(
        id=given["id"],
        subscriber_id=subscriber_id,
        number=given["number"],
        status=ContractStatus(given["status"]),
        plan=given["plan"],
        segment=given.get("segment", "home"),
        access=Access(**given["access"]),
        **given["place"],
    )
    return DemoContract(
        contract=contract,
        connection=_connection(given["connection"], now),
        optical=Optical(**given["optical"]),
        invoices=tuple(_invoice(each, contract, payee, now) for each in given["invoices"]),
        tickets=tuple(
            ErpTicket(ticket["id"], ticket["subject"], now - timedelta(days=ticket["days"]))
            for ticket in given.get("tickets", [])
        ),
        unlock=_unlock(now) if given.get("unlocked") == "this_month" else None,
    )


def _connection(given: Mapping[str, Any], now: datetime) -> Connection:
    since = now - timedelta(hours=given["hours"]) if "hours" in given else None
    return Connection(SessionState(given["state"]), since)


def _invoice(given: Mapping[str, Any], contract: Contract, payee: Mapping[str, str], now: datetime) -> DemoInvoice:
    due_on = now.date() + timedelta(days=given["due"])
    amount = Decimal(given["amount"])
    reference = contract.number + given["id"]
    if given.get("line") == "collection":
        line = payments.collection_line(amount=amount, reference=reference)
    else:
        line = payments.bank_line(bank=payee["bank"], due_on=due_on, amount=amount, reference=reference)
    pix = payments.pix_text(
        key=payee["pix_key"], name=payee["name"], city=payee["city"], amount=amount, reference=reference
    )
    return DemoInvoice(
        invoice=Invoice(given["id"], contract.id, due_on, amount),
        payload=InvoicePayload(given["id"], line=line, pix=pix),
        paid=given.get("paid", False),
    )


def _unlock(now: datetime) -> DemoUnlock:
    """On the month's first day, and over by now, also when today is that day."""
    granted_at = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return DemoUnlock(granted_at, min(granted_at + UNLOCK_LASTS, now))


def _outage(given: Mapping[str, Any], now: datetime) -> DemoOutage:
    return DemoOutage(
        id=given["id"],
        city=given["city"],
        neighbourhood=given["neighbourhood"],
        olt=given["olt"],
        pon=given["pon"],
        cause=given["cause"],
        began_at=now + timedelta(hours=given["hours"]),
        ends_at=now + timedelta(hours=given["ends_in_hours"]),
        contract_ids=tuple(given["contracts"]),
    )
