"""Who did what, and when: rows are added, never changed, never taken away."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.session import ORMExecuteState, Session

from ura import paging
from ura.errors import Refused
from ura.models.audit import AuditEntry
from ura.paging import Page


class AuditIsAppendOnly(Refused):
    code = "audit-is-append-only"


async def record(
    session: AsyncSession, *, actor: str, action: str, subject: str, detail: dict[str, Any], at: datetime | None = None
) -> None:
    """Add one line. `actor` and `subject` are names of ours (user, token, id), never a caller's data. `at`: now."""
    session.add(AuditEntry(at=at or datetime.now(UTC), actor=actor, action=action, subject=subject, detail=detail))
    await session.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What is empty does not filter. `since` is included, `before` is not."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: datetime | None = None
    before: datetime | None = None


async def list_entries(
    session: AsyncSession, *, filters: AuditFilter, cursor: str = "", limit: int = 50
) -> Page[AuditEntry]:
    """The newest first."""
    conditions = paging.equal(AuditEntry, filters, ("actor", "action", "subject"))
    if filters.since:
        conditions.append(AuditEntry.at >= filters.since)
    if filters.before:
        conditions.append(AuditEntry.at < filters.before)
    return await paging.fetch_by(
        session, AuditEntry, conditions, by=AuditEntry.id, cursor=cursor, limit=limit, newest_first=True
    )


def _refuse(_mapper: Mapper[Any], _connection: Any, _target: AuditEntry) -> None:
    raise AuditIsAppendOnly("A line of the audit cannot be changed or removed.")


event.listen(AuditEntry, "before_update", _refuse)
event.listen(AuditEntry, "before_delete", _refuse)


@event.listens_for(Session, "do_orm_execute")
def _refuse_bulk(state: ORMExecuteState) -> None:
    if (
        (state.is_update or state.is_delete)
        and state.bind_mapper is not None
        and state.bind_mapper.class_ is AuditEntry
    ):
        raise AuditIsAppendOnly("A line of the audit cannot be changed or removed.")
