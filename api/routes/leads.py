"""People who asked for a plan, and what is made of each."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api import etags
from api.call_views import phone_for
from api.deps import LeadReader, LeadWriter, SessionDep
from api.errors import described
from api.etags import IfMatch, tagged
from api.routes.calls import searched_phone
from api.schemas import Answer, Cursor, Limit, Listed, Moment
from ura import audit, funnel, leads, users
from ura.errors import BadInput
from ura.funnel import LeadChange
from ura.leads import LeadFilter
from ura.models import Audience, Lead, LeadSource, LeadStatus, LostReason
from ura.users import Actor

router = APIRouter(prefix="/leads", tags=["leads"])


class LeadAnswer(Answer):
    id: str
    call_id: str | None
    phone: str
    audience: Audience | None
    city_id: int | None
    neighbourhood_id: int | None
    plan_id: int | None
    status: LeadStatus
    wants_message: bool
    owner: str
    source: LeadSource
    source_ref: str
    next_action_at: datetime | None
    lost_reason: LostReason | None
    merged_into_id: str | None
    created_at: datetime
    updated_at: datetime


class LeadPatch(BaseModel):
    """What is left out stays as it is."""

    status: LeadStatus | None = None
    owner: str | None = Field(None, max_length=120, description="A user's e-mail; empty: nobody's.")
    next_action_at: Moment | None = Field(None, description="A moment to come, with a time zone.")
    source: LeadSource | None = None
    source_ref: str | None = Field(None, max_length=80, description="The number dialled, or which partner.")
    lost_reason: LostReason | None = Field(None, description="Goes with `lost`.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"status": "visit", "next_action_at": "2026-11-25T12:00:00Z"}},
    }


class OwnerUnknown(BadInput):
    code = "owner-unknown"


@router.get("", summary="List leads: those due, or all", responses=described())
async def list_leads(
    actor: LeadReader,
    session: SessionDep,
    status: LeadStatus | None = None,
    phone: Annotated[str, Query(max_length=40, description="In any usual form. Needs phones:see.")] = "",
    call_id: Annotated[str, Query(max_length=32)] = "",
    neighbourhood_id: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    owner: Annotated[str, Query(max_length=120)] = "",
    source: LeadSource | None = None,
    due: Annotated[
        bool, Query(description="Only those whose next action is due, the longest due first; else all, newest first.")
    ] = False,
    created_from: Annotated[Moment | None, Query(alias="from", description="With a time zone; inclusive.")] = None,
    created_before: Annotated[Moment | None, Query(alias="to", description="With a time zone; exclusive.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[LeadAnswer]:
    wanted = LeadFilter(
        status=status,
        phone=searched_phone(actor, phone),
        call_id=call_id,
        neighbourhood_id=neighbourhood_id,
        owner=owner,
        source=source,
        due_at=datetime.now(UTC) if due else None,
        created_from=created_from,
        created_before=created_before,
    )
    page = await leads.list_leads(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[_answer(actor, lead) for lead in page.items], next_cursor=page.next_cursor)


@router.get("/{lead_id}", summary="One lead", responses=described(404))
async def get_lead(actor: LeadReader, session: SessionDep, response: Response, lead_id: str) -> LeadAnswer:
    return tagged(response, _answer(actor, await leads.get_lead(session, lead_id)))


@router.patch("/{lead_id}", summary="Take a lead further", responses=described(404, 409, 412))
async def change_lead(
    actor: LeadWriter,
    session: SessionDep,
    response: Response,
    lead_id: str,
    patch: LeadPatch,
    if_match: IfMatch = None,
) -> LeadAnswer:
    """An open lead keeps a next action to come; `lost` takes a reason; a contract is the end."""

    async def current() -> LeadAnswer:
        return _answer(actor, await leads.get_lead(session, lead_id))

    await etags.check(session, if_match, f"lead {lead_id}", current)
    await change(session, actor, lead_id, LeadChange(**patch.model_dump()))
    return tagged(response, await current())


async def change(session: AsyncSession, actor: Actor, lead_id: str, wanted: LeadChange) -> None:
    """For the API and for the panel. Raises LeadNotFound, OwnerUnknown, and what `ura.funnel.change_lead` does."""
    if wanted.owner:
        owner = await users.find_user(session, email=wanted.owner)
        if owner is None or not owner.active:
            raise OwnerUnknown("There is no such user. Give the e-mail that the user logs in with.")
    now = datetime.now(UTC)
    if changed := await funnel.change_lead(session, lead_id, wanted, now=now):
        lead = await leads.get_lead(session, lead_id)
        detail = {name: str(value) for name in changed if (value := getattr(lead, name)) is not None}
        await audit.record(session, actor=actor.name, action="lead.change", subject=lead_id, detail=detail, at=now)


def _answer(actor: Actor, lead: Lead) -> LeadAnswer:
    return LeadAnswer.model_validate(lead).model_copy(update={"phone": phone_for(actor, lead.phone)})
