"""What an admin says about when somebody answers: the hours of each timetable, and the days that only a town keeps.
`ura.queues` reads them at every question, so a change holds from the next call on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from itertools import pairwise
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.errors import BadInput, NotFound, Refused
from ura.models import BusinessHours, Holiday, Queue
from ura.queues import Span

KEY = re.compile(r"[a-z0-9_]{1,64}")
LONGEST_NAME = 80
MOST_SPANS = 50
MIDNIGHT = time(0)


class HolidayNotFound(NotFound):
    code = "holiday-not-found"


class HolidayAlreadyThere(Refused):
    code = "holiday-already-there"


class TimetableNotFound(NotFound):
    code = "timetable-not-found"


@dataclass(frozen=True, slots=True)
class Hours:
    """A timetable with its spans, by weekday and time, and the titles of the queues that keep it."""

    timetable: str
    spans: tuple[Span, ...]
    queues: tuple[str, ...]


async def list_hours(session: AsyncSession) -> list[Hours]:
    """By name. A timetable that a queue names and that has no spans yet is there, too: it is never open."""
    spans: dict[str, list[Span]] = {}
    by = (BusinessHours.timetable, BusinessHours.weekday, BusinessHours.opens)
    for row in await session.scalars(select(BusinessHours).order_by(*by)):
        spans.setdefault(row.timetable, []).append(Span(row.weekday, row.opens, row.closes))
    queues: dict[str, list[str]] = {}
    for queue in await session.scalars(select(Queue).where(Queue.business_hours != "").order_by(Queue.title)):
        queues.setdefault(queue.business_hours, []).append(queue.title)
    names = sorted({*spans, *queues})
    return [Hours(name, tuple(spans.get(name, ())), tuple(queues.get(name, ()))) for name in names]


async def get_hours(session: AsyncSession, timetable: str) -> Hours:
    for hours in await list_hours(session):
        if hours.timetable == timetable:
            return hours
    raise TimetableNotFound(f"There is no timetable '{timetable}'.")


async def set_hours(session: AsyncSession, timetable: str, spans: Iterable[Span]) -> None:
    """The whole week of one timetable, new or known; no spans: it is never open. Raises BadInput."""
    spans = sorted(spans, key=lambda span: (span.weekday, span.opens))
    if not KEY.fullmatch(timetable):
        raise BadInput("A timetable is named with small letters, digits and _.")
    if len(spans) > MOST_SPANS:
        raise BadInput(f"A week has {MOST_SPANS} spans at most.")
    if any(not is_span(span) for span in spans) or find_overlap(spans):
        raise BadInput("Each span closes after it opens (00:00 is the midnight that ends the day), and none overlap.")
    await session.execute(delete(BusinessHours).where(BusinessHours.timetable == timetable))
    session.add_all(
        BusinessHours(timetable=timetable, weekday=span.weekday, opens=span.opens, closes=span.closes) for span in spans
    )
    await session.flush()


def is_span(span: Span) -> bool:
    return 0 <= span.weekday <= 6 and (span.closes == MIDNIGHT or span.opens < span.closes)


def find_overlap(spans: Sequence[Span]) -> Span | None:
    """The first span, of those ordered by day and hour, that begins before the one in front of it is over."""
    for before, span in pairwise(spans):
        if before.weekday == span.weekday and (before.closes == MIDNIGHT or span.opens < before.closes):
            return span
    return None


async def list_holidays(session: AsyncSession, *, first: date) -> Sequence[Holiday]:
    """Municipal ones from `first` on, the nearest first."""
    by = (Holiday.on_day, Holiday.timetable)
    return (await session.scalars(select(Holiday).where(Holiday.on_day >= first).order_by(*by))).all()


async def add_holiday(session: AsyncSession, *, on_day: date, name: str, timetable: str = "") -> Holiday:
    """`timetable`: the branch that keeps it; empty: all. Raises HolidayAlreadyThere, TimetableNotFound, BadInput."""
    name = " ".join(name.split())
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        raise BadInput(f"Give the day a name of 1 to {LONGEST_NAME} letters.")
    if timetable:
        await get_hours(session, timetable)
    if await session.get(Holiday, (on_day, timetable)):
        raise HolidayAlreadyThere(f"{on_day} is a holiday there already.")
    holiday = Holiday(on_day=on_day, timetable=timetable, name=name)
    session.add(holiday)
    await session.flush()
    return holiday


async def remove_holiday(session: AsyncSession, *, on_day: date, timetable: str = "") -> Holiday:
    """What was removed. Raises HolidayNotFound."""
    holiday = await session.get(Holiday, (on_day, timetable))
    if holiday is None:
        raise HolidayNotFound(f"{on_day} is no holiday there.")
    await session.delete(holiday)
    await session.flush()
    return holiday


async def save_hours(session: AsyncSession, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows with `timetable`, `weekday`, `opens`, `closes`: each timetable that is named gets these spans and no others,
    or what an admin takes out of a spreadsheet would stay."""
    weeks: dict[str, list[Span]] = {}
    for row in rows:
        weeks.setdefault(row["timetable"], []).append(Span(row["weekday"], row["opens"], row["closes"]))
    for timetable, spans in weeks.items():
        await set_hours(session, timetable, spans)
