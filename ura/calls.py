"""The call record. Every function here can be told the same thing twice, and in any order, without harm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import paging, upsert
from ura.errors import NotFound
from ura.models import Call, CallStep, Door, Outcome, Recording, StepAnswer, StepResult, Witness
from ura.paging import Page
from ura.upsert import Row


class CallNotFound(NotFound):
    code = "call-not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """None and "" do not filter. `opened_before` is exclusive."""

    caller: str = ""
    did: str = ""
    protocol: str = ""
    door: Door | None = None
    outcome: Outcome | None = None
    live: bool | None = None
    opened_from: datetime | None = None
    opened_before: datetime | None = None


# -- writing ---------------------------------------------------------------------------------------------------------

_OPENED = ("uniqueid", "linkedid", "protocol", "caller", "did", "door", "flow_key", "flow_version", "opened_at")
_OUTCOME = ("outcome", "outcome_by", "outcome_at")
_BLANK = {
    "uniqueid": "",
    "linkedid": "",
    "caller": "",
    "did": "",
    "door": Door.FLOW,
    "flow_key": "",
    "queue": "",
    "attendant": "",
    "last_node": "",
}


async def open_calls(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id` and the columns of `_OPENED`. What was heard of the call before, its end even, is kept.

    The rescue opens a call that another door may have opened before it: then that door's words count.
    """
    await upsert.execute(session, _open(upsert.dialect(session)), [{**_BLANK, **row} for row in rows])


async def add_steps(session: AsyncSession, rows: Sequence[Row]) -> None:
    await upsert.add_new(session, CallStep, rows)


async def enter_queue(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id`, `queue`, `queued_at`. The queue entered last counts."""
    complete = [{**_BLANK, "opened_at": row["queued_at"], **row} for row in rows]
    await upsert.execute(session, _enter_queue(upsert.dialect(session)), complete)


async def answer(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id`, `attendant`, `answered_at`. The first attendant counts; later ones are transfers."""
    complete = [{**_BLANK, "opened_at": row["answered_at"], **row} for row in rows]
    await upsert.execute(session, _answer(upsert.dialect(session)), complete)


async def close(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id`, `outcome`, `outcome_by`, `outcome_at` (the moment of the end) and `last_node`.

    1. What the flow says of the outcome wins over what Asterisk says; of two of the same the later wins.
    2. The call ends at the latest moment anybody named.
    3. A flow that hands the caller to a queue is done, the call is not: its end stays open until Asterisk reports it.
    """
    complete = [{**_BLANK, "opened_at": row["outcome_at"], "ended_at": _end_of(row), **row} for row in rows]
    await upsert.execute(session, _close(upsert.dialect(session)), complete)


async def add_recordings(session: AsyncSession, rows: Sequence[Row]) -> None:
    await upsert.add_new(session, Recording, rows)


async def answer_steps(
    session: AsyncSession, *, call_id: str, node: str, answers: Mapping[str, StepResult], at: datetime
) -> None:
    """What the caller said of each step of a first-aid list. The latest answer to a step counts."""
    rows = [
        {"call_id": call_id, "node": node, "step": step, "answer": answer, "at": at} for step, answer in answers.items()
    ]
    await upsert.execute(session, _answer_steps(upsert.dialect(session)), rows)


@lru_cache
def _open(dialect: str) -> upsert.Insert:
    insert = upsert.insert(dialect, Call)
    rescued = and_(insert.excluded.door == Door.RESCUE, Call.uniqueid != "")
    changes = {name: case((rescued, getattr(Call, name)), else_=insert.excluded[name]) for name in _OPENED}
    new = insert.excluded.protocol  # a call that had none keeps the rescue's
    changes["protocol"] = case((rescued, func.coalesce(Call.protocol, new)), else_=func.coalesce(new, Call.protocol))
    return insert.on_conflict_do_update(index_elements=["id"], set_=changes)


@lru_cache
def _enter_queue(dialect: str) -> upsert.Insert:
    insert = upsert.insert(dialect, Call)
    new = insert.excluded
    later = or_(Call.queued_at.is_(None), new.queued_at >= Call.queued_at)
    changes = {"queue": new.queue, "queued_at": new.queued_at}
    return insert.on_conflict_do_update(index_elements=["id"], set_=changes, where=later)


@lru_cache
def _answer(dialect: str) -> upsert.Insert:
    insert = upsert.insert(dialect, Call)
    new = insert.excluded
    first = or_(Call.answered_at.is_(None), new.answered_at < Call.answered_at)
    changes = {"attendant": new.attendant, "answered_at": new.answered_at}
    return insert.on_conflict_do_update(index_elements=["id"], set_=changes, where=first)


@lru_cache
def _close(dialect: str) -> upsert.Insert:
    insert = upsert.insert(dialect, Call)
    new = insert.excluded
    wins = _outcome_wins(new)
    changes = {name: case((wins, new[name]), else_=getattr(Call, name)) for name in _OUTCOME}
    changes["last_node"] = case((and_(wins, new.last_node != ""), new.last_node), else_=Call.last_node)
    changes["ended_at"] = case(
        (new.ended_at.is_(None), Call.ended_at),
        (Call.ended_at.is_(None), new.ended_at),
        (new.ended_at > Call.ended_at, new.ended_at),
        else_=Call.ended_at,
    )
    return insert.on_conflict_do_update(index_elements=["id"], set_=changes)


@lru_cache
def _answer_steps(dialect: str) -> upsert.Insert:
    insert = upsert.insert(dialect, StepAnswer)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["call_id", "node", "step"],
        set_={"answer": new.answer, "at": new["at"]},
        where=new["at"] >= StepAnswer.at,
    )


