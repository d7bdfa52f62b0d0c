"""Tickets: open, list, read, comment, and every move of the three tiers.

Every POST takes an `Idempotency-Key` (api/idempotency.py), every move an `If-Match` (api/versions.py).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StrictBool
from sqlalchemy.ext.asyncio import AsyncSession

from api import ticket_views
from api.deps import SessionDep, TicketReader, TicketWriter, Wired, WiredDep
from api.errors import described
from api.etags import IfMatch
from api.idempotency import Once, id_for
from api.records import opened
from api.routes.calls import searched_phone
from api.schemas import Answer, Cursor, IdempotencyKey, Limit, Listed, Moment, Uuid, Words
from api.ticket_bodies import MoveBody
from api.ticket_views import TicketAnswer, TicketDetail, TicketEventAnswer
from api.versions import check_match, put_etag
from ura import (
    audit,
    erp_requests,
    phones,
    ticket_categories,
    ticket_clock,
    ticket_forms,
    ticket_moves,
    ticket_rules,
    tickets,
    users,
)
from ura.errors import BadInput, UraError
from ura.models import RecordKind, Ticket, TicketStatus, Tier
from ura.ticket_categories import Kind
from ura.ticket_rules import Close, Contact, Move, Purpose
from ura.tickets import TicketFilter
from ura.users import Actor

router = APIRouter(prefix="/tickets", tags=["tickets"], route_class=Once)


class KeyReused(BadInput):
    code = "idempotency-key-reused"


class NewTicket(BaseModel):
    category: str = Field(max_length=64, description="One that is active: see /api/v1/ticket-categories.")
    summary: Words = Field(min_length=1, max_length=500)
    phone: str = Field(default="", max_length=40, description="In any usual form; empty when there is none.")
    queue: Words | None = Field(default=None, max_length=64, description="Left out: the category's.")
    call_id: Uuid | None = None
    contract_ref: Words = Field(
        default="", max_length=64, description="The contract, as the provider's system numbers it."
    )
    segment: Words = Field(default="", max_length=16, description="Of the contract, as the provider's system calls it.")
    form: dict[str, Any] = Field(default_factory=dict, description="Answers to the category's own questions, by key.")
    report: Words = Field(default="", max_length=5000, description="What the customer said, and what you saw.")
    told_deadline_at: Moment | None = Field(default=None, description="The deadline that the customer was told.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "example": {"category": "support", "summary": "Sem sinal desde ontem", "phone": "11933330002"}
        },
    }


class Remark(BaseModel):
    text: Words = Field(min_length=1, max_length=5000)
    internal: StrictBool = Field(default=False, description="For colleagues only; what L3 writes always is.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"text": "Luz vermelha na ONU"}}}


class Closing(BaseModel):
    text: Words = Field(default="", max_length=5000, description="What was done.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"text": "Conector trocado"}}}


class NewContact(BaseModel):
    purpose: Purpose = Field(description="L2 contacts a customer with a solution, or to book a visit.")
    text: Words = Field(min_length=1, max_length=5000, description="The solution, or why somebody has to come.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"purpose": "solution", "text": "Porta trocada na OLT"}},
    }


class ContactAnswer(Answer):
    phone: str = Field(description="Whom to ring, E.164; empty when the ticket has no number.")
    event: TicketEventAnswer


@router.get("", summary="List tickets, newest first", responses=described(404))
async def list_tickets(
    actor: TicketReader,
    session: SessionDep,
    status: TicketStatus | None = None,
    category: Annotated[str, Query(max_length=64)] = "",
    tier: Tier | None = None,
    queue: Annotated[str, Query(max_length=64)] = "",
    assignee: Annotated[str, Query(max_length=120)] = "",
    incident_id: Annotated[str, Query(max_length=32)] = "",
    contract_ref: Annotated[str, Query(max_length=64)] = "",
    phone: Annotated[str, Query(max_length=40, description="In any usual form. Needs phones:see.")] = "",
    protocol: Annotated[str, Query(pattern=r"^(\d{5,12})?$")] = "",  # five digits are a day
    call_id: Annotated[str, Query(max_length=32)] = "",
    due_before: Annotated[
        Moment | None, Query(description="With a time zone: only those not closed, the longest due first.")
    ] = None,
    opened_from: Annotated[Moment | None, Query(alias="from", description="With a time zone; inclusive.")] = None,
    opened_before: Annotated[Moment | None, Query(alias="to", description="With a time zone; exclusive.")] = None,
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
        contract_ref=contract_ref,
        assignee_id=await _assignee(session, assignee),
        incident_id=incident_id,
        due_before=due_before,
        opened_from=opened_from,
        opened_before=opened_before,
    )
    page = await tickets.list_tickets(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=await ticket_views.answers(session, actor, page.items), next_cursor=page.next_cursor)


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
    kind = await ticket_categories.to_open(session, wanted.category)
    form = ticket_forms.checked(kind.form, wanted.form)
    queue = kind.queue if wanted.queue is None else wanted.queue
    now = datetime.now(UTC)
    try:
        await _check(session, kind, form, queue, wanted, now)
    except UraError:  # a rule of today says nothing of what was opened before, under this key
        if await tickets.find_ticket(session, ticket_id) is None:
            raise
    protocol = _protocol(things, now)
    ticket = await tickets.open_ticket(
        session,
        ticket_id=ticket_id,
        protocol=protocol,
        category=wanted.category,
        summary=wanted.summary,
        phone=phone,
        queue=queue,
        opened_by=actor.name,
        now=now,
        call_id=wanted.call_id,
        contract_ref=wanted.contract_ref,
        segment=wanted.segment,
        tier=kind.first_tier,
        form=form,
        report=wanted.report,
        told_deadline_at=wanted.told_deadline_at,
    )
    if things.settings.mirrors_tickets:
        await erp_requests.mirror_ticket(session, ticket)
    same = (wanted.category, wanted.summary.strip(), phone, wanted.call_id, wanted.contract_ref)
    if (ticket.category, ticket.summary, ticket.phone, ticket.call_id, ticket.contract_ref) != same:
        raise KeyReused("This Idempotency-Key was sent before with other contents. Use a new key for a new ticket.")
    response.headers["Location"] = f"/api/v1/tickets/{ticket.id}"
    put_etag(response, ticket.version)
    lines = tickets.history_of_new(ticket) if ticket.protocol == protocol else None
    return await ticket_views.detail(session, actor, ticket, lines)


@router.get("/{ticket_id}", summary="One ticket with its history", responses=described(404))
async def get_ticket(
    actor: TicketReader, session: SessionDep, things: WiredDep, response: Response, ticket_id: str
) -> TicketDetail:
    ticket = await tickets.get_ticket(session, ticket_id)
    await opened(session, things, actor, RecordKind.TICKET, ticket.id)
    return await _shown(session, actor, ticket, response)


@router.post("/{ticket_id}/moves", summary="Move a ticket", responses=described(404, 409, 412))
async def move_ticket(
    actor: TicketWriter,
    session: SessionDep,
    things: WiredDep,
    response: Response,
    ticket_id: str,
    wanted: MoveBody,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> TicketDetail:
    """Which move it is stands in `type`. Each takes the permission of the tier where the ticket is (`tickets:l1`,
    `tickets:l2`, `tickets:l3`). A refused one says which rule, and what to do."""
    ticket = await tickets.get_ticket(session, ticket_id)
    await _move(session, actor, things, ticket, await wanted.move(session), key, if_match)
    return await _shown(session, actor, ticket, response)


@router.post("/{ticket_id}/close", summary="Close a ticket", responses=described(404, 409, 412))
async def close_ticket(
    actor: TicketWriter,
    session: SessionDep,
    things: WiredDep,
    response: Response,
    ticket_id: str,
    closing: Closing,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> TicketDetail:
    """The same as the move `close`."""
    ticket = await tickets.get_ticket(session, ticket_id)
    await _move(session, actor, things, ticket, Close(text=closing.text), key, if_match)
    return await _shown(session, actor, ticket, response)


@router.post(
    "/{ticket_id}/contact", status_code=201, summary="Contact the customer, as L2", responses=described(404, 409, 412)
)
async def contact_customer(
    actor: TicketWriter,
    session: SessionDep,
    things: WiredDep,
    ticket_id: str,
    wanted: NewContact,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> ContactAnswer:
    """With a solution or to book a visit, and after something was tried at a distance (the move `try`). The answer, and
    nothing else that L2 is given, has the customer's number; that it was given is in the audit."""
    ticket = await tickets.get_ticket(session, ticket_id)
    contact = Contact(purpose=wanted.purpose, text=wanted.text)
    event = await _move(session, actor, things, ticket, contact, key, if_match)
    detail = {"purpose": wanted.purpose.value}
    await audit.record(session, actor=actor.name, action="ticket.contact", subject=ticket.id, detail=detail)
    return ContactAnswer(phone=ticket.phone, event=event)


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
        internal=remark.internal or ticket_rules.is_internal(ticket.tier, actor),
    )
    if event.text != remark.text.strip():
        raise KeyReused("This Idempotency-Key was sent before with another text. Use a new key for a new comment.")
    return ticket_views.told(actor, ticket, event)


