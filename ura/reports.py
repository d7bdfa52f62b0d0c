"""How callers fare in a flow: who gets where, who hangs up there, and how long a question takes to be answered.

Read from the record of steps, when somebody asks: calls of the period by their index, their steps by the primary key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Float, Select, and_, cast, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ura import upsert
from ura.models import Call, CallStep, Outcome

SECONDS_A_DAY = 86_400
Column = InstrumentedAttribute[datetime]


@dataclass(frozen=True, slots=True)
class VersionCalls:
    version: int
    calls: int


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """`calls` that came here at least once, and of these: `hung_up` here. `silences` and `keys` count each time.
    `seconds_to_key`: from the moment the question was put to its key, on average; None when no key was pressed."""

    node: str
    calls: int
    hung_up: int = 0
    silences: int = 0
    failures: int = 0
    seconds_to_key: float | None = None
    keys: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """`calls` of this version in the period; `queued` came to a queue, `done` were told all, `abandoned` hung up in the
    flow. `nodes`: those that most calls reached first."""

    flow_key: str
    version: int | None
    versions: Sequence[VersionCalls]
    calls: int = 0
    queued: int = 0
    done: int = 0
    abandoned: int = 0
    nodes: Sequence[NodeFigures] = ()


async def flow_figures(
    session: AsyncSession, *, flow_key: str, version: int | None, since: datetime, until: datetime
) -> FlowFigures:
    """Calls that began from `since` to before `until`. `version` None: the newest that had calls then."""
    of_flow = and_(Call.flow_key == flow_key, Call.opened_at >= since, Call.opened_at < until)
    counted = (
        select(Call.flow_version, func.count())
        .where(of_flow, Call.flow_version.is_not(None))
        .group_by(Call.flow_version)
        .order_by(Call.flow_version.desc())
    )
    versions = [VersionCalls(number, calls) for number, calls in await session.execute(counted) if number]
    if version is None and versions:
        version = versions[0].version
    if version is None:
        return FlowFigures(flow_key, None, versions)
    wanted = and_(of_flow, Call.flow_version == version)
    total = select(
        func.count(),
        func.count(Call.queued_at),
        func.count().filter(Call.outcome == Outcome.DONE),
        func.count().filter(Call.outcome == Outcome.ABANDONED),
    ).where(wanted)
    calls, queued, done, abandoned = (await session.execute(total)).one()
    nodes = await _nodes(session, wanted)
    return FlowFigures(flow_key, version, versions, calls, queued, done, abandoned, nodes)


async def _nodes(session: AsyncSession, wanted: ColumnElement[bool]) -> list[NodeFigures]:
    reached = {node: (calls, first) for node, calls, first in await session.execute(_reached(wanted))}
    counted: dict[str, dict[str, int]] = {}
    for node, event, count in await session.execute(_events(wanted)):
        counted.setdefault(node, {})[event] = count
    keys: dict[str, dict[str, int]] = {}
    for node, key, count in await session.execute(_keys(wanted)):
        keys.setdefault(node, {})[key] = count
    waits = {node: seconds for node, seconds in await session.execute(_waits(wanted, upsert.dialect(session)))}
    found = [
        NodeFigures(
            node=node,
            calls=calls,
            hung_up=counted.get(node, {}).get("hung_up", 0),
            silences=counted.get(node, {}).get("no_input", 0),
            failures=sum(counted.get(node, {}).get(event, 0) for event in ("lookup_failed", "act_failed")),
            seconds_to_key=None if node not in waits else round(waits[node], 1),
            keys=keys.get(node, {}),
        )
        for node, (calls, _first) in reached.items()
    ]
    return sorted(found, key=lambda each: (-each.calls, reached[each.node][1], each.node))


def _reached(wanted: ColumnElement[bool]) -> Select[str, int, int]:
    """Node, calls, and the earliest step it was reached with. A step names the node where it happened and, in `to`,
    where the call went: the last of a call is named by that alone."""
    to = CallStep.detail["to"].as_string()
    here = select(CallStep.call_id, CallStep.node.label("node"), CallStep.seq).join(Call, Call.id == CallStep.call_id)
    there = select(CallStep.call_id, to.label("node"), CallStep.seq).join(Call, Call.id == CallStep.call_id)
    both = union_all(here.where(wanted), there.where(wanted, to.is_not(None))).subquery()
    return (
        select(both.c.node, func.count(both.c.call_id.distinct()), func.min(both.c.seq))
        .where(both.c.node != "")
        .group_by(both.c.node)
    )


def _events(wanted: ColumnElement[bool]) -> Select[str, str, int]:
    telling = ("hung_up", "no_input", "lookup_failed", "act_failed")
    return (
        select(CallStep.node, CallStep.event, func.count())
        .join(Call, Call.id == CallStep.call_id)
        .where(wanted, CallStep.event.in_(telling))
        .group_by(CallStep.node, CallStep.event)
    )


def _keys(wanted: ColumnElement[bool]) -> Select[str, str, int]:
    """Keys of menus; of longer entries only their length is in the record."""
    key = CallStep.detail["keys"].as_string()
    return (
        select(CallStep.node, key, func.count())
        .join(Call, Call.id == CallStep.call_id)
        .where(wanted, CallStep.event == "digits", key.is_not(None))
        .group_by(CallStep.node, key)
        .order_by(CallStep.node, key)
    )


def _waits(wanted: ColumnElement[bool], dialect: str) -> Select[str, float]:
    """Node, and the mean of the seconds between what put the question (the step before) and the key."""
    before = aliased(CallStep)
    return (
        select(CallStep.node, func.avg(_seconds(before.at, CallStep.at, dialect)))
        .join(Call, Call.id == CallStep.call_id)
        .join(before, and_(before.call_id == CallStep.call_id, before.seq == CallStep.seq - 1))
        .where(wanted, CallStep.event == "digits")
        .group_by(CallStep.node)
    )


def _seconds(start: Column, end: Column, dialect: str) -> ColumnElement[float]:
    """SQLite counts moments in days, PostgreSQL takes one from the other."""
    if dialect == "sqlite":
        return (func.julianday(end) - func.julianday(start)) * SECONDS_A_DAY
    return cast(func.extract("epoch", end - start), Float)
