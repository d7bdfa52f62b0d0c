"""Incidents: one cause, many tickets. Each is the outage of the same id, with what it explains and what was said."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.deps import OutageReader, OutageWriter, SessionDep, TicketWriter, Wired, WiredDep
from api.errors import described
from api.idempotency import Once, id_for
from api.routes.outages import PLACE, Touched, TouchedAnswer
from api.routes.tickets import KeyReused
from api.schemas import Answer, Cursor, IdempotencyKey, Limit, Listed, Moment, Uuid, Words
from ura import audit, events, incident_tickets, incidents, outages, phones, tickets
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.gateways import open_channels, phone_channel
from ura.models import Cause, IncidentUpdate, Outage
from ura.users import Actor

router = APIRouter(prefix="/incidents", tags=["incidents"], route_class=Once)
Told = Annotated[Words, Field(max_length=200, description="What callers hear and people are told. No name, no number.")]
Estimate = Annotated[Moment | None, Field(description="The estimate that callers hear; null: there is none.")]


class NewIncident(BaseModel):
    cause: Cause
    touches: list[Touched] = Field(min_length=1, max_length=outages.MOST_SCOPES)
    started_at: Moment | None = Field(default=None, description="Now when left out.")
    ends_at: Estimate = None
    text: Told = ""
    note: Words = Field(default="", max_length=500, description="For attendants; never spoken.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "example": {
                "cause": "fibre_cut",
                "touches": [PLACE],
                "ends_at": "2026-12-24T18:00:00-03:00",
                "text": "Um poste caiu e rompeu a fibra.",
            }
        },
    }


class News(BaseModel):
    text: Annotated[Told, Field(min_length=1)]
    ends_at: Estimate = None
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"text": "A equipe chegou.", "ends_at": "2026-12-24T20:00:00-03:00"}},
    }


class End(BaseModel):
    text: Words = Field(default="", max_length=500, description="What was done; the last line of each ticket.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"text": "A fibra foi emendada."}}}


class Explains(BaseModel):
    ticket_id: Uuid
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"ticket_id": "7c9e6679f47b4b1b9a5d3e0b5f2a1c4d"}},
    }


class StillDown(BaseModel):
    """One of `ticket_id`, `call_id` and `phone` belongs to the incident."""

    phone: str = Field(
        default="", max_length=40, description="Whom to ring, in any usual form; empty: the ticket's own."
    )
    ticket_id: Uuid | None = None
    call_id: Uuid | None = None
    text: Words = Field(default="", max_length=500, description="What the customer says.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"phone": "11933330002", "text": "A luz continua vermelha."}},
    }


class UpdateAnswer(Answer):
    id: str
    text: str
    ends_at: datetime | None
    closes: bool
    at: datetime
    actor: str
    settled_at: datetime | None


class IncidentAnswer(Answer):
    id: str
    cause: Cause
    touches: list[TouchedAnswer]
    text: str
    note: str
    started_at: datetime
    ends_at: datetime | None
    closed_at: datetime | None
    opened_by: str
    closed_by: str
    tickets: int
    closed: int
    back: int
    calls: int
    waiting: int
    complaints: int
    untold: int


class IncidentDetail(IncidentAnswer):
    updates: list[UpdateAnswer]


class ComplaintAnswer(Answer):
    id: str
    incident_id: str
    ticket_id: str
    call_id: str | None
    at: datetime
    actor: str


@router.get("", summary="List incidents, the latest beginning first", responses=described())
async def list_incidents(
    actor: OutageReader,
    session: SessionDep,
    over: Annotated[bool | None, Query(description="Only those that are over, or only those in progress.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[IncidentAnswer]:
    page = await outages.page_outages(session, over=over, cursor=cursor, limit=limit)
    return Listed(items=await answers(session, list(page.items)), next_cursor=page.next_cursor)


@router.get("/{incident_id}", summary="One incident, and what was said of it", responses=described(404))
async def get_incident(actor: OutageReader, session: SessionDep, incident_id: str) -> IncidentDetail:
    return await _detail(session, await outages.get_outage(session, incident_id))


@router.post("", status_code=201, summary="Open an incident; its callers hear it at once", responses=described())
async def open_incident(
    actor: OutageWriter, session: SessionDep, response: Response, wanted: NewIncident, key: IdempotencyKey = None
) -> IncidentDetail:
    now = datetime.now(UTC)
    outage = await incidents.open_incident(
        session,
        cause=wanted.cause,
        scopes=[touched.scope() for touched in wanted.touches],
        started_at=wanted.started_at or now,
        ends_at=wanted.ends_at,
        text=wanted.text,
        note=wanted.note,
        opened_by=actor.name,
        now=now,
        incident_id=id_for(actor, "incident", key),
    )
    await note(session, actor, "incident.open", outage, now)
    response.headers["Location"] = f"/api/v1/incidents/{outage.id}"
    return await _detail(session, outage)


@router.post("/{incident_id}/updates", status_code=201, summary="Tell the news to all", responses=described(404, 409))
async def tell(
    actor: OutageWriter,
    session: SessionDep,
    things: WiredDep,
    incident_id: str,
    news: News,
    key: IdempotencyKey = None,
) -> UpdateAnswer:
    """A line on each ticket, a message to each who asked; callers hear the new estimate."""
    now = datetime.now(UTC)
    outage = await outages.get_outage(session, incident_id)
    said = await incidents.tell(
        session,
        outage,
        text=news.text,
        ends_at=news.ends_at,
        actor=actor.name,
        now=now,
        by=channel(things),
        update_id=id_for(actor, f"incident update {incident_id}", key),
    )
    if (said.text, said.ends_at) != (news.text.strip(), news.ends_at):
        raise KeyReused("This Idempotency-Key was sent before with other contents. Use a new key for another update.")
    await note(session, actor, "incident.update", outage, now)
    return UpdateAnswer.model_validate(said)


@router.post("/{incident_id}/close", summary="It is over: close its tickets, tell who asked", responses=described(404))
async def close_incident(
    actor: OutageWriter,
    session: SessionDep,
    things: WiredDep,
    incident_id: str,
    end: End,
) -> IncidentDetail:
    """Closing again changes nothing and tells nobody twice. More tickets than a few hundred close within seconds."""
    now = datetime.now(UTC)
    outage = await outages.get_outage(session, incident_id)
    await incidents.close_incident(session, outage, text=end.text, actor=actor.name, now=now, by=channel(things))
    await note(session, actor, "incident.close", outage, now)
    return await _detail(session, outage)


@router.post("/{incident_id}/tickets", summary="It explains this ticket, too", responses=described(404, 409))
async def put_in(actor: OutageWriter, session: SessionDep, incident_id: str, wanted: Explains) -> IncidentDetail:
    now = datetime.now(UTC)
    outage = await outages.get_outage(session, incident_id)
    ticket = await tickets.get_ticket(session, wanted.ticket_id)
    await incident_tickets.put_in(session, outage, ticket, actor=actor.name, now=now)
    await note(session, actor, "incident.put-in", outage, now, ticket_id=ticket.id)
    return await _detail(session, outage)


@router.delete(
    "/{incident_id}/tickets/{ticket_id}",
    summary="It does not explain this ticket; it is not collected again",
    responses=described(404),
)
async def take_out(actor: OutageWriter, session: SessionDep, incident_id: str, ticket_id: str) -> IncidentDetail:
    now = datetime.now(UTC)
    outage = await outages.get_outage(session, incident_id)
    ticket = await tickets.get_ticket(session, ticket_id)
    await incident_tickets.take_out(session, outage, ticket, actor=actor.name, now=now)
    await note(session, actor, "incident.take-out", outage, now, ticket_id=ticket.id)
    return await _detail(session, outage)


@router.post(
    "/{incident_id}/complaints",
    status_code=201,
    summary="A customer says that it still does not work",
    responses=described(404, 409),
)
async def complain(
    actor: TicketWriter,
    session: SessionDep,
    things: WiredDep,
    incident_id: str,
    wanted: StillDown,
) -> ComplaintAnswer:
    """We call back, and the ticket is open again, or there is a new one. Said again while the call back waits, it is
    the same complaint."""
    now = datetime.now(UTC)
    phone = phones.to_e164(wanted.phone)
    if wanted.phone and not phone:
        raise BadInput("`phone` is no telephone number. Write it with its area code, as 11933330002, or leave it out.")
    complaint = await incidents.still_not_working(
        session,
        incident_id,
        protocol=things.protocols.next(now.astimezone(things.settings.zone).date()),
        now=now,
        phone=phone,
        ticket_id=wanted.ticket_id or "",
        call_id=wanted.call_id,
        text=wanted.text,
        actor=actor.name,
    )
    outage = await outages.get_outage(session, incident_id)
    await note(session, actor, "incident.complaint", outage, now, ticket_id=complaint.ticket_id)
    return ComplaintAnswer.model_validate(complaint)


def channel(things: Wired) -> SendChannel:
    return phone_channel(open_channels(things.settings))


async def _detail(session: AsyncSession, outage: Outage) -> IncidentDetail:
    [answer] = await answers(session, [outage])
    said: list[IncidentUpdate] = list(await incidents.list_updates(session, outage.id))
    return IncidentDetail(**answer.model_dump(), updates=[UpdateAnswer.model_validate(each) for each in said])


async def answers(session: AsyncSession, found: list[Outage]) -> list[IncidentAnswer]:
    ids = [outage.id for outage in found]
    touched = await outages.scopes_of(session, ids)
    counted = await incidents.count(session, ids)
    said = await outages.texts(session, ids)
    return [
        IncidentAnswer(
            id=outage.id,
            cause=outage.cause,
            touches=[
                TouchedAnswer.model_validate({"kind": kind, "name": name}) for kind, name in touched.get(outage.id, [])
            ],
            text=said.get(outage.id, ""),
            note=outage.note,
            started_at=outage.started_at,
            ends_at=outage.ends_at,
            closed_at=outage.closed_at,
            opened_by=outage.opened_by,
            closed_by=outage.closed_by,
            tickets=counted[outage.id].tickets,
            closed=counted[outage.id].closed,
            back=counted[outage.id].back,
            calls=counted[outage.id].calls,
            waiting=counted[outage.id].waiting,
            complaints=counted[outage.id].complaints,
            untold=counted[outage.id].untold,
        )
        for outage in found
    ]


async def note(session: AsyncSession, actor: Actor, what: str, outage: Outage, now: datetime, **detail: str) -> None:
    about = {"cause": outage.cause.value, "ends_at": outage.ends_at.isoformat() if outage.ends_at else None, **detail}
    await audit.record(session, actor=actor.name, action=what, subject=outage.id, detail=about, at=now)
    await events.ring(session, {"outages": {"ids": [outage.id]}}, now=now)
