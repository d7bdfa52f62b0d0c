"""Messages that leave the house. Written with their cause, claimed by one worker, tried again with growing pauses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, case, delete, func, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import domain_events, paging, upsert
from ura.claims import Claims, pause_after
from ura.erp import SendChannel
from ura.errors import NotFound, Refused
from ura.models import EventKind, OutboxMessage, OutboxState, Problem
from ura.paging import Page
from ura.upsert import Row

MOST_ATTEMPTS = 14  # the longest pause, a day, lies before the last, two and a half days after the first
QUICK_PAUSE = timedelta(seconds=2)  # before the second try, while somebody is on the phone and waits
WAITED_FOR = timedelta(minutes=30)
# What a caller asks for in the call: he waits for it, so it goes at any hour and before the others.
ASKED_FOR = frozenset({"plans", "proof", "invoice", "protocol", "unlock", "outage_known"})
LEGAL_PROOFS = frozenset({"proof"})  # the law wants them to arrive: sent to whoever has opted out too
CHOSEN = frozenset({"invoice"})  # the caller chose its channel, and was told of it
SECOND_WAY_FOR = timedelta(days=1)
GONE_OUT = (OutboxState.SENT, OutboxState.DELIVERED, OutboxState.READ)

_CLAIMS = Claims(OutboxMessage, waiting=OutboxState.QUEUED, taken=OutboxState.SENDING)


class MessageNotFound(NotFound):
    code = "message-not-found"


class MessageForgotten(Refused):
    code = "message-forgotten"


@dataclass(frozen=True, slots=True)
class MessageState:
    """What may be said to a caller. `sent`: the gateway `provider` has it; `confirmed`: and its receipt says that
    it went out. `failed`: it will not be tried again by itself."""

    word: Literal["queued", "sent", "failed"]
    problem: Problem | None = None
    provider: str = ""
    confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    state: OutboxState | None = None
    channel: SendChannel | None = None
    kind: str = ""
    to: str = ""
    call_id: str = ""
    created_from: datetime | None = None  # inclusive
    created_before: datetime | None = None


async def enqueue_rows(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id`, `kind`, `to`, `payload`, `call_id`, `created_at`, and `channel` if it is not SMS. One that is
    there stays as it is."""
    blank = {"channel": SendChannel.SMS, "state": OutboxState.QUEUED, "attempts": 0, "claimed_by": "", "last_error": ""}
    due = [{**blank, "next_at": row["created_at"], "urgent_until": _urgent_until(row), **row} for row in rows]
    await upsert.add_new(session, OutboxMessage, due)


async def enqueue(
    session: AsyncSession,
    *,
    kind: str,
    to: str,
    payload: dict[str, Any],
    now: datetime,
    channel: SendChannel = SendChannel.SMS,
    message_id: str = "",
    call_id: str | None = None,
    not_before: datetime | None = None,
) -> str:
    """In the caller's transaction: the message goes out if, and only if, its cause is committed. `not_before`: until
    then it can be withdrawn."""
    row = {
        "id": message_id or uuid4().hex,
        "channel": channel,
        "kind": kind,
        "to": to,
        "payload": payload,
        "call_id": call_id,
        "created_at": now,
        "next_at": max(now, not_before) if not_before else now,
    }
    await enqueue_rows(session, [row])
    return str(row["id"])


async def withdraw(session: AsyncSession, message_id: str) -> None:
    """Nobody needs it any more. One that somebody has begun to send stays."""
    unsent = (OutboxMessage.state == OutboxState.QUEUED, OutboxMessage.attempts == 0)
    await session.execute(delete(OutboxMessage).where(OutboxMessage.id == message_id, *unsent))


async def message_state(session: AsyncSession, message_id: str) -> MessageState:
    """For a call that waits. A message that is not written yet (the journal has it) is queued."""
    told = (OutboxMessage.state, OutboxMessage.problem, OutboxMessage.provider, OutboxMessage.confirmed_at)
    row = (await session.execute(select(*told).where(OutboxMessage.id == message_id))).one_or_none()
    if row is None:
        return MessageState("queued")
    state, problem, provider, confirmed_at = row
    if state is OutboxState.FAILED:
        return MessageState("failed", problem)
    if state not in GONE_OUT:
        return MessageState("queued")
    return MessageState("sent", provider=provider, confirmed=confirmed_at is not None)


