"""What becomes of a promise of payment: who is reminded the day before, and was it kept?

What was promised is all that was due on the day of the promise. The ERP says what of that is still open; the rules are
in ura/billing.py.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import billing, outbox, phones
from ura.db import Sessions
from ura.erp import Contract, ContractStatus, Erp, Invoice, SendChannel, Unsupported
from ura.models import Category, ErpRequest, PaymentPromise, PromiseOutcome, Ticket
from ura.phones import PhoneKind

KIND = "promise_reminder"
REMINDER = UUID("9d0b7c52-1f0e-4d0c-8a3b-6b0a5d8f2e17")
LOOKED_AT_FOR = timedelta(days=60)  # a system that has not said by then what is open will not

Followed = Row[PaymentPromise, ErpRequest]


class Standing(StrEnum):
    OWED = "owed"
    PAID = "paid"
    DISPUTED = "disputed"  # all that is open of it
    CANCELLED = "cancelled"


async def list_to_remind(session: AsyncSession, *, source: str, now: datetime) -> Sequence[Followed]:
    """Promises for tomorrow, `now` being local. Who promised today has just heard the day."""
    today = datetime.combine(now.date(), time(0), now.tzinfo)
    query = _undecided(source).where(
        PaymentPromise.on_day == now.date() + timedelta(days=1),
        PaymentPromise.made_at < today,
        PaymentPromise.reminded_at.is_(None),
    )
    found = (await session.execute(query)).all()
    return [each for each in found if phones.kind(_phone(each[1])) is PhoneKind.MOBILE]


async def list_to_settle(session: AsyncSession, *, source: str, today: date) -> Sequence[Followed]:
    """Promises of which a payment would be known by now."""
    query = _undecided(source).where(PaymentPromise.on_day < today, PaymentPromise.on_day >= today - LOOKED_AT_FOR)
    return [each for each in (await session.execute(query)).all() if today > billing.cleared_by(each[0].on_day)]


async def find_standing(
    sessions: Sessions, erp: Erp, promise: PaymentPromise, request: ErpRequest, *, zone: tzinfo
) -> Standing | None:
    """None: this system cannot say. Raises ErpUnavailable."""
    if await _is_cancelled(sessions, erp, promise, request):
        return Standing.CANCELLED
    reply = await erp.open_invoices(promise.contract_ref)
    if isinstance(reply, Unsupported):
        return None
    made_on = promise.made_at.astimezone(zone).date()
    promised = [invoice for invoice in reply.value if invoice.due_on <= made_on]
    if not promised:
        return Standing.PAID
    async with sessions() as session:
        asked_for = [await _may_ask(session, promise, invoice) for invoice in promised]
    return Standing.OWED if any(asked_for) else Standing.DISPUTED


async def still_owed(sessions: Sessions, erp: Erp, reminder: Mapping[str, Any], *, zone: tzinfo) -> bool:
    """Is what the payload of a reminder tells true at this moment? Raises ErpUnavailable."""
    async with sessions() as session:
        promise = await session.get(PaymentPromise, reminder["promise_id"])
        request = await session.get(ErpRequest, reminder["promise_id"])
    if promise is None or request is None or promise.outcome is not None:
        return False
    return await find_standing(sessions, erp, promise, request, zone=zone) is Standing.OWED


async def remind(
    session: AsyncSession, promise: PaymentPromise, request: ErpRequest, *, by: SendChannel, now: datetime
) -> bool:
    """A message to the number that was to hear the answer; once, however often it is asked for."""
    if not await _change(session, promise, PaymentPromise.reminded_at.is_(None), reminded_at=now):
        return False
    await outbox.enqueue(
        session,
        kind=KIND,
        to=_phone(request),
        payload={"promise_id": promise.id, "on": promise.on_day.isoformat(), "protocol": request.protocol},
        now=now,
        channel=by,
        message_id=uuid5(REMINDER, promise.id).hex,
        call_id=request.call_id,
    )
    return True


async def settle(session: AsyncSession, promise: PaymentPromise, outcome: PromiseOutcome, *, now: datetime) -> bool:
    """False: somebody was faster."""
    return await _change(session, promise, outcome=outcome, settled_at=now)


def _undecided(source: str) -> Select[PaymentPromise, ErpRequest]:
    query = select(PaymentPromise, ErpRequest).join(ErpRequest, ErpRequest.id == PaymentPromise.id)
    undecided = query.where(PaymentPromise.outcome.is_(None), PaymentPromise.source == source)
    return undecided.order_by(PaymentPromise.on_day, PaymentPromise.id)


def _phone(request: ErpRequest) -> str:
    return str(request.args.get("tell") or "")


async def _is_cancelled(sessions: Sessions, erp: Erp, promise: PaymentPromise, request: ErpRequest) -> bool:
    """A cancellation takes effect as it is asked for, whenever the provider's system hears of it (Decree 11.034)."""
    async with sessions() as session:
        asked_for = select(Ticket.id).where(
            Ticket.category == Category.CANCELLATION,
            Ticket.contract_ref == promise.contract_ref,
            Ticket.opened_at >= promise.made_at,
        )
        if await session.scalar(asked_for.limit(1)) is not None:
            return True
    subscriber = str(request.args.get("subscriber_id") or "")
    reply = await erp.list_contracts(subscriber) if subscriber else None
    if reply is None or isinstance(reply, Unsupported):
        return False
    contract: Contract | None = next((each for each in reply.value if each.id == promise.contract_ref), None)
    return contract is None or contract.status is ContractStatus.CANCELLED


async def _may_ask(session: AsyncSession, promise: PaymentPromise, invoice: Invoice) -> bool:
    return not invoice.disputed and await billing.may_remind(session, source=promise.source, invoice_ref=invoice.id)


async def _change(session: AsyncSession, promise: PaymentPromise, *conditions: Any, **values: Any) -> bool:
    undecided = (PaymentPromise.id == promise.id, PaymentPromise.outcome.is_(None), *conditions)
    change = update(PaymentPromise).where(*undecided).values(**values).returning(PaymentPromise.id)
    return await session.scalar(change.execution_options(synchronize_session=False)) is not None
