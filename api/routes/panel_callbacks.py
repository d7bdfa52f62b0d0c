"""The panel's page of calls to return: whom to ring now, whom later, and what came of it."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import pages
from api.deps import CallbackReader, CallbackWriter, SessionDep
from api.routes.callbacks import settle
from ura import queues
from ura.models import CallbackState
from ura.queues import CallbackAlreadySettled, CallbackFilter
from ura.users import Permission

router = APIRouter(prefix="/panel/callbacks", include_in_schema=False, default_response_class=HTMLResponse)

HERE = "/panel/callbacks"
ON_A_PAGE = 50


@router.get("")
async def show_callbacks(request: Request, session: SessionDep, actor: CallbackReader) -> Response:
    now = datetime.now(UTC)
    due = await queues.list_callbacks(session, filters=CallbackFilter(due_at=now), limit=ON_A_PAGE)
    coming = await queues.list_callbacks(session, filters=CallbackFilter(due_after=now), limit=ON_A_PAGE)
    return pages.page(
        request,
        "callbacks.html",
        here="callbacks",
        due=due.items,
        more=bool(due.next_cursor),
        later=coming.items,
        queues={queue.key: queue.title for queue in await queues.list_queues(session)},
        may_write=actor.may(Permission.CALLBACKS_WRITE),
    )


@router.post("/{callback_id}")
async def settle_callback(
    session: SessionDep,
    actor: CallbackWriter,
    callback_id: str,
    result: Annotated[Literal["done", "unreachable"], Form()],
) -> Response:
    """Whoever was slower sees the page as it is now."""
    with suppress(CallbackAlreadySettled):
        await settle(session, actor, callback_id, CallbackState(result))
    return RedirectResponse(HERE, status_code=303)
