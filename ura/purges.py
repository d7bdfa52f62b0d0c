"""What was deleted since its time had come: class, day and how many, in a chain that shows if a line was touched."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.session import ORMExecuteState, Session

from ura import upsert
from ura.errors import Refused
from ura.models import Purge

FIRST = "0" * 64
PART = 1000
LOCK = 7715418  # of PostgreSQL: one line after the other


class PurgeLogIsAppendOnly(Refused):
    code = "purge-log-is-append-only"


async def record(session: AsyncSession, *, kind: str, rows: int, on_day: date, now: datetime) -> None:
    """In the transaction that deleted them: nothing is deleted without its line, and no line tells of what is there.
    On SQLite that transaction has the writer's lock already."""
    if upsert.dialect(session) == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    last = await session.scalar(select(Purge.hash).order_by(Purge.id.desc()).limit(1)) or FIRST
    line = Purge(at=now, on_day=on_day, kind=kind, rows=rows, previous=last)
    line.hash = _hash(line)
    session.add(line)
    await session.flush()


async def list_purges(session: AsyncSession, *, before_id: int | None = None, limit: int = 100) -> Sequence[Purge]:
    """Newest first."""
    query = select(Purge).order_by(Purge.id.desc()).limit(limit)
    return (await session.scalars(query if before_id is None else query.where(Purge.id < before_id))).all()


async def find_break(session: AsyncSession) -> int | None:
    """The id of the first line that is not as it was written, or whose predecessor is gone; None: all is whole."""
    last, seen = FIRST, 0
    while True:
        query = select(Purge).where(Purge.id > seen).order_by(Purge.id).limit(PART)
        lines = (await session.scalars(query)).all()
        for line in lines:
            if line.previous != last or line.hash != _hash(line):
                return line.id
            last, seen = line.hash, line.id
        if len(lines) < PART:
            return None


def _hash(line: Purge) -> str:
    told = [line.previous, line.at.astimezone(UTC).isoformat(), line.on_day.isoformat(), line.kind, line.rows]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _refuse(_mapper: Mapper[Any], _connection: Any, _target: Purge) -> None:
    raise PurgeLogIsAppendOnly("A line of the purge log cannot be changed or removed.")


event.listen(Purge, "before_update", _refuse)
event.listen(Purge, "before_delete", _refuse)


@event.listens_for(Session, "do_orm_execute")
def _refuse_bulk(state: ORMExecuteState) -> None:
    changes = state.is_update or state.is_delete
    if changes and state.bind_mapper is not None and state.bind_mapper.class_ is Purge:
        raise PurgeLogIsAppendOnly("A line of the purge log cannot be changed or removed.")
