import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.factories import NOON, close_ticket, make_id, ticket_opened
from ura import billing, surveys, tickets
from ura.billing import Policy, PromiseFault, ServiceMatter
from ura.db import Sessions
from ura.demo.subscribers import demo_world
from ura.erp import ContractStatus, Invoice, UnlockVerdict
from ura.models import Call, Category, TrustUnlock
from ura.projection import apply

TODAY = NOON.date()  # a Monday
POLICY = Policy()
CALLER = "+5511955550102"


def make_invoice(*, overdue_days: int, disputed: bool = False) -> Invoice:
    due_on = TODAY - timedelta(days=overdue_days)
    return Invoice(f"i{overdue_days}", "2002", due_on, Decimal("79.90"), disputed=disputed)


def used(*, until: timedelta = timedelta(hours=-1)) -> TrustUnlock:
    return TrustUnlock(wish="w", until=NOON + until, protocol="998877")


def verdict(story: str, *, unlock: TrustUnlock | None = None, **change: Any) -> UnlockVerdict:
    demo = demo_world(NOON).story(story).contracts[0]
    return billing.unlock_verdict(
        replace(demo.contract, **change),
        demo.open_invoices,
        used=unlock,
        now=NOON,
        today=TODAY,
        policy=POLICY,
    ).verdict


# -- invoices


@pytest.mark.parametrize(
    ("due_on", "last_day"),
    [
        (date(2026, 11, 23), date(2026, 11, 23)),
        (date(2026, 11, 21), date(2026, 11, 23)),  # Saturday
        (date(2026, 11, 20), date(2026, 11, 23)),  # Friday, a holiday since 2024
        (date(2026, 12, 31), date(2027, 1, 4)),  # banks are closed for the public on the year's last day
        (date(2027, 2, 8), date(2027, 2, 10)),  # Carnival's Monday
    ],
)
def test_who_is_due_on_a_day_without_banks_may_pay_on_the_next(due_on: date, last_day: date) -> None:
    invoice = Invoice("1", "2", due_on, Decimal(1))
    assert billing.pay_by(due_on) == last_day
    assert not billing.is_overdue(invoice, today=last_day)
    assert billing.is_overdue(invoice, today=last_day + timedelta(days=1))


def test_the_oldest_debt_is_told_first_and_a_disputed_one_last() -> None:
    invoices = [make_invoice(overdue_days=days) for days in (-10, 5, 40)] + [
        make_invoice(overdue_days=90, disputed=True)
    ]
    assert [invoice.id for invoice in billing.overdue_first(invoices)] == ["i40", "i5", "i-10", "i90"]


# -- trust unlock


def test_a_blocked_subscriber_may_be_unlocked() -> None:
    assert verdict("blocked") is UnlockVerdict.ALLOWED


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"story": "overdue"}, UnlockVerdict.NOT_BLOCKED),
        ({"story": "suspended"}, UnlockVerdict.BLOCKED_OTHER_REASON),
        ({"story": "cancelled"}, UnlockVerdict.BLOCKED_OTHER_REASON),
        ({"story": "blocked", "status": ContractStatus.UNLOCKED}, UnlockVerdict.ALREADY_ACTIVE),
        ({"story": "blocked", "unlock": used(until=timedelta(hours=1))}, UnlockVerdict.ALREADY_ACTIVE),
        ({"story": "blocked", "unlock": used()}, UnlockVerdict.USED_THIS_PERIOD),
        ({"story": "old_debt"}, UnlockVerdict.POLICY_REFUSED),
        ({"story": "in_order", "status": ContractStatus.BLOCKED}, UnlockVerdict.BLOCKED_OTHER_REASON),
    ],
)
def test_who_is_not_unlocked_and_why(told: dict[str, Any], expected: UnlockVerdict) -> None:
    assert verdict(**told) is expected


def test_an_unknown_contract_is_not_unlocked() -> None:
    refused = billing.unlock_verdict(None, (), used=None, now=NOON, today=TODAY, policy=POLICY)
    assert refused.verdict is UnlockVerdict.UNKNOWN_CONTRACT


