"""Tickets: open, list, read, comment, close.

Every POST takes an `Idempotency-Key`; see api/idempotency.py.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from api.call_views import phone_for
from api.deps import SessionDep, TicketReader, TicketWriter, Wired, WiredDep
from api.errors import described
from api.idempotency import id_for
from api.routes.calls import searched_phone, zoned
from api.schemas import Answer, Cursor, IdempotencyKey, Limit, Listed, Uuid
from ura import phones, summaries, tickets
from ura.errors import BadInput
from ura.models import Category, Ticket, TicketEvent, TicketEventKind, TicketStatus, Tier
from ura.tickets import TicketFilter
from ura.users import Actor

router = APIRouter(prefix="/tickets", tags=["tickets"])


class KeyReused(BadInput):
    code = "idempotency-key-reused"


class NewTicket(BaseModel):
    category: Category
    summary: str = Field(min_length=1, max_length=500)
    phone: str = Field(default="", max_length=40, description="In any usual form; empty when there is none.")
    queue: str = Field(default="l1", max_length=64)
    call_id: Uuid | None = None
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "example": {"category": "support", "summary": "Sem sinal desde ontem", "phone": "11933330002"}
        },
    }


class Remark(BaseModel):
    text: str = Field(min_length=1, max_length=5000)
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"text": "Luz vermelha na ONU"}}}


class Closing(BaseModel):
    text: str = Field(default="", max_length=5000, description="What was done.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"text": "Conector trocado"}}}


class TicketAnswer(Answer):
    id: str
    protocol: str
    call_id: str | None
    tier: Tier
    status: TicketStatus
    category: Category
    summary: str
    phone: str
    queue: str
    opened_at: datetime
    closed_at: datetime | None
    opened_by: str


class TicketEventAnswer(Answer):
    id: str
    at: datetime
    actor: str
    kind: TicketEventKind
    text: str


class TicketDetail(TicketAnswer):
    events: list[TicketEventAnswer]


@router.get("", summary="List tickets, newest first", responses=described())
async def list_tickets(
    actor: TicketReader,
    session: SessionDep,
    status: TicketStatus | None = None,
    category: Category | None = None,
    tier: Tier | None = None,
    queue: Annotated[str, Query(max_length=64)] = "",
    phone: Annotated[str, Query(max_length=40, description="In any usual form. Needs phones:see.")] = "",
    protocol: Annotated[str, Query(max_length=12)] = "",
    call_id: Annotated[str, Query(max_length=32)] = "",
    opened_from: Annotated[datetime | None, Query(alias="from", description="With a time zone; inclusive.")] = None,
    opened_before: Annotated[datetime | None, Query(alias="to", description="With a time zone; exclusive.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[TicketAnswer]:
    wanted = TicketFilter(
        status=status,
        category=category,
        tier=tier,
        queue=queue,
        phone=searched_phone(actor, phone),
        protocol=protocol,
        call_id=call_id,
        opened_from=zoned(opened_from, "from"),
        opened_before=zoned(opened_before, "to"),
    )
    page = await tickets.list_tickets(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[_answer(actor, ticket) for ticket in page.items], next_cursor=page.next_cursor)


@router.post("", status_code=201, summary="Open a ticket; its protocol is given at once", responses=described(409))
async def open_ticket(
    actor: TicketWriter,
    session: SessionDep,
    things: WiredDep,
    response: Response,
    wanted: NewTicket,
    key: IdempotencyKey = None,
) -> TicketDetail:
    ticket_id = id_for(actor, "ticket", key)
    phone = phones.to_e164(wanted.phone)
    if wanted.phone and not phone:
        raise BadInput("`phone` is no telephone number. Write it with its area code, as 11933330002, or leave it out.")
    if await tickets.find_ticket(session, ticket_id) is None:
        now = datetime.now(UTC)
        await tickets.open_ticket(
            session,
            ticket_id=ticket_id,
            protocol=_protocol(things, now),
            category=wanted.category,
            summary=wanted.summary,
            phone=phone,
            queue=wanted.queue,
            opened_by=actor.name,
            now=now,
            call_id=wanted.call_id,
        )
    ticket = await tickets.get_ticket(session, ticket_id)
    same = (wanted.category, wanted.summary.strip(), phone, wanted.queue, wanted.call_id)
    if (ticket.category, ticket.summary, ticket.phone, ticket.queue, ticket.call_id) != same:
        raise KeyReused("This Idempotency-Key was sent before with other contents. Use a new key for a new ticket.")
    response.headers["Location"] = f"/api/v1/tickets/{ticket.id}"
    return _detail(actor, ticket, await tickets.list_events(session, ticket))


@router.get("/{ticket_id}", summary="One ticket with its history", responses=described(404))
async def get_ticket(actor: TicketReader, session: SessionDep, ticket_id: str) -> TicketDetail:
    ticket = await tickets.get_ticket(session, ticket_id)
    return _detail(actor, ticket, await tickets.list_events(session, ticket))


@router.post("/{ticket_id}/comments", status_code=201, summary="Comment on a ticket", responses=described(404))
async def comment_on_ticket(
    actor: TicketWriter, session: SessionDep, ticket_id: str, remark: Remark, key: IdempotencyKey = None
) -> TicketEventAnswer:
    ticket = await tickets.get_ticket(session, ticket_id)
    event = await tickets.comment(
        session,
        ticket,
        text=remark.text,
        actor=actor.name,
        now=datetime.now(UTC),
        event_id=id_for(actor, f"comment {ticket_id}", key),
    )
    if event.text != remark.text.strip():
        raise KeyReused("This Idempotency-Key was sent before with another text. Use a new key for a new comment.")
    return TicketEventAnswer.model_validate(event)


@router.post("/{ticket_id}/close", summary="Close a ticket", responses=described(404, 409))
async def close_ticket(
    actor: TicketWriter, session: SessionDep, ticket_id: str, closing: Closing, key: IdempotencyKey = None
) -> TicketDetail:
    ticket = await tickets.get_ticket(session, ticket_id)
    event_id = id_for(actor, f"close {ticket_id}", key)
    history = await tickets.list_events(session, ticket)
    if event_id not in {event.id for event in history}:
        await tickets.close_ticket(
            session, ticket, text=closing.text, actor=actor.name, now=datetime.now(UTC), event_id=event_id
        )
    return _detail(actor, ticket, await tickets.list_events(session, ticket))


def _protocol(things: Wired, now: datetime) -> str:
    return things.protocols.next(now.astimezone(things.settings.zone).date())


def _answer(actor: Actor, ticket: Ticket) -> TicketAnswer:
    shown = {"phone": phone_for(actor, ticket.phone), "summary": summaries.told(ticket)}
    return TicketAnswer.model_validate(ticket).model_copy(update=shown)


def _detail(actor: Actor, ticket: Ticket, events: Sequence[TicketEvent]) -> TicketDetail:
    return TicketDetail(**_answer(actor, ticket).model_dump(), events=[_told(ticket, event) for event in events])


def _told(ticket: Ticket, event: TicketEvent) -> TicketEventAnswer:
    """The first line of the history repeats the summary."""
    shown = TicketEventAnswer.model_validate(event)
    if event.kind is not TicketEventKind.OPENED:
        return shown
    return shown.model_copy(update={"text": summaries.told(ticket, event.text)})
