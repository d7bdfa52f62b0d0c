"""The panel's page of who comes in and how: the emergency, callers blocked for a while, numbers with priority, and when
somebody seemed to try out documents."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.deps import Blocker, EntryReader, EntryWriter, SessionDep, WiredDep
from api.routes import entry as routes
from api.routes.entry import MOST_MINUTES, NewBlock, NewEmergency
from ura import blocks, emergency, priority, subscribers
from ura.errors import BadInput
from ura.priority import NumberNotFound
from ura.users import Permission

router = APIRouter(prefix="/panel/entry", include_in_schema=False, default_response_class=HTMLResponse)

HERE = "/panel/entry"
LAST = (30, 60, 240, MOST_MINUTES)  # minutes that a block may last, as the page offers them


@router.get("")
async def show_entry(request: Request, session: SessionDep, things: WiredDep, actor: EntryReader) -> Response:
    return await _page(request, session, things.settings.emergency_minutes)


@router.post("/emergency")
async def begin_emergency(
    session: SessionDep,
    things: WiredDep,
    actor: EntryWriter,
    text: Annotated[str, Form(max_length=emergency.LONGEST_TEXT)] = "",
    then: Annotated[str, Form(pattern="^(menu|person)$")] = "menu",
    minutes: Annotated[int, Form(ge=1, le=MOST_MINUTES)] = 240,
) -> Response:
    wanted = NewEmergency(text=text, to_person=then == "person", minutes=minutes)
    await routes.begin(session, actor, things.settings, wanted)
    return RedirectResponse(HERE, status_code=303)


@router.post("/emergency/end")
async def end_emergency(session: SessionDep, actor: EntryWriter) -> Response:
    await emergency.end(session, by=actor.name, now=datetime.now(UTC))
    return RedirectResponse(HERE, status_code=303)


@router.post("/emergency/pin")
async def set_pin(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: EntryWriter,
    pin: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    try:
        await emergency.set_pin(session, pin.strip(), by=actor.name, now=datetime.now(UTC))
    except BadInput:
        return await _page(request, session, things.settings.emergency_minutes, problem="pin")
    return RedirectResponse(HERE, status_code=303)


@router.post("/blocks")
async def block_caller(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: Blocker,
    phone: Annotated[str, Form(max_length=40)] = "",
    call_id: Annotated[str, Form(max_length=32)] = "",
    minutes: Annotated[int, Form(ge=1, le=MOST_MINUTES)] = 30,
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """From this page with a number, from a call's page with the call."""
    try:
        await routes.block(session, actor, NewBlock(call_id=call_id, phone=phone, minutes=minutes, reason=reason))
    except BadInput:
        return await _page(request, session, things.settings.emergency_minutes, problem="block")
    return RedirectResponse(HERE, status_code=303)


@router.post("/blocks/{block_id}/lift")
async def lift_block(session: SessionDep, actor: Blocker, block_id: str) -> Response:
    await blocks.lift(session, block_id, by=actor.name, now=datetime.now(UTC))
    return RedirectResponse(HERE, status_code=303)


@router.post("/priority")
async def add_numbers(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: EntryWriter,
    numbers: Annotated[str, Form(max_length=400_000)],
) -> Response:
    """What is right is saved; the page names the lines that are not."""
    added = await routes.add_numbers(session, actor, numbers)
    if added.bad_lines:
        return await _page(request, session, things.settings.emergency_minutes, bad_lines=added.bad_lines)
    return RedirectResponse(HERE, status_code=303)


@router.post("/priority/remove")
async def remove_number(
    session: SessionDep, actor: EntryWriter, phone: Annotated[str, Form(max_length=40)]
) -> Response:
    with suppress(NumberNotFound):  # somebody was faster
        await priority.remove(session, phone, by=actor.name, now=datetime.now(UTC))
    return RedirectResponse(HERE, status_code=303)


async def _page(
    request: Request, session: AsyncSession, minutes: int, *, problem: str = "", bad_lines: list[int] | None = None
) -> Response:
    now = datetime.now(UTC)
    actor = request.state.actor
    return pages.page(
        request,
        "entry.html",
        here="entry",
        status=422 if problem or bad_lines else 200,
        emergency=await emergency.find_current(session, now=now),
        has_pin=await emergency.has_pin(session),
        blocked=await blocks.list_current(session, now=now),
        numbers=await priority.list_numbers(session),
        alarms=await subscribers.list_alarms(session, now=now),
        may_write=actor.may(Permission.ENTRY_WRITE),
        may_block=actor.may(Permission.CALLERS_BLOCK),
        minutes=minutes,
        most_minutes=MOST_MINUTES,
        last=LAST,
        problem=problem,
        bad_lines=bad_lines or [],
    )
