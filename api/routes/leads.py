"""People who asked for a plan."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api.call_views import phone_for
from api.deps import LeadReader, SessionDep
from api.errors import described
from api.routes.calls import searched_phone, zoned
from api.schemas import Answer, Cursor, Limit, Listed
from ura import leads
from ura.leads import LeadFilter
from ura.models import Audience, Lead, LeadStatus
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
    created_at: datetime
    updated_at: datetime


@router.get("", summary="List leads, newest first", responses=described())
async def list_leads(
    actor: LeadReader,
    session: SessionDep,
    status: LeadStatus | None = None,
    phone: Annotated[str, Query(max_length=40, description="In any usual form. Needs phones:see.")] = "",
    call_id: Annotated[str, Query(max_length=32)] = "",
    neighbourhood_id: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    created_from: Annotated[datetime | None, Query(alias="from", description="With a time zone; inclusive.")] = None,
    created_before: Annotated[datetime | None, Query(alias="to", description="With a time zone; exclusive.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[LeadAnswer]:
    wanted = LeadFilter(
        status=status,
        phone=searched_phone(actor, phone),
        call_id=call_id,
        neighbourhood_id=neighbourhood_id,
        created_from=zoned(created_from, "from"),
        created_before=zoned(created_before, "to"),
    )
    page = await leads.list_leads(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[_answer(actor, lead) for lead in page.items], next_cursor=page.next_cursor)


@router.get("/{lead_id}", summary="One lead", responses=described(404))
async def get_lead(actor: LeadReader, session: SessionDep, lead_id: str) -> LeadAnswer:
    return _answer(actor, await leads.get_lead(session, lead_id))


def _answer(actor: Actor, lead: Lead) -> LeadAnswer:
    return LeadAnswer.model_validate(lead).model_copy(update={"phone": phone_for(actor, lead.phone)})