def test_an_unlock_that_runs_says_until_when() -> None:
    demo = demo_world(NOON).story("blocked").contracts[0]
    runs = used(until=timedelta(days=1))
    answer = billing.unlock_verdict(demo.contract, demo.open_invoices, used=runs, now=NOON, today=TODAY, policy=POLICY)
    assert (answer.until, answer.protocol) == (NOON + timedelta(days=1), "998877")


@pytest.mark.parametrize(("days", "expected"), [(60, UnlockVerdict.ALLOWED), (61, UnlockVerdict.POLICY_REFUSED)])
def test_the_age_of_the_debt_decides_to_the_day(days: int, expected: UnlockVerdict) -> None:
    contract = demo_world(NOON).story("blocked").contracts[0].contract
    invoices = [make_invoice(overdue_days=days)]
    answer = billing.unlock_verdict(contract, invoices, used=None, now=NOON, today=TODAY, policy=POLICY)
    assert answer.verdict is expected


async def write(sessions: Sessions, wish: str, today: date = TODAY) -> TrustUnlock:
    async with sessions.begin() as session:
        return await billing.write_unlock(
            session, wish=wish, source="mkauth", contract_ref="7", now=NOON, today=today, policy=POLICY
        )


async def test_one_unlock_a_contract_and_month(sessions: Sessions) -> None:
    december = date(2026, 12, 1)
    first, second, third = make_id(), make_id(), make_id()
    assert (await write(sessions, first)).wish == first
    assert (await write(sessions, second)).wish == first
    assert (await write(sessions, first)).wish == first
    assert (await write(sessions, second, december)).wish == second
    assert (await write(sessions, third, december)).wish == second


async def test_two_wishes_at_once_get_one_unlock(sessions: Sessions) -> None:
    unlocks = await asyncio.gather(*(write(sessions, make_id()) for _ in range(8)))
    assert len({unlock.wish for unlock in unlocks}) == 1


async def test_an_unlock_lasts_to_the_end_of_a_day_and_can_be_struck_out(sessions: Sessions) -> None:
    first, second = make_id(), make_id()
    unlock = await write(sessions, first)
    assert unlock.until.isoformat() == "2026-11-26T23:59:59+00:00"
    async with sessions.begin() as session:
        await billing.strike_unlock(session, first)
    assert (await write(sessions, second)).wish == second


async def test_a_wish_that_waited_over_the_months_end_is_still_one_wish(sessions: Sessions) -> None:
    wish = make_id()
    await write(sessions, wish)
    kept = await write(sessions, wish, date(2026, 12, 1))
    assert (kept.wish, kept.period) == (wish, "2026-11")


# -- promise


def test_days_to_choose_from_are_days_on_which_banks_work() -> None:
    assert billing.promise_days(TODAY, POLICY) == [date(2026, 11, 24), date(2026, 11, 25), date(2026, 12, 3)]
    friday = date(2026, 11, 27)
    assert billing.promise_days(friday, Policy(promise_days=3)) == [date(2026, 11, 30)]
    assert billing.promise_days(friday, Policy(promise_days=2)) == []


@pytest.mark.parametrize(
    ("ahead", "fault"),
    [(-1, PromiseFault.PAST), (0, None), (10, None), (11, PromiseFault.TOO_FAR)],
)
def test_a_promise_lies_inside_the_policy(ahead: int, fault: PromiseFault | None) -> None:
    assert billing.promise_fault(TODAY + timedelta(days=ahead), today=TODAY, policy=POLICY) is fault


async def test_one_promise_at_a_time(sessions: Sessions) -> None:
    row = {"id": make_id(), "source": "local", "contract_ref": "2002", "on_day": TODAY, "made_at": NOON}

    async def fault(today: date = TODAY) -> PromiseFault | None:
        async with sessions() as session:
            others = await billing.open_promises(session, source="local", contract_ref="2002", today=today)
        return billing.promise_fault(today, today=today, policy=POLICY, others=others)

    assert await fault() is None
    async with sessions.begin() as session:
        await billing.add_promises(session, [row])
        await billing.add_promises(session, [row])
    assert await fault() is PromiseFault.OPEN_ALREADY
    assert await fault(TODAY + timedelta(days=1)) is None


# -- dispute


