"""How the house is set up, from spreadsheets: hours, holidays, queues, numbers, attendants. `ura.imports` reads the
cells and calls these for what one row means beside the others and beside what is stored.

Hours hold from the next call on, and so do holidays and what a queue is. `prosa run` looks for other numbers and
attendants every twenty seconds and has Asterisk read them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import timetables
from ura.cells import Bad
from ura.flows.published import DEFAULT_FLOW
from ura.models import Attendant, BusinessHours, Did, DidKind, Flow, Holiday, Queue
from ura.queues import Span

Values = dict[str, Any]
Check = Callable[[Values], None]


def check_hours() -> Check:
    """Refuses a span that ends before it begins, and one that overlaps another of the file."""
    seen: dict[tuple[str, int], list[Span]] = {}

    def check(values: Values) -> None:
        span = Span(values["weekday"], values["opens"], values["closes"])
        if not timetables.is_span(span):
            raise Bad("closes_before", "closes")
        day = seen.setdefault((values["timetable"], span.weekday), [])
        if timetables.find_overlap(sorted([*day, span], key=lambda each: each.opens)):
            raise Bad("overlap", "opens")
        if len(day) * 7 >= timetables.MOST_SPANS:
            raise Bad("too_many", "opens", limit=len(day))
        day.append(span)

    return check


async def check_holidays(session: AsyncSession) -> Check:
    known = await _timetables(session)

    def check(values: Values) -> None:
        if values.get("timetable", "") not in {"", *known}:
            raise Bad("no_timetable", "timetable")

    return check


async def check_queues(session: AsyncSession) -> Check:
    known = await _timetables(session)

    def check(values: Values) -> None:
        if values.get("business_hours", "") not in {"", *known}:
            raise Bad("no_timetable", "business_hours")

    return check


async def check_numbers(session: AsyncSession) -> Check:
    """A corporate number has a queue, the others may name a flow: without one they follow the default."""
    queues, flows = await _queues(session), {DEFAULT_FLOW, *await session.scalars(select(Flow.key))}

    def check(values: Values) -> None:
        queue, flow = values.get("queue") or "", values.get("flow_key") or ""
        if values["did_kind"] is DidKind.CORPORATE and not queue:
            raise Bad("corporate_queue", "queue")
        if queue and queue not in queues:
            raise Bad("no_queue", "queue")
        if flow and flow not in flows:
            raise Bad("no_flow", "flow_key")

    return check


async def check_attendants(session: AsyncSession) -> Check:
    known = await _queues(session)

    def check(values: Values) -> None:
        if missing := [queue for queue in values["queues"] if queue not in known]:
            raise Bad("no_queue", "queues", value=missing[0])

    return check


# -- saving ----------------------------------------------------------------------------------------------------------


async def save_holidays(session: AsyncSession, rows: Sequence[Values]) -> None:
    for row in rows:
        await session.merge(Holiday(on_day=row["on_day"], timetable=row.get("timetable") or "", name=row["holiday"]))


async def save_queues(session: AsyncSession, rows: Sequence[Values]) -> None:
    for row in rows:
        found = await session.get(Queue, row["queue_key"]) or Queue(key=row["queue_key"])
        _take_over(found, row, but="queue_key")
        session.add(found)


async def save_numbers(session: AsyncSession, rows: Sequence[Values]) -> None:
    for row in rows:
        found = await session.get(Did, row["did"]) or Did(number=row["did"], label="")
        found.kind = row["did_kind"]
        _take_over(found, {column: value or None for column, value in row.items()}, but="did did_kind label")
        found.label = row.get("label") or found.label
        session.add(found)


async def save_attendants(session: AsyncSession, rows: Sequence[Values]) -> None:
    known = {each.extension: each for each in await session.scalars(select(Attendant))}
    for row in rows:
        found = known.get(row["extension"]) or Attendant(extension=row["extension"])
        found.name = row["attendant"]
        _take_over(found, row, but="extension attendant")
        session.add(found)


def _take_over(found: object, row: Values, *, but: str) -> None:
    """What the file does not tell stays as it is."""
    for column, value in row.items():
        if column not in but.split():
            setattr(found, column, value)


async def _queues(session: AsyncSession) -> set[str]:
    return set(await session.scalars(select(Queue.key)))


async def _timetables(session: AsyncSession) -> set[str]:
    """Those with hours. A queue may name one that has none, by mistake: that is no reason to let it in again."""
    return set(await session.scalars(select(BusinessHours.timetable).distinct()))
