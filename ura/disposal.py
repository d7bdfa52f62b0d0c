"""How is a record taken away whole: a call, a ticket, a recording with its sound? Who may go is decided elsewhere:
ura/retention.py by age, ura/erasure.py for one person. The caller's transaction; a few hundred ids at a time."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Delete, FromClause, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura.db import Base
from ura.models import (
    Call,
    Callback,
    CallStep,
    Dispute,
    DroppedCall,
    ErpRequest,
    OutageCall,
    OutboxMessage,
    PaymentPromise,
    Recording,
    StepAnswer,
    SurveyAnswer,
    Ticket,
    TrustUnlock,
)

# What a call leaves and what is nothing without it. Leads, tickets and recordings have times of their own.
PAST: dict[str, Any] = {"synchronize_session": False}  # past the objects that a session holds
LEFT_BY_CALLS = (CallStep, StepAnswer, SurveyAnswer, Callback, OutboxMessage, DroppedCall)


async def drop_recordings(session: AsyncSession, found: Sequence[Recording], folder: Path) -> None:
    """The sound first, then the row: a crash between leaves a row whose sound is gone, and the next turn takes that
    away; the other way round nobody would ever know of the sound."""
    for recording in found:
        file = (folder / recording.path).resolve()
        if file.is_relative_to(folder.resolve()):
            with suppress(FileNotFoundError):
                file.unlink()
    ids = [recording.id for recording in found]
    await session.execute(_delete(Recording.__table__, "id", ids))


async def drop_tickets(session: AsyncSession, ids: Collection[str]) -> None:
    """With their history, and all that refers to them by a foreign key."""
    for part in parts_of(Ticket):
        await session.execute(_delete(part, _column_to(part, Ticket), ids))
    await session.execute(_delete(Dispute.__table__, "ticket_id", ids))
    await session.execute(_delete(Ticket.__table__, "id", ids))


async def drop_calls(session: AsyncSession, ids: Collection[str]) -> None:
    """With their path and what else is nothing without them. That a call was told of an outage still counts there."""
    for model in LEFT_BY_CALLS:
        await session.execute(_delete(model.__table__, "call_id", ids))
    asked = select(ErpRequest.id).where(ErpRequest.call_id.in_(ids))
    await session.execute(delete(PaymentPromise).where(PaymentPromise.id.in_(asked)).execution_options(**PAST))
    await session.execute(delete(TrustUnlock).where(TrustUnlock.wish.in_(asked)).execution_options(**PAST))
    await session.execute(_delete(ErpRequest.__table__, "call_id", ids))
    told = update(OutageCall).where(OutageCall.call_id.in_(ids)).values(phone="", contract_id="", wants_news=False)
    await session.execute(told.execution_options(**PAST))
    await session.execute(_delete(Call.__table__, "id", ids))


def parts_of(model: type[Base]) -> list[Table]:
    """The tables with a foreign key to it."""
    return [
        table
        for table in Base.metadata.sorted_tables[::-1]
        if any(key.column.table is model.__table__ for key in table.foreign_keys)
    ]


def _column_to(part: Table, model: type[Base]) -> str:
    return next(key.parent.name for key in part.foreign_keys if key.column.table is model.__table__)


def _delete(table: FromClause, column: str, ids: Collection[str]) -> Delete:
    assert isinstance(table, Table)
    return delete(table).where(table.columns[column].in_(ids))
