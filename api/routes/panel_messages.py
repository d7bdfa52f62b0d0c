"""The panel's page of messages: what was told to whom, what became of it, and who wants none."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.call_views import text_for
from api.deps import MessageReader, MessageWriter, SessionDep, Wired, WiredDep
from api.errors import Forbidden
from ura import audit, opt_outs, outbox
from ura.adapters import demo_inbox
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.models import OptOut, OutboxMessage, OutboxState
from ura.outbox import MessageFilter, MessageNotFound
from ura.settings import Settings
from ura.users import Actor, Permission

router = APIRouter(prefix="/panel/messages", include_in_schema=False, default_response_class=HTMLResponse)

HERE = "/panel/messages"
ON_A_PAGE = 50
PDF = "application/pdf"
Channel = Annotated[SendChannel, Form()]
Target = Annotated[str, Form(max_length=120)]


@dataclass(frozen=True, slots=True)
class MessageRow:
    id: str
    created_at: datetime
    channel: str
    kind: str
    address: str
    subject: str
    text: str
    hidden: bool  # there is a text, which is not for this reader
    files: list[str]
    call_id: str | None
    state: str
    problem: str | None
    error: str
    attempts: int
    demo: bool
    forgotten: bool


@dataclass(frozen=True, slots=True)
class OptOutRow:
    id: str
    channel: str
    address: str
    by: str
    at: datetime


@router.get("")
async def show_messages(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: MessageReader,
    state: Annotated[str, Query(max_length=16)] = "",
    channel: Annotated[str, Query(max_length=16)] = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    return await _page(request, session, things, actor, state=state, channel=channel, cursor=cursor)


@router.post("/{message_id}/again")
async def send_again(session: SessionDep, actor: MessageWriter, message_id: str) -> Response:
    if await outbox.send_again(session, message_id, now=datetime.now(UTC)):
        await audit.record(session, actor=actor.name, action="message.again", subject=message_id, detail={})
    return RedirectResponse(HERE, status_code=303)


@router.get("/{message_id}/files/{number}")
async def read_file(
    session: SessionDep, things: WiredDep, actor: MessageReader, message_id: str, number: int
) -> Response:
    """Of the demo inbox only: what a gateway took is not kept here. Always a download, never a page of ours."""
    message = await outbox.get_message(session, message_id)
    _, files = demo_inbox.subject_and_files(things.settings.inbox_dir, message.id)
    if not actor.may(Permission.PHONES_SEE):
        raise Forbidden("Reading what a message said needs the permission phones:see.")
    if not 1 <= number <= len(files):
        raise MessageNotFound("There is no such document.")
    kind = PDF if files[number - 1].content_type == PDF else "application/octet-stream"
    headers = {"Content-Disposition": f'attachment; filename="{number}.pdf"'} if kind == PDF else {}
    return Response(files[number - 1].path.read_bytes(), media_type=kind, headers=headers)


@router.post("/opt-outs")
async def add_opt_out(
    request: Request, session: SessionDep, things: WiredDep, actor: MessageWriter, channel: Channel, target: Target
) -> Response:
    try:
        address = opt_outs.address(channel, target)
    except BadInput:
        return await _page(request, session, things, actor, problem=True, status=422)
    await opt_outs.opt_out(session, channel=channel, target=address, by=actor.name, now=datetime.now(UTC))
    return RedirectResponse(HERE, status_code=303)


@router.post("/opt-outs/{opt_out_id}/remove")
async def remove_opt_out(session: SessionDep, actor: MessageWriter, opt_out_id: str) -> Response:
    found = await opt_outs.get_opt_out(session, opt_out_id)
    await opt_outs.opt_in(session, channel=found.channel, target=found.target, by=actor.name)
    return RedirectResponse(HERE, status_code=303)


async def _page(
    request: Request,
    session: AsyncSession,
    things: Wired,
    actor: Actor,
    *,
    state: str = "",
    channel: str = "",
    cursor: str = "",
    problem: bool = False,
    status: int = 200,
) -> Response:
    try:
        wanted = MessageFilter(
            state=OutboxState(state) if state else None, channel=SendChannel(channel) if channel else None
        )
    except ValueError as error:
        raise BadInput("One of the filters has a value that does not exist.") from error
    found = await outbox.list_messages(session, filters=wanted, cursor=cursor, limit=ON_A_PAGE)
    given = {name: value for name, value in (("state", state), ("channel", channel)) if value}
    missing = _without_gateway(things.settings)
    development = things.settings.environment == "development"
    return pages.page(
        request,
        "messages.html",
        status=status,
        here="messages",
        messages=[_row(message, actor, things.settings) for message in found.items],
        opted_out=[_opt_out(one, actor) for one in (await opt_outs.list_opt_outs(session, limit=ON_A_PAGE)).items],
        chosen={"state": state, "channel": channel},
        next_page=f"{HERE}?{urlencode({**given, 'cursor': found.next_cursor})}" if found.next_cursor else "",
        may_write=actor.may(Permission.MESSAGES_WRITE),
        only_demo=missing if development else [],
        without_gateway=[] if development else missing,
        problem=problem,
    )


def _row(message: OutboxMessage, actor: Actor, settings: Settings) -> MessageRow:
    """What it says has its reader's number and debts in it: as in the API, for whoever may see numbers."""
    demo, whole = message.provider == demo_inbox.NAME, actor.may(Permission.PHONES_SEE)
    subject, files = demo_inbox.subject_and_files(settings.inbox_dir, message.id) if demo and whole else ("", [])
    return MessageRow(
        id=message.id,
        created_at=message.created_at,
        channel=message.channel.value,
        kind=message.kind,
        address=_address(message.channel, message.to, actor),
        subject=subject,
        text=message.text if whole else "",
        hidden=bool(message.text) and not whole,
        files=[file.name for file in files],
        call_id=message.call_id,
        state=message.state.value,
        problem=message.problem.value if message.problem else None,
        error=text_for(actor, message.last_error),
        attempts=message.attempts,
        demo=demo,
        forgotten=message.forgotten_at is not None,
    )


def _opt_out(one: OptOut, actor: Actor) -> OptOutRow:
    return OptOutRow(one.id, one.channel.value, _address(one.channel, one.target, actor), one.by, one.at)


def _address(channel: SendChannel, to: str, actor: Actor) -> str:
    if not to:
        return ""
    whole = actor.may(Permission.PHONES_SEE)
    if channel is SendChannel.EMAIL:
        return to if whole else opt_outs.masked(channel, to)
    return pages.phone(to, whole)


def _without_gateway(settings: Settings) -> list[str]:
    ways = {
        SendChannel.SMS: bool(settings.sms_url or settings.zenvia_token),
        SendChannel.WHATSAPP: bool(settings.whatsapp_token),
        SendChannel.EMAIL: bool(settings.smtp_host),
    }
    return [channel.value for channel, there in ways.items() if not there]
