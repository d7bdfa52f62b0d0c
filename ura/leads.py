"""People who asked for a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import cast

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from ura import domain_events, paging, upsert
from ura.errors import NotFound
from ura.models import (
    Call,
    Callback,
    City,
    EventKind,
    Lead,
    LeadSource,
    LeadStatus,
    Neighbourhood,
    Outcome,
    Plan,
    Ticket,
)
from ura.paging import Page
from ura.upsert import Row

SETTLES_WITHIN = timedelta(minutes=2)  # by then all records of a call are here
LOOK_BACK = timedelta(days=30)


class LeadNotFound(NotFound):
    code = "lead-not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadFilter:
    """`due_at`: only those whose next action is due at this moment, the longest due first."""

    status: LeadStatus | None = None
    phone: str = ""
    call_id: str = ""
    neighbourhood_id: int | None = None
    owner: str = ""
    source: LeadSource | None = None
    due_at: datetime | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


async def save_leads(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Insert or bring up to date, by id. Rows have all columns of Lead.

    What the newer record says counts; what it leaves open stays as it was. An older one that comes late fills gaps.
    """
    await upsert.execute(session, _save(upsert.dialect(session)), rows)


@lru_cache
def _save(dialect: str) -> upsert.Insert:
    insert = upsert.insert(dialect, Lead)
    new = insert.excluded
    newer = new.updated_at >= Lead.updated_at
    changes = {
        name: case((newer, func.coalesce(new[name], old)), else_=func.coalesce(old, new[name]))
        for name in ("call_id", "audience", "city_id", "neighbourhood_id", "plan_id")
        for old in [getattr(Lead, name)]
    }
    changes["phone"] = case((newer & (new.phone != ""), new.phone), (Lead.phone == "", new.phone), else_=Lead.phone)
    for name in ("status", "wants_message", "updated_at"):
        changes[name] = case((newer, new[name]), else_=getattr(Lead, name))
    changes["created_at"] = case((new.created_at < Lead.created_at, new.created_at), else_=Lead.created_at)
    return insert.on_conflict_do_update(index_elements=["id"], set_=changes)


async def close_left_open(session: AsyncSession, *, now: datetime) -> int:
    """Calls that are over leave no sale open. Returns how many leads became `abandoned`:

    1. still `new` or `interested`: the process that had the call died before it could say so;
    2. `forwarded` to a queue, where the caller hung up before anybody answered, with no callback and no ticket, as
       long as nobody has taken it over.

    `updated_at` stays: a record of the call that comes later than this still has the last word.
    """
    over = select(Call.id).where(Call.id == Lead.call_id, Call.ended_at < now - SETTLES_WITHIN)
    unanswered = over.where(Call.outcome == Outcome.QUEUE, Call.answered_at.is_(None))
    promised = or_(
        select(Callback.id).where(Callback.call_id == Lead.call_id).exists(),
        select(Ticket.id).where(Ticket.call_id == Lead.call_id).exists(),
    )
    change = (
        update(Lead)
        .where(
            Lead.created_at >= now - LOOK_BACK,
            or_(
                and_(Lead.status.in_([LeadStatus.NEW, LeadStatus.INTERESTED]), over.exists()),
                and_(Lead.status == LeadStatus.FORWARDED, Lead.owner == "", unanswered.exists(), ~promised),
            ),
        )
        .values(status=LeadStatus.ABANDONED)
        .returning(Lead.id)
        .execution_options(synchronize_session=False)
    )
    closed = (await session.scalars(change)).all()
    data = {"status": LeadStatus.ABANDONED, "changed": ["status"]}
    told = [domain_events.row(EventKind.LEAD_CHANGED, lead_id, data, now=now) for lead_id in closed]
    await domain_events.record_rows(session, told)
    return len(closed)


async def get_lead(session: AsyncSession, lead_id: str) -> Lead:
    lead = await session.get(Lead, lead_id)
    if lead is None:
        raise LeadNotFound("There is no such lead.")
    return lead


async def list_leads(
    session: AsyncSession, *, filters: LeadFilter | None = None, cursor: str = "", limit: int = 100
) -> Page[Lead]:
    """Newest first. What a later call only went on with is part of its lead, and not listed; `call_id` finds it."""
    wanted = filters or LeadFilter()
    conditions = paging.equal(Lead, wanted, ("status", "phone", "call_id", "neighbourhood_id", "owner", "source"))
    if not wanted.call_id:
        conditions.append(Lead.merged_into_id.is_(None))
    if wanted.due_at:
        conditions.append(Lead.next_action_at <= wanted.due_at)
    if wanted.created_from:
        conditions.append(Lead.created_at >= wanted.created_from)
    if wanted.created_before:
        conditions.append(Lead.created_at < wanted.created_before)
    moment = cast(InstrumentedAttribute[datetime], Lead.next_action_at) if wanted.due_at else Lead.created_at
    by, oldest_first = (moment, Lead.id), wanted.due_at is not None
    return await paging.fetch(session, Lead, conditions, by=by, cursor=cursor, limit=limit, oldest_first=oldest_first)


async def wishes(session: AsyncSession, leads: Sequence[Lead]) -> dict[str, str]:
    """Lead → "Jardim das Palmeiras, Vale Verde · Turbo 600", as far as each has chosen; two statements for all."""
    places = {lead.neighbourhood_id for lead in leads if lead.neighbourhood_id}
    plans = {lead.plan_id for lead in leads if lead.plan_id}
    query = select(Neighbourhood.id, Neighbourhood.name, City.name).join(City, City.id == Neighbourhood.city_id)
    rows = await session.execute(query.where(Neighbourhood.id.in_(places)))
    where = {row_id: f"{name}, {city}" for row_id, name, city in rows}
    what = {
        row_id: name for row_id, name in await session.execute(select(Plan.id, Plan.name).where(Plan.id.in_(plans)))
    }
    return {
        lead.id: " · ".join(filter(None, (where.get(lead.neighbourhood_id or 0), what.get(lead.plan_id or 0))))
        for lead in leads
    }
