"""The panel's page of one ticket: its history, why it is due when it is, and the moves that its reader may make."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Annotated, Any, TypeVar
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ValidationError
from pydantic import Field as PydanticField
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages, ticket_pages
from api.deps import SessionDep, TicketReader, TicketWriter, Wired, WiredDep
from api.idempotency import id_for
from api.records import opened
from api.routes import orders
from api.routes.tickets import NewContact, Remark
from api.schemas import Words
from api.ticket_bodies import MoveBody
from ura import audit, erp_requests, ticket_categories, ticket_moves, ticket_rules, tickets, visits
from ura.errors import BadInput, Refused
from ura.models import RecordKind, Ticket, VisitKind
from ura.ticket_forms import Field, FieldKind
from ura.ticket_refusals import WordsMissing
from ura.ticket_rules import Contact, Move
from ura.users import Actor

router = APIRouter(prefix="/panel/tickets/{ticket_id}", include_in_schema=False, default_response_class=HTMLResponse)

FORM = "form."  # before the key of a question of the category

Given = Mapping[str, str]
Shape = TypeVar("Shape", bound=BaseModel)


class NewVisit(BaseModel):
    kind: VisitKind = VisitKind.VISIT
    slot: str = PydanticField(max_length=60, pattern=r"^[0-9]{1,9} \S+$")
    address: Words = PydanticField(default="", max_length=200)
    note: Words = PydanticField(default="", max_length=5000)


async def _given(request: Request) -> Given:
    """The form as it was sent. `once` is new in each form that is shown: sent twice, it is done once."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


GivenDep = Annotated[Given, Depends(_given)]


@router.get("")
async def show_ticket(
    request: Request, session: SessionDep, things: WiredDep, actor: TicketReader, ticket_id: str
) -> Response:
    return await _page(request, session, things, actor, await tickets.get_ticket(session, ticket_id))


@router.get("/now")
async def read_again(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: TicketReader,
    ticket_id: str,
    version: Annotated[int, Query()] = 0,
) -> Response:
    """For a page that was told of a change. The forms stay, with what is being written; `version` is theirs."""
    ticket = await tickets.get_ticket(session, ticket_id)
    await opened(session, things, actor, RecordKind.TICKET, ticket.id)
    shown = await ticket_pages.live_part(session, actor, ticket, datetime.now(UTC))
    return pages.page(request, "_ticket_now.html", stale=version != ticket.version, **shown)


@router.post("/moves")
async def move_ticket(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: TicketWriter,
    ticket_id: str,
    given: GivenDep,
) -> Response:
    ticket = await tickets.get_ticket(session, ticket_id)
    try:
        wanted = await _move_of(session, ticket, given, things.settings.zone)
        await _make(session, things, actor, ticket, wanted, given)
    except (BadInput, Refused) as error:
        return await _page(request, session, things, actor, ticket, given=given, error=error)
    return _back(ticket)


@router.post("/contact")
async def contact_customer(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: TicketWriter,
    ticket_id: str,
    given: GivenDep,
) -> Response:
    """The page that follows has the customer's number, this once; that it was given is in the audit."""
    ticket = await tickets.get_ticket(session, ticket_id)
    given = {**given, "type": "contact"}
    try:
        sent = _checked(NewContact, {name: given.get(name, "") for name in ("purpose", "text")})
        await _make(session, things, actor, ticket, Contact(purpose=sent.purpose, text=sent.text), given)
    except (BadInput, Refused) as error:
        return await _page(request, session, things, actor, ticket, given=given, error=error)
    detail = {"purpose": sent.purpose.value}
    await audit.record(session, actor=actor.name, action="ticket.contact", subject=ticket.id, detail=detail)
    return await _page(request, session, things, actor, ticket, ring=ticket.phone)


@router.post("/comments")
async def comment(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: TicketWriter,
    ticket_id: str,
    given: GivenDep,
) -> Response:
    ticket = await tickets.get_ticket(session, ticket_id)
    given = {**given, "type": "comment"}
    try:
        sent = _checked(Remark, {"text": given.get("text", ""), "internal": "internal" in given})
        await tickets.comment(
            session,
            ticket,
            text=sent.text,
            actor=actor.name,
            now=datetime.now(UTC),
            event_id=id_for(actor, f"comment {ticket.id}", given.get("once")),
            internal=sent.internal or ticket_rules.is_internal(ticket.tier, actor),
        )
    except (BadInput, Refused) as error:
        return await _page(request, session, things, actor, ticket, given=given, error=error)
    return _back(ticket)


