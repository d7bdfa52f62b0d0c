"""The panel's agenda: who goes where on a day, which slots are free, and what came of each visit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.deps import SessionDep, TicketReader, TicketWriter, Wired, WiredDep
from api.idempotency import id_for
from api.routes import orders
from api.routes.orders import OrderAnswer
from ura import technicians, visits
from ura.errors import BadInput, Refused
from ura.models import VisitStatus
from ura.ticket_rules import OF_TIER
from ura.users import Actor
from ura.visit_slots import Slot
from ura.visits import SPEAK_WITH_CUSTOMERS, AskedBy, VisitChanged, VisitFilter

router = APIRouter(prefix="/panel/agenda", include_in_schema=False, default_response_class=HTMLResponse)

HERE = "/panel/agenda"
MOST = 200  # visits of a day
ENDS = {"done": VisitStatus.DONE, "missed": VisitStatus.MISSED, "cancel": VisitStatus.CANCELLED}


@dataclass
class Row:
    """One technician's day."""

    email: str
    name: str
    visits: list[OrderAnswer] = field(default_factory=list)
    free: list[Slot] = field(default_factory=list)


@router.get("")
async def show_agenda(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: TicketReader,
    day: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    return await _page(request, session, things, actor, _day(day, things.settings.zone))


@router.post("/{visit_id}/moves")
async def move_visit(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: TicketWriter,
    visit_id: str,
    type: Annotated[str, Form(pattern="^(confirm|put_off|done|missed|cancel)$")],
    version: Annotated[int, Form(ge=0)] = 0,
    outcome: Annotated[str, Form(max_length=5000)] = "",
    slot: Annotated[str, Form(max_length=60)] = "",
    asked_by: Annotated[AskedBy, Form()] = AskedBy.CUSTOMER,
) -> Response:
    """Of the visit that the page showed: sent twice, the second finds it changed, by itself, and is content."""
    visit = await visits.get_visit(session, visit_id)
    day = visit.starts_at.astimezone(things.settings.zone).date()
    event_id = id_for(actor, f"{type} {visit_id}", f"version {version}")
    now = datetime.now(UTC)
    try:
        if visit.version != version and not await visits.was_done(session, event_id):
            raise VisitChanged("Somebody changed this visit meanwhile. Read it again, then decide.")
        async with session.begin_nested():  # a refused one leaves nothing behind, though the page is answered
            if type == "confirm":
                await visits.confirm(session, visit, actor=actor, now=now, event_id=event_id)
            elif type == "put_off":
                technician_id, starts_at = orders.slot_of(slot)
                await visits.put_off(
                    session,
                    visit,
                    starts_at=starts_at,
                    technician_id=technician_id,
                    asked_by=asked_by,
                    reason=outcome,
                    where=orders.calendar(things),
                    policy=orders.policy(things),
                    actor=actor,
                    now=now,
                    event_id=event_id,
                )
                day = visit.starts_at.astimezone(things.settings.zone).date()  # it is shown where it went
            else:
                ended = ENDS[type]
                await visits.end(session, visit, status=ended, outcome=outcome, actor=actor, now=now, event_id=event_id)
    except (BadInput, Refused) as error:
        return await _page(request, session, things, actor, day, refused=(visit_id, type, outcome), error=error)
    return RedirectResponse(f"{HERE}?day={day.isoformat()}#v-{visit_id}", status_code=303)


async def _page(
    request: Request,
    session: AsyncSession,
    things: Wired,
    actor: Actor,
    day: date,
    *,
    refused: tuple[str, str, str] = ("", "", ""),
    error: BadInput | Refused | None = None,
) -> Response:
    """`refused`: which visit, which move, and what was written."""
    now, zone = datetime.now(UTC), things.settings.zone
    may_write = any(actor.may(OF_TIER[tier]) for tier in SPEAK_WITH_CUSTOMERS)
    position = await things.broadcaster.position()  # before reading: what comes after it will be told
    return pages.page(
        request,
        "agenda.html",
        status=error.http_status if error else 200,
        here="agenda",
        position=position,
        day=day,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
        today=now.astimezone(zone).date(),
        rows=await _rows(session, things, actor, day, now),
        may_write=may_write,
        slots=await _slots(session, things, now) if may_write else {},
        refused=dict(zip(("visit", "type", "outcome"), refused, strict=True)),
        problem=error.code if error else "",
        now=now,
    )


async def _rows(session: AsyncSession, things: Wired, actor: Actor, day: date, now: datetime) -> Sequence[Row]:
    """Whoever asks comes first; of those who make no visits any more only who has one on that day."""
    zone = things.settings.zone
    begins, ends = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    wanted = VisitFilter(starts_from=begins, starts_before=ends)
    found = await visits.list_visits(session, filters=wanted, limit=MOST)
    people = await technicians.list_all(session)
    rows = {user.id: Row(user.email, user.name) for technician, user in people}
    for visit, answer in zip(found.items, await orders.answers(session, actor, list(found.items)), strict=True):
        rows[visit.technician_id].visits.append(answer)
    if ends > now:
        where = orders.calendar(things)
        for slot in await technicians.list_slots(session, now=now, where=where, not_before=begins, days=1):
            if slot.starts_at < ends:
                rows[slot.technician_id].free.append(slot)
    active = {user.id for technician, user in people if technician.active and user.active}
    shown = [row for user_id, row in rows.items() if user_id in active or row.visits]
    return sorted(shown, key=lambda row: (row.email != actor.name, row.name))


async def _slots(session: AsyncSession, things: Wired, now: datetime) -> Mapping[date, list[tuple[Slot, str]]]:
    """Free ones of the coming week, day by day, each with its technician's name."""
    names = {user.id: user.name or user.email for _, user in await technicians.list_all(session)}
    found: dict[date, list[tuple[Slot, str]]] = {}
    for slot in await technicians.list_slots(session, now=now, where=orders.calendar(things)):
        day = slot.starts_at.astimezone(things.settings.zone).date()
        found.setdefault(day, []).append((slot, names[slot.technician_id]))
    return found


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)


def _day(text: str, zone: ZoneInfo) -> date:
    """As far as a calendar goes that has a day before it and one after it."""
    today = datetime.now(zone).date()
    if not text:
        return today
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise BadInput("Write days as 2026-12-31.") from error
    if abs(found - today) > timedelta(days=3660):
        raise BadInput("This agenda goes ten years back and ten years on.")
    return found
