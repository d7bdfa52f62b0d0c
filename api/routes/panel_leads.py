"""The panel's page of leads: what sales have to do next, and for whom."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.deps import LeadReader, LeadWriter, SessionDep, WiredDep
from api.routes.leads import change
from ura import funnel, leads, users
from ura.errors import BadInput, Refused
from ura.funnel import STEPS, LeadChange
from ura.leads import LeadFilter
from ura.models import LeadSource, LeadStatus, LostReason
from ura.users import Actor, Permission

router = APIRouter(prefix="/panel/leads", include_in_schema=False, default_response_class=HTMLResponse)

HERE = "/panel/leads"
ON_A_PAGE = 50


@router.get("")
async def show_leads(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: LeadReader,
    status: Annotated[str, Query(max_length=16)] = "",
    only: Annotated[str, Query(max_length=8, description="`due`, `mine`, or all.")] = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    return await _page(request, session, things.settings.zone, actor, status=status, only=only, cursor=cursor)


@router.post("/{lead_id}")
async def change_lead(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: LeadWriter,
    lead_id: str,
    status: Annotated[LeadStatus, Form()],
    source: Annotated[LeadSource, Form()],
    owner: Annotated[str, Form(max_length=120)] = "",
    next_at: Annotated[str, Form(max_length=20)] = "",
    source_ref: Annotated[str, Form(max_length=80)] = "",
    reason: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """What makes no sense is told beside the form, and nothing of it is stored."""
    zone = things.settings.zone
    try:
        lead = await leads.get_lead(session, lead_id)
        ends = status in funnel.OVER
        wanted = LeadChange(
            status=status,
            owner=owner,
            next_action_at=None if ends else _moment(next_at, zone, lead.next_action_at),
            source=source,
            source_ref=source_ref,
            lost_reason=LostReason(reason) if reason and status is LeadStatus.LOST else None,
        )
        async with session.begin_nested():
            await change(session, actor, lead_id, wanted)
    except (BadInput, Refused) as error:
        return await _page(request, session, zone, actor, refused=lead_id, problem=error.code)
    return RedirectResponse(f"{HERE}#lead-{lead_id}", status_code=303)


async def _page(
    request: Request,
    session: AsyncSession,
    zone: ZoneInfo,
    actor: Actor,
    *,
    status: str = "",
    only: str = "",
    cursor: str = "",
    refused: str = "",
    problem: str = "",
) -> Response:
    now = datetime.now(UTC)
    known = status if status in set(LeadStatus) else ""
    filters = LeadFilter(
        status=LeadStatus(known) if known else None,
        owner=actor.name if only == "mine" else "",
        due_at=now if only == "due" else None,
    )
    found = await leads.list_leads(session, filters=filters, cursor=cursor, limit=ON_A_PAGE)
    place = f"status={known}&only={only if only in ('due', 'mine') else ''}"
    return pages.page(
        request,
        "leads.html",
        here="leads",
        status=422 if refused else 200,
        leads=found.items,
        names=await leads.wishes(session, found.items),
        owners=await users.list_emails(session),
        steps={each.id: [each.status, *sorted(STEPS[each.status] - {each.status})] for each in found.items},
        sources=list(LeadSource),
        reasons=list(LostReason),
        chosen={"status": known, "only": only},
        next_page=f"{HERE}?{place}&cursor={found.next_cursor}" if found.next_cursor else "",
        may_write=actor.may(Permission.LEADS_WRITE),
        refused=refused,
        problem=problem,
        zone=zone,
        now=now,
    )


def _moment(text: str, zone: ZoneInfo, present: datetime | None) -> datetime | None:
    """As the browser's field gives it: local, without a zone, to the minute. What the form showed is no change."""
    if not text or (present and text == present.astimezone(zone).strftime("%Y-%m-%dT%H:%M")):
        return present
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput("Write the moment as 2026-12-31T18:00.") from error
