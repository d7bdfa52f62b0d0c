"""What callers say of tickets, and of visits: written once, on both databases, in whatever order it comes."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.factories import NOON, later, make_id, make_record
from tests.ura.test_visits import EIGHT, HERE, HOUSE, TEN, make_technician
from ura import events, ticket_alarms, ticket_calls, tickets, visit_calls, visits
from ura.db import Sessions
from ura.journal import Record
from ura.models import AuditEntry, Callback, Ticket, TicketEventKind, TicketStatus, Tier, Visit, VisitKind
from ura.projection import apply, apply_batch
from ura.visits import Policy

PHONE = "+5511987654321"


async def make_ticket(sessions: Sessions, *, tier: Tier = Tier.L1, category: str = "support") -> str:
    ticket_id = make_id()
    async with sessions.begin() as session:
        await tickets.open_ticket(
            session,
            ticket_id=ticket_id,
            protocol="263270000017",
            category=category,
            summary="Sem sinal",
            phone=PHONE,
            queue="l1",
            opened_by="caller",
            now=NOON,
            tier=tier,
        )
    return ticket_id


async def make_visit(sessions: Sessions) -> tuple[str, int]:
    ticket_id, technician_id = await make_ticket(sessions, tier=Tier.L2), await make_technician(sessions, "joao")
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        about = {"kind": VisitKind.VISIT, "technician_id": technician_id, "starts_at": EIGHT}
        visit = await visits.book(session, ticket, **about, actor=HOUSE, now=NOON, where=HERE)
        return visit.id, technician_id


def reported(ticket_id: str, said: str, **more: object) -> Record:
    given = {"event_id": make_id(), "call_id": make_id(), "at": later(60)}
    return make_record("ticket_reported", ticket_id=ticket_id, said=said, **{**given, **more})


def wanted(visit_id: str, technician_id: int, **more: object) -> Record:
    given = {"event_id": make_id(), "starts_at": TEN, "changes": 0, "call_id": make_id(), "at": later(60)}
    return make_record("visit_move_wanted", visit_id=visit_id, technician_id=technician_id, **{**given, **more})


async def write(sessions: Sessions, *records: Record) -> None:
    async with sessions.begin() as session:
        await apply_batch(session, records)


async def bells(sessions: Sessions) -> list[dict[str, object]]:
    async with sessions() as session:
        return [row.data for row in await events.list_since(session, 0) if row.kind == ticket_alarms.BELL]


async def test_a_complaint_about_delay_counts_once_however_often_its_record_is_read(sessions: Sessions) -> None:
    ticket_id = await make_ticket(sessions)
    complaint, message = reported(ticket_id, "delay"), reported(ticket_id, "message", recording_id="r1")
    records = [complaint, message] * 3
    random.Random(3).shuffle(records)
    for record in records:
        async with sessions.begin() as session:
            await apply(session, record)
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        lines = await tickets.list_events(session, ticket)
        audited = await session.scalar(select(func.count()).where(AuditEntry.action == "ticket-delay"))
    assert (ticket.priority, audited) == (1, 1)
    assert await bells(sessions) == [{"ids": [ticket_id], "kind": "complained"}]
    assert sorted(line.detail["said"] for line in lines if line.kind is TicketEventKind.REPORTED) == [
        "delay",
        "message",
    ]
    assert all(line.text and not line.internal for line in lines)
    await write(sessions, reported(ticket_id, "delay"))  # another call
    async with sessions() as session:
        assert (await tickets.get_ticket(session, ticket_id)).priority == 2


async def test_an_alarm_stays_until_somebody_does_something(sessions: Sessions) -> None:
    ticket_id = await make_ticket(sessions)

    async def alarms(after: int) -> list[tuple[str, int]]:
        async with sessions() as session:
            found = await ticket_alarms.list_delays(session, now=later(after))
            assert all(each.at == later(120) for each in found)
            return [(each.ticket.id, each.times) for each in found]

    await write(sessions, reported(ticket_id, "called"))
    assert await alarms(90) == []
    await write(sessions, reported(ticket_id, "delay"), reported(ticket_id, "delay", at=later(120)))
    await write(sessions, reported(ticket_id, "called", at=later(130)))
    assert await alarms(140) == [(ticket_id, 2)]
    assert await alarms(2 * 24 * 3600) == []  # of the last day only
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        await tickets.comment(session, ticket, text="Liguei de volta", actor="ana", now=later(150))
    assert await alarms(160) == []


async def test_a_closed_ticket_alarms_nobody(sessions: Sessions) -> None:
    ticket_id = await make_ticket(sessions)
    await write(sessions, reported(ticket_id, "delay"))
    async with sessions.begin() as session:
        (await tickets.get_ticket(session, ticket_id)).status = TicketStatus.CLOSED
        assert await ticket_alarms.list_delays(session, now=later(90)) == []


async def test_of_a_ticket_that_is_gone_nothing_is_written(sessions: Sessions) -> None:
    await write(sessions, reported(make_id(), "delay"), wanted(make_id(), 7))
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Ticket)) == 0
        assert await session.scalar(select(func.count()).select_from(AuditEntry)) == 0


async def test_only_the_number_that_was_asked_hears_of_its_ticket(sessions: Sessions) -> None:
    ticket_id = await make_ticket(sessions)
    async with sessions() as session:
        assert (await ticket_calls.find_of_caller(session, ticket_id, PHONE)) is not None
        for phone in ("", "+5511900000000"):
            assert await ticket_calls.find_of_caller(session, ticket_id, phone) is None
            assert await ticket_calls.find_open(session, phone) is None
        assert await ticket_calls.find_of_caller(session, make_id(), PHONE) is None


async def test_the_newest_is_asked_about_and_a_switchboards_not_at_all(sessions: Sessions) -> None:
    for _ in range(ticket_calls.MOST_OF_A_NUMBER):
        newest = await make_ticket(sessions)
    async with sessions.begin() as session:
        (await tickets.get_ticket(session, newest)).opened_at = later(60)
    async with sessions() as session:
        found = await ticket_calls.find_open(session, PHONE)
        assert found is not None
        assert found.id == newest
    await make_ticket(sessions)
    async with sessions() as session:
        assert await ticket_calls.find_open(session, PHONE) is None


async def test_a_visit_is_put_off_once_and_counts_as_the_customers_change(sessions: Sessions) -> None:
    visit_id, technician_id = await make_visit(sessions)
    wish = wanted(visit_id, technician_id)
    await write(sessions, wish)
    await write(sessions, wish, wish)
    async with sessions() as session:
        visit = await visits.get_visit(session, visit_id)
        assert (visit.starts_at, visit.customer_changes) == (TEN, 1)


@pytest.mark.parametrize("why", ["changed meanwhile", "taken", "no such slot"])
async def test_what_cannot_be_done_any_more_changes_nothing_and_is_somebodys_to_settle(
    sessions: Sessions, why: str
) -> None:
    visit_id, technician_id = await make_visit(sessions)
    wish, code = wanted(visit_id, technician_id), "visit-changed"
    if why == "changed meanwhile":
        async with sessions.begin() as session:
            (await visits.get_visit(session, visit_id)).customer_changes = 1
    elif why == "taken":
        other, code = await make_ticket(sessions, tier=Tier.L2), "slot-taken"
        async with sessions.begin() as session:
            ticket = await tickets.get_ticket(session, other)
            about = {"kind": VisitKind.VISIT, "technician_id": technician_id, "starts_at": TEN}
            await visits.book(session, ticket, **about, actor=HOUSE, now=NOON, where=HERE)
    else:
        wish, code = wanted(visit_id, technician_id, starts_at=TEN + timedelta(minutes=5)), "no-such-slot"
    await write(sessions, wish)
    await write(sessions, wish)
    async with sessions() as session:
        visit = await session.get_one(Visit, visit_id)
        assert visit.starts_at == EIGHT
        lines = await tickets.list_events(session, await tickets.get_ticket(session, visit.ticket_id))
    refused = [line for line in lines if line.detail.get("said") == "visit"]
    assert [line.detail["refused"] for line in refused] == [code]


async def test_a_call_back_that_was_promised_is_there_though_the_incident_is_gone(sessions: Sessions) -> None:
    call_id, complaint_id = make_id(), make_id()
    about = {"complaint_id": complaint_id, "incident_id": make_id(), "protocol": "263270000025", "phone": PHONE}
    record = make_record("still_down", **about, call_id=call_id, at=NOON)
    await write(sessions, record)
    await write(sessions, record)
    async with sessions() as session:
        assert list(await session.scalars(select(Callback.phone))) == [PHONE]
        [ticket] = await session.scalars(select(Ticket))
    assert (ticket.protocol, ticket.call_id, ticket.summary != "") == ("263270000025", call_id, True)


def test_the_rule_is_that_of_the_house() -> None:
    visit = Visit(customer_changes=1, starts_at=NOON + timedelta(hours=4))
    assert visit_calls.may_put_off(visit, policy=Policy(), now=NOON).value == "free"
    assert visit_calls.may_put_off(visit, policy=Policy(most_changes=1), now=NOON).value == "too_often"
    assert visit_calls.may_put_off(visit, policy=Policy(), now=NOON + timedelta(seconds=1)).value == "too_late"
    assert visit_calls.may_put_off(None, policy=Policy(), now=NOON).value == "no_visit"