def _end_of(row: Row) -> datetime | None:
    handed_over = row["outcome"] == Outcome.QUEUE and row["outcome_by"] == Witness.FLOW
    return None if handed_over else row["outcome_at"]


def _outcome_wins(new: Any) -> ColumnElement[bool]:
    later = new.outcome_at >= Call.outcome_at
    return or_(
        Call.outcome_by.is_(None),
        and_(new.outcome_by == Call.outcome_by, later),
        and_(new.outcome_by == Witness.FLOW, Call.outcome_by == Witness.ASTERISK),
    )


# -- reading ---------------------------------------------------------------------------------------------------------


async def get_call(session: AsyncSession, call_id: str) -> Call:
    call = await session.get(Call, call_id)
    if call is None:
        raise CallNotFound("There is no such call.")
    return call


async def list_calls(
    session: AsyncSession, *, filters: CallFilter | None = None, cursor: str = "", limit: int = 100
) -> Page[Call]:
    """Newest first."""
    conditions = _conditions(filters or CallFilter())
    return await paging.fetch(session, Call, conditions, by=(Call.opened_at, Call.id), cursor=cursor, limit=limit)


async def list_live(session: AsyncSession, *, limit: int = 500) -> Sequence[Call]:
    """Calls in progress, the longest first."""
    query = select(Call).where(Call.ended_at.is_(None)).order_by(Call.opened_at).limit(limit)
    return (await session.scalars(query)).all()


async def list_by_ids(session: AsyncSession, call_ids: Sequence[str]) -> Sequence[Call]:
    """Those that are there, the oldest first."""
    return (await session.scalars(select(Call).where(Call.id.in_(call_ids)).order_by(Call.opened_at, Call.id))).all()


async def count_calls(session: AsyncSession, filters: CallFilter) -> int:
    """How many calls `list_calls` would find in all."""
    return await session.scalar(select(func.count()).select_from(Call).where(*_conditions(filters))) or 0


async def list_steps(session: AsyncSession, call_ids: Sequence[str]) -> dict[str, list[CallStep]]:
    """The path of each call through its flow. Every id asked for is in the answer."""
    paths: dict[str, list[CallStep]] = {call_id: [] for call_id in call_ids}
    query = select(CallStep).where(CallStep.call_id.in_(call_ids)).order_by(CallStep.call_id, CallStep.seq)
    for step in await session.scalars(query):
        paths[step.call_id].append(step)
    return paths


_COUNT = (
    select(func.count())
    .select_from(Call)
    .where(Call.caller == bindparam("caller"), Call.opened_at.between(bindparam("since"), bindparam("until")))
)


async def count_between(session: AsyncSession, *, caller: str, since: datetime, until: datetime) -> int:
    """How often this number called. A caller who hides the number has never called before."""
    if not caller:
        return 0
    return await session.scalar(_COUNT, {"caller": caller, "since": since, "until": until}) or 0


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    conditions = paging.equal(Call, wanted, ("caller", "did", "protocol", "door", "outcome"))
    if wanted.live is not None:
        conditions.append(Call.ended_at.is_(None) if wanted.live else Call.ended_at.is_not(None))
    if wanted.opened_from:
        conditions.append(Call.opened_at >= wanted.opened_from)
    if wanted.opened_before:
        conditions.append(Call.opened_at < wanted.opened_before)
    return conditions
