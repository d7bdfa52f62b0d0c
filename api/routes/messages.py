"""Messages: what was told to whom, what became of it, once more; and who wants none."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.call_views import address_for, text_for
from api.deps import MessageReader, MessageWriter, SessionDep, Wired, WiredDep
from api.errors import Forbidden, described
from api.idempotency import Once
from api.routes.calls import MessageAnswer, searched_phone
from api.schemas import Answer, Cursor, Day, Limit, Listed
from ura import audit, opt_outs, outbox
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.models import OptOut, OutboxMessage, OutboxState
from ura.outbox import MessageFilter
from ura.users import Actor, Permission

router = APIRouter(prefix="/messages", tags=["messages"], route_class=Once)
opt_out_router = APIRouter(prefix="/opt-outs", tags=["messages"], route_class=Once)

SearchedAddress = Annotated[
    str, Query(max_length=120, description="A telephone number in any usual form, or an e-mail. Needs phones:see.")
]


class MessageSummary(MessageAnswer):
    call_id: str | None
    read_at: datetime | None
    attempts: int = Field(description="How often it was tried, since it was last sent again.")


class ReceiptAnswer(Answer):
    state: OutboxState
    at: datetime


class MessageDetail(MessageSummary):
    text: str | None = Field(description="Null before it is written, after it was deleted, and without phones:see.")
    receipts: list[ReceiptAnswer]
    provider: str
    last_error: str = Field(description="Why the last attempt failed, in the gateway's words.")
    next_at: datetime | None = Field(description="When it is tried next; null when it is not.")
    forgotten_at: datetime | None


class NewOptOut(BaseModel):
    channel: SendChannel
    address: str = Field(max_length=120, description="A telephone number in any usual form, or an e-mail.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"channel": "sms", "address": "11933330002"}}}


class OptOutAnswer(Answer):
    id: str
    channel: SendChannel
    address: str
    by: str
    at: datetime


@router.get("", summary="List messages, newest first", responses=described())
async def list_messages(
    actor: MessageReader,
    session: SessionDep,
    things: WiredDep,
    state: OutboxState | None = None,
    channel: SendChannel | None = None,
    kind: Annotated[str, Query(max_length=40)] = "",
    call_id: Annotated[str, Query(max_length=32)] = "",
    address: SearchedAddress = "",
    on: Annotated[Day | None, Query(description="Only those that came about on this day, as days are here.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[MessageSummary]:
    start, end = _day(on, things)
    wanted = MessageFilter(
        state=state,
        channel=channel,
        kind=kind,
        to=_searched(actor, address),
        call_id=call_id,
        created_from=start,
        created_before=end,
    )
    page = await outbox.list_messages(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[_summary(actor, message) for message in page.items], next_cursor=page.next_cursor)


@router.get("/{message_id}", summary="One message with its receipts and attempts", responses=described(404))
async def get_message(actor: MessageReader, session: SessionDep, message_id: str) -> MessageDetail:
    return _detail(actor, await outbox.get_message(session, message_id))


@router.post("/{message_id}/again", summary="Send a message that failed once more", responses=described(404, 409))
async def send_again(actor: MessageWriter, session: SessionDep, message_id: str) -> MessageDetail:
    """One more round of attempts, at once. A message that has not failed is left as it is: sent again, this request
    does nothing more."""
    if await outbox.send_again(session, message_id, now=datetime.now(UTC)):
        await audit.record(session, actor=actor.name, action="message.again", subject=message_id, detail={})
    return _detail(actor, await _read_anew(session, message_id))


@opt_out_router.get("", summary="List who wants no messages, newest first", responses=described())
async def list_opt_outs(
    actor: MessageReader,
    session: SessionDep,
    channel: SendChannel | None = None,
    address: SearchedAddress = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[OptOutAnswer]:
    target = _searched(actor, address)
    page = await opt_outs.list_opt_outs(session, channel=channel, target=target, cursor=cursor, limit=limit)
    return Listed(items=[_opt_out(actor, one) for one in page.items], next_cursor=page.next_cursor)


@opt_out_router.post("", status_code=201, summary="Send somebody no more messages", responses=described())
async def add_opt_out(actor: MessageWriter, session: SessionDep, wanted: NewOptOut) -> OptOutAnswer:
    """On one channel. Whoever is in the list already stays there as they were. Proofs that the law wants still go."""
    target = opt_outs.address(wanted.channel, wanted.address)
    now = datetime.now(UTC)
    return _opt_out(
        actor, await opt_outs.opt_out(session, channel=wanted.channel, target=target, by=actor.name, now=now)
    )


@opt_out_router.delete("/{opt_out_id}", status_code=204, summary="Send messages there again", responses=described(404))
async def remove_opt_out(actor: MessageWriter, session: SessionDep, opt_out_id: str) -> None:
    found = await opt_outs.get_opt_out(session, opt_out_id)
    await opt_outs.opt_in(session, channel=found.channel, target=found.target, by=actor.name)


def _day(on: date | None, things: Wired) -> tuple[datetime | None, datetime | None]:
    """From midnight to midnight, where the provider is."""
    if on is None:
        return None, None
    try:
        days = (on, on + timedelta(days=1))
        start, end = (datetime.combine(day, time.min, things.settings.zone).astimezone(UTC) for day in days)
    except OverflowError as error:
        raise BadInput("`on` is too far away. Choose a day of ours.") from error
    return start, end


def _searched(actor: Actor, written: str) -> str:
    if "@" not in written:
        return searched_phone(actor, written)
    if not actor.may(Permission.PHONES_SEE):
        raise Forbidden("Searching by address needs the permission phones:see.")
    return opt_outs.address(SendChannel.EMAIL, written)


async def _read_anew(session: AsyncSession, message_id: str) -> OutboxMessage:
    message = await outbox.get_message(session, message_id)
    await session.refresh(message)
    return message


def _summary(actor: Actor, message: OutboxMessage) -> MessageSummary:
    return MessageSummary.model_validate(message).model_copy(update={"to": address_for(actor, message.to)})


def _detail(actor: Actor, message: OutboxMessage) -> MessageDetail:
    told = (
        (OutboxState.SENT, message.sent_at),
        (OutboxState.DELIVERED, message.delivered_at),
        (OutboxState.READ, message.read_at),
    )
    return MessageDetail(
        **_summary(actor, message).model_dump(),
        text=(message.text or None) if actor.may(Permission.PHONES_SEE) else None,
        receipts=[ReceiptAnswer(state=state, at=at) for state, at in told if at],
        provider=message.provider,
        last_error=text_for(actor, message.last_error),
        next_at=message.next_at if message.state is OutboxState.QUEUED else None,
        forgotten_at=message.forgotten_at,
    )


def _opt_out(actor: Actor, one: OptOut) -> OptOutAnswer:
    return OptOutAnswer(id=one.id, channel=one.channel, address=address_for(actor, one.target), by=one.by, at=one.at)
