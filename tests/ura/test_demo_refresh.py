"""The demo's stories stay true weeks later, and nothing that is somebody's own is touched."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.factories import NOON, close_ticket
from tests.local_world import LocalWorld, load_local_world
from ura import billing, outages, registry, tickets
from ura.crypto import Keyring
from ura.db import Sessions
from ura.demo import forecasts, load_demo
from ura.demo.refresh import refresh_days
from ura.demo.subscribers import demo_world
from ura.demo.tables import row_id
from ura.erp import ContractStatus, UnlockVerdict
from ura.models import City, Contract, Invoice, InvoiceStatus, Neighbourhood, Outage, Subscriber, TrustUnlock
from ura.settings import Settings

LATER = NOON + timedelta(days=40)  # 2 January: another month, another year


@pytest.fixture
async def world(sessions: Sessions, settings: Settings) -> LocalWorld:
    return await load_local_world(sessions, settings)


async def refresh(world: LocalWorld, now: datetime) -> bool:
    """Both what people read and what callers are told is asked at that moment from here on."""
    world.now, world.world = now, demo_world(now.astimezone(world.settings.zone))
    async with world.sessions.begin() as session:
        return await refresh_days(session, world.keyring, now.astimezone(world.settings.zone))


async def test_weeks_later_every_story_owes_what_it_owed_on_its_first_day(world: LocalWorld) -> None:
    assert await refresh(world, LATER)
    for person in world.world.subscribers:
        found = (await world.erp.find_by_document(person.subscriber.document)).value
        contracts = (await world.erp.list_contracts(found.id)).value
        for contract, demo in zip(contracts, person.contracts, strict=True):
            owed = (await world.erp.open_invoices(contract.id)).value
            assert [(each.due_on, each.amount) for each in owed] == [
                (each.due_on, each.amount) for each in demo.open_invoices
            ]
    blocked = await world.contract("blocked")
    assert (await world.erp.may_unlock(blocked.id)).value.verdict is UnlockVerdict.ALLOWED
    in_order = await world.contract("in_order")
    [invoice] = await world.invoices("in_order")
    assert invoice.due_on == LATER.date() + timedelta(days=10)
    assert (await world.erp.invoice_payload(invoice)).value.line == (
        world.world.story("in_order").contracts[0].invoices[1].payload.line
    )
    assert (await world.erp.connection(in_order)).value.since == LATER - timedelta(hours=75)


async def test_weeks_later_the_unlock_was_this_months_the_ticket_waits_and_the_outage_goes_on(
    world: LocalWorld,
) -> None:
    assert await refresh(world, LATER)
    used = await world.contract("unlock_used")
    assert (await world.erp.may_unlock(used.id)).value.verdict is UnlockVerdict.USED_THIS_PERIOD
    [ticket] = (await world.erp.list_tickets((await world.contract("open_ticket")).id)).value
    assert ticket.opened_at == world.world.story("open_ticket").contracts[0].tickets[0].opened_at
    async with world.sessions() as session:
        [opening] = await tickets.list_events(session, await tickets.get_ticket(session, ticket.reference))
        assert opening.at == ticket.opened_at
        outage = await outages.find_for(session, await world.contract("outage"), now=LATER)
        assert outage
        assert (outage.started_at, outage.ends_at) == (LATER - timedelta(hours=1), LATER + timedelta(hours=3))


async def test_on_the_same_day_and_once_refreshed_nothing_is_written(world: LocalWorld) -> None:
    assert not await refresh(world, NOON + timedelta(hours=9))
    assert await refresh(world, NOON + timedelta(days=1))
    assert not await refresh(world, NOON + timedelta(days=1, hours=2))
    assert not await refresh(world, NOON)  # a clock that was put back


async def rows(world: LocalWorld) -> list[tuple[Any, ...]]:
    async with world.sessions() as session:
        contract = select(Contract.number, Contract.status, Invoice.number, Invoice.due_on, Invoice.line)
        found = await session.execute(contract.join(Invoice, Invoice.contract_id == Contract.id))
        return sorted(tuple(row) for row in found)


@pytest.mark.parametrize(
    "make_real",
    [
        lambda: update(Subscriber).values(name="Pessoa Real"),
        lambda: update(Subscriber).values(document_hash="x" + func.substr(Subscriber.document_hash, 2)),
        lambda: update(Contract).values(number="9" + Contract.number),
        lambda: update(Invoice).values(number="9" + Invoice.number),
        lambda: update(Invoice).values(amount=Invoice.amount + 1),
    ],
    ids=["name", "document", "contract", "invoice", "amount"],
)
async def test_what_only_looks_like_the_demo_is_somebodys_own(world: LocalWorld, make_real: Callable[[], Any]) -> None:
    async with world.sessions.begin() as session:
        await session.execute(make_real().execution_options(synchronize_session=False))
    before = await rows(world)
    assert not await refresh(world, LATER)
    assert await rows(world) == before


async def test_a_real_subscriber_beside_the_demo_keeps_every_day(world: LocalWorld) -> None:
    due_on = NOON.date() - timedelta(days=3)
    async with world.sessions.begin() as session:
        person = {"document": "39053344705", "name": "Ana Real"}
        await registry.save_subscribers(session, world.keyring, [person], now=NOON)
        contract = {"number": "700700", "document": person["document"], "status": ContractStatus.ACTIVE}
        await registry.save_contracts(session, world.keyring, [contract], now=NOON)
        invoice = {"number": "800800", "contract": "700700", "due_on": due_on, "amount": 10}
        await registry.save_invoices(session, [invoice], now=NOON)
        # One more on the demo's own contract, which the demo does not know.
        await registry.save_invoices(session, [invoice | {"number": "800801", "contract": "100101"}], now=NOON)
    assert await refresh(world, LATER)
    kept = [row for row in await rows(world) if row[2] in ("800800", "800801")]
    assert [row[3] for row in kept] == [due_on, due_on]


async def test_what_somebody_paid_closed_or_unlocked_stays_so(world: LocalWorld) -> None:
    used = await world.contract("unlock_used")
    outage_id = row_id(world.world.outages[0].id)
    async with world.sessions.begin() as session:
        await session.execute(update(Invoice).values(status=InvoiceStatus.PAID))
        outage = await outages.get_outage(session, outage_id)
        await outages.close_outage(session, outage, closed_by="noc", now=NOON)
        started_at = outage.started_at
        [ticket] = (await world.erp.list_tickets((await world.contract("open_ticket")).id)).value
        closed = await tickets.get_ticket(session, ticket.reference)
        await close_ticket(session, closed)
        session.add(
            TrustUnlock(
                wish="f" * 32,
                source="local",
                contract_ref=used.id,
                period=billing.period_of(LATER.date()),
                granted_at=LATER,
                until=LATER + timedelta(days=3),
            )
        )
    assert await refresh(world, LATER)
    async with world.sessions() as session:
        assert set(await session.scalars(select(Invoice.status))) == {InvoiceStatus.PAID}
        assert (await session.get_one(Outage, outage_id)).started_at == started_at
        assert (await tickets.get_ticket(session, ticket.reference)).opened_at == ticket.opened_at
        periods = (await session.scalars(select(TrustUnlock.period).order_by(TrustUnlock.period))).all()
        assert periods == ["2026-11", "2027-01"]


async def planned(sessions: Sessions) -> dict[str, date | None]:
    """The three neighbourhoods that the demo has planned, and what callers hear of each."""
    names = [name for _, name in forecasts(NOON.date())]
    async with sessions() as session:
        rows = await session.execute(
            select(Neighbourhood.name, Neighbourhood.forecast_on).where(Neighbourhood.name.in_(names))
        )
        return {name: day for name, day in rows}


async def test_weeks_later_no_forecast_of_the_demo_lies_in_the_past(sessions: Sessions, settings: Settings) -> None:
    """From noon on 23 November 60, 90 and 120 days ahead: February, March, April."""
    async with sessions.begin() as session:
        await load_demo(session, settings, now=NOON)
    first = {
        "Chácara Flora": date(2027, 2, 1),
        "Pedra Grande": date(2027, 3, 1),
        "Recanto dos Pássaros": date(2027, 4, 1),
    }
    assert await planned(sessions) == first
    world = LocalWorld(sessions, settings, Keyring.of(settings))
    assert await refresh(world, NOON + timedelta(days=40))
    assert await planned(sessions) == first
    assert await refresh(world, NOON + timedelta(days=70))  # 1 February: the day has come
    assert await planned(sessions) == first | {"Chácara Flora": date(2027, 5, 1)}


async def test_a_forecast_that_is_somebodys_own_stays_as_it_is(sessions: Sessions, settings: Settings) -> None:
    async with sessions.begin() as session:
        await load_demo(session, settings, now=NOON)
        for name, day in (("Chácara Flora", date(2026, 12, 20)), ("Lagoa Seca", date(2026, 12, 1))):
            own = update(Neighbourhood).where(Neighbourhood.name == name).values(forecast_on=day, status="planned")
            await session.execute(own)
        elsewhere = update(City).where(City.name == "Serra Azul").values(name="Serra Verde")
        await session.execute(elsewhere)
        moved = update(Neighbourhood).where(Neighbourhood.name == "Pedra Grande").values(forecast_on=date(2026, 12, 1))
        await session.execute(moved)
    before = await planned(sessions)
    assert await refresh(LocalWorld(sessions, settings, Keyring.of(settings)), LATER)
    assert await planned(sessions) == before
    async with sessions() as session:
        dry = await session.scalar(select(Neighbourhood.forecast_on).where(Neighbourhood.name == "Lagoa Seca"))
    assert dry == date(2026, 12, 1)
