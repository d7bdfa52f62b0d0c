"""Where the link in a text message leads: the invoice's document, for whoever has the link.

The address is the key, so it stands in no log and no metric of ours; whoever may not, or no longer, is told the same
whatever the reason. A page, not a problem for programs: people open it on their telephones.
"""

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from api import pages
from api.deps import OpenToAll, WiredDep
from api.errors import DATABASE_GONE
from ura import messages
from ura.errors import Unavailable
from ura.invoice_links import PATH
from ura.second_copies import WINDOW, NoSuchCopy, TooOften

log = structlog.get_logger(__name__)

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get(PATH + "{token}", dependencies=[Depends(OpenToAll("who has the link was sent it: it is signed and ends"))])
async def open_second_copy(request: Request, things: WiredDep, token: str) -> Response:
    """Always a download: a document of somebody's invoice is no page of ours."""
    source = request.client.host if request.client else ""
    try:
        if things.second_copies is None:
            raise NoSuchCopy
        copy = await things.second_copies.open(token, source=source)
    except NoSuchCopy:
        return _told(request, 404)
    except TooOften:
        return _told(request, 429, retry_after_s=int(WINDOW.total_seconds()))
    except (Unavailable, *DATABASE_GONE) as trouble:
        reason = type(trouble).__name__
        log.warning("an invoice could not be opened by its link; its reader is asked to come back", reason=reason)
        return _told(request, 503, retry_after_s=60)
    headers = {
        "Content-Disposition": f'attachment; filename="{messages.pdf_name(copy.due_on)}"',
        "Cache-Control": "no-store",
    }
    return Response(copy.pdf, media_type="application/pdf", headers=headers)


def _told(request: Request, status: int, *, retry_after_s: int = 0) -> Response:
    page = pages.page(request, "second_copy.html", status=status)
    page.headers["Cache-Control"] = "no-store"
    if retry_after_s:
        page.headers["Retry-After"] = str(retry_after_s)
    return page
