"""The panel: log-in, live calls and the last hundred, one call, records that wait."""

from collections.abc import AsyncIterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.call_views import CallView, Stage, first_aid, fits
from api.deps import HealthReader, OpenToAll, PanelUser, SessionDep, Wired, WiredDep, find_actor, session_token
from api.live import Hint, Message, PageBell
from api.records import opened
from api.security import SECURE_SESSION_COOKIE, SESSION_COOKIE, came_by_https
from ura import aftermath, calls, numbers, phones, users
from ura.calls import CallFilter
from ura.errors import BadInput
from ura.models import Call, Door, Outcome, RecordKind
from ura.protocol import is_valid
from ura.users import ABSOLUTE_LIMIT, Actor, Permission, TooManyAttempts, WrongPassword

router = APIRouter(prefix="/panel", include_in_schema=False, default_response_class=HTMLResponse)

# What pages that read themselves again follow → whose eyes it is for.
BOARDS = {
    "tickets": Permission.TICKETS_READ,
    "outages": Permission.OUTAGES_READ,
    "person_requests": Permission.PRIVACY_MANAGE,
}
NO_FILTERS = {"cursor", "since", "call", *BOARDS}
CHECK_SESSION_EVERY = timedelta(seconds=2)


class Chosen(BaseModel):
    """The filter form. An empty field does not filter."""

    model_config = ConfigDict(populate_by_name=True)

    q: str = Field(default="", max_length=40)
    did: str = Field(default="", max_length=20)
    stage: Stage | None = None
    outcome: Outcome | None = None
    door: Door | None = None
    from_: str = Field(default="", alias="from", pattern=r"^(\d{4}-\d{2}-\d{2})?$")
    to: str = Field(default="", pattern=r"^(\d{4}-\d{2}-\d{2})?$")
    cursor: str = Field(default="", max_length=200)
    since: str = Field(default="", max_length=40)
    call: str = Field(default="", max_length=32)
    tickets: str = Field(default="", max_length=32)  # the id of one, or "all"
    outages: str = Field(default="", max_length=32)  # the same
    person_requests: str = Field(default="", max_length=32)  # the same

    def given(self) -> dict[str, str]:
        given = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=NO_FILTERS)
        return {name: value for name, value in given.items() if value}


def _chosen(request: Request) -> Chosen:
    """Forms send empty fields; they mean nothing."""
    try:
        return Chosen.model_validate({name: value for name, value in request.query_params.items() if value})
    except ValueError as error:
        raise BadInput("One of the filters has a value that does not exist.") from error


ChosenDep = Annotated[Chosen, Depends(_chosen)]


def _filter(chosen: Chosen, actor: Actor, things: Wired) -> CallFilter:
    digits = "".join(character for character in chosen.q if character.isdigit())
    is_protocol = len(digits) == 12 and is_valid(digits)
    sees_phones = actor.may(Permission.PHONES_SEE)
    zone = things.settings.zone
    live = chosen.stage is not Stage.ENDED if chosen.stage else None if chosen.given() else False
    return CallFilter(
        # Whoever may not see a number may not find out by asking either.
        caller=phones.to_e164(chosen.q) or "?" if chosen.q and not is_protocol and sees_phones else "",
        protocol=digits or "?" if chosen.q and (is_protocol or not sees_phones) else "",
        did=chosen.did,
        door=chosen.door,
        outcome=chosen.outcome,
        live=live,
        opened_from=_day(chosen.from_, zone),
        opened_before=_day(chosen.to, zone, after=1),
    )


def _day(text: str, zone: tzinfo, *, after: int = 0) -> datetime | None:
    if not text:
        return None
    try:
        return (datetime.fromisoformat(text) + timedelta(days=after)).replace(tzinfo=zone)
    except (ValueError, OverflowError) as error:
        raise BadInput("Write days as 2026-12-31.") from error


# -- in and out -------------------------------------------------------------------------------------------------------


