"""By when is a ticket due: policies, the law beside them, moves and pauses, and the alarm when it was missed."""

import asyncio
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from tests.factories import make_id, make_record
from ura import sla_policies, ticket_alarms, ticket_clock, ticket_moves, tickets
from ura.db import Sessions
from ura.errors import BadInput, NotFound
from ura.models import AuditEntry, BusinessHours, Event, Holiday, Queue, Ticket, TicketEvent, TicketEventKind, Tier
from ura.projection import apply
from ura.sla_policies import PolicyAgainstTheLaw, PolicyIsNeeded, PolicyTie, make
from ura.ticket_clock import By
from ura.ticket_moves import the_house
from ura.ticket_rules import BackToL1, Close, Move, Reopen, Resume, ToL2, Wait, WaitFor
from worker.escalation import Escalation

ZONE = ZoneInfo("America/Sao_Paulo")
HOUSE = the_house("test")
GENERAL: dict[str, Any] = {"key": "geral", "title": "Geral", "hours": 16, "counted_by": "queue", "warn_percent": 25}
SUPPORT_L2: dict[str, Any] = {**GENERAL, "key": "l2", "tier": "l2", "category": "support", "hours": 4}


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.fixture(autouse=True)
async def office(sessions: Sessions) -> None:
    """Monday to Friday 8 to 18, Saturday 8 to 12; Monday, 25 January 2027, is the town's birthday."""
    week = [(day, time(18)) for day in range(5)] + [(5, time(12))]
    async with sessions.begin() as session:
        session.add(Queue(key="l1", title="Atendimento", business_hours="week"))
        session.add_all(BusinessHours(timetable="week", weekday=day, opens=time(8), closes=end) for day, end in week)
        session.add(Holiday(on_day=date(2027, 1, 25), name="Aniversário da cidade"))
        session.add_all([make(**GENERAL), make(**SUPPORT_L2)])


async def open_one(sessions: Sessions, at: str, category: str = "support", **values: Any) -> str:
    ticket_id = make_id()
    async with sessions.begin() as session:
        await tickets.open_ticket(
            session,
            **{
                "ticket_id": ticket_id,
                "protocol": "270010000001",
                "category": category,
                "summary": "Sem sinal",
                "phone": "+5511987654321",
                "queue": "l1",
                "opened_by": "ana@provedor.test",
                "now": local(at),
                **values,
            },
        )
    return ticket_id


async def go(sessions: Sessions, ticket_id: str, move: Move, at: str) -> Ticket:
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        await ticket_moves.move(session, ticket, move, actor=HOUSE, now=local(at))
        return ticket


async def read(sessions: Sessions, ticket_id: str) -> Ticket:
    async with sessions() as session:
        return await tickets.get_ticket(session, ticket_id)


async def told(sessions: Sessions, ticket_id: str, at: str) -> list[str]:
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        found = await ticket_clock.explain(session, ticket, now=local(at))

    def clock(moment: datetime) -> str:
        return f"{moment.astimezone(ZONE):%d/%m %H:%M}"

    lines = next(each for each in found.clocks if each.by is By.POLICY).intervals
    return [f"{clock(each.from_at)} {clock(each.to_at)} {each.why} {each.name}".rstrip() for each in lines]


def to_l2(until: str) -> ToL2:
    return ToL2(report="Sem luz na ONU", told_deadline_at=local(until))


async def test_a_ticket_over_a_weekend_a_town_holiday_and_a_storm(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions, "2027-01-22T16:30")
    assert (await read(sessions, ticket_id)).due_at == local("2027-01-27T08:30")
    waits = await go(sessions, ticket_id, Wait(reason=WaitFor.WEATHER), "2027-01-26T14:00")
    assert (waits.due_at, waits.warn_at) == (None, None)
    resumed = await go(sessions, ticket_id, Resume(), "2027-01-27T09:30")
    assert resumed.due_at == local("2027-01-27T14:00")
    assert resumed.warn_at == local("2027-01-27T10:00"), "a quarter of its sixteen hours before"
    assert await told(sessions, ticket_id, "2027-01-27T10:00") == [
        "22/01 16:30 22/01 18:00 counted",
        "22/01 18:00 23/01 08:00 closed",
        "23/01 08:00 23/01 12:00 counted",
        "23/01 12:00 25/01 00:00 closed",
        "25/01 00:00 26/01 00:00 holiday Aniversário da cidade",
        "26/01 00:00 26/01 08:00 closed",
        "26/01 08:00 26/01 14:00 counted",
        "26/01 14:00 27/01 09:30 paused weather",
        "27/01 09:30 27/01 14:00 counted",
    ]


