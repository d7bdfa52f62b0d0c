"""The panel's page of hours and holidays: what holds now, and forms to change it."""

import re
from contextlib import suppress
from datetime import date, datetime, time
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.deps import HoursReader, HoursWriter, RulesMayChange, SessionDep, WiredDep
from api.routes import hours as routes
from ura import queues, timetables
from ura.errors import UraError
from ura.queues import Span
from ura.settings import Settings
from ura.users import Permission

router = APIRouter(
    prefix="/panel/hours",
    include_in_schema=False,
    default_response_class=HTMLResponse,
    dependencies=[RulesMayChange],
)

HERE = "/panel/hours"
_SPAN = re.compile(r"(\d{1,2}):(\d\d)\s*[-–]\s*(\d{1,2}):(\d\d)")
Day = Annotated[str, Form(max_length=120)]
Key = Annotated[str, Form(max_length=64)]


@router.get("")
async def show_hours(request: Request, session: SessionDep, things: WiredDep, _actor: HoursReader) -> Response:
    return await _page(request, session, things.settings)


@router.post("/week/{timetable}")
async def set_week(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: HoursWriter,
    timetable: str,
    days: Annotated[list[Day], Form(min_length=7, max_length=7)],
) -> Response:
    """`days`: Monday first, each as it is written in its field; empty: closed."""
    try:
        spans = [span for weekday, text in enumerate(days) for span in _spans(weekday, text)]
        await routes.change_hours(session, actor, timetable, spans)
    except (UraError, ValueError):
        return await _page(request, session, things.settings, refused=(timetable, days))
    return RedirectResponse(HERE, status_code=303)


@router.post("/holidays")
async def add_holiday(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: HoursWriter,
    on_day: Annotated[str, Form(max_length=20)] = "",
    name: Day = "",
    timetable: Key = "",
) -> Response:
    try:
        await routes.add(session, actor, date.fromisoformat(on_day), name, timetable)
    except (UraError, ValueError):
        return await _page(request, session, things.settings, given=(on_day, name, timetable))
    return RedirectResponse(HERE, status_code=303)


@router.post("/holidays/{on_day}/remove")
async def remove_holiday(session: SessionDep, actor: HoursWriter, on_day: date, timetable: Key = "") -> Response:
    """Whoever was slower sees the page as it is now."""
    with suppress(timetables.HolidayNotFound):
        await routes.remove(session, actor, on_day, timetable)
    return RedirectResponse(HERE, status_code=303)


async def _page(
    request: Request,
    session: AsyncSession,
    settings: Settings,
    *,
    refused: tuple[str, list[str]] | None = None,
    given: tuple[str, str, str] | None = None,
) -> Response:
    today = datetime.now(settings.zone).date()
    known = [
        day for year in (today.year, today.year + 1) for day in queues.public_holidays(settings.state_uf, year).items()
    ]
    return pages.page(
        request,
        "hours.html",
        here="hours",
        status=422 if refused or given else 200,
        weeks=[
            (hours, refused[1] if refused and refused[0] == hours.timetable else _week(hours))
            for hours in await timetables.list_hours(session)
        ],
        holidays=await timetables.list_holidays(session, first=today),
        public=sorted(day for day in known if day[0] >= today)[:6],
        state=settings.state_uf,
        refused=refused[0] if refused else "",
        given=given or ("", "", ""),
        problem=given is not None,
        may_write=request.state.actor.may(Permission.HOURS_WRITE),
    )


def _week(hours: timetables.Hours) -> list[str]:
    """ "08:00-12:00, 13:00-18:00" for each day; "" when it is closed."""
    return [
        ", ".join(
            f"{span.opens:%H:%M}-{'24:00' if span.closes == timetables.MIDNIGHT else f'{span.closes:%H:%M}'}"
            for span in hours.spans
            if span.weekday == weekday
        )
        for weekday in range(7)
    ]


def _spans(weekday: int, text: str) -> list[Span]:
    """What `_week` writes. Raises ValueError."""
    spans = []
    for part in filter(None, (part.strip() for part in re.split("[,;]", text))):
        found = _SPAN.fullmatch(part)
        if not found:
            raise ValueError(f"{part!r} is no span")
        first, first_minute, last, last_minute = map(int, found.groups())
        spans.append(Span(weekday, time(first, first_minute), time(0 if last == 24 else last, last_minute)))
    return spans
