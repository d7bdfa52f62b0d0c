"""What may somebody who owes do about it: pay, be unlocked in trust, promise, dispute. And what is spoken of first?

The ERP says what is owed; the rules here are the provider's own. Contracts and invoices are named by the ERP's ids
(`contract_ref`, `invoice_ref`) and the ERP's name (`source`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Self

import holidays
from sqlalchemy import ColumnElement, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import upsert
from ura.erp import Contract, ContractStatus, Invoice, Unlock, UnlockVerdict
from ura.errors import Unavailable
from ura.models import (
    Call,
    Category,
    Dispute,
    PaymentPromise,
    PromiseOutcome,
    SurveyAnswer,
    Ticket,
    TicketStatus,
    TrustUnlock,
)
from ura.settings import Settings
from ura.upsert import Row

RATING = "rating"  # the survey's question that is answered with 1 (bad) to 5
BAD_RATINGS = ("1", "2")
RATING_COUNTS = timedelta(days=30)
_WANTED_SOMETHING_ELSE = (Category.SALES, Category.FALLBACK, Category.MESSAGE)


@dataclass(frozen=True, slots=True)
class Policy:
    """`oldest_debt_days`: who owes since longer is not unlocked in trust. `promise_days`: how far ahead a promise may
    be. `broken_promise_days`: so long after the day of a broken one a person agrees on the next."""

    unlock_days: int = 3
    oldest_debt_days: int = 60
    promise_days: int = 10
    broken_promise_days: int = 30

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.unlock_days, settings.unlock_oldest_debt_days, settings.promise_days, settings.broken_promise_days
        )


# -- invoices


def pay_by(due_on: date) -> date:
    """The last day without a fine: who is due on a Saturday may pay on Monday (banks and B3's holidays)."""
    day = due_on
    while day.weekday() >= 5 or day in _bank_holidays(day.year):
        day += timedelta(days=1)
    return day


def is_overdue(invoice: Invoice, *, today: date) -> bool:
    return today > pay_by(invoice.due_on)


def overdue_first(invoices: Collection[Invoice]) -> list[Invoice]:
    """As they are told: the oldest debt first, disputed ones last, since nobody is asked for those."""
    return sorted(invoices, key=lambda invoice: (invoice.disputed, invoice.due_on, invoice.id))


@lru_cache(maxsize=8)
def _bank_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.financial_holidays("BVMF", years=year))


# -- trust unlock


def unlock_verdict(
    contract: Contract | None,
    invoices: Collection[Invoice],
    *,
    used: TrustUnlock | None,
    now: datetime,
    today: date,
    policy: Policy,
) -> Unlock:
    """May this contract be unlocked in trust? `used`: its unlock of this period.

    1. There is such a contract.
    2. It is not unlocked already.
    3. It is blocked, and for debt: not cancelled, not suspended for another reason.
    4. It was not unlocked in this period.
    5. Something overdue is open; blocked without that, a person has to look why.
    6. Nothing open is older than the policy allows.
    """
    if contract is None:
        return Unlock(UnlockVerdict.UNKNOWN_CONTRACT)
    if used and used.until > now:
        return Unlock(UnlockVerdict.ALREADY_ACTIVE, used.until, protocol=used.protocol)
    if contract.status is ContractStatus.UNLOCKED:
        return Unlock(UnlockVerdict.ALREADY_ACTIVE)
    if contract.status is ContractStatus.ACTIVE:
        return Unlock(UnlockVerdict.NOT_BLOCKED)
    if contract.status is not ContractStatus.BLOCKED:
        return Unlock(UnlockVerdict.BLOCKED_OTHER_REASON)
    if used:
        return Unlock(UnlockVerdict.USED_THIS_PERIOD)
    overdue = [invoice for invoice in invoices if is_overdue(invoice, today=today)]
    if not overdue:
        return Unlock(UnlockVerdict.BLOCKED_OTHER_REASON)
    if today - min(invoice.due_on for invoice in overdue) > timedelta(days=policy.oldest_debt_days):
        return Unlock(UnlockVerdict.POLICY_REFUSED)
    return Unlock(UnlockVerdict.ALLOWED)


def period_of(today: date) -> str:
    """One unlock a calendar month."""
    return f"{today:%Y-%m}"