async def test_another_tier_has_its_own_hours_from_when_it_gets_the_ticket(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions, "2027-01-28T08:00")
    at_l2 = await go(sessions, ticket_id, to_l2("2027-01-28T13:00"), "2027-01-28T10:00")
    assert at_l2.due_at == local("2027-01-28T14:00")
    assert at_l2.terms["policy"] == "l2"
    back = await go(sessions, ticket_id, BackToL1(tell="Porta trocada"), "2027-01-28T11:00")
    assert back.due_at == local("2027-01-29T17:00")
    closed = await go(sessions, ticket_id, Close(), "2027-01-28T12:00")
    assert (closed.due_at, closed.warn_at) == (local("2027-01-29T17:00"), None)


async def test_the_telephone_opens_tickets_that_are_due_too(sessions: Sessions) -> None:
    ticket_id = make_id()
    data = {"ticket_id": ticket_id, "protocol": "270010000002", "category": "support", "queue": "l1"}
    async with sessions.begin() as session:
        await apply(session, make_record("ticket_opened", at=local("2027-01-28T08:00"), **data))
    assert (await read(sessions, ticket_id)).due_at == local("2027-01-29T14:00")


async def test_a_complaint_has_seven_days_whoever_has_it_and_whatever_it_waits_for(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await sla_policies.save(session, make(**{**GENERAL, "hours": 1000}))
    ticket_id = await open_one(sessions, "2027-01-22T16:30", "complaint")
    week = local("2027-01-29T16:30")
    assert (await read(sessions, ticket_id)).due_at == week
    waits = await go(sessions, ticket_id, Wait(reason=WaitFor.CUSTOMER), "2027-01-23T09:00")
    assert (waits.due_at, waits.warn_at) == (week, week - timedelta(days=1))
    await go(sessions, ticket_id, Resume(), "2027-01-28T09:00")
    at_l2 = await go(sessions, ticket_id, to_l2("2027-01-29T12:00"), "2027-01-28T10:00")
    assert at_l2.due_at == week
    await go(sessions, ticket_id, BackToL1(tell="Resolvido"), "2027-01-28T11:00")
    await go(sessions, ticket_id, Close(), "2027-01-28T12:00")
    again = await go(sessions, ticket_id, Reopen(reason="Não resolveu"), "2027-01-30T12:00")
    assert again.due_at == local("2027-02-06T12:00")


async def test_a_cancellation_is_due_at_once(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions, "2027-01-24T03:00", "cancellation")
    ticket = await read(sessions, ticket_id)
    assert ticket.due_at == ticket.warn_at == local("2027-01-24T03:00")
    await look(sessions, "2027-01-24T03:01")
    await look(sessions, "2027-01-24T03:59")
    assert await history(sessions, ticket_id) == ["opened", "warned"]
    await look(sessions, "2027-01-24T04:01")
    assert await history(sessions, ticket_id) == ["opened", "warned", "breached"]


# -- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": "lei", "category": "complaint", "hours": 169, "counted_by": "always"}, PolicyAgainstTheLaw),
        ({"key": "lei", "category": "cancellation", "hours": 0.5}, PolicyAgainstTheLaw),
        ({"key": "igual", "tier": "l2", "category": "support"}, PolicyTie),
        ({"key": "outra"}, PolicyTie),
        ({"key": "geral", "tier": "l1"}, PolicyIsNeeded),
        ({"key": "Geral 2"}, BadInput),
        ({"key": "x", "hours": -1}, BadInput),
        ({"key": "x", "hours": float("nan")}, BadInput),
        ({"key": "x", "warn_hours": 1}, BadInput),
        ({"key": "x", "tier": "l1", "counted_by": "timetable"}, BadInput),
        ({"key": "x", "tier": "l1", "counted_by": "timetable", "timetable": "lua"}, NotFound),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_policy_that_cannot_be_is_refused(
    sessions: Sessions, changes: dict[str, Any], why: type[Exception]
) -> None:
    async with sessions.begin() as session:
        with pytest.raises(why):
            await sla_policies.save(session, make(**{**GENERAL, **changes}))
    async with sessions() as session:
        assert [each.key for each in await sla_policies.list_policies(session)] == ["geral", "l2"]


async def test_two_that_say_as_much_need_a_third_that_says_more_first(sessions: Sessions) -> None:
    tier, segment = ({**GENERAL, "key": key, **more} for key, more in (("a", {"tier": "l1"}), ("b", {"segment": "x"})))
    both = {**GENERAL, "key": "ab", "tier": "l1", "segment": "x", "hours": 2}
    async with sessions.begin() as session:
        await sla_policies.save(session, make(**tier))
        with pytest.raises(PolicyTie, match="a and b"):
            await sla_policies.save(session, make(**segment))
        await sla_policies.save(session, make(**both))
        await sla_policies.save(session, make(**segment))
        with pytest.raises(PolicyTie):
            await sla_policies.remove(session, "ab")
    ticket_id = await open_one(sessions, "2027-01-28T08:00", segment="x")
    assert (await read(sessions, ticket_id)).due_at == local("2027-01-28T10:00")


async def test_the_shipped_ones_are_installed_once_and_break_no_rule_of_ours(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        assert await sla_policies.install_shipped(session) == 0
        for each in await sla_policies.list_policies(session):
            await session.delete(each)
        await session.flush()
        assert await sla_policies.install_shipped(session) == 10
        for each in await sla_policies.list_policies(session):
            await sla_policies.save(session, each)
    for tier in Tier:
        ticket_id = await open_one(sessions, "2027-01-28T08:00", "complaint", tier=tier)
        assert (await read(sessions, ticket_id)).due_at == local("2027-02-04T08:00")


async def test_tickets_keep_the_terms_that_they_got(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions, "2027-01-28T08:00")
    async with sessions.begin() as session:
        await sla_policies.save(session, make(**{**GENERAL, "hours": 1}))
    assert (await told(sessions, ticket_id, "2027-01-28T09:00"))[-1] == "29/01 08:00 29/01 14:00 counted"


# -- alarms -----------------------------------------------------------------------------------------------------------


async def look(sessions: Sessions, at: str) -> None:
    await Escalation(sessions, now=lambda: local(at)).step()


async def history(sessions: Sessions, ticket_id: str) -> list[str]:
    async with sessions() as session:
        lines = select(TicketEvent.kind).where(TicketEvent.ticket_id == ticket_id).order_by(TicketEvent.at)
        return [kind.value for kind in await session.scalars(lines)]


async def test_somebody_is_warned_once_and_a_missed_deadline_is_escalated_once(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions, "2027-01-28T08:00")
    for at in ("2027-01-28T09:00", "2027-01-29T10:00", "2027-01-29T10:01", "2027-01-29T14:00"):
        await look(sessions, at)
    assert await history(sessions, ticket_id) == ["opened", "warned"]
    await look(sessions, "2027-01-29T14:01")
    await look(sessions, "2027-01-29T14:02")
    assert await history(sessions, ticket_id) == ["opened", "warned", "breached"]
    ticket = await read(sessions, ticket_id)
    assert (ticket.breached_at, ticket.priority) == (local("2027-01-29T14:01"), 1)
    async with sessions() as session:
        [line] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "ticket-breached"))
        assert (line.subject, set(line.detail)) == (ticket_id, {"due_at", "tier", "category"})
        bells = [bell.data["kind"] for bell in await session.scalars(select(Event).where(Event.kind == "sla"))]
        assert bells == ["warned", "breached"]


