"""How many tickets are there to work on, at each tier?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.models import Ticket, TicketStatus, Tier

MOST = 1000  # counted so far: the answer comes off the ends of indexes, however many tickets there are
TO_WORK_ON = (TicketStatus.OPEN, TicketStatus.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Each MOST at the most. `missed`: past their deadline; `mine`: of whoever asks."""

    by_tier: Mapping[tuple[Tier, TicketStatus], int]
    missed: int
    mine: int


async def count(session: AsyncSession, *, now: datetime, user_id: int | None) -> Counts:
    """Of those that are not closed. `user_id` None: a program, which has none of its own."""
    places = [(tier, status) for tier in Tier for status in TO_WORK_ON]
    missed = (Ticket.status.in_(TO_WORK_ON), Ticket.due_at < now)
    mine = (Ticket.assignee_id == user_id, Ticket.status == TicketStatus.OPEN)
    asked = [_up_to_most(Ticket.tier == tier, Ticket.status == status) for tier, status in places]
    found = (await session.execute(select(*asked, _up_to_most(*missed), _up_to_most(*mine)))).one()
    return Counts(by_tier=dict(zip(places, found, strict=False)), missed=found[-2], mine=found[-1])


def _up_to_most(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    some = select(Ticket.id).where(*conditions).limit(MOST).subquery()
    return select(func.count()).select_from(some).scalar_subquery()