async def find_unlock(session: AsyncSession, *, source: str, contract_ref: str, period: str) -> TrustUnlock | None:
    query = select(TrustUnlock).where(
        TrustUnlock.source == source, TrustUnlock.contract_ref == contract_ref, TrustUnlock.period == period
    )
    found: TrustUnlock | None = await session.scalar(query.execution_options(populate_existing=True))
    return found


async def running_unlock(session: AsyncSession, *, source: str, contract_ref: str, now: datetime) -> TrustUnlock | None:
    """One that still runs, also when it began in the month before."""
    query = select(TrustUnlock).where(
        TrustUnlock.source == source, TrustUnlock.contract_ref == contract_ref, TrustUnlock.until > now
    )
    found: TrustUnlock | None = await session.scalar(query.order_by(TrustUnlock.until.desc()).limit(1))
    return found


async def find_wish(session: AsyncSession, wish: str) -> TrustUnlock | None:
    """What became of this request, whenever it was made."""
    return await session.get(TrustUnlock, wish, populate_existing=True)


async def write_unlock(
    session: AsyncSession, *, wish: str, source: str, contract_ref: str, now: datetime, today: date, policy: Policy
) -> TrustUnlock:
    """The unlock of this contract and period: ours when its `wish` is ours, else somebody was faster.

    Where another system does it: commit before asking, then `strike_unlock` when it surely did not. An unlock lasts to
    the end of its last day, which is a time that can be told.
    """
    zone = now.tzinfo
    last_day = today + timedelta(days=policy.unlock_days)
    period = period_of(today)
    row = {
        "wish": wish,
        "source": source,
        "contract_ref": contract_ref,
        "period": period,
        "granted_at": now,
        "until": datetime.combine(last_day, time(23, 59, 59), zone),
        "protocol": "",
    }
    await upsert.add_new(session, TrustUnlock, [row])
    # The same wish in the next month is still the same wish.
    found = await find_wish(session, wish)
    found = found or await find_unlock(session, source=source, contract_ref=contract_ref, period=period)
    if found is None:  # struck out by whoever held it, between our two looks
        raise Unavailable("somebody else is asking for this unlock just now")
    return found


async def strike_unlock(session: AsyncSession, wish: str) -> None:
    """It was not granted: it may be asked for again."""
    await session.execute(delete(TrustUnlock).where(TrustUnlock.wish == wish))


# -- promise


class PromiseFault(StrEnum):
    PAST = "past"
    TOO_FAR = "too_far"
    OPEN_ALREADY = "open_already"


def promise_days(today: date, policy: Policy, *, most: int = 3) -> list[date]:
    """Days to choose from: the next ones on which a bank works, the last that the policy allows among them."""
    days = [today + timedelta(days=ahead) for ahead in range(1, policy.promise_days + 1)]
    open_days = [day for day in days if pay_by(day) == day]
    if len(open_days) <= most:
        return open_days
    return [*open_days[: most - 1], open_days[-1]]


def promise_fault(
    on: date, *, today: date, policy: Policy, others: Sequence[PaymentPromise] = ()
) -> PromiseFault | None:
    """Why this day is not accepted. `others`: the contract's open promises; one at a time."""
    if on < today:
        return PromiseFault.PAST
    if on > today + timedelta(days=policy.promise_days):
        return PromiseFault.TOO_FAR
    return PromiseFault.OPEN_ALREADY if others else None


def cleared_by(on_day: date) -> date:
    """The last day on which a payment of that day may become known: a boleto is cleared on the next bank day."""
    return pay_by(pay_by(on_day) + timedelta(days=1))


async def may_promise(session: AsyncSession, *, source: str, contract_ref: str, today: date, policy: Policy) -> bool:
    """Not who broke a promise a short while ago: a person agrees on the next day."""
    query = select(PaymentPromise.id).where(
        PaymentPromise.source == source,
        PaymentPromise.contract_ref == contract_ref,
        PaymentPromise.outcome == PromiseOutcome.BROKEN,
        PaymentPromise.on_day >= today - timedelta(days=policy.broken_promise_days),
    )
    return await session.scalar(query.limit(1)) is None