async def test_a_worker_that_was_away_tells_what_was_missed_and_two_tell_it_once(sessions: Sessions) -> None:
    ids = [await open_one(sessions, "2027-01-28T08:00") for _ in range(5)]
    gone = await open_one(sessions, "2027-01-28T08:00")
    await go(sessions, gone, Close(), "2027-01-28T09:00")
    waits = await open_one(sessions, "2027-01-28T08:00")
    await go(sessions, waits, Wait(reason=WaitFor.PARTS), "2027-01-28T09:00")
    await asyncio.gather(*(look(sessions, "2027-03-01T08:00") for _ in range(2)))
    for ticket_id in ids:
        assert await history(sessions, ticket_id) == ["opened", "breached"]
        assert (await read(sessions, ticket_id)).priority == 1
    assert await history(sessions, gone) == ["opened", "closed"]
    assert await history(sessions, waits) == ["opened", "waiting"]


async def test_one_that_another_worker_has_told_since_the_list_was_read_is_left_alone(sessions: Sessions) -> None:
    ticket_id, now = await open_one(sessions, "2027-01-28T08:00"), local("2027-03-01T08:00")
    async with sessions() as session:
        ids = await ticket_alarms.list_due(session, now=now)
    for expected in ((0, 1), (0, 0)):
        async with sessions.begin() as session:
            assert await ticket_alarms.tell(session, ids, now=now) == expected
    assert await history(sessions, ticket_id) == ["opened", "breached"]


async def test_a_holiday_that_came_since_puts_the_deadline_off(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions, "2027-01-28T08:00")
    async with sessions.begin() as session:
        session.add(Holiday(on_day=date(2027, 1, 29), name="Enchente"))
    await look(sessions, "2027-01-29T14:01")
    assert await history(sessions, ticket_id) == ["opened"]
    assert (await read(sessions, ticket_id)).due_at == local("2027-02-01T10:00"), "Saturday has four hours, Monday two"


async def test_a_missed_deadline_is_not_missed_again_by_passing_the_ticket_on(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions, "2027-01-18T08:00", "complaint")
    await look(sessions, "2027-01-26T08:00")
    await go(sessions, ticket_id, to_l2("2027-01-27T12:00"), "2027-01-26T09:00")
    await look(sessions, "2027-01-26T09:01")
    assert (await history(sessions, ticket_id)).count(TicketEventKind.BREACHED.value) == 1
