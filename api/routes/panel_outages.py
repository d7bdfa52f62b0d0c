"""The panel's board of outages: what is down now, for whom, what it explains, and what people are told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.deps import OutageReader, OutageWriter, SessionDep, Wired, WiredDep
from api.routes import incidents as routes
from ura import coverage, incidents, outages
from ura.errors import BadInput, Refused
from ura.models import Cause
from ura.outages import Scope
from ura.users import Permission

router = APIRouter(prefix="/panel/outages", include_in_schema=False, default_response_class=HTMLResponse)

HERE = "/panel/outages"
UPDATES_SHOWN = 3
Text = Annotated[str, Form(max_length=80)]


@dataclass(frozen=True, slots=True)
class Given:
    """What stands in the form: what was written, when it was refused."""

    cause: Cause = Cause.FIBRE_CUT
    places: Sequence[int] = ()
    olt: str = ""
    pon: str = ""
    cto: str = ""
    ends_at: str = ""
    note: str = ""
    text: str = ""


@router.get("")
async def show_outages(request: Request, session: SessionDep, things: WiredDep, actor: OutageReader) -> Response:
    return await _page(request, session, things)


@router.post("")
async def open_outage(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: OutageWriter,
    cause: Annotated[Cause, Form()],
    places: Annotated[list[int] | None, Form()] = None,
    olt: Text = "",
    pon: Text = "",
    cto: Text = "",
    ends_at: Annotated[str, Form(max_length=20)] = "",
    note: Annotated[str, Form(max_length=500)] = "",
    text: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """With the tickets that it explains already."""
    now = datetime.now(UTC)
    try:
        outage = await incidents.open_incident(
            session,
            cause=cause,
            scopes=[*await _places(session, places or []), *_fibre(olt, pon, cto)],
            started_at=now,
            ends_at=_moment(ends_at, things.settings.zone),
            note=note,
            text=text,
            opened_by=actor.name,
            now=now,
        )
    except BadInput:
        given = Given(cause, places or (), olt, pon, cto, ends_at, note, text)
        return await _page(request, session, things, refused=given)
    await routes.note(session, actor, "incident.open", outage, now)
    return RedirectResponse(HERE, status_code=303)


@router.post("/{outage_id}/estimate")
async def change_estimate(
    session: SessionDep,
    things: WiredDep,
    actor: OutageWriter,
    outage_id: str,
    ends_at: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    outage = await outages.get_outage(session, outage_id)
    estimate = _moment(ends_at, things.settings.zone)
    await outages.change_outage(session, outage, cause=outage.cause, ends_at=estimate, note=outage.note)
    await routes.note(session, actor, "outage.change", outage, datetime.now(UTC))
    return RedirectResponse(HERE, status_code=303)


@router.post("/{outage_id}/updates")
async def tell_news(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: OutageWriter,
    outage_id: str,
    text: Annotated[str, Form(max_length=200)] = "",
    ends_at: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """A line on each ticket, a message to each who asked; callers hear the new estimate."""
    now, zone = datetime.now(UTC), things.settings.zone
    outage = await outages.get_outage(session, outage_id)
    try:
        async with session.begin_nested():  # refused, it leaves no estimate behind
            await incidents.tell(
                session,
                outage,
                text=text,
                ends_at=_moment(ends_at, zone),
                actor=actor.name,
                now=now,
                by=routes.channel(things),
            )
    except (BadInput, Refused):
        return await _page(request, session, things, untold=outage_id)
    await routes.note(session, actor, "incident.update", outage, now)
    return RedirectResponse(HERE, status_code=303)


@router.post("/{outage_id}/close")
async def close_outage(
    session: SessionDep,
    actor: OutageWriter,
    things: WiredDep,
    outage_id: str,
    text: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """`text`: what was done; the last line of each of its tickets."""
    now = datetime.now(UTC)
    outage = await outages.get_outage(session, outage_id)
    by = routes.channel(things)
    await incidents.close_incident(session, outage, text=text, actor=actor.name, now=now, by=by)
    await routes.note(session, actor, "incident.close", outage, now)
    return RedirectResponse(HERE, status_code=303)


async def _page(
    request: Request, session: AsyncSession, things: Wired, *, refused: Given | None = None, untold: str = ""
) -> Response:
    """`untold`: the outage whose news made no sense."""
    position = await things.broadcaster.position()  # before reading: what comes after it will be told
    found = await routes.answers(session, list(await outages.list_outages(session)))
    going_on = [outage for outage in found if outage.closed_at is None]
    cities = [
        (city.name, await coverage.list_neighbourhoods(session, city_id=city.id))
        for city in await coverage.list_cities(session)
    ]
    return pages.page(
        request,
        "outages.html",
        here="outages",
        position=position,
        status=422 if refused or untold else 200,
        open=going_on,
        said={each.id: await incidents.list_updates(session, each.id, limit=UPDATES_SHOWN) for each in going_on},
        untold=untold,
        over=[outage for outage in found if outage.closed_at is not None],
        cities=cities,
        causes=list(Cause),
        may_write=request.state.actor.may(Permission.OUTAGES_WRITE),
        problem=refused is not None,
        given=refused or Given(),
        zone=things.settings.zone,
        now=datetime.now(UTC),
    )


async def _places(session: AsyncSession, ids: list[int]) -> list[Scope]:
    cities = {city.id: city.name for city in await coverage.list_cities(session)}
    found = [await coverage.get_neighbourhood(session, one) for one in ids[: outages.MOST_SCOPES]]
    return [Scope(neighbourhood=place.name, city=cities[place.city_id]) for place in found]


def _fibre(olt: str, pon: str, cto: str) -> list[Scope]:
    line = [Scope(olt=olt, pon=pon)] if olt.strip() or pon.strip() else []
    return [*line, *([Scope(cto=cto)] if cto.strip() else [])]


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    """As the browser's field gives it: local, without a zone. Empty: no estimate."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput("Write the estimate as 2026-12-31T18:00.") from error