async def open_promises(
    session: AsyncSession, *, source: str, contract_ref: str, today: date
) -> Sequence[PaymentPromise]:
    """Those whose day is not over: kept or broken, an older one stands in nobody's way."""
    query = select(PaymentPromise).where(
        PaymentPromise.source == source,
        PaymentPromise.contract_ref == contract_ref,
        PaymentPromise.on_day >= today,
    )
    return (await session.scalars(query.order_by(PaymentPromise.on_day))).all()


async def add_promises(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id` (the key of the request), `source`, `contract_ref`, `on_day`, `made_at`; perhaps `reference`.
    One that is there stays as it is."""
    await upsert.add_new(session, PaymentPromise, [{"reference": "", **row} for row in rows])


# -- dispute


async def open_disputes(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id`, `source`, `contract_ref`, `invoice_ref`, `ticket_id`, `opened_at`. One that is there stays."""
    await upsert.add_new(session, Dispute, rows)


async def disputed(session: AsyncSession, *, source: str, contract_ref: str) -> frozenset[str]:
    """The ids of the contract's invoices that are disputed now."""
    query = select(Dispute.invoice_ref).where(
        Dispute.source == source, Dispute.contract_ref == contract_ref, _not_answered()
    )
    return frozenset(await session.scalars(query))


async def may_remind(session: AsyncSession, *, source: str, invoice_ref: str) -> bool:
    """No reminder while the charge is disputed."""
    query = select(Dispute.id).where(Dispute.source == source, Dispute.invoice_ref == invoice_ref, _not_answered())
    return await session.scalar(query.limit(1)) is None


def _not_answered() -> ColumnElement[bool]:
    """A dispute is over when its complaint is closed. One whose ticket is not written yet goes on."""
    return ~exists().where(Ticket.id == Dispute.ticket_id, Ticket.status == TicketStatus.CLOSED)


def mark_disputed(invoices: Collection[Invoice], refs: Collection[str]) -> list[Invoice]:
    """Whatever the ERP knows of it: what a caller disputed with us is disputed."""
    return [replace(invoice, disputed=invoice.disputed or invoice.id in refs) for invoice in invoices]


# -- service first


class ServiceMatter(StrEnum):
    """Why we speak of our own debt before the caller's. In the order in which it is spoken of."""

    OUTAGE = "outage"
    OPEN_TICKET = "open_ticket"
    BAD_RATING = "bad_rating"


async def service_matters(
    session: AsyncSession,
    *,
    contract_ref: str,
    phone: str,
    outage: bool,
    erp_tickets: int,
    now: datetime,
    but_call: str = "",
) -> list[ServiceMatter]:
    """Empty: the debt may be spoken of. `phone`: the one that calls; `erp_tickets`: open ones in the ERP; `but_call`:
    the call that asks, whose own ticket is no reason."""
    found: list[ServiceMatter] = []
    if outage:
        found.append(ServiceMatter.OUTAGE)
    if erp_tickets or await _has_open_ticket(session, contract_ref=contract_ref, phone=phone, but_call=but_call):
        found.append(ServiceMatter.OPEN_TICKET)
    if phone and await _rated_badly(session, phone=phone, since=now - RATING_COUNTS):
        found.append(ServiceMatter.BAD_RATING)
    return found


async def _has_open_ticket(session: AsyncSession, *, contract_ref: str, phone: str, but_call: str) -> bool:
    of_whom = [Ticket.contract_ref == contract_ref] if contract_ref else []
    of_whom += [Ticket.phone == phone] if phone else []
    wanted = [Ticket.status != TicketStatus.CLOSED, Ticket.category.not_in(_WANTED_SOMETHING_ELSE)]
    if but_call:
        wanted.append(or_(Ticket.call_id.is_(None), Ticket.call_id != but_call))
    return bool(of_whom) and bool(await session.scalar(select(exists().where(or_(*of_whom), *wanted))))


async def _rated_badly(session: AsyncSession, *, phone: str, since: datetime) -> bool:
    """The newest rating counts: who was content since then is."""
    newest = (
        select(SurveyAnswer.value)
        .join(Call, Call.id == SurveyAnswer.call_id)
        .where(Call.caller == phone, Call.opened_at >= since, SurveyAnswer.question == RATING)
        .order_by(SurveyAnswer.at.desc())
        .limit(1)
    )
    return await session.scalar(newest) in BAD_RATINGS