@router.get("/login")
async def show_login(
    request: Request, things: WiredDep, _open: Annotated[None, Depends(OpenToAll("the log-in page"))]
) -> Response:
    if await find_actor(things, bearer=None, cookie=session_token(request)):
        return RedirectResponse("/panel", status_code=303)
    return pages.page(request, "login.html", email="", problem="", retry_after_s=0)


@router.post("/login")
async def log_in(
    request: Request,
    things: WiredDep,
    session: SessionDep,
    email: Annotated[str, Form(max_length=120)],
    password: Annotated[str, Form(max_length=200)],
    _open: Annotated[None, Depends(OpenToAll("the log-in itself; attempts are limited"))],
) -> Response:
    source = request.client.host if request.client else ""
    try:
        _user, token = await users.log_in(
            session, things.limits, email=email, password=password, source=source, now=datetime.now(UTC)
        )
    except WrongPassword as error:
        return pages.page(request, "login.html", status=401, email=email, problem=error.code, retry_after_s=0)
    except TooManyAttempts as error:
        answer = pages.page(
            request, "login.html", status=429, email=email, problem=error.code, retry_after_s=error.retry_after_s
        )
        answer.headers["Retry-After"] = str(error.retry_after_s)
        return answer
    inside = RedirectResponse("/panel", status_code=303)
    https = came_by_https(request.url.scheme, request.headers)
    inside.set_cookie(
        SECURE_SESSION_COOKIE if https else SESSION_COOKIE,
        token,
        max_age=int(ABSOLUTE_LIMIT.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=https,
    )
    return inside


@router.post("/logout")
async def log_out(request: Request, session: SessionDep, _actor: PanelUser) -> Response:
    if token := session_token(request):
        await users.end_session(session, token=token)
    answer = RedirectResponse("/panel/login", status_code=303)
    answer.delete_cookie(SESSION_COOKIE, path="/")
    answer.delete_cookie(SECURE_SESSION_COOKIE, path="/", secure=True)
    return answer


# -- calls ------------------------------------------------------------------------------------------------------------


@router.get("")
async def show_calls(
    request: Request, things: WiredDep, session: SessionDep, actor: PanelUser, chosen: ChosenDep
) -> Response:
    position = await things.broadcaster.position()  # before reading: what comes after it will be told
    recent, next_cursor = await things.reader.last(_filter(chosen, actor, things), chosen.stage, chosen.cursor)
    given = chosen.given()
    return pages.page(
        request,
        "calls.html",
        here="calls",
        position=position,
        live=[] if given else await things.reader.live(),
        recent=recent,
        numbers=await things.reader.figures(),
        waiting_records=await things.reader.waiting(),
        dids=await numbers.list_dids(session),
        chosen={**dict.fromkeys(("q", "did", "stage", "outcome", "door", "from", "to"), ""), **given},
        filtered=bool(given),
        query=urlencode(given),
        next_page=f"/panel?{urlencode({**given, 'cursor': next_cursor})}" if next_cursor else "",
    )


@router.get("/lists")
async def read_lists(request: Request, things: WiredDep, actor: PanelUser, chosen: ChosenDep) -> Response:
    """Both lists anew, for a browser that was away."""
    recent, _ = await things.reader.last(_filter(chosen, actor, things), chosen.stage)
    return pages.page(
        request,
        "_lists.html",
        filtered=bool(chosen.given()),
        live=[] if chosen.given() else await things.reader.live(),
        recent=recent,
        numbers=await things.reader.figures(),
        waiting_records=await things.reader.waiting(),
    )


@router.get("/calls/{call_id}")
async def show_call(
    request: Request, things: WiredDep, session: SessionDep, actor: PanelUser, call_id: str
) -> Response:
    position = await things.broadcaster.position()
    call = await calls.get_call(session, call_id)
    await opened(session, things, actor, RecordKind.CALL, call.id)
    [view] = await things.reader.view(session, [call])
    left = await _left(things, session, call, actor)
    return pages.page(request, "call.html", here="calls", position=position, call=view, **left)


@router.get("/calls/{call_id}/left")
async def show_left(
    request: Request, things: WiredDep, session: SessionDep, actor: PanelUser, call_id: str
) -> Response:
    """What the call has left so far, for its page while it lives."""
    left = await _left(things, session, await calls.get_call(session, call_id), actor)
    return pages.page(request, "_left.html", **left)


async def _left(things: Wired, session: AsyncSession, call: Call, actor: Actor) -> dict[str, Any]:
    names = await things.reader.names(session, [call])
    left = await aftermath.of_call(session, call.id)
    return {
        "left": left,
        "first_aid": first_aid(left.step_answers, names.nodes.get((call.flow_key, call.flow_version), {})),
        "queues": names.queues,
        "sees_leads": actor.may(Permission.LEADS_READ),
        "hears": actor.may(Permission.RECORDINGS_HEAR),
    }


@router.get("/journal")
async def show_journal(request: Request, things: WiredDep, actor: HealthReader) -> Response:
    records = await things.reader.waiting_records()
    return pages.page(request, "journal.html", records=records, waiting_records=await things.reader.waiting())


@router.get("/events", response_class=EventSourceResponse)
async def follow(
    request: Request, things: WiredDep, actor: PanelUser, chosen: ChosenDep
) -> AsyncIterable[ServerSentEvent]:
    """Changes as fragments of the page; of the rest only that there are some. Ends within five seconds when
    the session does, or with another role."""
    since = request.headers.get("last-event-id") or chosen.since
    wanted = _filter(chosen, actor, things)
    bell = _bell(chosen, actor)
    token = session_token(request)
    checked_at = datetime.now(UTC)
    async for message in things.broadcaster.follow(since):
        if datetime.now(UTC) - checked_at >= CHECK_SESSION_EVERY:
            now_is = await find_actor(things, bearer=None, cookie=token)
            if now_is is None or now_is.permissions != actor.permissions:
                return
            checked_at = datetime.now(UTC)
        if bell and bell.rings(message):
            yield ServerSentEvent(event=bell.kind, id=message.id if isinstance(message, Message) else None, raw_data="")
        if message is Hint.AGAIN:
            yield ServerSentEvent(event="again", raw_data="")
        elif isinstance(message, Message) and not bell:
            html = _fragment(request, message, actor, chosen, wanted)
            if html:
                yield ServerSentEvent(event="change", id=message.id, raw_data=html)


def _bell(chosen: Chosen, actor: Actor) -> PageBell | None:
    for kind, permission in BOARDS.items():
        wanted: str = getattr(chosen, kind)
        if wanted and actor.may(permission):
            return PageBell(kind, wanted)
    return None


def _fragment(request: Request, message: Message, actor: Actor, chosen: Chosen, wanted: CallFilter) -> str:
    """Rendered once for everybody who sees the same."""
    key = f"{actor.may(Permission.PHONES_SEE)} {chosen.call} {sorted(chosen.given().items())}"
    if key not in message.pages:
        message.pages[key] = _render(request, message, actor, chosen, wanted)
    return message.pages[key]


def _render(request: Request, message: Message, actor: Actor, chosen: Chosen, wanted: CallFilter) -> str:
    templates: pages.Pages = request.app.state.pages
    sees_phones = actor.may(Permission.PHONES_SEE)
    if chosen.call:
        mine = [call for call in message.calls if call.id == chosen.call]
        return templates.text("_detail.html", call=mine[-1], sees_phones=sees_phones) if mine else ""
    return templates.text(
        "_changes.html",
        rows=[(_list_for(call, chosen, wanted), call) for call in message.calls],
        numbers=message.figures,
        waiting_records=message.waiting,
        sees_phones=sees_phones,
    )


def _list_for(call: CallView, chosen: Chosen, wanted: CallFilter) -> str:
    """The list on the page that the call belongs to now; "" for none. With a filter there is one list only."""
    if chosen.given():
        return "recent" if fits(call, wanted, chosen.stage) else ""
    return "recent" if call.stage is Stage.ENDED else "live"
