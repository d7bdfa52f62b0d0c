"""Moves that are stored: with their line in the history, once, and by one of two."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import NOON, later, make_id
from ura import ticket_moves, tickets, users
from ura.db import Sessions
from ura.models import Role, Ticket, TicketEvent, TicketEventKind, TicketStatus, Tier
from ura.ticket_forms import FormIncomplete
from ura.ticket_moves import MoveKeyReused, TicketChanged, the_house
from ura.ticket_refusals import NothingTriedYet, ReopenedTooLate, TicketAlreadyClosed, UnfitAssignee
from ura.ticket_rules import Assign, BackToL1, Close, Contact, Move, Purpose, Reopen, Take, ToL2, ToL3, Try
from ura.users import GRANTS, Actor

HOUSE = the_house("test")
PROMISED = ToL2(report="Sem luz", told_deadline_at=later(86400))


async def open_one(sessions: Sessions, **values: Any) -> str:
    ticket_id = make_id()
    given = {"category": "support", "summary": "Sem sinal", "phone": "+5511987654321", "queue": "l1"}
    async with sessions.begin() as session:
        await tickets.open_ticket(
            session,
            ticket_id=ticket_id,
            protocol="263270000017",
            opened_by="ana",
            now=NOON,
            **{**given, **values},
        )
    return ticket_id


async def do(sessions: Sessions, ticket_id: str, wanted: Move, *, seconds: float = 60, **more: Any) -> Ticket:
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        await ticket_moves.move(session, ticket, wanted, **{"actor": HOUSE, "now": later(seconds), **more})
        return ticket


async def history(sessions: Sessions, ticket_id: str) -> list[TicketEvent]:
    async with sessions() as session:
        return list(await tickets.list_events(session, await tickets.get_ticket(session, ticket_id)))


async def make_user(sessions: Sessions, role: Role, *, active: bool = True) -> Actor:
    async with sessions.begin() as session:
        user = users.User(email=f"{role}@x.test", name=role, role=role, password_hash="", active=active)
        session.add(user)
        await session.flush()
        return Actor(name=user.email, permissions=GRANTS[role], role=role, user_id=user.id)


async def test_a_move_changes_the_ticket_and_is_told_in_its_history(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    ticket = await do(sessions, ticket_id, PROMISED)
    assert (ticket.tier, ticket.report, ticket.told_deadline_at, ticket.version) == (
        Tier.L2, "Sem luz", later(86400), 2,
    )  # fmt: skip
    _, line = await history(sessions, ticket_id)
    assert (line.kind, line.actor, line.at, line.text, line.internal) == (
        TicketEventKind.MOVED, "test", later(60), "Sem luz", False,
    )  # fmt: skip
    assert line.detail == {"move": "to_l2", "from": "l1", "to": "l2", "told_deadline_at": later(86400).isoformat()}


async def test_the_same_wish_is_done_once(sessions: Sessions) -> None:
    ticket_id, wish = await open_one(sessions), make_id()
    for _ in range(3):
        ticket = await do(sessions, ticket_id, PROMISED, event_id=wish)
    assert (ticket.tier, ticket.version) == (Tier.L2, 2)
    await do(sessions, ticket_id, BackToL1(tell="Às dez"))
    ticket = await do(sessions, ticket_id, PROMISED, event_id=wish)
    assert ticket.tier is Tier.L1
    with pytest.raises(MoveKeyReused):
        await do(sessions, ticket_id, Close(), event_id=wish)
    assert [line.kind for line in await history(sessions, ticket_id)] == [
        TicketEventKind.OPENED, TicketEventKind.MOVED, TicketEventKind.MOVED,
    ]  # fmt: skip


async def test_of_two_who_act_on_what_they_saw_one_is_told_that_it_changed(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    await do(sessions, ticket_id, Assign(assignee_id=None), version=1)
    with pytest.raises(TicketChanged):
        await do(sessions, ticket_id, Assign(assignee_id=None), version=1)
    assert len(await history(sessions, ticket_id)) == 2


async def test_of_two_who_close_at_once_one_is_told(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    read = asyncio.Barrier(2)

    async def close(name: str) -> str:
        async with sessions.begin() as session:
            ticket = await tickets.get_ticket(session, ticket_id)
            await read.wait()
            await ticket_moves.move(session, ticket, Close(), actor=the_house(name), now=later(10))
        return name

    results = await asyncio.gather(close("ana"), close("bruno"), return_exceptions=True)
    winners = [result for result in results if isinstance(result, str)]
    assert len(winners) == 1
    assert [type(result) for result in results if not isinstance(result, str)] == [TicketAlreadyClosed]
    closings = [line.actor for line in await history(sessions, ticket_id) if line.kind is TicketEventKind.CLOSED]
    assert closings == winners


async def test_of_two_who_take_it_at_once_one_is_told(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    people = [await make_user(sessions, role) for role in (Role.ATTENDANT, Role.SUPERVISOR)]
    read = asyncio.Barrier(2)

    async def take(actor: Actor) -> int | None:
        async with sessions.begin() as session:
            ticket = await tickets.get_ticket(session, ticket_id)
            await read.wait()
            await ticket_moves.move(session, ticket, Take(), actor=actor, now=later(10))
        return actor.user_id

    results = await asyncio.gather(*(take(actor) for actor in people), return_exceptions=True)
    [refused] = [result for result in results if isinstance(result, BaseException)]
    assert isinstance(refused, TicketChanged)
    async with sessions() as session:
        assert (await tickets.get_ticket(session, ticket_id)).assignee_id in results


async def test_the_same_wish_at_the_same_moment_is_done_once(sessions: Sessions) -> None:
    ticket_id, wish = await open_one(sessions), make_id()
    results = await asyncio.gather(*(do(sessions, ticket_id, Close(), event_id=wish) for _ in range(4)))
    assert {ticket.status for ticket in results} == {TicketStatus.CLOSED}
    assert len(await history(sessions, ticket_id)) == 2


async def test_a_wish_that_was_done_after_the_ticket_was_read_is_told_as_it_is_now(sessions: Sessions) -> None:
    ticket_id, wish = await open_one(sessions), make_id()
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        await session.commit()
        await do(sessions, ticket_id, Close(), event_id=wish)
        assert ticket.status is TicketStatus.OPEN
        await ticket_moves.move(session, ticket, Close(), actor=HOUSE, now=later(70), event_id=wish)
        assert (ticket.status, ticket.closed_at) == (TicketStatus.CLOSED, later(60))


async def test_l2_tries_anew_each_time_the_ticket_comes_back(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    ring = Contact(purpose=Purpose.SOLUTION, text="Porta trocada")
    await do(sessions, ticket_id, PROMISED, seconds=10)
    with pytest.raises(NothingTriedYet):
        await do(sessions, ticket_id, ring, seconds=20)
    await do(sessions, ticket_id, Try(text="Porta reiniciada"), seconds=30)
    await do(sessions, ticket_id, ring, seconds=40)
    await do(sessions, ticket_id, BackToL1(tell="Voltou"), seconds=50)
    await do(sessions, ticket_id, PROMISED, seconds=60)
    with pytest.raises(NothingTriedYet):
        await do(sessions, ticket_id, ring, seconds=70)


async def test_a_ticket_is_given_to_a_colleague_who_works_here(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    await do(sessions, ticket_id, PROMISED)
    technician = await make_user(sessions, Role.TECHNICIAN)
    gone = await make_user(sessions, Role.ADMIN, active=False)
    for unfit in (gone.user_id, 4711, (await make_user(sessions, Role.ATTENDANT)).user_id):
        with pytest.raises(UnfitAssignee):
            await do(sessions, ticket_id, Assign(assignee_id=unfit))
    ticket = await do(sessions, ticket_id, Assign(assignee_id=technician.user_id))
    assert ticket.assignee_id == technician.user_id
    ticket = await do(sessions, ticket_id, ToL3(reason="PON"), actor=technician)
    assert (ticket.tier, ticket.assignee_id) == (Tier.L3, None)


async def test_a_ticket_is_reopened_within_the_days_that_the_house_allows(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    await do(sessions, ticket_id, Close(), seconds=0)
    two_days = timedelta(days=2)
    with pytest.raises(ReopenedTooLate, match="2 days"):
        await do(sessions, ticket_id, Reopen(reason="Caiu"), seconds=2 * 86400 + 1, reopen_within=two_days)
    ticket = await do(sessions, ticket_id, Reopen(reason="Caiu"), seconds=2 * 86400, reopen_within=two_days)
    assert (ticket.status, ticket.tier, ticket.closed_at) == (TicketStatus.OPEN, Tier.L1, None)


async def test_what_is_refused_leaves_no_trace(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions, category="slow_link")
    with pytest.raises(FormIncomplete, match="measured_mbps, cabled"):
        await do(sessions, ticket_id, PROMISED)
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
    assert (ticket.tier, ticket.version, ticket.report) == (Tier.L1, 1, "")
    assert len(await history(sessions, ticket_id)) == 1
