"""Did the calls go where the figures say they went? What the service wrote down of them is asked, not assumed."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import String, func, select, true

from ura.db import make_engine, make_sessions
from ura.models import Call, CallStep

WITHIN_S = 60  # the worker moves records into the database behind the calls
FAILED = ("lookup_failed", "act_failed", "no_input")


class Astray(RuntimeError):
    """The calls were not those that the figure is about, so there is no figure."""


@dataclass(frozen=True, slots=True)
class Path:
    """Through the node `through`, to the end at one of `ends` (empty: anywhere). `smooth`: nothing failed on the way
    and nobody was silent; not asked where a system is made to fail. `most_astray`: of all calls."""

    through: str
    ends: Collection[str] = ()
    smooth: bool = True
    most_astray: float = 0.01


# Five keys through sales, and off while the plans of the neighbourhood are told.
SALES = Path(through="neighbourhood", ends=("covered", "plans"))


def check(url: str, path: Path, callers: Collection[int], *, calls: int) -> None:
    """Waits until `calls` calls of these callers (+numbers) are recorded to their end. Raises Astray."""
    asyncio.run(_check(url, path, callers, calls))


async def _check(url: str, path: Path, callers: Collection[int], calls: int) -> None:
    ends_at = time.monotonic() + WITHIN_S
    while True:
        ended, astray = await _count(url, path, callers)
        if ended >= calls or time.monotonic() > ends_at:
            break
        await asyncio.sleep(0.5)
    if ended < calls:
        raise Astray(f"{ended} of {calls} calls are recorded to their end")
    if sum(astray.values()) > path.most_astray * calls:
        raise Astray(
            f"{sum(astray.values())} of {calls} calls left the path by {path.through!r}; they ended at {astray}"
        )


async def _count(url: str, path: Path, callers: Collection[int]) -> tuple[int, dict[str, int]]:
    """Calls that ended, and how many of them left the path, by the node they ended at."""
    here = CallStep.call_id == Call.id
    walked = select(CallStep.call_id).where(here, CallStep.node == path.through).exists()
    if path.smooth:
        walked &= ~select(CallStep.call_id).where(here, CallStep.event.in_(FAILED)).exists()
    walked &= Call.last_node.in_(path.ends) if path.ends else true()
    if isinstance(callers, range):
        theirs = Call.caller.between(f"+{callers.start}", f"+{callers.stop - 1}")
    else:
        theirs = Call.caller.in_([f"+{number}" for number in callers])
    theirs &= Call.ended_at.is_not(None)
    engine = make_engine(url)
    try:
        async with make_sessions(engine)() as session:
            ended = await session.scalar(select(func.count()).select_from(Call).where(theirs))
            query = select(func.coalesce(Call.last_node, "", type_=String), func.count())
            rows = await session.execute(query.where(theirs, ~walked).group_by(Call.last_node))
            return ended or 0, {node: count for node, count in rows}
    finally:
        await engine.dispose()
