"""Who waits for us to reach their neighbourhood? Callers hear that we ring them when we do: this keeps the promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import events, queues, upsert
from ura.models import City, Coverage, Lead, LeadStatus, Neighbourhood, WaitingListEntry
from ura.upsert import Row

SALES_QUEUE = "vendas"  # as in the shipped flow


@dataclass(frozen=True, slots=True)
class Demand:
    """How many wait in a neighbourhood, each number once, and since when the first of them has."""

    neighbourhood_id: int
    neighbourhood: str
    city: str
    coverage: Coverage
    forecast_on: date | None
    waiting: int
    first_at: datetime


async def join(session: AsyncSession, rows: Sequence[Row]) -> None:
    await upsert.add_new(session, WaitingListEntry, rows)


async def call_back(session: AsyncSession, *, now: datetime) -> int:
    """Ring everybody whose neighbourhood is covered by now. Returns how many calls are to be made.

    1. Their places on the list are settled, by one statement: two who do this at once do not both get them.
    2. A number is rung once, however often it asked, by the people who sell; its oldest request counts.
    3. The leads that waited are with a person from now on, and due.
    """
    covered = select(Neighbourhood.id).where(Neighbourhood.status == Coverage.COVERED)
    settle = (
        update(WaitingListEntry)
        .where(WaitingListEntry.settled_at.is_(None), WaitingListEntry.neighbourhood_id.in_(covered))
        .values(settled_at=now)
        .returning(WaitingListEntry.id, WaitingListEntry.call_id, WaitingListEntry.phone, WaitingListEntry.created_at)
        .execution_options(synchronize_session=False)
    )
    settled = sorted((await session.execute(settle)).all(), key=lambda entry: (entry.created_at, entry.id))
    if not settled:
        return 0
    first = {entry.phone: entry for entry in reversed(settled) if entry.phone}
    about = {"queue": SALES_QUEUE, "not_before_at": now, "created_at": now}
    calls = [{"id": each.id, "call_id": each.call_id, "phone": each.phone, **about} for each in first.values()]
    await queues.request_callbacks(session, calls)
    if call_ids := [entry.call_id for entry in settled if entry.call_id]:
        gone_on = select(Lead.merged_into_id).where(Lead.call_id.in_(call_ids))
        await session.execute(
            update(Lead)
            .where(or_(Lead.call_id.in_(call_ids), Lead.id.in_(gone_on)), Lead.status == LeadStatus.WAITING)
            .values(status=LeadStatus.FORWARDED, next_action_at=now)
            .execution_options(synchronize_session=False)
        )
    await events.ring(session, {"callbacks": {"ids": [call["id"] for call in calls]}}, now=now)
    return len(calls)


async def demand(session: AsyncSession) -> list[Demand]:
    """Where people wait for us, the most wanted neighbourhood first."""
    people = func.count(WaitingListEntry.phone.distinct())
    query = (
        select(
            Neighbourhood.id,
            Neighbourhood.name,
            City.name,
            Neighbourhood.status,
            Neighbourhood.forecast_on,
            people,
            func.min(WaitingListEntry.created_at),
        )
        .join(Neighbourhood, Neighbourhood.id == WaitingListEntry.neighbourhood_id)
        .join(City, City.id == Neighbourhood.city_id)
        .where(WaitingListEntry.settled_at.is_(None))
        .group_by(Neighbourhood.id, City.name)
        .order_by(people.desc(), Neighbourhood.sort_name, Neighbourhood.id)
    )
    return [Demand(*row) for row in await session.execute(query)]
