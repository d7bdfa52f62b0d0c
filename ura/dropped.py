"""Whose line failed before the call was concluded? They get their protocol by message, or a call back: once, a
while later, when they have not rung again themselves."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import opt_outs, outbox, phones, queues, upsert
from ura.erp import SendChannel
from ura.models import Call, DroppedCall, ErpRequest, Operation, Outcome, Recovery, Witness
from ura.phones import PhoneKind
from ura.upsert import Row

WAIT = timedelta(minutes=5)  # most people ring again at once
NEWS_FOR = timedelta(hours=24)  # later it is no news
ONCE_IN = timedelta(hours=24)
CALLBACK_QUEUE = "l1"
RECOVERIES = UUID("0c6a3f52-7a0e-4d0b-9a55-3f5b1f6f2c90")
DONE_SOMETHING = (Recovery.MESSAGE, Recovery.CALLBACK)
CUTS_THE_LINE = (Operation.SESSION_RESET, Operation.REBOOT_CPE)
MISSED_WITHIN = timedelta(minutes=10)  # pjsip.conf, rtp_timeout: five minutes without a packet end a call


async def note(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows as `calls.close` takes them: of those that Asterisk says were dropped, each once."""
    dropped = [
        {"call_id": row["id"], "at": row["outcome_at"], "phone": ""}
        for row in rows
        if row["outcome"] is Outcome.DROPPED and row["outcome_by"] is Witness.ASTERISK
    ]
    await upsert.add_new(session, DroppedCall, dropped)


async def recover(
    session: AsyncSession, *, now: datetime, by: SendChannel = SendChannel.SMS, limit: int = 100
) -> Counter[Recovery]:
    """Those of at least WAIT ago, the oldest first. `by`: the way to a mobile (ura.gateways.phone_channel). Call it
    only while telephones may ring.

    1. Nothing for a call that was concluded, or that a person answered; nor when the number is hidden.
    2. Nothing when the same number called again meanwhile, nor twice a number within ONCE_IN, nor after NEWS_FOR.
    3. Whose line failed while we restarted it is called back: it may be the very line that they rang on.
    4. A mobile gets its protocol by message; another line, a call without a protocol, and who wants no messages there
       are called back.
    """
    query = (
        select(DroppedCall, Call)
        .join(Call, Call.id == DroppedCall.call_id)
        .where(DroppedCall.recovery.is_(None), DroppedCall.at <= now - WAIT)
        .order_by(DroppedCall.at, DroppedCall.call_id)
        .limit(limit)
    )
    done: Counter[Recovery] = Counter()
    for dropped, call in (await session.execute(query)).all():
        recovery = await _decide(session, dropped, call, now=now, by=by)
        if recovery is Recovery.MESSAGE:
            await _write(session, call, now=now, by=by)
        elif recovery is Recovery.CALLBACK:
            await _call_back(session, call, now=now)
        dropped.recovery, dropped.settled_at, dropped.phone = recovery, now, call.caller
        await session.flush()  # the next of this number must see it
        done[recovery] += 1
    return done


async def _decide(
    session: AsyncSession, dropped: DroppedCall, call: Call, *, now: datetime, by: SendChannel
) -> Recovery:
    if call.outcome is Outcome.DONE or call.answered_at is not None:
        return Recovery.CONCLUDED
    if not call.caller or dropped.at < now - NEWS_FOR:
        return Recovery.CAPPED
    again = select(Call.id).where(Call.caller == call.caller, Call.opened_at > call.opened_at, Call.id != call.id)
    if await session.scalar(again.limit(1)) is not None:
        return Recovery.CALLED_AGAIN
    before = select(DroppedCall.call_id).where(
        DroppedCall.phone == call.caller,
        DroppedCall.settled_at > now - ONCE_IN,
        DroppedCall.recovery.in_(DONE_SOMETHING),
    )
    if await session.scalar(before.limit(1)) is not None:
        return Recovery.CAPPED
    if await _was_cut_by_us(session, dropped):
        return Recovery.CALLBACK
    takes_messages = phones.kind(call.caller) is PhoneKind.MOBILE and bool(call.protocol)
    if not takes_messages or await opt_outs.has_opted_out(session, channel=by, to=call.caller):
        return Recovery.CALLBACK
    return Recovery.MESSAGE


async def _was_cut_by_us(session: AsyncSession, dropped: DroppedCall) -> bool:
    restarts = select(ErpRequest.id).where(
        ErpRequest.call_id == dropped.call_id,
        ErpRequest.operation.in_(CUTS_THE_LINE),
        ErpRequest.created_at.between(dropped.at - MISSED_WITHIN, dropped.at),
    )
    return await session.scalar(restarts.limit(1)) is not None


async def _write(session: AsyncSession, call: Call, *, now: datetime, by: SendChannel) -> None:
    await outbox.enqueue(
        session,
        kind="dropped",
        to=call.caller,
        payload={"protocol": call.protocol},
        now=now,
        channel=by,
        message_id=uuid5(RECOVERIES, call.id).hex,
        call_id=call.id,
    )


async def _call_back(session: AsyncSession, call: Call, *, now: datetime) -> None:
    row = {"id": uuid5(RECOVERIES, call.id).hex, "call_id": call.id, "phone": call.caller, "queue": CALLBACK_QUEUE}
    await queues.request_callbacks(session, [{**row, "not_before_at": now, "created_at": now}])
