"""The demo's subscribers into our own tables: contracts, invoices, the used unlock, the open ticket, the outage."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from ura import billing, outages, registry, tickets
from ura.crypto import Keyring
from ura.demo.subscribers import DemoContract, DemoWorld, demo_world
from ura.models import Audience, Category, Cause, InvoiceStatus, TrustUnlock
from ura.outages import Scope

SOURCE = "local"
ACTOR = "demo"


async def load_subscribers(session: AsyncSession, keyring: Keyring, now: datetime) -> None:
    """`now`: aware, in the provider's zone; the demo's days are counted from it."""
    world = demo_world(now)
    people = [each.subscriber for each in world.subscribers]
    subscribers = [
        {
            "document": one.document,
            "name": one.name,
            "birth_year": one.birth_year,
            "phones": one.phones,
            "emails": list(one.emails),
        }
        for one in people
    ]
    await registry.save_subscribers(session, keyring, subscribers, now=now)
    documents = {one.id: one.document for one in people}
    contracts = list(world.contracts())
    await registry.save_contracts(session, keyring, [_contract(each, documents) for each in contracts], now=now)
    await registry.save_invoices(session, [row for each in contracts for row in _invoices(each)], now=now)
    ids = await registry.known_contracts(session, [each.contract.number for each in contracts])
    for each in contracts:
        await _history(session, each, str(ids[each.contract.number]))
    await _open_outages(session, world)


def _contract(demo: DemoContract, documents: Mapping[str, str]) -> dict[str, object]:
    contract, optical = demo.contract, demo.optical
    return {
        "number": contract.number,
        "document": documents[contract.subscriber_id],
        "status": contract.status,
        "street": contract.street,
        "house": contract.house,
        "neighbourhood": contract.neighbourhood,
        "city": contract.city,
        "plan": contract.plan,
        "segment": Audience(contract.segment),
        **asdict(contract.access),
        "session_state": demo.connection.state,
        "session_since": demo.connection.since,
        "rx_dbm": optical.rx_dbm,
        "los": optical.los,
    }


def _invoices(demo: DemoContract) -> list[dict[str, object]]:
    return [
        {
            "number": each.invoice.id,
            "contract": demo.contract.number,
            "due_on": each.invoice.due_on,
            "amount": each.invoice.amount,
            "status": InvoiceStatus.PAID if each.paid else InvoiceStatus.OPEN,
            "line": each.payload.line,
            "pix": each.payload.pix,
        }
        for each in demo.invoices
    ]


async def _history(session: AsyncSession, demo: DemoContract, contract_ref: str) -> None:
    if demo.unlock:
        session.add(
            TrustUnlock(
                wish=row_id(contract_ref),
                source=SOURCE,
                contract_ref=contract_ref,
                period=billing.period_of(demo.unlock.granted_at.date()),
                granted_at=demo.unlock.granted_at,
                until=demo.unlock.until,
            )
        )
    for ticket in demo.tickets:
        assert ticket.opened_at
        await tickets.open_ticket(
            session,
            ticket_id=row_id(ticket.reference),
            protocol="",
            category=Category.SUPPORT,
            summary=ticket.subject,
            phone="",
            queue="",
            opened_by=ACTOR,
            now=ticket.opened_at,
            contract_ref=contract_ref,
        )


async def _open_outages(session: AsyncSession, world: DemoWorld) -> None:
    for each in world.outages:
        await outages.open_outage(
            session,
            outage_id=row_id(each.id),
            cause=Cause.FIBRE_CUT,
            scopes=[Scope(neighbourhood=each.neighbourhood, city=each.city), Scope(olt=each.olt, pon=each.pon)],
            started_at=each.began_at,
            ends_at=each.ends_at,
            opened_by=ACTOR,
            now=world.now,
            note=each.cause,
        )


def row_id(text: str) -> str:
    """Our ids have 32 signs."""
    return text.rjust(32, "0")
