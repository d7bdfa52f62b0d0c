"""Our tickets and visits stand in the provider's own system, too, and its protocol beside ours."""

from datetime import timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from tests.factories import NOON, make_id, make_record, ticket_opened
from tests.fake_erp import FakeErp
from ura import erp_requests, technicians, ticket_moves, tickets, timetables, visits
from ura.db import Sessions
from ura.erp import Erp
from ura.models import ErpRequest, ErpRequestState, OutboxMessage, Role, Ticket, User, VisitKind
from ura.projection import apply_batch
from ura.queues import Span
from ura.ticket_rules import ToL2
from worker.erp_requests import ErpRequests


class Clock:
    at = NOON

    def __call__(self) -> Any:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def erp() -> FakeErp:
    return FakeErp()


@pytest.fixture
def worker(sessions: Sessions, erp: FakeErp, clock: Clock) -> ErpRequests:
    return ErpRequests(sessions, cast(Erp, erp), cast(Any, None), now=clock)


async def call(sessions: Sessions, *, mirror: bool = True, **data: Any) -> str:
    ticket_id = make_id()
    given = {"contract_id": "7", "category": "support", "summary": "Sem sinal"}
    async with sessions.begin() as session:
        for _ in range(2):  # a record can come again
            await apply_batch(session, [ticket_opened(ticket_id, **given | data)], mirror=mirror)
    return ticket_id


async def one_round(worker: ErpRequests) -> None:
    await worker.step()
    await worker.idle()


async def the(sessions: Sessions, ticket_id: str) -> Ticket:
    async with sessions() as session:
        return await tickets.get_ticket(session, ticket_id)


async def test_a_call_about_a_known_contract_has_both_protocols(
    sessions: Sessions, worker: ErpRequests, erp: FakeErp
) -> None:
    ticket_id = await call(sessions)
    await one_round(worker)
    ticket = await the(sessions, ticket_id)
    assert (ticket.erp_protocol, ticket.version) == ("ERP-1", 1)
    assert list(erp.opened.values()) == [("7", "Suporte", "Sem sinal", ticket.protocol)]


async def test_a_disputed_invoice_is_such_a_ticket(sessions: Sessions, worker: ErpRequests, erp: FakeErp) -> None:
    ticket_id = make_id()
    data = {"source": "fake", "invoice_id": "9", "contract_id": "7", "protocol": "263270000017", "summary": "Contesta"}
    async with sessions.begin() as session:
        record = make_record("invoice_disputed", ticket_id=ticket_id, at=NOON, phone="", queue="l1", **data)
        await apply_batch(session, [record], mirror=True)
    await one_round(worker)
    assert (await the(sessions, ticket_id)).erp_protocol == "ERP-1"
    assert list(erp.opened.values()) == [("7", "Reclamação", "Contesta", "263270000017")]


@pytest.mark.parametrize(("mirror", "contract_id"), [(True, ""), (False, "7")])
async def test_nothing_is_asked_for_who_is_unknown_or_where_there_is_no_other_system(
    sessions: Sessions, mirror: bool, contract_id: str
) -> None:
    await call(sessions, mirror=mirror, contract_id=contract_id)
    async with sessions() as session:
        assert await session.scalar(select(ErpRequest)) is None


async def test_an_answer_that_was_lost_opens_no_second_one(
    sessions: Sessions, worker: ErpRequests, erp: FakeErp, clock: Clock
) -> None:
    ticket_id = await call(sessions)
    erp.loses_answer = True
    await one_round(worker)
    assert (await the(sessions, ticket_id)).erp_protocol == ""
    erp.loses_answer = False
    clock.at += timedelta(minutes=1)
    await one_round(worker)
    assert (await the(sessions, ticket_id)).erp_protocol == "ERP-1"
    assert len(erp.opened) == 1


async def test_a_system_without_tickets_makes_no_work(
    sessions: Sessions, worker: ErpRequests, erp: FakeErp, clock: Clock
) -> None:
    ticket_id = await call(sessions)
    erp.cannot.add("open_ticket")
    clock.at += timedelta(minutes=1)
    await one_round(worker)
    async with sessions() as session:
        assert [each.id for each in (await tickets.list_tickets(session)).items] == [ticket_id]
        assert (await session.scalars(select(ErpRequest.state))).one() is ErpRequestState.DONE
        assert len(await tickets.list_events(session, await tickets.get_ticket(session, ticket_id))) == 1


async def test_a_system_that_stays_away_is_said_in_the_ticket_and_opens_no_other(
    sessions: Sessions, worker: ErpRequests, erp: FakeErp, clock: Clock
) -> None:
    ticket_id = await call(sessions)
    erp.down = True
    for _ in range(erp_requests.MOST_ATTEMPTS):
        await one_round(worker)
        clock.at += timedelta(days=2)
    async with sessions() as session:
        assert (await session.scalars(select(ErpRequest.state))).one() is ErpRequestState.FAILED
        [ticket] = (await tickets.list_tickets(session)).items
        opening, line = await tickets.list_events(session, ticket)
        assert await session.scalar(select(OutboxMessage)) is None
    assert ticket.id == ticket_id
    assert (opening.internal, line.internal) == (False, True)
    assert "abrir à mão" in line.text


async def test_a_visit_stands_there_too(sessions: Sessions, worker: ErpRequests, erp: FakeErp) -> None:
    ticket_id, house = await call(sessions, mirror=False), ticket_moves.the_house("test")
    where = technicians.Calendar(zone=ZoneInfo("UTC"), state_uf="SP")
    tomorrow = NOON.replace(hour=8) + timedelta(days=1)
    async with sessions.begin() as session:
        user = User(email="joao@x.test", name="João", role=Role.TECHNICIAN, password_hash="")
        session.add(user)
        hours = tomorrow.time(), tomorrow.replace(hour=12).time()
        await timetables.set_hours(session, "visitas", [Span(tomorrow.weekday(), *hours)])
        await session.flush()
        await technicians.save(session, user, timetable="visitas", slot_min=60, active=True)
        ticket = await tickets.get_ticket(session, ticket_id)
        await ticket_moves.move(session, ticket, ToL2(report="LOS", told_deadline_at=tomorrow), actor=house, now=NOON)
        visit = await visits.book(
            session,
            ticket,
            kind=VisitKind.VISIT,
            technician_id=user.id,
            starts_at=tomorrow,
            actor=house,
            now=NOON,
            where=where,
            note="12 B",
        )
        for _ in range(2):
            await erp_requests.mirror_visit(session, ticket, visit)
    await one_round(worker)
    async with sessions() as session:
        assert (await visits.get_visit(session, visit.id)).erp_reference == "ERP-1"
        assert (await tickets.get_ticket(session, ticket_id)).erp_protocol == ""
    assert list(erp.opened.values()) == [("7", "Visita técnica", "12 B", tomorrow)]
