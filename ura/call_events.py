"""What other programs are told of calls and of the leads that calls leave: rows for ura/domain_events.py.

Records of a call come twice and in any order; each thing is told once all the same.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import domain_events
from ura.models import Call, EventKind
from ura.upsert import Row


def opened(row: Row) -> Row:
    data = {"protocol": row["protocol"], "door": row["door"]}
    return domain_events.row(EventKind.CALL_OPENED, row["id"], data, now=row["opened_at"], once="")


def queued(row: Row) -> Row:
    """Once a queue: Asterisk tells the same again when it is asked for its state."""
    data = {"queue": row["queue"]}
    return domain_events.row(EventKind.CALL_QUEUED, row["id"], data, now=row["queued_at"], once=row["queue"])


def answered(row: Row) -> Row:
    """The first attendant; later ones are transfers."""
    data = {"attendant": row["attendant"]}
    return domain_events.row(EventKind.CALL_ANSWERED, row["id"], data, now=row["answered_at"], once="")


def lead_saved(row: Row) -> Row:
    once = f"{row['status']} {row['updated_at'].isoformat()}"
    data = {"status": row["status"], "call_id": row["call_id"]}
    return domain_events.row(EventKind.LEAD_SAVED, row["id"], data, now=row["updated_at"], once=once)


async def tell_ended(session: AsyncSession, call_ids: Sequence[str]) -> None:
    """Of those that are over: not of one whose flow has handed it to a queue."""
    query = select(Call.id, Call.ended_at, Call.outcome, Call.protocol)
    over = await session.execute(query.where(Call.id.in_(call_ids), Call.ended_at.is_not(None)))
    ended = [
        domain_events.row(
            EventKind.CALL_ENDED, call_id, {"outcome": outcome, "protocol": protocol}, now=ended_at, once=""
        )
        for call_id, ended_at, outcome, protocol in over
        if ended_at is not None
    ]
    await domain_events.record_rows(session, ended)
