"""What happened, told to other programs: through `GET /api/v1/events` and through webhooks.

    await domain_events.record(session, EventKind.TICKET_MOVED, ticket.id, {"tier": "l2"}, now=now)

Written in the transaction of what happened, so it is told if, and only if, that is true. Nobody's data is in an event:
ids, words of ours and protocols. Who wants more asks the API by the id, and needs the permission.

The bells of `ura/events.py` are something else: "look again", for our own panels.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import upsert
from ura.models import DomainEvent, EventKind
from ura.upsert import Row

KEPT = timedelta(days=30)
# All that an event may say. A new name belongs here when its values are ours, and never a person's: no telephone
# number, no document, no name, no address, nothing that somebody typed.
SAYABLE = frozenset(
    {
        *("attendant", "call_id", "category", "cause", "changed", "channel", "door", "due_at", "ends_at", "from_tier"),
        *("incident_id", "kind", "opened_by_caller", "outcome", "problem", "protocol", "purpose", "queue", "reason"),
        *("state", "status", "tier", "tickets", "version", "visit_id"),
    }
)


def row(
    kind: EventKind, subject: str, data: Mapping[str, Any] | None = None, *, now: datetime, once: str | None = None
) -> Row:
    """For `record_rows`. `once`: what makes it this one event of its kind and subject ("": there is only one ever);
    told again with the same, it stays as it was. None: each time another."""
    said = dict(data or {})
    if unsayable := said.keys() - SAYABLE:
        raise ValueError(f"{kind} may not say {', '.join(sorted(unsayable))}: see domain_events.SAYABLE")
    key = uuid4().hex if once is None else hashlib.sha256(f"{kind}\n{subject}\n{once}".encode()).hexdigest()[:32]
    return {"key": key, "kind": kind.value, "subject": subject, "data": said, "at": now}


async def record_rows(session: AsyncSession, rows: Sequence[Row]) -> None:
    await upsert.add_new(session, DomainEvent, rows)


async def record(
    session: AsyncSession,
    kind: EventKind,
    subject: str,
    data: Mapping[str, Any] | None = None,
    *,
    now: datetime,
    once: str | None = None,
) -> None:
    """In the caller's transaction; see `row`. `data`: JSON, with names of SAYABLE."""
    await record_rows(session, [row(kind, subject, data, now=now, once=once)])


async def number_new(session: AsyncSession, *, limit: int = 500) -> Sequence[DomainEvent]:
    """Give the new ones their numbers; returns them, in order. From then on they are seen. The worker's alone: of two
    that do this at the same moment one may fail, and nothing is numbered twice."""
    last = select(func.coalesce(func.max(DomainEvent.number), 0)).scalar_subquery()
    rank = func.row_number().over(order_by=DomainEvent.id)
    new = (
        select(DomainEvent.id, (last + rank).label("number"))
        .where(DomainEvent.number.is_(None))
        .order_by(DomainEvent.id)
        .limit(limit)
        .cte("new")
    )
    change = (
        update(DomainEvent)
        .where(DomainEvent.id == new.c.id, DomainEvent.number.is_(None))
        .values(number=new.c.number)
        .returning(DomainEvent)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return sorted((await session.scalars(change)).all(), key=lambda event: event.number or 0)


async def is_any_new(session: AsyncSession) -> bool:
    """Read only, so that looking for work many times a second holds nobody up."""
    return await session.scalar(select(DomainEvent.id).where(DomainEvent.number.is_(None)).limit(1)) is not None


async def last_number(session: AsyncSession) -> int:
    return await session.scalar(select(func.max(DomainEvent.number))) or 0


async def first_number(session: AsyncSession) -> int:
    """Of those that are still kept; 0: there are none."""
    return await session.scalar(select(func.min(DomainEvent.number))) or 0


async def list_since(session: AsyncSession, number: int, *, limit: int = 500) -> Sequence[DomainEvent]:
    query = select(DomainEvent).where(DomainEvent.number > number).order_by(DomainEvent.number).limit(limit)
    return (await session.scalars(query)).all()


async def forget(session: AsyncSession, *, now: datetime, limit: int = 5000) -> int:
    """Delete those that are older than KEPT, some at a time; returns how many. The newest stays: numbers go on from
    there."""
    newest = select(func.max(DomainEvent.number)).scalar_subquery()
    old = select(DomainEvent.id).where(DomainEvent.at < now - KEPT, DomainEvent.number < newest)
    change = delete(DomainEvent).where(DomainEvent.id.in_(old.limit(limit))).returning(DomainEvent.id)
    return len((await session.scalars(change.execution_options(synchronize_session=False))).all())


def told(event: DomainEvent) -> dict[str, Any]:
    """As programs read it, in the stream and in webhooks: the shape that Standard Webhooks recommends, and our id."""
    return {
        "id": event.key,
        "type": event.kind,
        "timestamp": event.at.isoformat(),
        "subject": event.subject,
        "data": event.data,
    }
