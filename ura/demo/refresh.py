"""The demo's days counted anew from today, so that its stories stay true on an installation that is tried for weeks.

Only rows that are the demo's own, and of them only what tells a day: a contract with the demo's number whose subscriber
has the demo's document and name, its invoices with the demo's number and amount, what the demo itself opened, the
forecast of a neighbourhood that the demo has planned, once it is over. What somebody has changed, closed or imported
stays as it is.
"""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import billing
from ura.crypto import Keyring
from ura.demo import forecasts
from ura.demo.subscribers import DemoContract, DemoInvoice, DemoUnlock, DemoWorld, demo_world
from ura.demo.tables import ACTOR, SOURCE, row_id
from ura.models import (
    Access,
    City,
    Contract,
    Coverage,
    Invoice,
    Neighbourhood,
    Outage,
    Subscriber,
    Ticket,
    TicketEvent,
    TicketStatus,
    TrustUnlock,
)


async def refresh_days(session: AsyncSession, keyring: Keyring, now: datetime) -> bool:
    """`now`: aware, in the provider's zone. False: no invoice of the demo is a day old, or it has none here."""
    world = demo_world(now)
    own = await _own_contracts(session, keyring, world)
    invoices = await _own_invoices(session, own)
    if not any(row.due_on < each.invoice.due_on for row, each in invoices):
        return False
    for row, each in invoices:
        row.due_on, row.line, row.updated_at = each.invoice.due_on, each.payload.line, now
    for contract_id, demo in own.items():
        line = update(Access).where(Access.contract_id == contract_id, Access.login == demo.contract.access.login)
        await session.execute(line.values(session_since=demo.connection.since))
        if demo.unlock:
            await _move_unlock(session, str(contract_id), demo.unlock)
        await _move_tickets(session, str(contract_id), demo)
    await _move_outages(session, world)
    await _move_forecasts(session, now.date())
    await session.flush()
    return True


async def _own_contracts(session: AsyncSession, keyring: Keyring, world: DemoWorld) -> Mapping[int, DemoContract]:
    found: dict[int, DemoContract] = {}
    for each in world.subscribers:
        query = select(Contract.number, Contract.id).join(Subscriber, Subscriber.id == Contract.subscriber_id)
        query = query.where(
            Subscriber.document_hash.in_(keyring.indexes(each.subscriber.document)),
            Subscriber.name == each.subscriber.name,
        )
        ids = {number: contract_id for number, contract_id in await session.execute(query)}
        found |= {ids[demo.contract.number]: demo for demo in each.contracts if demo.contract.number in ids}
    return found


async def _own_invoices(session: AsyncSession, own: Mapping[int, DemoContract]) -> list[tuple[Invoice, DemoInvoice]]:
    demo = {(ref, each.invoice.id): each for ref, contract in own.items() for each in contract.invoices}
    rows = await session.scalars(select(Invoice).where(Invoice.contract_id.in_(own)))
    pairs = [(row, demo[row.contract_id, row.number]) for row in rows if (row.contract_id, row.number) in demo]
    return [(row, each) for row, each in pairs if row.amount == each.invoice.amount]


async def _move_unlock(session: AsyncSession, contract_ref: str, unlock: DemoUnlock) -> None:
    """Into this month, unless somebody has unlocked this contract in it."""
    period = billing.period_of(unlock.granted_at.date())
    if await billing.find_unlock(session, source=SOURCE, contract_ref=contract_ref, period=period) is None:
        own = update(TrustUnlock).where(
            TrustUnlock.wish == row_id(contract_ref),
            TrustUnlock.source == SOURCE,
            TrustUnlock.contract_ref == contract_ref,
        )
        await session.execute(own.values(period=period, granted_at=unlock.granted_at, until=unlock.until))


async def _move_tickets(session: AsyncSession, contract_ref: str, demo: DemoContract) -> None:
    for ticket in demo.tickets:
        own = update(Ticket).where(
            Ticket.id == row_id(ticket.reference),
            Ticket.opened_by == ACTOR,
            Ticket.contract_ref == contract_ref,
            Ticket.status == TicketStatus.OPEN,
        )
        moved = await session.scalar(own.values(opened_at=ticket.opened_at).returning(Ticket.id))
        if moved:
            opening = update(TicketEvent).where(TicketEvent.id == moved, TicketEvent.actor == ACTOR)
            await session.execute(opening.values(at=ticket.opened_at))


async def _move_outages(session: AsyncSession, world: DemoWorld) -> None:
    for each in world.outages:
        own = update(Outage).where(Outage.id == row_id(each.id), Outage.opened_by == ACTOR, Outage.closed_at.is_(None))
        await session.execute(own.values(started_at=each.began_at, ends_at=each.ends_at))


async def _move_forecasts(session: AsyncSession, today: date) -> None:
    """Only those that lie behind us, and on the first of a month, as all of the demo's."""
    expected = forecasts(today)
    over = (
        select(Neighbourhood, City.name)
        .join(City, City.id == Neighbourhood.city_id)
        .where(Neighbourhood.status == Coverage.PLANNED, Neighbourhood.forecast_on <= today)
    )
    for place, city in await session.execute(over):
        if place.forecast_on and place.forecast_on.day == 1 and (city, place.name) in expected:
            place.forecast_on = expected[city, place.name]
