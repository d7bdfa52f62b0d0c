"""Somebody calls again: about a ticket that is open, or because what is said to be over is not."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from prosa.demo_house import DemoHouse
from tests.factories import make_id, make_record
from tests.scenarios.story import MONDAY_10H, PROTOCOL, Told, tell
from ura import incidents, speech, technicians, ticket_moves, tickets, timetables, visit_calls, visits
from ura.db import Sessions
from ura.models import AuditEntry, Callback, Cause, Role, Ticket, TicketEvent, Tier, User, Visit, VisitKind
from ura.outages import Scope
from ura.projection import apply
from ura.queues import Span
from ura.settings import Settings
from ura.technicians import Calendar
from ura.ticket_rules import Wait, WaitFor

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MARIA, HELENA = "+5511987654321", "+5511955550101"
ZONE = ZoneInfo("America/Sao_Paulo")
NOW = MONDAY_10H.replace(tzinfo=ZONE)
EARLIER = "263260000025"  # the protocol of a call some days ago
HERE = Calendar(zone=ZONE, state_uf="SP")
HOUSE = ticket_moves.the_house("test")
TUESDAY_8H = datetime(2026, 11, 24, 8, tzinfo=ZONE)
ABOUT_IT, MESSAGE, DELAY, MOVE = "6", "1", "2", "4"

Ring = Callable[..., Awaitable[Told]]


@pytest.fixture
async def ring(sessions: Sessions, settings: Settings, tmp_path: Path) -> Ring:
    """`await ring("6", MARIA)`."""
    calls = 0

    async def story(keys: str, caller: str = MARIA, **more: Any) -> Told:
        nonlocal calls
        calls += 1
        now = more.get("now", MONDAY_10H).replace(tzinfo=settings.zone)
        house = DemoHouse(sessions, settings, now)
        if calls == 1:
            await house.move_in()
        return await tell(keys, tmp_path / str(calls), caller=caller, house=house, call_id=f"{calls:032x}", **more)

    return story


async def make_ticket(sessions: Sessions, *, phone: str = MARIA, tier: Tier = Tier.L1, **values: Any) -> str:
    ticket_id = make_id()
    about = {"category": "support", "summary": "Sem sinal", "queue": "l1", "opened_by": "ana"}
    given = {"protocol": EARLIER, "now": NOW - timedelta(hours=1)}
    async with sessions.begin() as session:
        made = {**about, **given, **values}
        ticket = await tickets.open_ticket(session, ticket_id=ticket_id, phone=phone, tier=tier, **made)
        assert ticket.status.value == "open"
    return ticket_id


async def make_visit(sessions: Sessions, *, changes: int = 0, starts_at: datetime = TUESDAY_8H) -> str:
    """A ticket at L2 with a visit; its technician works on Tuesday and Wednesday morning, two hours each."""
    ticket_id = await make_ticket(sessions, tier=Tier.L2)
    async with sessions.begin() as session:
        user = User(email="joao@x.test", name="João", role=Role.TECHNICIAN, password_hash="")
        session.add(user)
        mornings = [Span(day, time(8), time(12)) for day in (starts_at.weekday(), 1, 2)]
        await timetables.set_hours(session, "visitas", list(dict.fromkeys(mornings)))
        await session.flush()
        await technicians.save(session, user, timetable="visitas", slot_min=120, active=True)
        ticket = await tickets.get_ticket(session, ticket_id)
        about = {"kind": VisitKind.VISIT, "technician_id": user.id, "starts_at": starts_at.astimezone(UTC)}
        visit = await visits.book(session, ticket, **about, actor=HOUSE, now=NOW - timedelta(days=4), where=HERE)
        visit.customer_changes = changes
        return visit.id


async def visit_of(sessions: Sessions, visit_id: str) -> Visit:
    async with sessions() as session:
        return await visits.get_visit(session, visit_id)


async def lines_of(sessions: Sessions, ticket_id: str) -> list[TicketEvent]:
    async with sessions() as session:
        return list(await tickets.list_events(session, await tickets.get_ticket(session, ticket_id)))


async def said_of(sessions: Sessions, ticket_id: str, said: str) -> TicketEvent:
    [line] = [each for each in await lines_of(sessions, ticket_id) if each.detail.get("said") == said]
    return line


# -- recognised


async def test_who_has_an_open_ticket_hears_of_it_at_the_menu_and_it_goes_on_under_its_own_protocol(
    ring: Ring, sessions: Sessions
) -> None:
    ticket_id = await make_ticket(sessions, told_deadline_at=NOW + timedelta(hours=3))
    told = await ring(ABOUT_IT)
    told.hears("greeting.welcome", "ticket.open.support", "menu.main", "ticket.protocol", *speech.protocol(EARLIER))
    until = speech.moment(datetime(2026, 11, 23, 13), today=NOW.date())
    told.hears("ticket.protocol", "ticket.status.l1", "ticket.next.l1", "ticket.deadline.is", *until, "ticket.menu")
    assert "protocol.intro" not in told.heard
    assert told.outcome == "done"
    line = await said_of(sessions, ticket_id, "called")
    assert (line.kind.value, line.detail["call_id"]) == ("reported", f"{1:032x}")


async def test_what_else_is_asked_for_in_such_a_call_is_under_that_protocol_too(ring: Ring, sessions: Sessions) -> None:
    await make_ticket(sessions)
    told = await ring(f"{ABOUT_IT},3,4,1,2")
    told.hears("ticket.protocol", "menu.main", "complaint.offer", "complaint.registered")
    assert [ticket["protocol"] for ticket in told.stored("ticket_opened")] == [EARLIER]
    assert "protocol.intro" not in told.heard


async def test_it_is_an_offer_and_the_menu_is_the_usual_one(ring: Ring, sessions: Sessions) -> None:
    await make_ticket(sessions)
    told = await ring("4,1,2")
    told.hears("ticket.open.support", "menu.main", "protocol.intro", *speech.protocol(PROTOCOL), "complaint.registered")
    assert told.stored("ticket_opened")[0]["protocol"] == PROTOCOL


@pytest.mark.parametrize("whose", ["nobody", "another", "closed", "cancelled", "switchboard"])
async def test_who_has_none_hears_what_everybody_hears(ring: Ring, sessions: Sessions, whose: str) -> None:
    usual = await ring("6", caller="+5511900000000")
    match whose:
        case "another":
            await make_ticket(sessions, phone=HELENA)
        case "closed":
            ticket_id = await make_ticket(sessions)
            async with sessions.begin() as session:
                assert await ticket_moves.close_many(session, [ticket_id], now=NOW) == [ticket_id]
        case "cancelled":
            await make_ticket(sessions, category="cancellation")
        case "switchboard":
            for _ in range(4):
                await make_ticket(sessions)
    told = await ring("6")
    assert told.heard == usual.heard
    assert [step[:2] for step in told.path.steps] == [step[:2] for step in usual.path.steps]


@pytest.mark.parametrize("away", [{"arrival"}, {"standing", "arrival"}])
async def test_a_database_that_is_away_means_the_ordinary_menu(ring: Ring, sessions: Sessions, away: set[str]) -> None:
    await make_ticket(sessions)
    told = await ring("", fails=away)
    told.hears("greeting.welcome", "menu.main")
    assert not any(key.startswith("ticket.") for key in told.heard)


async def test_a_lookup_that_fails_is_said_and_a_person_is_next(ring: Ring, sessions: Sessions) -> None:
    await make_ticket(sessions)
    told = await ring(ABOUT_IT, fails={"open_ticket"})
    told.hears("ticket.open.support", "ticket.unseen", "protocol.intro", *speech.protocol(PROTOCOL))
    assert told.queues == ["l1"]
    assert not any(key.startswith("ticket.status") for key in told.heard)


# -- as it is


async def test_late_is_told_as_late(ring: Ring, sessions: Sessions) -> None:
    await make_ticket(sessions, told_deadline_at=NOW - timedelta(hours=3))
    told = await ring(ABOUT_IT)
    told.hears("ticket.deadline.was", *speech.moment(datetime(2026, 11, 23, 7), today=NOW.date()))
    told.hears("ticket.deadline.was", "ticket.deadline.late", "ticket.menu")
    assert "ticket.deadline.is" not in told.heard


async def test_who_is_waited_for_hears_so_first(ring: Ring, sessions: Sessions) -> None:
    ticket_id = await make_ticket(sessions)
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        await ticket_moves.move(session, ticket, Wait(reason=WaitFor.CUSTOMER), actor=HOUSE, now=NOW)
    told = await ring(ABOUT_IT)
    told.hears("ticket.status.customer", "ticket.next.customer", "ticket.deadline.stopped")


@pytest.mark.parametrize("tier", [Tier.L2, Tier.L3])
async def test_each_tier_has_its_own_words(ring: Ring, sessions: Sessions, tier: Tier) -> None:
    await make_ticket(sessions, tier=tier, category="complaint")
    (await ring(ABOUT_IT)).hears("ticket.open.complaint", f"ticket.status.{tier}", f"ticket.next.{tier}")


# -- a complaint, a message


async def test_a_complaint_about_delay_is_a_priority_a_line_and_an_alarm(ring: Ring, sessions: Sessions) -> None:
    ticket_id = await make_ticket(sessions)
    told = await ring(f"{ABOUT_IT},{DELAY}")
    told.hears("ticket.menu", "ticket.complained", "end.anything_else")
    async with sessions() as session:
        assert (await tickets.get_ticket(session, ticket_id)).priority == 1
        audited = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "ticket-delay"))).all()
    assert [(entry.subject, entry.detail["tier"]) for entry in audited] == [(ticket_id, "l1")]
    assert (await said_of(sessions, ticket_id, "delay")).kind.value == "reported"


async def test_a_complaint_that_the_disk_refuses_is_not_said_to_be_noted(ring: Ring, sessions: Sessions) -> None:
    await make_ticket(sessions)
    told = await ring(f"{ABOUT_IT},{DELAY}", fails={"report_ticket"})
    told.hears("ticket.menu", "ticket.complain_failed", "person.transferring")
    assert "ticket.complained" not in told.heard
    assert told.queues == ["l1"]


async def test_a_message_is_recorded_and_stands_in_the_tickets_history(ring: Ring, sessions: Sessions) -> None:
    ticket_id = await make_ticket(sessions)
    told = await ring(f"{ABOUT_IT},{MESSAGE},12")
    told.hears("person.message", "tone.record", "ticket.message_saved", "end.anything_else")
    (kept,) = told.stored("recording_saved")
    assert (await said_of(sessions, ticket_id, "message")).detail["recording_id"] == kept["recording_id"]
    silent = await ring(f"{ABOUT_IT},{MESSAGE},0")
    silent.hears("person.message_empty", "ticket.menu")
    refused = await ring(f"{ABOUT_IT},{MESSAGE},12", fails={"save_recording"})
    refused.hears("person.message_failed", "person.transferring")
    assert "ticket.message_saved" not in [*silent.heard, *refused.heard]


# -- a visit


async def test_a_visit_is_told_and_put_off_to_a_slot_that_is_free(ring: Ring, sessions: Sessions) -> None:
    visit_id = await make_visit(sessions)
    told = await ring(f"{ABOUT_IT},{MOVE},2")
    told.hears("ticket.status.visit", "ticket.visit.is", "day.tomorrow", "hour.at.8", "ticket.menu_visit")
    wednesday = speech.moment(datetime(2026, 11, 25, 8), today=NOW.date())
    told.hears("visit.slots", "hour.at.10", "choose.press_1", *wednesday, "choose.press_2", "visit.slots_none")
    told.hears("visit.moved", *wednesday, "end.anything_else")
    moved = await visit_of(sessions, visit_id)
    assert moved.starts_at == TUESDAY_8H + timedelta(days=1)
    assert moved.customer_changes == 1


async def test_who_leaves_it_as_it_is_changes_nothing(ring: Ring, sessions: Sessions) -> None:
    visit_id = await make_visit(sessions)
    told = await ring(f"{ABOUT_IT},{MOVE},8")
    told.hears("visit.slots", "ticket.menu_visit")
    assert told.stored("visit_move_wanted") == []
    assert (await visit_of(sessions, visit_id)).starts_at == TUESDAY_8H


async def test_twice_is_the_most_by_telephone(ring: Ring, sessions: Sessions) -> None:
    visit_id = await make_visit(sessions, changes=2)
    told = await ring(f"{ABOUT_IT},{MOVE}")
    told.hears("ticket.menu_visit", "visit.too_often", "person.transferring")
    assert (await visit_of(sessions, visit_id)).customer_changes == 2


async def test_just_before_it_a_visit_stays(ring: Ring, sessions: Sessions) -> None:
    await make_visit(sessions)
    told = await ring(f"{ABOUT_IT},{MOVE}", now=datetime(2026, 11, 24, 5))
    told.hears("ticket.menu_visit", "visit.too_late")
    assert told.stored("visit_move_wanted") == []


async def test_a_technician_who_is_late_is_told_as_late(ring: Ring, sessions: Sessions) -> None:
    await make_visit(sessions)
    told = await ring(ABOUT_IT, now=datetime(2026, 11, 24, 11))
    told.hears("ticket.visit.was", "hour.at.8", "ticket.visit.late", "ticket.menu_visit")


async def test_where_no_slot_is_free_nothing_is_offered(ring: Ring, sessions: Sessions) -> None:
    visit_id = await make_visit(sessions)
    async with sessions.begin() as session:
        await timetables.set_hours(session, "visitas", [Span(1, time(8), time(10))])
    told = await ring(f"{ABOUT_IT},{MOVE}")
    told.hears("ticket.menu_visit", "visit.no_slots", "ticket.menu_visit")
    assert (await visit_of(sessions, visit_id)).customer_changes == 0


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        ("visit_slots", "visit.not_moved"),
        ("move_visit", "visit.not_moved"),
        ("visit_moved", "visit.move_queued"),
    ],
)
async def test_what_is_not_known_to_be_moved_is_not_said_to_be(
    ring: Ring, sessions: Sessions, fails: str, says: str
) -> None:
    await make_visit(sessions)
    told = await ring(f"{ABOUT_IT},{MOVE},1", fails={fails})
    told.hears("ticket.menu_visit", says)
    assert "visit.moved" not in told.heard


async def test_a_slot_that_somebody_else_took_meanwhile_is_said_to_be_taken(
    ring: Ring, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit_id = await make_visit(sessions)
    offered = visit_calls.list_choices

    async def too_slow(session: Any, visit: Visit, **more: Any) -> Any:
        """While the caller listens, an attendant books another visit there."""
        found = await offered(session, visit, **more)
        other = await make_ticket(sessions, tier=Tier.L2, phone=HELENA)
        async with sessions.begin() as another:
            ticket = await tickets.get_ticket(another, other)
            about = {"kind": VisitKind.VISIT, "technician_id": visit.technician_id, "starts_at": found[0].starts_at}
            await visits.book(another, ticket, **about, actor=HOUSE, now=NOW, where=HERE)
        return found

    monkeypatch.setattr(visit_calls, "list_choices", too_slow)
    told = await ring(f"{ABOUT_IT},{MOVE},1")
    told.hears("visit.slots", "visit.taken", "ticket.menu_visit")
    stayed = await visit_of(sessions, visit_id)
    assert (stayed.starts_at, stayed.customer_changes) == (TUESDAY_8H, 0)
    assert (await said_of(sessions, stayed.ticket_id, "visit")).detail["refused"] == "slot-taken"


async def test_without_a_visit_there_is_nothing_to_put_off(ring: Ring, sessions: Sessions) -> None:
    await make_ticket(sessions)
    told = await ring(f"{ABOUT_IT},{MOVE}")
    told.hears("ticket.menu", "system.invalid")
    assert "visit.slots" not in told.heard


# -- it is said to be over


async def make_over(sessions: Sessions, *, hours_ago: float) -> str:
    """An outage of which Maria was told by telephone, and which ended so long ago."""
    began, over = NOW - timedelta(days=5), NOW - timedelta(hours=hours_ago)
    async with sessions.begin() as session:
        outage = await incidents.open_incident(
            session,
            cause=Cause.FIBRE_CUT,
            scopes=[Scope(cto="CTO-1")],
            started_at=began,
            ends_at=None,
            opened_by="noc",
            now=began,
        )
        heard = {"outage_id": outage.id, "call_id": make_id(), "contract_id": "7", "phone": MARIA}
        await apply(session, make_record("outage_heard", **heard, wants_news=False, at=began))
        await incidents.close_incident(session, outage, text="Emenda feita.", actor="noc", now=over)
        return outage.id


async def test_who_says_that_it_still_does_not_work_is_called_back(ring: Ring, sessions: Sessions) -> None:
    outage_id = await make_over(sessions, hours_ago=20)
    told = await ring(ABOUT_IT)
    told.hears("greeting.welcome", "incident.over", "menu.main", "protocol.intro", "incident.call_back")
    async with sessions() as session:
        assert (await incidents.count(session, [outage_id]))[outage_id].complaints == 1
        assert list(await session.scalars(select(Callback.phone))) == [MARIA]
        [ticket] = await session.scalars(select(Ticket).where(Ticket.phone == MARIA))
        assert (ticket.protocol, ticket.incident_id) == (PROTOCOL, outage_id)
    again = await ring("")  # now it is a ticket like others
    again.hears("ticket.open.support", "menu.main")
    assert "incident.over" not in again.heard


async def test_after_two_days_nobody_is_asked_and_the_menu_is_the_usual_one(ring: Ring, sessions: Sessions) -> None:
    await make_over(sessions, hours_ago=49)
    told = await ring("")
    assert "incident.over" not in told.heard
    told.hears("greeting.welcome", "menu.main")


async def test_a_call_back_that_the_disk_refuses_is_not_promised(ring: Ring, sessions: Sessions) -> None:
    await make_over(sessions, hours_ago=20)
    told = await ring(ABOUT_IT, fails={"still_down"})
    told.hears("protocol.intro", "incident.not_noted", "person.transferring")
    assert "incident.call_back" not in told.heard
    assert told.queues == ["l1"]
