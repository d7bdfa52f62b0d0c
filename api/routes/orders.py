"""Orders: visits to customers, and the retrieval of equipment. Who makes them, and when they could."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, RootModel, StrictBool, StrictInt
from sqlalchemy.ext.asyncio import AsyncSession

from api.deps import SessionDep, TicketReader, TicketSetter, TicketWriter, Wired, WiredDep
from api.errors import described
from api.etags import IfMatch
from api.idempotency import Once, id_for
from api.schemas import Answer, Cursor, IdempotencyKey, Limit, Listed, Moment, Uuid, Words
from api.versions import check_match, put_etag
from ura import audit, erp_requests, technicians, tickets, users, visits
from ura.errors import BadInput
from ura.models import Tier, Visit, VisitKind, VisitStatus
from ura.technicians import Calendar
from ura.ticket_rules import OF_TIER
from ura.users import Actor
from ura.visits import AskedBy, Policy, VisitFilter

router = APIRouter(tags=["orders"], route_class=Once)

Text = Annotated[Words, Field(max_length=5000)]
Email = Annotated[str, Field(max_length=120, description="A user's e-mail.")]


class OrderKeyReused(BadInput):
    code = "idempotency-key-reused"


class NewOrder(BaseModel):
    ticket_id: Uuid
    kind: VisitKind = VisitKind.VISIT
    technician: Email
    starts_at: Moment = Field(description="The beginning of a free slot: see /api/v1/orders/slots.")
    address: Words = Field(default="", max_length=200, description="Where to go.")
    note: Text = Field(default="", description="What the technician should know.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "example": {
                "ticket_id": "7c9e6679f47b4b1b9a5d3e0b5f2a1c4d",
                "technician": "joao@provedor.example",
                "starts_at": "2026-11-24T08:00:00-03:00",
                "address": "Rua Um 12",
            }
        },
    }


class _Move(BaseModel):
    model_config = {"extra": "forbid"}


class ConfirmOrder(_Move):
    """The customer will be there."""

    type: Literal["confirm"]


class PutOffOrder(_Move):
    """To another slot. A customer may do so only so often, and some hours before; the provider says why."""

    type: Literal["put_off"]
    starts_at: Moment = Field(description="The beginning of a free slot.")
    technician: str = Field(default="", max_length=120, description="A user's e-mail; empty: the same.")
    asked_by: AskedBy = AskedBy.CUSTOMER
    reason: Text = Field(default="", description="Why; the provider always says so.")


class OrderDone(_Move):
    """The technician was there, and this came of it."""

    type: Literal["done"]
    outcome: Text


class OrderMissed(_Move):
    """Nobody was there, or nobody came."""

    type: Literal["missed"]
    outcome: Text


class CancelOrder(_Move):
    """Nobody goes there."""

    type: Literal["cancel"]
    outcome: Text


class OrderMove(
    RootModel[
        Annotated[ConfirmOrder | PutOffOrder | OrderDone | OrderMissed | CancelOrder, Field(discriminator="type")]
    ]
):
    """One move; `type` says which."""

    model_config = {"json_schema_extra": {"example": {"type": "done", "outcome": "Conector trocado; -19 dBm."}}}


class OrderAnswer(Answer):
    id: str
    ticket_id: str
    kind: VisitKind
    status: VisitStatus
    technician: str = Field(default="", description="Who goes there, a user's e-mail.")
    starts_at: datetime
    ends_at: datetime
    address: str
    note: str
    outcome: str
    customer_changes: int
    booked_by: str
    booked_at: datetime
    ended_at: datetime | None
    erp_reference: str
    version: int


class SlotAnswer(Answer):
    technician: str
    starts_at: datetime
    ends_at: datetime


class TechnicianAnswer(Answer):
    technician: str
    name: str
    timetable: str
    slot_min: int
    active: bool


class NewTechnician(BaseModel):
    timetable: str = Field(max_length=64, description="In whose hours this technician visits: see /api/v1/hours.")
    slot_min: StrictInt = Field(
        default=120, ge=technicians.SLOT_MIN, le=technicians.SLOT_MAX, description="Minutes of a visit."
    )
    active: StrictBool = Field(default=True, description="Whether slots are given.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"timetable": "comercial", "slot_min": 120}}}


@router.get("/orders", summary="List orders", responses=described(404))
async def list_orders(
    actor: TicketReader,
    session: SessionDep,
    status: VisitStatus | None = None,
    kind: VisitKind | None = None,
    technician: Annotated[str, Query(max_length=120)] = "",
    ticket_id: Annotated[str, Query(max_length=32)] = "",
    starts_from: Annotated[
        Moment | None, Query(alias="from", description="With a time zone; inclusive. With it the soonest come first.")
    ] = None,
    starts_before: Annotated[Moment | None, Query(alias="to", description="With a time zone; exclusive.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[OrderAnswer]:
    wanted = VisitFilter(
        status=status,
        kind=kind,
        technician_id=(await users.get_user(session, email=technician)).id if technician else None,
        ticket_id=ticket_id,
        starts_from=starts_from,
        starts_before=starts_before,
    )
    page = await visits.list_visits(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=await answers(session, actor, list(page.items)), next_cursor=page.next_cursor)


@router.get("/orders/slots", summary="When somebody could come", responses=described(404))
async def list_slots(
    _actor: TicketReader,
    session: SessionDep,
    things: WiredDep,
    technician: Annotated[str, Query(max_length=120)] = "",
    begins: Annotated[Moment | None, Query(alias="from", description="With a time zone; else now.")] = None,
    days: Annotated[int, Query(ge=1, le=technicians.MOST_DAYS, description="How many days to look at.")] = 7,
) -> list[SlotAnswer]:
    """Free slots of those who make visits, the soonest first."""
    slots = await technicians.list_slots(
        session,
        now=datetime.now(UTC),
        where=calendar(things),
        not_before=begins,
        days=days,
        technician_id=(await users.get_user(session, email=technician)).id if technician else None,
    )
    emails = await users.emails_of(session, {slot.technician_id for slot in slots})
    return [
        SlotAnswer(technician=emails[slot.technician_id], starts_at=slot.starts_at, ends_at=slot.ends_at)
        for slot in slots
    ]


@router.post("/orders", status_code=201, summary="Book a visit", responses=described(404, 409))
async def book_order(
    actor: TicketWriter,
    session: SessionDep,
    things: WiredDep,
    response: Response,
    wanted: NewOrder,
    key: IdempotencyKey = None,
) -> OrderAnswer:
    """In a slot that is free. A visit is L2's to book, the retrieval of equipment L1's too."""
    ticket = await tickets.get_ticket(session, wanted.ticket_id)
    technician = await users.get_user(session, email=wanted.technician)
    now = datetime.now(UTC)
    visit = await visits.book(
        session,
        ticket,
        kind=wanted.kind,
        technician_id=technician.id,
        starts_at=wanted.starts_at,
        actor=actor,
        now=now,
        where=calendar(things),
        address=wanted.address,
        note=wanted.note,
        visit_id=id_for(actor, "order", key),
    )
    if things.settings.mirrors_tickets:
        await erp_requests.mirror_visit(session, ticket, visit)
    if (visit.ticket_id, visit.kind, visit.address) != (ticket.id, wanted.kind, wanted.address.strip()):
        raise OrderKeyReused("This Idempotency-Key was sent before with other contents. Use a new key for a new order.")
    response.headers["Location"] = f"/api/v1/orders/{visit.id}"
    return await _shown(session, actor, visit, response)


@router.get("/orders/{order_id}", summary="One order", responses=described(404))
async def get_order(actor: TicketReader, session: SessionDep, response: Response, order_id: str) -> OrderAnswer:
    return await _shown(session, actor, await visits.get_visit(session, order_id), response)


@router.post("/orders/{order_id}/moves", summary="Move an order", responses=described(404, 409, 412))
async def move_order(
    actor: TicketWriter,
    session: SessionDep,
    things: WiredDep,
    response: Response,
    order_id: str,
    wanted: OrderMove,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> OrderAnswer:
    """Which move it is stands in `type`. It takes `tickets:l1` or `tickets:l2`; a refused one says which rule."""
    visit = await visits.get_visit(session, order_id)
    event_id = id_for(actor, f"{wanted.root.type} {order_id}", key)
    if not await visits.was_done(session, event_id):
        check_match(if_match, visit.version)
    common: dict[str, Any] = {"actor": actor, "now": datetime.now(UTC), "event_id": event_id}
    match wanted.root:
        case ConfirmOrder():
            await visits.confirm(session, visit, **common)
        case PutOffOrder() as move:
            await visits.put_off(
                session,
                visit,
                starts_at=move.starts_at,
                asked_by=move.asked_by,
                where=calendar(things),
                reason=move.reason,
                technician_id=(await users.get_user(session, email=move.technician)).id if move.technician else None,
                policy=policy(things),
                **common,
            )
        case OrderDone(outcome=outcome):
            await visits.end(session, visit, status=VisitStatus.DONE, outcome=outcome, **common)
        case OrderMissed(outcome=outcome):
            await visits.end(session, visit, status=VisitStatus.MISSED, outcome=outcome, **common)
        case CancelOrder(outcome=outcome):
            await visits.end(session, visit, status=VisitStatus.CANCELLED, outcome=outcome, **common)
    return await _shown(session, actor, visit, response)


@router.get("/technicians", summary="Who makes visits", responses=described())
async def list_technicians(_actor: TicketReader, session: SessionDep) -> list[TechnicianAnswer]:
    return [
        TechnicianAnswer(
            technician=user.email, name=user.name, timetable=row.timetable, slot_min=row.slot_min, active=row.active
        )
        for row, user in await technicians.list_all(session)
    ]


@router.put("/technicians/{email}", summary="Set in which hours a user makes visits", responses=described(404))
async def set_technician(
    actor: TicketSetter, session: SessionDep, email: str, wanted: NewTechnician
) -> TechnicianAnswer:
    """Visits that are booked stay as they are."""
    user = await users.get_user(session, email=email)
    await technicians.save(session, user, **wanted.model_dump())
    detail = wanted.model_dump()
    await audit.record(session, actor=actor.name, action="technician.set", subject=user.email, detail=detail)
    return TechnicianAnswer(technician=user.email, name=user.name, **wanted.model_dump())


def calendar(things: Wired) -> Calendar:
    return Calendar(zone=things.settings.zone, state_uf=things.settings.state_uf)


def policy(things: Wired) -> Policy:
    return Policy.of(things.settings)


def slot_of(written: str) -> tuple[int, datetime]:
    """A technician and a beginning, as the pages of the panel offer them. Raises BadInput."""
    technician_id, _, starts_at = written.partition(" ")
    try:
        found = int(technician_id), datetime.fromisoformat(starts_at)
        if found[1].tzinfo is None:
            raise ValueError("a moment needs a time zone")
    except ValueError as error:
        raise BadInput("This slot is none of this page's. Read it again.") from error
    return found[0], found[1].astimezone(UTC)


async def _shown(session: AsyncSession, actor: Actor, visit: Visit, response: Response) -> OrderAnswer:
    put_etag(response, visit.version)
    [answer] = await answers(session, actor, [visit])
    return answer


async def answers(session: AsyncSession, actor: Actor, found: list[Visit]) -> list[OrderAnswer]:
    """An address is for who speaks with customers, and for who goes there."""
    emails = await users.emails_of(session, {visit.technician_id for visit in found})
    sees = any(actor.may(OF_TIER[tier]) for tier in (Tier.L1, Tier.L2))
    hidden = {} if sees else {"address": ""}
    return [
        OrderAnswer.model_validate(visit).model_copy(update={"technician": emails[visit.technician_id], **hidden})
        for visit in found
    ]