async def test_a_disputed_charge_is_marked_and_reminded_of_by_nobody_until_its_complaint_is_closed(
    sessions: Sessions,
) -> None:
    ticket_id = make_id()
    row = {
        "id": make_id(),
        "source": "sgp",
        "contract_ref": "2002",
        "invoice_ref": "i5",
        "ticket_id": ticket_id,
        "opened_at": NOON,
    }

    async def state() -> tuple[list[bool], bool, bool]:
        async with sessions() as session:
            refs = await billing.disputed(session, source="sgp", contract_ref="2002")
            marked = billing.mark_disputed([make_invoice(overdue_days=days) for days in (5, 40)], refs)
            reminded = [
                await billing.may_remind(session, source="sgp", invoice_ref="i5"),
                await billing.may_remind(session, source="sgp", invoice_ref="i40"),
            ]
        return [invoice.disputed for invoice in marked], reminded[0], reminded[1]

    assert await state() == ([False, False], True, True)
    async with sessions.begin() as session:
        await billing.open_disputes(session, [row, row])
    assert await state() == ([True, False], False, True)
    async with sessions.begin() as session:
        await apply(session, ticket_opened(ticket_id))
    assert await state() == ([True, False], False, True)
    async with sessions.begin() as session:
        complaint = await tickets.get_ticket(session, ticket_id)
        await close_ticket(session, complaint)
    assert await state() == ([False, False], True, True)


# -- service first


async def matters(
    sessions: Sessions, *, outage: bool = False, erp_tickets: int = 0, **more: Any
) -> list[ServiceMatter]:
    async with sessions() as session:
        return await billing.service_matters(
            session,
            contract_ref="2002",
            phone=CALLER,
            outage=outage,
            erp_tickets=erp_tickets,
            now=NOON,
            **more,
        )


async def open_ticket(sessions: Sessions, *, category: Category, **more: Any) -> str:
    given = {"contract_ref": "2002", "phone": "+5511900001111", "call_id": None} | more
    ticket_id = make_id()
    async with sessions.begin() as session:
        await tickets.open_ticket(
            session,
            ticket_id=ticket_id,
            protocol="263270000017",
            category=category,
            summary="",
            queue="l1",
            opened_by="test",
            now=NOON,
            **given,
        )
    return ticket_id


async def rate(sessions: Sessions, value: str, *, days_ago: int) -> None:
    at, call_id = NOON - timedelta(days=days_ago), make_id()
    async with sessions.begin() as session:
        session.add(Call(id=call_id, caller=CALLER, opened_at=at))
        await surveys.add_answers(
            session, [{"id": make_id(), "call_id": call_id, "question": billing.RATING, "value": value, "at": at}]
        )


async def test_without_a_reason_the_debt_may_be_spoken_of(sessions: Sessions) -> None:
    assert await matters(sessions) == []


async def test_an_outage_and_what_the_erp_has_open_come_before_the_debt(sessions: Sessions) -> None:
    assert await matters(sessions, outage=True, erp_tickets=1) == [ServiceMatter.OUTAGE, ServiceMatter.OPEN_TICKET]


@pytest.mark.parametrize("who", [{}, {"contract_ref": "", "phone": CALLER}], ids=["same contract", "same phone"])
async def test_who_waits_for_us_is_not_asked_for_money_first(sessions: Sessions, who: dict[str, str]) -> None:
    ticket_id = await open_ticket(sessions, category=Category.SUPPORT, **who)
    assert await matters(sessions) == [ServiceMatter.OPEN_TICKET]
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        await close_ticket(session, ticket)
    assert await matters(sessions) == []


async def test_a_wish_to_buy_somebody_elses_ticket_and_this_calls_own_are_no_reason(sessions: Sessions) -> None:
    this_call = make_id()
    await open_ticket(sessions, category=Category.SALES)
    await open_ticket(sessions, category=Category.SUPPORT, contract_ref="9999")
    await open_ticket(sessions, category=Category.COMPLAINT, call_id=this_call)
    assert await matters(sessions, but_call=this_call) == []
    assert await matters(sessions) == [ServiceMatter.OPEN_TICKET]


async def test_the_newest_rating_of_the_last_month_counts(sessions: Sessions) -> None:
    await rate(sessions, "1", days_ago=31)
    assert await matters(sessions) == []
    await rate(sessions, "2", days_ago=20)
    assert await matters(sessions) == [ServiceMatter.BAD_RATING]
    await rate(sessions, "5", days_ago=3)
    assert await matters(sessions) == []
