"""The panel's page of who waits for us to reach them: neighbourhoods by demand."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api import pages
from api.deps import LeadReader, SessionDep
from ura import waiting_list

router = APIRouter(prefix="/panel/waiting-list", include_in_schema=False, default_response_class=HTMLResponse)


@router.get("")
async def show_demand(request: Request, session: SessionDep, _actor: LeadReader) -> Response:
    places = await waiting_list.demand(session)
    return pages.page(
        request,
        "waiting_list.html",
        here="leads",
        places=places,
        people=sum(place.waiting for place in places),
        most=max((place.waiting for place in places), default=0),
    )
