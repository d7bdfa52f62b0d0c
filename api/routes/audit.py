"""Who did what, and who looked at whose record."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.deps import AuditReader, SessionDep
from api.errors import described
from api.schemas import Answer, Cursor, Limit, Listed, Moment
from ura import access_log, audit
from ura.access_log import AccessFilter
from ura.audit import AuditFilter
from ura.models import AccessHow, RecordKind

router = APIRouter(tags=["audit"])

Words = Annotated[str, Query(max_length=120)]
Since = Annotated[Moment | None, Query(alias="from", description="With a time zone; inclusive.")]
Before = Annotated[Moment | None, Query(alias="to", description="With a time zone; exclusive.")]


class AuditAnswer(Answer):
    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class AccessAnswer(Answer):
    id: int
    at: datetime
    actor: str
    kind: RecordKind
    record_id: str
    how: AccessHow


@router.get("/audit", summary="Who did what, newest first", responses=described())
async def list_audit(
    _actor: AuditReader,
    session: SessionDep,
    actor: Words = "",
    action: Words = "",
    subject: Words = "",
    since: Since = None,
    before: Before = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[AuditAnswer]:
    """Lines are only ever added."""
    wanted = AuditFilter(actor=actor, action=action, subject=subject, since=since, before=before)
    page = await audit.list_entries(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[AuditAnswer.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/accesses", summary="Who looked at which record, newest first", responses=described())
async def list_accesses(
    _actor: AuditReader,
    session: SessionDep,
    actor: Words = "",
    kind: RecordKind | None = None,
    record_id: Annotated[str, Query(max_length=64)] = "",
    how: AccessHow | None = None,
    since: Since = None,
    before: Before = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[AccessAnswer]:
    """One line for each subscriber, ticket, call or recording that somebody opened; never what they saw."""
    wanted = AccessFilter(
        actor=actor,
        kind=kind,
        record_id=record_id,
        how=how,
        since=since,
        before=before,
    )
    page = await access_log.list_accesses(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[AccessAnswer.model_validate(row) for row in page.items], next_cursor=page.next_cursor)
