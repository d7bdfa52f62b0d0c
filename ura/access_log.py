"""Who looked at which record of a person? Written down before it is shown; and an alarm for whoever only browses.

Programs are written down, too, but raise no alarm: reading many records is what some of them are for, and their tokens
are few, scoped and limited.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, events, paging
from ura.models import AccessHow, AuditEntry, RecordAccess, RecordKind
from ura.paging import Page
from ura.turns import take_turn
from ura.users import Actor

log = structlog.get_logger(__name__)

HOUR = timedelta(hours=1)
KEPT = timedelta(days=730)
ALARM = "access.alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFilter:
    """What is empty does not filter. `since` is included, `before` is not."""

    actor: str = ""
    kind: RecordKind | None = None
    record_id: str = ""
    how: AccessHow | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """`actor` opened so many different records in the hour before `at`."""

    at: datetime
    actor: str
    records: int


async def note(
    session: AsyncSession,
    actor: Actor,
    kind: RecordKind,
    record_id: str,
    *,
    now: datetime,
    alarm_at: int,
    how: AccessHow = AccessHow.OPENED,
) -> None:
    """In the transaction that reads the record. `alarm_at`: so many different records of a person in an hour."""
    session.add(RecordAccess(at=now, actor=actor.name, kind=kind, record_id=record_id, how=how))
    await session.flush()
    if actor.user_id is not None and await _records(session, actor.name, now) >= alarm_at:
        await _raise_alarm(session, actor.name, now)


async def list_accesses(
    session: AsyncSession, *, filters: AccessFilter, cursor: str = "", limit: int = 50
) -> Page[RecordAccess]:
    """The newest first."""
    conditions = paging.equal(RecordAccess, filters, ("actor", "kind", "record_id", "how"))
    if filters.since:
        conditions.append(RecordAccess.at >= filters.since)
    if filters.before:
        conditions.append(RecordAccess.at < filters.before)
    return await paging.fetch_by(
        session, RecordAccess, conditions, by=RecordAccess.id, cursor=cursor, limit=limit, newest_first=True
    )


async def list_alarms(session: AsyncSession, *, since: datetime, limit: int = 20) -> list[Alarm]:
    """The newest first."""
    query = (
        select(AuditEntry.at, AuditEntry.subject, AuditEntry.detail)
        .where(AuditEntry.at >= since, AuditEntry.action == ALARM)
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        .limit(limit)
    )
    return [Alarm(at, subject, int(detail["records"])) for at, subject, detail in await session.execute(query)]


async def forget_old_accesses(session: AsyncSession, *, now: datetime) -> None:
    await session.execute(delete(RecordAccess).where(RecordAccess.at < now - KEPT))


async def _records(session: AsyncSession, actor: str, now: datetime) -> int:
    """Different ones: whoever opens the same ticket all day does not browse."""
    opened = (
        select(RecordAccess.kind, RecordAccess.record_id)
        .where(RecordAccess.actor == actor, RecordAccess.at > now - HOUR)
        .distinct()
        .subquery()
    )
    return await session.scalar(select(func.count()).select_from(opened)) or 0


async def _raise_alarm(session: AsyncSession, actor: str, now: datetime) -> None:
    """Once an hour for each person: in the audit, in health/details, and a bell."""
    await take_turn(session, f"{ALARM} {actor}")
    told = select(AuditEntry.id).where(
        AuditEntry.at > now - HOUR, AuditEntry.action == ALARM, AuditEntry.subject == actor
    )
    if await session.scalar(told.limit(1)) is not None:
        return
    records = await _records(session, actor, now)
    await audit.record(session, actor="access log", action=ALARM, subject=actor, detail={"records": records}, at=now)
    await events.ring(session, {"alarms": {"kind": ALARM}}, now=now)
    log.error("somebody opens one record of a person after the other; the audit says who", records=records)
