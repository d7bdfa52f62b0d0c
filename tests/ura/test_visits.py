"""Visits: slots from a technician's hours, one at a time, put off within the rule, and ended with words."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON, make_id
from ura import technicians, ticket_moves, tickets, timetables, visit_slots, visits
from ura.db import Sessions
from ura.errors import BadInput, Refused
from ura.models import Holiday, Role, Tier, User, Visit, VisitKind, VisitStatus
from ura.queues import Span
from ura.technicians import Calendar, NoSuchSlot, SlotTaken, TechnicianNotFound
from ura.ticket_moves import TicketChanged, the_house
from ura.ticket_refusals import OfAnotherTier, TicketAlreadyClosed, VisitStillBooked
from ura.ticket_rules import Close, ToL2, ToL3
from ura.timetables import TimetableNotFound
from ura.users import GRANTS, Actor
from ura.visits import (
    AskedBy,
    Policy,
    PutOffTooLate,
    PutOffTooOften,
    VisitAlreadyBooked,
    VisitFilter,
    VisitIsOver,
    VisitNotBegun,
    VisitNotFound,
    WhyMissing,
)

HERE = Calendar(zone=ZoneInfo("America/Sao_Paulo"), state_uf="SP")
HOUSE = the_house("test")
EIGHT, TEN, TWELVE = (datetime(2026, 11, 24, hour, tzinfo=HERE.zone).astimezone(UTC) for hour in (8, 10, 12))
MORNING = Span(1, time(8), time(12))  # Tuesday
L1, L3 = (Actor(name=role, permissions=GRANTS[role]) for role in (Role.ATTENDANT, Role.NETWORK))


@pytest.fixture
async def joao(sessions: Sessions) -> int:
    return await make_technician(sessions, "joao")


async def make_technician(sessions: Sessions, name: str, **values: Any) -> int:
    async with sessions.begin() as session:
        user = User(email=f"{name}@x.test", name=name, role=Role.TECHNICIAN, password_hash="")
        session.add(user)
        await timetables.set_hours(session, "visitas", [MORNING, Span(2, time(8), time(12))])
        await session.flush()
        given = {"timetable": "visitas", "slot_min": 120, "active": True}
        await technicians.save(session, user, **{**given, **values})
        return user.id


async def make_ticket(sessions: Sessions, tier: Tier = Tier.L2) -> str:
    ticket_id = make_id()
    async with sessions.begin() as session:
        ticket = await tickets.open_ticket(
            session,
            ticket_id=ticket_id,
            protocol="263270000017",
            category="support",
            summary="Sem sinal",
            phone="",
            queue="l1",
            opened_by="ana",
            now=NOON,
        )
        ways = {
            Tier.L1: (),
            Tier.L2: (ToL2(report="LOS", told_deadline_at=TWELVE),),
            Tier.L3: (ToL2(report="LOS", told_deadline_at=TWELVE), ToL3(reason="PON")),
        }
        for way in ways[tier]:
            await ticket_moves.move(session, ticket, way, actor=HOUSE, now=NOON)
    return ticket_id


async def book(sessions: Sessions, ticket_id: str, technician_id: int, **more: Any) -> Visit:
    given = {"kind": VisitKind.VISIT, "starts_at": EIGHT, "actor": HOUSE, "now": NOON, "where": HERE}
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        return await visits.book(session, ticket, technician_id=technician_id, **{**given, **more})


async def put_off(sessions: Sessions, visit: Visit, starts_at: datetime, **more: Any) -> Visit:
    given = {"asked_by": AskedBy.CUSTOMER, "actor": HOUSE, "now": NOON, "where": HERE}
    async with sessions.begin() as session:
        found = await visits.get_visit(session, visit.id)
        return await visits.put_off(session, found, starts_at=starts_at, **{**given, **more})


async def end(sessions: Sessions, visit: Visit, status: VisitStatus, **more: Any) -> Visit:
    given = {"outcome": "Conector trocado", "actor": HOUSE, "now": TEN}
    async with sessions.begin() as session:
        found = await visits.get_visit(session, visit.id)
        return await visits.end(session, found, status=status, **{**given, **more})


async def free(sessions: Sessions, **more: Any) -> list[datetime]:
    async with sessions() as session:
        slots = await technicians.list_slots(session, **{"now": NOON, "where": HERE, **more})
        return [slot.starts_at for slot in slots]


# -- slots


@given(
    opens=st.integers(0, 22),
    hours=st.integers(1, 24),
    minutes=st.integers(15, 600),
    first=st.dates(date(2018, 10, 20), date(2018, 11, 20)),  # the clocks went on the night of 3 November
)
def test_slots_fill_the_hours_and_never_overlap(opens: int, hours: int, minutes: int, first: date) -> None:
    closes = time(0) if opens + hours >= 24 else time(opens + hours)
    spans = [Span(weekday, time(opens), closes) for weekday in range(7)]
    slot = timedelta(minutes=minutes)
    cut = visit_slots.cut(
        spans, 1, first=first, days=7, slot=slot, zone=HERE.zone, is_holiday=lambda day: day.weekday() == 6
    )
    slots = list(cut)
    assert all(each.ends_at - each.starts_at == slot for each in slots)
    assert all(one.ends_at <= two.starts_at for one, two in pairwise(slots))
    for each in slots:
        local = each.starts_at.astimezone(HERE.zone)
        assert (local.time() >= time(opens), local.weekday() != 6) == (True, True)


async def test_free_slots_are_those_of_the_hours_that_nobody_has(sessions: Sessions, joao: int) -> None:
    wednesday = [EIGHT + timedelta(days=1), TEN + timedelta(days=1)]
    assert await free(sessions) == [EIGHT, TEN, *wednesday]
    visit = await book(sessions, await make_ticket(sessions), joao)
    assert await free(sessions) == [TEN, *wednesday]
    assert await free(sessions, days=1) == []
    assert await free(sessions, not_before=TEN + timedelta(seconds=1)) == wednesday
    assert await free(sessions, technician_id=joao + 1) == []
    async with sessions.begin() as session:
        session.add(Holiday(on_day=date(2026, 11, 25), timetable="", name="Aniversário da cidade"))
    assert await free(sessions) == [TEN]
    await end(sessions, visit, VisitStatus.CANCELLED, now=NOON)
    assert await free(sessions) == [EIGHT, TEN]


async def test_who_does_not_work_has_no_slots(sessions: Sessions, joao: int) -> None:
    async with sessions.begin() as session:
        (await session.get_one(User, joao)).active = False
    assert await free(sessions) == []
    with pytest.raises(TechnicianNotFound):
        await book(sessions, await make_ticket(sessions), joao)
    resting = await make_technician(sessions, "rita", active=False)
    assert await free(sessions) == []
    for nobody in (resting, 4711):
        with pytest.raises(TechnicianNotFound):
            await book(sessions, await make_ticket(sessions), nobody)


async def test_the_hours_of_a_technician_are_a_timetable_that_is_there(sessions: Sessions) -> None:
    with pytest.raises(TimetableNotFound):
        await make_technician(sessions, "rita", timetable="noite")
    for minutes in (14, 601):
        with pytest.raises(BadInput):
            await make_technician(sessions, "rita", slot_min=minutes)


# -- booking


async def test_a_visit_is_booked_once_and_is_in_the_tickets_history(sessions: Sessions, joao: int) -> None:
    ticket_id, visit_id = await make_ticket(sessions), make_id()
    for _ in range(2):
        visit = await book(sessions, ticket_id, joao, visit_id=visit_id, note="12 B")
    assert (visit.id, visit.status, visit.starts_at, visit.ends_at) == (visit_id, VisitStatus.BOOKED, EIGHT, TEN)
    async with sessions() as session:
        history = await tickets.list_events(session, await tickets.get_ticket(session, ticket_id))
    [line] = [each for each in history if each.kind == "visit_booked"]
    assert (line.kind, line.text, line.detail["visit_id"], line.detail["starts_at"]) == (
        "visit_booked", "12 B", visit_id, EIGHT.isoformat(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tier", "more", "why"),
    [
        (Tier.L1, {}, OfAnotherTier),
        (Tier.L3, {}, OfAnotherTier),
        (Tier.L3, {"kind": VisitKind.RETRIEVAL}, OfAnotherTier),
        (Tier.L2, {"actor": L1}, OfAnotherTier),
        (Tier.L2, {"actor": L3}, OfAnotherTier),
        (Tier.L2, {"starts_at": EIGHT + timedelta(minutes=30)}, NoSuchSlot),
        (Tier.L2, {"starts_at": TWELVE}, NoSuchSlot),
        (Tier.L2, {"starts_at": EIGHT - timedelta(days=7)}, NoSuchSlot),
        (Tier.L2, {"now": EIGHT}, NoSuchSlot),
    ],
)
async def test_what_cannot_be_booked_says_why(
    sessions: Sessions, joao: int, tier: Tier, more: dict[str, Any], why: type[Refused]
) -> None:
    with pytest.raises(why):
        await book(sessions, await make_ticket(sessions, tier), joao, **more)
    assert EIGHT in await free(sessions)


async def test_a_retrieval_is_l1s_too(sessions: Sessions, joao: int) -> None:
    visit = await book(sessions, await make_ticket(sessions, Tier.L1), joao, kind=VisitKind.RETRIEVAL, actor=L1)
    assert visit.kind is VisitKind.RETRIEVAL


async def test_a_slot_is_one_tickets_and_a_ticket_has_one_visit(sessions: Sessions, joao: int) -> None:
    first, second = await make_ticket(sessions), await make_ticket(sessions)
    await book(sessions, first, joao)
    with pytest.raises(SlotTaken):
        await book(sessions, second, joao)
    with pytest.raises(VisitAlreadyBooked):
        await book(sessions, first, joao, starts_at=TEN)
    await book(sessions, second, joao, starts_at=TEN)


async def test_slots_that_are_cut_otherwise_now_still_do_not_overlap(sessions: Sessions, joao: int) -> None:
    await book(sessions, await make_ticket(sessions), joao)
    async with sessions.begin() as session:
        user = await session.get_one(User, joao)
        await technicians.save(session, user, timetable="visitas", slot_min=60, active=True)
    with pytest.raises(SlotTaken):
        await book(sessions, await make_ticket(sessions), joao, starts_at=EIGHT + timedelta(hours=1))
    await book(sessions, await make_ticket(sessions), joao, starts_at=TEN)


async def test_of_many_who_want_one_slot_at_the_same_moment_one_gets_it(sessions: Sessions, joao: int) -> None:
    ids = [await make_ticket(sessions) for _ in range(4)]
    results = await asyncio.gather(*(book(sessions, each, joao) for each in ids), return_exceptions=True)
    assert sum(isinstance(result, Visit) for result in results) == 1
    assert [type(result) for result in results if not isinstance(result, Visit)] == [SlotTaken] * 3


async def test_of_two_visits_for_one_ticket_at_the_same_moment_one_is_booked(sessions: Sessions, joao: int) -> None:
    ticket_id, rita = await make_ticket(sessions), await make_technician(sessions, "rita")
    results = await asyncio.gather(*(book(sessions, ticket_id, each) for each in (joao, rita)), return_exceptions=True)
    assert sum(isinstance(result, Visit) for result in results) == 1
    [refused] = [result for result in results if not isinstance(result, Visit)]
    assert isinstance(refused, TicketChanged | VisitAlreadyBooked)


async def test_the_same_wish_at_the_same_moment_books_once(sessions: Sessions, joao: int) -> None:
    ticket_id, visit_id = await make_ticket(sessions), make_id()
    booked = await asyncio.gather(*(book(sessions, ticket_id, joao, visit_id=visit_id) for _ in range(3)))
    assert {visit.id for visit in booked} == {visit_id}
    async with sessions() as session:
        assert len((await visits.list_visits(session)).items) == 1


async def test_a_ticket_is_closed_after_its_visit(sessions: Sessions, joao: int) -> None:
    ticket_id = await make_ticket(sessions)
    visit = await book(sessions, ticket_id, joao)

    async def close() -> None:
        async with sessions.begin() as session:
            ticket = await tickets.get_ticket(session, ticket_id)
            await ticket_moves.move(session, ticket, Close(), actor=HOUSE, now=TEN)

    with pytest.raises(VisitStillBooked):
        await close()
    await end(sessions, visit, VisitStatus.DONE)
    await close()
    with pytest.raises(TicketAlreadyClosed):
        await book(sessions, ticket_id, joao, starts_at=TEN)


# -- afterwards


async def test_a_customer_confirms_and_puts_off_within_the_rule(sessions: Sessions, joao: int) -> None:
    visit = await book(sessions, await make_ticket(sessions), joao)
    async with sessions.begin() as session:
        found = await visits.get_visit(session, visit.id)
        assert (await visits.confirm(session, found, actor=L1, now=NOON)).status is VisitStatus.CONFIRMED
    policy = Policy(most_changes=2, notice=timedelta(hours=4))
    later = await put_off(sessions, visit, TEN, policy=policy)
    assert (later.status, later.starts_at, later.customer_changes) == (VisitStatus.BOOKED, TEN, 1)
    assert EIGHT in await free(sessions)
    with pytest.raises(PutOffTooLate, match="4 hours"):
        await put_off(sessions, visit, EIGHT, policy=policy, now=TEN - timedelta(hours=3, minutes=59))
    again = await put_off(sessions, visit, EIGHT, policy=policy)
    assert again.customer_changes == 2
    with pytest.raises(PutOffTooOften):
        await put_off(sessions, visit, TEN, policy=policy)
    with pytest.raises(WhyMissing):
        await put_off(sessions, visit, TEN, asked_by=AskedBy.PROVIDER)
    moved = await put_off(sessions, visit, TEN, asked_by=AskedBy.PROVIDER, reason="Chuva")
    assert (moved.starts_at, moved.customer_changes) == (TEN, 2)


async def test_a_visit_goes_to_a_free_slot_of_another_technician(sessions: Sessions, joao: int) -> None:
    rita = await make_technician(sessions, "rita")
    visit = await book(sessions, await make_ticket(sessions), joao)
    await book(sessions, await make_ticket(sessions), rita)
    why = {"asked_by": AskedBy.PROVIDER, "reason": "Doente"}
    with pytest.raises(SlotTaken):
        await put_off(sessions, visit, EIGHT, technician_id=rita, **why)
    moved = await put_off(sessions, visit, TEN, technician_id=rita, **why)
    assert moved.technician_id == rita


async def test_of_two_visits_put_off_to_one_slot_at_the_same_moment_one_gets_it(sessions: Sessions, joao: int) -> None:
    two = [
        await book(sessions, await make_ticket(sessions), joao, starts_at=at)
        for at in (EIGHT, EIGHT + timedelta(days=1))
    ]
    results = await asyncio.gather(*(put_off(sessions, visit, TEN) for visit in two), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["SlotTaken", "Visit"]


async def test_a_visit_ends_once_with_words_and_not_before_it_began(sessions: Sessions, joao: int) -> None:
    visit, wish = await book(sessions, await make_ticket(sessions), joao), make_id()
    for status in (VisitStatus.DONE, VisitStatus.MISSED):
        with pytest.raises(VisitNotBegun):
            await end(sessions, visit, status, now=EIGHT - timedelta(seconds=1))
    with pytest.raises(WhyMissing):
        await end(sessions, visit, VisitStatus.DONE, outcome=" ")
    with pytest.raises(OfAnotherTier):
        await end(sessions, visit, VisitStatus.DONE, actor=L3)
    for _ in range(2):
        done = await end(sessions, visit, VisitStatus.DONE, event_id=wish)
    assert (done.status, done.outcome, done.ended_at, done.version) == (VisitStatus.DONE, "Conector trocado", TEN, 2)
    for late in (VisitStatus.MISSED, VisitStatus.CANCELLED):
        with pytest.raises(VisitIsOver):
            await end(sessions, visit, late)
    with pytest.raises(VisitIsOver):
        await put_off(sessions, visit, TEN)


async def test_of_two_who_end_it_at_once_one_is_told(sessions: Sessions, joao: int) -> None:
    visit = await book(sessions, await make_ticket(sessions), joao)
    read = asyncio.Barrier(2)

    async def finish(status: VisitStatus) -> Visit:
        async with sessions.begin() as session:
            found = await visits.get_visit(session, visit.id)
            await read.wait()
            return await visits.end(session, found, status=status, outcome="x", actor=HOUSE, now=TEN)

    results = await asyncio.gather(
        *(finish(status) for status in (VisitStatus.DONE, VisitStatus.MISSED)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Visit", "VisitChanged"]


async def test_visits_are_listed_as_an_agenda(sessions: Sessions, joao: int) -> None:
    ticket_ids = [await make_ticket(sessions) for _ in range(2)]
    second = await book(sessions, ticket_ids[1], joao, starts_at=TEN)
    first = await book(sessions, ticket_ids[0], joao)
    async with sessions() as session:

        async def ids(**wanted: Any) -> list[str]:
            return [visit.id for visit in (await visits.list_visits(session, filters=VisitFilter(**wanted))).items]

        assert await ids(starts_from=EIGHT) == [first.id, second.id]
        assert await ids() == [second.id, first.id]
        assert await ids(starts_before=TEN, technician_id=joao) == [first.id]
        assert await ids(ticket_id=ticket_ids[1], status=VisitStatus.BOOKED, kind=VisitKind.VISIT) == [second.id]
        with pytest.raises(VisitNotFound):
            await visits.get_visit(session, "nobody")