@router.post("/visits")
async def book_visit(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: TicketWriter,
    ticket_id: str,
    given: GivenDep,
) -> Response:
    """In one of the slots that the page offered: the technician's number and when it begins."""
    ticket = await tickets.get_ticket(session, ticket_id)
    given = {**given, "type": "visit"}
    try:
        sent = _checked(NewVisit, {name: given[name] for name in NewVisit.model_fields if name in given})
        technician_id, starts_at = orders.slot_of(sent.slot)
        async with session.begin_nested():  # a refused one leaves nothing behind, though the page is answered
            visit = await visits.book(
                session,
                ticket,
                kind=sent.kind,
                technician_id=technician_id,
                starts_at=starts_at,
                actor=actor,
                now=datetime.now(UTC),
                where=orders.calendar(things),
                address=sent.address,
                note=sent.note,
                visit_id=id_for(actor, f"order {ticket.id}", given.get("once")),
            )
    except (BadInput, Refused) as error:
        await session.refresh(ticket)
        return await _page(request, session, things, actor, ticket, given=given, error=error)
    if things.settings.mirrors_tickets:
        await erp_requests.mirror_visit(session, ticket, visit)
    return _back(ticket)


async def _make(session: AsyncSession, things: Wired, actor: Actor, ticket: Ticket, wanted: Move, given: Given) -> None:
    """Of the ticket that the page showed: what has changed since then is looked at first."""
    version = given.get("version", "")
    await ticket_moves.move(
        session,
        ticket,
        wanted,
        actor=actor,
        now=datetime.now(UTC),
        event_id=id_for(actor, f"{wanted.type} {ticket.id}", given.get("once")),
        version=int(version) if version.isdecimal() and len(version) < 10 else None,
        reopen_within=timedelta(days=things.settings.ticket_reopen_days),
    )


async def _page(
    request: Request,
    session: AsyncSession,
    things: Wired,
    actor: Actor,
    ticket: Ticket,
    *,
    given: Given | None = None,
    error: BadInput | Refused | None = None,
    ring: str | None = None,
) -> Response:
    """Whatever is refused is said beside what was written. `ring`: the number to ring, which stands nowhere else."""
    position = await things.broadcaster.position()
    await opened(session, things, actor, RecordKind.TICKET, ticket.id)
    now, zone = datetime.now(UTC), things.settings.zone
    return pages.page(
        request,
        "ticket.html",
        status=error.http_status if error else 200,
        here="tickets",
        position=position,
        given=given or {},
        problem=error.code if error else "",
        once=uuid4().hex,
        ring=ring,
        zone=zone,
        now=now,
        **await ticket_pages.live_part(session, actor, ticket, now),
        **await ticket_pages.acts(session, things, actor, ticket, now),
        **await ticket_pages.explained(session, ticket, now),
    )


async def _move_of(session: AsyncSession, ticket: Ticket, given: Given, zone: ZoneInfo) -> Move:
    body: dict[str, Any] = {
        name: value.strip()
        for name, value in given.items()
        if name not in ("once", "version") and not name.startswith(FORM)
    }
    if "told_deadline_at" in body:
        body["told_deadline_at"] = _moment(body["told_deadline_at"], zone)
    if given.get("type") in ("report", "to_l2"):
        fields = await ticket_categories.form_of(session, ticket.category)
        body["form"] = _answers(fields, {name.removeprefix(FORM): value for name, value in given.items()})
    return await _checked(MoveBody, body).move(session)


def _answers(fields: Sequence[Field], given: Given) -> dict[str, Any]:
    """As the form asks for them; what is left empty is not answered."""
    found = {field.key: (field, given[field.key].strip()) for field in fields if given.get(field.key, "").strip()}
    return {key: _answer(field, text) for key, (field, text) in found.items()}


def _answer(field: Field, text: str) -> Any:
    """What is no number stays a text: the form refuses it by its name."""
    match field.kind:
        case FieldKind.YES_NO:
            return text == "yes"
        case FieldKind.NUMBER:
            try:
                number = float(text.replace(",", "."))
            except ValueError:
                return text
            return text if not isfinite(number) else int(number) if number.is_integer() else number
        case _:
            return text


def _checked(shape: type[Shape], sent: dict[str, Any]) -> Shape:
    """Raises WordsMissing for what is empty, BadInput for what no form of ours sends."""
    try:
        return shape.model_validate(sent)
    except ValidationError as error:
        if any(each["type"] == "string_too_short" for each in error.errors()):
            raise WordsMissing("Whoever reads it next needs words.") from error
        raise BadInput("This form is not one of this page. Read it again.") from error


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    """As the browser's field gives it: local, without a zone. Empty: the one that the ticket has."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput("Write the deadline as 2026-12-31T18:00.") from error


def _back(ticket: Ticket) -> Response:
    return RedirectResponse(f"/panel/tickets/{ticket.id}", status_code=303)
