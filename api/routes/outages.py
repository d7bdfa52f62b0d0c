"""Outages: what callers of a place, or of a part of the fibre, are told before anything else."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from api import etags
from api.deps import OutageReader, OutageWriter, SessionDep, WiredDep
from api.errors import described
from api.etags import IfMatch, tagged
from api.idempotency import Once, id_for
from api.schemas import Answer, Cursor, IdempotencyKey, Limit, Listed, Moment
from ura import audit, events, incidents, outages
from ura.gateways import open_channels, phone_channel
from ura.models import Cause, Outage
from ura.outages import Scope
from ura.users import Actor

router = APIRouter(prefix="/outages", tags=["outages"], route_class=Once)

COUNTS = ("calls", "waiting")  # change with each caller: no reason to refuse an edit
PLACE: dict[str, JsonValue] = {"neighbourhood": "Jardim das Palmeiras", "city": "Vale Verde"}


class Touched(BaseModel):
    """One place or part of the fibre: a neighbourhood with its city, an OLT, a PON with its OLT, or a CTO."""

    neighbourhood: str = Field(default="", max_length=80)
    city: str = Field(default="", max_length=80)
    olt: str = Field(default="", max_length=80)
    pon: str = Field(default="", max_length=80)
    cto: str = Field(default="", max_length=80)
    model_config = {"extra": "forbid", "json_schema_extra": {"example": PLACE}}

    def scope(self) -> Scope:
        return Scope(**self.model_dump())


class NewOutage(BaseModel):
    cause: Cause
    touches: list[Touched] = Field(min_length=1, max_length=outages.MOST_SCOPES)
    started_at: Moment | None = Field(default=None, description="With a time zone; now when left out.")
    ends_at: Moment | None = Field(default=None, description="The estimate that callers hear, with a time zone.")
    note: str = Field(default="", max_length=500, description="For attendants; never spoken.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "example": {"cause": "fibre_cut", "touches": [PLACE], "ends_at": "2026-12-24T18:00:00-03:00"}
        },
    }


class ChangedOutage(BaseModel):
    """Everything that is to hold from now on; `touches` left out stays as it was."""

    cause: Cause
    touches: list[Touched] | None = Field(default=None, min_length=1, max_length=outages.MOST_SCOPES)
    ends_at: Moment | None = Field(default=None, description="The estimate that callers hear; null: none.")
    note: str = Field(default="", max_length=500)
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"cause": "power", "ends_at": "2026-12-24T20:00:00-03:00"}},
    }


class TouchedAnswer(Answer):
    kind: Literal["neighbourhood", "olt", "pon", "cto"]
    name: str


class OutageAnswer(Answer):
    id: str
    cause: Cause
    touches: list[TouchedAnswer]
    note: str
    started_at: datetime
    ends_at: datetime | None
    closed_at: datetime | None
    opened_by: str
    closed_by: str
    calls: int = Field(description="Calls that were told of it.")
    waiting: int = Field(description="People who want to know when it is over.")


class ClosedOutage(OutageAnswer):
    told: int = Field(description="People who are told now that it is over.")


@router.get("", summary="List outages, newest first", responses=described())
async def list_outages(
    actor: OutageReader,
    session: SessionDep,
    over: Annotated[bool | None, Query(description="Only those that are over, or only those in progress.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[OutageAnswer]:
    page = await outages.page_outages(session, over=over, cursor=cursor, limit=limit)
    return Listed(items=await answers(session, list(page.items)), next_cursor=page.next_cursor)


@router.get("/{outage_id}", summary="One outage", responses=described(404))
async def get_outage(actor: OutageReader, session: SessionDep, response: Response, outage_id: str) -> OutageAnswer:
    return tagged(response, await _answer(session, outage_id), but=COUNTS)


@router.post("", status_code=201, summary="Open an outage; its callers hear it at once", responses=described())
async def open_outage(
    actor: OutageWriter, session: SessionDep, response: Response, wanted: NewOutage, key: IdempotencyKey = None
) -> OutageAnswer:
    now = datetime.now(UTC)
    outage = await incidents.open_incident(
        session,
        cause=wanted.cause,
        scopes=[touched.scope() for touched in wanted.touches],
        started_at=wanted.started_at or now,
        ends_at=wanted.ends_at,
        note=wanted.note,
        opened_by=actor.name,
        now=now,
        incident_id=id_for(actor, "outage", key),
    )
    await note(session, actor, "outage.open", outage)
    response.headers["Location"] = f"/api/v1/outages/{outage.id}"
    [answer] = await answers(session, [outage])
    return answer


@router.put("/{outage_id}", summary="Change what callers are told", responses=described(404, 409, 412))
async def change_outage(
    actor: OutageWriter,
    session: SessionDep,
    response: Response,
    outage_id: str,
    wanted: ChangedOutage,
    if_match: IfMatch = None,
) -> OutageAnswer:
    await etags.check(session, if_match, f"outage {outage_id}", lambda: _answer(session, outage_id), but=COUNTS)
    outage = await outages.get_outage(session, outage_id)
    await outages.change_outage(
        session,
        outage,
        cause=wanted.cause,
        ends_at=wanted.ends_at,
        note=wanted.note,
        scopes=None if wanted.touches is None else [touched.scope() for touched in wanted.touches],
    )
    await note(session, actor, "outage.change", outage)
    return tagged(response, await _answer(session, outage_id), but=COUNTS)


@router.post("/{outage_id}/close", summary="It is over: tell who asked", responses=described(404))
async def close_outage(actor: OutageWriter, session: SessionDep, things: WiredDep, outage_id: str) -> ClosedOutage:
    """Closing again changes nothing and tells nobody twice."""
    outage = await outages.get_outage(session, outage_id)
    by = phone_channel(open_channels(things.settings))
    told = await incidents.close_incident(session, outage, text="", actor=actor.name, now=datetime.now(UTC), by=by)
    await note(session, actor, "outage.close", outage)
    [answer] = await answers(session, [outage])
    return ClosedOutage(**answer.model_dump(), told=told)


async def _answer(session: AsyncSession, outage_id: str) -> OutageAnswer:
    [answer] = await answers(session, [await outages.get_outage(session, outage_id)])
    return answer


async def answers(session: AsyncSession, found: list[Outage]) -> list[OutageAnswer]:
    ids = [outage.id for outage in found]
    touched = await outages.scopes_of(session, ids)
    counted = await outages.count_calls(session, ids)
    return [
        OutageAnswer(
            id=outage.id,
            cause=outage.cause,
            touches=[TouchedAnswer.model_validate({"kind": kind, "name": name}) for kind, name in touched[outage.id]],
            note=outage.note,
            started_at=outage.started_at,
            ends_at=outage.ends_at,
            closed_at=outage.closed_at,
            opened_by=outage.opened_by,
            closed_by=outage.closed_by,
            calls=counted.get(outage.id, (0, 0))[0],
            waiting=counted.get(outage.id, (0, 0))[1],
        )
        for outage in found
    ]


async def note(session: AsyncSession, actor: Actor, what: str, outage: Outage) -> None:
    now = datetime.now(UTC)
    detail = {"cause": outage.cause.value, "ends_at": outage.ends_at.isoformat() if outage.ends_at else None}
    await audit.record(session, actor=actor.name, action=what, subject=outage.id, detail=detail, at=now)
    await events.ring(session, {"outages": {"ids": [outage.id]}}, now=now)