async def _check(
    session: AsyncSession, kind: Kind, form: Mapping[str, Any], queue: str, wanted: NewTicket, now: datetime
) -> None:
    """May a ticket of this kind be opened so? Raises what the forms' and the tiers' rules raise."""
    ticket_forms.check_complete(kind.form, form)
    if kind.first_tier is Tier.L2:
        due_at = await ticket_clock.due_if_opened(
            session, tier=Tier.L2, category=kind.key, segment=wanted.segment, queue=queue, now=now
        )
        ticket_rules.check_promise(wanted.report, wanted.told_deadline_at, due_at=due_at, now=now)


async def _move(
    session: AsyncSession,
    actor: Actor,
    things: Wired,
    ticket: Ticket,
    wanted: Move,
    key: str | None,
    if_match: str | None,
) -> TicketEventAnswer:
    """What was done before under this key is not stale: it was its own doing."""
    event_id = id_for(actor, f"{wanted.type} {ticket.id}", key)
    if await ticket_moves.find_done(session, ticket, wanted, event_id) is None:
        check_match(if_match, ticket.version)
    event = await ticket_moves.move(
        session,
        ticket,
        wanted,
        actor=actor,
        now=datetime.now(UTC),
        event_id=event_id,
        reopen_within=timedelta(days=things.settings.ticket_reopen_days),
    )
    return ticket_views.told(actor, ticket, event)


async def _shown(session: AsyncSession, actor: Actor, ticket: Ticket, response: Response) -> TicketDetail:
    put_etag(response, ticket.version)
    return await ticket_views.detail(session, actor, ticket)


async def _assignee(session: AsyncSession, email: str) -> int | None:
    return (await users.get_user(session, email=email)).id if email else None


def _protocol(things: Wired, now: datetime) -> str:
    return things.protocols.next(now.astimezone(things.settings.zone).date())