async def is_due(session: AsyncSession, *, now: datetime, only: ColumnElement[bool]) -> bool:
    """Read only, so that looking for work every second holds nobody up."""
    query = select(OutboxMessage.id).where(OutboxMessage.state == OutboxState.QUEUED, OutboxMessage.next_at <= now)
    return await session.scalar(query.where(only).limit(1)) is not None


async def claim(
    session: AsyncSession, *, worker: str, now: datetime, limit: int = 20, only: ColumnElement[bool] | None = None
) -> Sequence[OutboxMessage]:
    """Take messages that are due; commit before sending."""
    return await _CLAIMS.claim(session, worker=worker, now=now, limit=limit, only=only)


def urgent(channels: Collection[SendChannel], now: datetime) -> ColumnElement[bool]:
    """A condition for `claim`: somebody waits for them."""
    return and_(OutboxMessage.channel.in_(channels), OutboxMessage.urgent_until > now)


def unhurried(channels: Collection[SendChannel], now: datetime) -> ColumnElement[bool]:
    """The others."""
    return and_(OutboxMessage.channel.in_(channels), not_(func.coalesce(OutboxMessage.urgent_until > now, False)))


def lost_their_way(*, shut: SendChannel | None, open_: SendChannel, now: datetime) -> ColumnElement[bool]:
    """What must reach a telephone, whichever way: what waits for the channel that is `shut`, which has no gateway; and,
    with SMS `open_`, which each mobile takes, what WhatsApp could not bring within the last day. Never what was wanted
    on its channel."""
    nobody_chose = OutboxMessage.kind.not_in(CHOSEN)
    waits = and_(OutboxMessage.state == OutboxState.QUEUED, OutboxMessage.channel == shut)
    if open_ is not SendChannel.SMS:
        return and_(nobody_chose, waits)
    came_back = and_(
        OutboxMessage.state == OutboxState.FAILED,
        OutboxMessage.channel == SendChannel.WHATSAPP,
        OutboxMessage.problem.in_((Problem.UNKNOWN_ADDRESS, Problem.REFUSED, Problem.UNDELIVERED)),
        OutboxMessage.created_at > now - SECOND_WAY_FOR,
        OutboxMessage.forgotten_at.is_(None),
    )
    return and_(nobody_chose, or_(waits, came_back))


async def is_any(session: AsyncSession, which: ColumnElement[bool]) -> bool:
    return await session.scalar(select(OutboxMessage.id).where(which).limit(1)) is not None


