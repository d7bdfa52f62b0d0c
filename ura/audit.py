"""Who did what, and when: rows are added, never changed, never taken away."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.session import ORMExecuteState, Session

from ura.errors import Refused
from ura.models.audit import AuditEntry


class AuditIsAppendOnly(Refused):
    code = "audit-is-append-only"


async def record(
    session: AsyncSession, *, actor: str, action: str, subject: str, detail: dict[str, Any], at: datetime | None = None
) -> None:
    """Add one line. `actor` and `subject` are names of ours (user, token, id), never a caller's data. `at`: now."""
    session.add(AuditEntry(at=at or datetime.now(UTC), actor=actor, action=action, subject=subject, detail=detail))
    await session.flush()


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