async def take_other_way(
    session: AsyncSession, which: ColumnElement[bool], *, open_: SendChannel, now: datetime
) -> int:
    """Messages that `lost_their_way` go by the open one, with all their tries. Returns how many."""
    change = (
        update(OutboxMessage)
        .where(which)
        .values(
            channel=open_,
            state=OutboxState.QUEUED,
            problem=None,
            attempts=0,
            next_at=now,
            provider="",
            provider_id="",
        )
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return len((await session.scalars(change)).all())


async def mark_sent(session: AsyncSession, message: OutboxMessage, *, now: datetime, **told: Any) -> bool:
    """The other side has it. `told`: what it was told, and by whom (`to`, `text`, `provider`, `provider_id`).

    False: this claim had been given up meanwhile and another worker has the message, or a receipt was faster.
    """
    values = {"state": OutboxState.SENT, "sent_at": now, "last_error": "", "problem": None, **told}
    values["confirmed_at"] = None  # receipts of an earlier round say nothing of this one
    return await _CLAIMS.settle(session, message, **values)


async def mark_failed(
    session: AsyncSession,
    message: OutboxMessage,
    *,
    error: str,
    now: datetime,
    problem: Problem | None = None,
    after: timedelta | None = None,
    may_be_quick: bool = False,
    **told: Any,
) -> bool:
    """Try again later; give up after MOST_ATTEMPTS, or at once with a `problem`. `after`: the other side asked for
    that much time. `may_be_quick`: it surely has not got the message, so a caller who waits need not wait long."""
    error = error[:2000]
    problem = final_problem(message, problem)
    if problem is not None:
        failed = await _CLAIMS.settle(
            session, message, state=OutboxState.FAILED, problem=problem, last_error=error, **told
        )
        if failed:
            await tell_failed(session, message, problem, now=now)
        return failed
    waited_for = message.urgent_until is not None and now < message.urgent_until
    quick = may_be_quick and waited_for and message.attempts == 1
    pause = max(QUICK_PAUSE if quick else pause_after(message.attempts), after or timedelta(0))
    return await _CLAIMS.settle(
        session, message, state=OutboxState.QUEUED, next_at=now + pause, last_error=error, **told
    )


def final_problem(message: OutboxMessage, problem: Problem | None) -> Problem | None:
    """Why it is not tried again by itself; None: it is."""
    return Problem.GAVE_UP if problem is None and message.attempts >= MOST_ATTEMPTS else problem


async def tell_failed(session: AsyncSession, message: OutboxMessage, problem: Problem, *, now: datetime) -> None:
    """To other programs; not to whom it was, nor what it said."""
    data = {"kind": message.kind, "channel": message.channel, "problem": problem, "call_id": message.call_id}
    await domain_events.record(session, EventKind.MESSAGE_FAILED, message.id, data, now=now)


async def release_stale(session: AsyncSession, *, claimed_before: datetime, now: datetime) -> int:
    """Such a message may arrive twice; it carries its id so that the other side can tell. Returns how many."""
    return await _CLAIMS.release_stale(session, claimed_before=claimed_before, now=now)


async def send_again(session: AsyncSession, message_id: str, *, now: datetime) -> bool:
    """A person asks for one more round of attempts for a message that failed, at once whatever the hour is. False: it
    has not failed (any more). Raises MessageNotFound, MessageForgotten."""
    message = await get_message(session, message_id)
    if message.state is OutboxState.FAILED and message.forgotten_at is not None:
        raise MessageForgotten("What this message said has been deleted after its time. Write to the person anew.")
    again = (
        update(OutboxMessage)
        .where(OutboxMessage.id == message_id, OutboxMessage.state == OutboxState.FAILED)
        .values(
            state=OutboxState.QUEUED,
            problem=None,
            attempts=0,
            next_at=now,
            urgent_until=now + WAITED_FOR,
            provider="",
            provider_id="",
        )
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return await session.scalar(again) is not None


async def forget(session: AsyncSession, *, before: datetime, now: datetime, limit: int = 500) -> Sequence[str]:
    """Delete what messages from before that moment say, or would say: text and payload. That there was one, to whom,
    and its receipts stay. One that still waits has failed: it is out of date. Returns ids; call until there are none.
    """
    old = (
        select(OutboxMessage.id)
        .where(
            OutboxMessage.created_at < before,
            OutboxMessage.forgotten_at.is_(None),
            OutboxMessage.state != OutboxState.SENDING,  # by a worker that has its words in hand
        )
        .order_by(OutboxMessage.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    waits = OutboxMessage.state == OutboxState.QUEUED
    change = (
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(select(old.c.id)), OutboxMessage.state != OutboxState.SENDING)
        .values(
            text="",
            payload={},
            forgotten_at=now,
            problem=case((waits, Problem.OUT_OF_DATE), else_=OutboxMessage.problem),
            state=case((waits, OutboxState.FAILED), else_=OutboxMessage.state),
        )
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(change)).all()


async def get_message(session: AsyncSession, message_id: str) -> OutboxMessage:
    message = await session.get(OutboxMessage, message_id)
    if message is None:
        raise MessageNotFound("There is no such message.")
    return message


async def list_messages(
    session: AsyncSession, *, filters: MessageFilter | None = None, cursor: str = "", limit: int = 100
) -> Page[OutboxMessage]:
    """Newest first."""
    wanted = filters or MessageFilter()
    conditions = paging.equal(OutboxMessage, wanted, ("state", "channel", "kind", "to", "call_id"))
    if wanted.created_from:
        conditions.append(OutboxMessage.created_at >= wanted.created_from)
    if wanted.created_before:
        conditions.append(OutboxMessage.created_at < wanted.created_before)
    by = (OutboxMessage.created_at, OutboxMessage.id)
    return await paging.fetch(session, OutboxMessage, conditions, by=by, cursor=cursor, limit=limit)


def _urgent_until(row: Row) -> datetime | None:
    created: datetime = row["created_at"]
    return created + WAITED_FOR if row["kind"] in ASKED_FOR and row["call_id"] else None
