"""One cause, many tickets: collected, told, closed, and back again when it still does not work."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.factories import NOON, later, make_id
from tests.ura.test_outages import LANDLINE, MOBILE, PALMEIRAS, heard, rang
from ura import incident_news, incident_tickets, incidents, outages, queues, tickets
from ura.crypto import Sealed
from ura.db import Sessions
from ura.erp import ContractStatus, Kind
from ura.errors import BadInput
from ura.incident_tickets import BATCH, NotItsTicket, TicketNotExplained
from ura.incidents import COMPLAINED_WITHIN, ComplainedTooLate, Counts, IncidentIsOn, NoNumberToRing, NotOfThisIncident
from ura.models import (
    Access,
    Callback,
    CallbackState,
    Category,
    Cause,
    Contract,
    DomainEvent,
    IncidentComplaint,
    IncidentUpdate,
    Outage,
    OutboxMessage,
    Role,
    Subscriber,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketStatus,
    Tier,
    User,
    Visit,
    VisitKind,
)
from ura.outages import OutageIsOver, Scope

HOUR = 3600.0
PROTOCOL = "263270000099"


async def contract(sessions: Sessions, *, neighbourhood: str = "Centro", **access: str) -> str:
    async with sessions.begin() as session:
        sealed = Sealed("")
        person = Subscriber(document=sealed, document_hash=make_id(), name="Ana", kind=Kind.PERSON, updated_at=NOON)
        session.add(person)
        await session.flush()
        line = Contract(
            subscriber_id=person.id,
            number=make_id()[:20],
            keys="1",
            status=ContractStatus.ACTIVE,
            neighbourhood=neighbourhood,
            city="Vale Verde",
            updated_at=NOON,
        )
        session.add(line)
        await session.flush()
        session.add(Access(contract_id=line.id, **access))
        return str(line.id)


async def ticket(sessions: Sessions, contract_ref: str = "", *, seconds: float = 0, **values: Any) -> str:
    [ticket_id] = await many(sessions, 1, contract_ref=contract_ref, opened_at=later(seconds), **values)
    return ticket_id


async def many(sessions: Sessions, number: int, **values: Any) -> list[str]:
    blank = {
        "protocol": "263270000017",
        "category": Category.SUPPORT,
        "summary": "Sem sinal",
        "phone": "",
        "queue": "l1",
        "opened_by": "ana",
        "opened_at": NOON,
        "call_id": None,
    }
    rows = [{"id": make_id(), **blank, **values} for _ in range(number)]
    async with sessions.begin() as session:
        await tickets.open_tickets(session, rows)
    return [row["id"] for row in rows]


async def opened(sessions: Sessions, *scopes: Scope, seconds: float = 60, text: str = "Fibra rompida.") -> str:
    async with sessions.begin() as session:
        outage = await incidents.open_incident(
            session,
            cause=Cause.FIBRE_CUT,
            scopes=scopes or (PALMEIRAS,),
            started_at=later(seconds),
            ends_at=later(seconds + 2 * HOUR),
            opened_by="noc",
            now=later(seconds),
            text=text,
        )
        return outage.id


async def collected(sessions: Sessions, seconds: float = 120) -> int:
    async with sessions.begin() as session:
        return await incident_tickets.collect(session, now=later(seconds))


async def told(sessions: Sessions, incident_id: str, text: str, *, seconds: float, hours: float = 4) -> str:
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, incident_id)
        ends_at = later(seconds + hours * HOUR)
        said = await incidents.tell(session, outage, text=text, ends_at=ends_at, actor="noc", now=later(seconds))
        return said.id


async def closed(
    sessions: Sessions, incident_id: str, *, seconds: float = 2 * HOUR, text: str = "Emenda feita."
) -> int:
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, incident_id)
        return await incidents.close_incident(session, outage, text=text, actor="noc", now=later(seconds))


async def worked(sessions: Sessions, seconds: float = 3 * HOUR, limit: int = BATCH) -> int:
    """As the worker does; returns how many batches there were."""
    turns = 0
    while True:
        async with sessions.begin() as session:
            if not await incident_news.settle(session, now=later(seconds), limit=limit):
                return turns
        turns += 1


async def complained(sessions: Sessions, incident_id: str, *, seconds: float = 3 * HOUR, **values: Any) -> str:
    async with sessions.begin() as session:
        complaint = await incidents.still_not_working(
            session, incident_id, protocol=PROTOCOL, now=later(seconds), **values
        )
        return complaint.id


async def of(sessions: Sessions, ticket_id: str) -> Ticket:
    async with sessions() as session:
        return await tickets.get_ticket(session, ticket_id)


async def history(sessions: Sessions, ticket_id: str) -> list[tuple[TicketEventKind, str, str]]:
    """(kind, what of the incident, text) of each line after the first."""
    async with sessions() as session:
        lines = await tickets.list_events(session, await tickets.get_ticket(session, ticket_id))
        return [(line.kind, line.detail.get("what", ""), line.text) for line in lines[1:]]


async def counted(sessions: Sessions, incident_id: str) -> Counts:
    async with sessions() as session:
        return (await incidents.count(session, [incident_id]))[incident_id]


async def outbox_of(sessions: Sessions, kind: str) -> list[tuple[str, Any]]:
    async with sessions() as session:
        found = await session.scalars(select(OutboxMessage).where(OutboxMessage.kind == kind))
        return sorted(((each.to, each.payload) for each in found), key=lambda sent: sent[0])


# -- collecting


@pytest.mark.parametrize(
    ("scope", "line"),
    [
        (PALMEIRAS, {"neighbourhood": "jardim das palmeiras"}),
        (Scope(olt="olt-vv-1"), {"olt": "OLT-VV-1", "pon": "0/1/9"}),
        (Scope(olt="OLT-VV-1", pon="0/1/3"), {"olt": "OLT-VV-1", "pon": "0/1/3"}),
        (Scope(cto="CTO-PAL-01"), {"cto": "cto-pal-01"}),
    ],
)
async def test_it_collects_the_open_tickets_of_what_is_down_and_no_others(
    sessions: Sessions, scope: Scope, line: dict[str, str]
) -> None:
    touched, elsewhere = await contract(sessions, **line), await contract(sessions, olt="OLT-VV-2", pon="0/1/3")
    before = await ticket(sessions, touched)
    no_connection = await ticket(sessions, touched, category="no_connection")
    others = [
        await ticket(sessions, elsewhere),
        await ticket(sessions, touched, category=Category.COMPLAINT),
        await ticket(sessions, touched, category=Category.BILLING),
        await ticket(sessions, touched, seconds=-25 * HOUR),  # of something else
        await ticket(sessions, "ERP-17"),
        await ticket(sessions),
    ]
    incident_id = await opened(sessions, scope)
    while_on = await ticket(sessions, touched, seconds=90)
    assert await collected(sessions) == 1
    assert await collected(sessions) == 0
    for mine in (before, no_connection, while_on):
        found = await of(sessions, mine)
        assert (found.incident_id, found.version) == (incident_id, 2)
        assert await history(sessions, mine) == [(TicketEventKind.INCIDENT, "in", "Fibra rompida.")]
    assert {(await of(sessions, other)).incident_id for other in others} == {None}
    assert (await counted(sessions, incident_id)).tickets == 3


async def test_it_collects_the_tickets_of_calls_that_were_told_of_it(sessions: Sessions) -> None:
    """Where the contracts are in the provider's own system, nobody but the call knows what they hang on."""
    incident_id, call_id = await opened(sessions), make_id()
    by_call = await ticket(sessions, call_id=call_id)
    by_contract = await ticket(sessions, "7")  # of heard()
    by_number = await ticket(sessions, phone=MOBILE)
    others = [
        await ticket(sessions, call_id=make_id()),
        await ticket(sessions, "8", phone=MOBILE),  # the same person's other contract
        await ticket(sessions, phone=LANDLINE),
    ]
    assert await collected(sessions) == 0
    await rang(sessions, [heard(incident_id, MOBILE, wants_news=False, call_id=call_id)])
    assert await collected(sessions) == 3
    assert {(await of(sessions, each)).incident_id for each in (by_call, by_contract, by_number)} == {incident_id}
    assert {(await of(sessions, each)).incident_id for each in others} == {None}


async def test_planned_work_collects_nothing_before_it_begins(sessions: Sessions) -> None:
    touched = await contract(sessions, cto="CTO-1")
    mine = await ticket(sessions, touched)
    async with sessions.begin() as session:
        await incidents.open_incident(
            session,
            cause=Cause.MAINTENANCE,
            scopes=[Scope(cto="CTO-1")],
            started_at=later(HOUR),
            ends_at=None,
            opened_by="noc",
            now=NOON,
        )
    assert (await of(sessions, mine)).incident_id is None
    assert await collected(sessions, HOUR) == 1


async def test_what_a_person_took_out_stays_out_until_a_person_puts_it_in(sessions: Sessions) -> None:
    mine = await ticket(sessions, await contract(sessions, cto="CTO-1"))
    incident_id = await opened(sessions, Scope(cto="CTO-1"), text="")
    for step in (incident_tickets.take_out, incident_tickets.take_out, incident_tickets.put_in):
        async with sessions.begin() as session:
            outage, found = await outages.get_outage(session, incident_id), await tickets.get_ticket(session, mine)
            await step(session, outage, found, actor="ana", now=later(100))
        if step is incident_tickets.take_out:
            assert await collected(sessions) == 0
            assert (await of(sessions, mine)).incident_id is None
    assert (await of(sessions, mine)).incident_id == incident_id
    assert sorted(what for _, what, _ in await history(sessions, mine)) == ["in", "in", "out"]


async def test_what_no_incident_explains_is_not_put_in(sessions: Sessions) -> None:
    incident_id, other_id = await opened(sessions), await opened(sessions, Scope(cto="CTO-1"))
    complaint, cancellation, shut, fitting = (
        await ticket(sessions, category=Category.COMPLAINT),
        await ticket(sessions, category=Category.CANCELLATION),
        await ticket(sessions),
        await ticket(sessions, category="slow_link"),
    )
    async with sessions.begin() as session:
        await session.execute(update(Ticket).where(Ticket.id == shut).values(status=TicketStatus.CLOSED))
        other = await outages.get_outage(session, other_id)
        await incident_tickets.put_in(session, other, await tickets.get_ticket(session, fitting), actor="a", now=NOON)
    for ticket_id in (complaint, cancellation, shut, fitting):
        async with sessions.begin() as session:
            outage, found = await outages.get_outage(session, incident_id), await tickets.get_ticket(session, ticket_id)
            with pytest.raises(TicketNotExplained):
                await incident_tickets.put_in(session, outage, found, actor="ana", now=later(100))
            with pytest.raises(NotItsTicket):
                await incident_tickets.take_out(session, outage, found, actor="ana", now=later(100))
    await closed(sessions, other_id)
    async with sessions.begin() as session:
        other, found = await outages.get_outage(session, other_id), await tickets.get_ticket(session, complaint)
        with pytest.raises(OutageIsOver):
            await incident_tickets.put_in(session, other, found, actor="ana", now=later(3 * HOUR))


# -- told


async def test_an_update_is_a_line_on_each_ticket_and_a_message_to_each_who_asked(sessions: Sessions) -> None:
    mine = await ticket(sessions, await contract(sessions, cto="CTO-1"))
    incident_id = await opened(sessions, Scope(cto="CTO-1"))
    await rang(
        sessions,
        [
            heard(incident_id, MOBILE, wants_news=True),
            heard(incident_id, MOBILE, wants_news=True),  # rang again
            heard(incident_id, LANDLINE, wants_news=True),
            heard(incident_id, "+5511987650002", wants_news=False),
        ],
    )
    said = await told(sessions, incident_id, "A equipe chegou.", seconds=HOUR)
    await worked(sessions, HOUR)
    assert await outbox_of(sessions, "incident_update") == [(MOBILE, {"update_id": said})]
    assert (await history(sessions, mine))[1:] == [(TicketEventKind.INCIDENT, "update", "A equipe chegou.")]
    async with sessions() as session:
        assert (await outages.get_outage(session, incident_id)).ends_at == later(5 * HOUR)  # what callers hear now
        assert await outages.texts(session, [incident_id]) == {incident_id: "A equipe chegou."}
    again = await told(sessions, incident_id, "Quase pronto.", seconds=2 * HOUR)
    updates = [payload["update_id"] for _, payload in await outbox_of(sessions, "incident_update")]
    assert sorted(updates) == sorted([said, again])
    assert await closed(sessions, incident_id, seconds=3 * HOUR) == 2  # the message to one, the call to the other
    assert [to for to, _ in await outbox_of(sessions, "outage_fixed")] == [MOBILE]


async def test_the_same_update_twice_is_told_once_also_at_the_same_moment(sessions: Sessions) -> None:
    mine = await ticket(sessions, await contract(sessions, cto="CTO-1"))
    incident_id, update_id = await opened(sessions, Scope(cto="CTO-1")), make_id()
    await rang(sessions, [heard(incident_id, MOBILE, wants_news=True)])

    async def tell() -> None:
        async with sessions.begin() as session:
            outage = await outages.get_outage(session, incident_id)
            await incidents.tell(
                session, outage, text="Ok.", ends_at=None, actor="noc", now=later(HOUR), update_id=update_id
            )

    await asyncio.gather(*(tell() for _ in range(4)))
    await worked(sessions, HOUR)
    assert len(await outbox_of(sessions, "incident_update")) == 1
    assert [what for _, what, _ in await history(sessions, mine)] == ["in", "update"]


async def test_who_was_told_half_is_told_the_rest_and_nobody_twice(sessions: Sessions) -> None:
    ids = await many(sessions, 5, contract_ref=await contract(sessions, cto="CTO-1"))
    incident_id = await opened(sessions, Scope(cto="CTO-1"))
    numbers = [f"+55119876510{n:02d}" for n in range(7)]
    await rang(sessions, [heard(incident_id, number, wants_news=True) for number in numbers])
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, incident_id)
        await session.execute(update(Outage).where(Outage.id == outage.id).values(ends_at=None))
        await incidents._say(session, outage, "Ok.", make_id(), actor="noc", now=later(HOUR))
    async with sessions() as session:  # a worker that dies before it commits
        assert await incident_news.settle(session, now=later(HOUR), limit=2)
    assert await outbox_of(sessions, "incident_update") == []
    workers = [worked(sessions, HOUR, limit=2) for _ in range(2)]
    await asyncio.gather(*workers)
    assert [to for to, _ in await outbox_of(sessions, "incident_update")] == numbers
    assert {tuple(what for _, what, _ in await history(sessions, each)) for each in ids} == {("in", "update")}
    assert (await counted(sessions, incident_id)).untold == 0


async def test_what_is_no_news_is_refused(sessions: Sessions) -> None:
    incident_id = await opened(sessions)
    with pytest.raises(BadInput, match="words"):
        await told(sessions, incident_id, " ", seconds=HOUR)
    with pytest.raises(BadInput, match="future"):
        await told(sessions, incident_id, "Ok.", seconds=HOUR, hours=-0.5)
    await closed(sessions, incident_id)
    with pytest.raises(OutageIsOver):
        await told(sessions, incident_id, "Ok.", seconds=3 * HOUR)


# -- closed


async def test_its_end_closes_its_tickets_and_no_others(sessions: Sessions) -> None:
    touched = await contract(sessions, cto="CTO-1")
    mine, waits, out, by_hand, visited = [await ticket(sessions, touched) for _ in range(5)]
    incident_id = await opened(sessions, Scope(cto="CTO-1"))
    other = await ticket(sessions, await contract(sessions, cto="CTO-2"))
    async with sessions.begin() as session:
        await session.execute(update(Ticket).where(Ticket.id == waits).values(status=TicketStatus.WAITING))
        shut = {"status": TicketStatus.CLOSED, "closed_at": later(HOUR)}
        await session.execute(update(Ticket).where(Ticket.id == by_hand).values(**shut))
        outage, found = await outages.get_outage(session, incident_id), await tickets.get_ticket(session, out)
        await incident_tickets.take_out(session, outage, found, actor="ana", now=later(100))
        joao = User(email="joao@example.org", name="J", role=Role.TECHNICIAN, password_hash="", active=True)
        session.add(joao)
        await session.flush()
        to_come = {"kind": VisitKind.VISIT, "technician_id": joao.id, "starts_at": later(9 * HOUR)}
        ends = {"ends_at": later(10 * HOUR), "booked_by": "ana", "booked_at": NOON}
        session.add(Visit(id=make_id(), ticket_id=visited, **to_come, **ends))
    await closed(sessions, incident_id)
    assert await closed(sessions, incident_id, seconds=3 * HOUR) == 0  # once more changes nothing
    await worked(sessions)
    for each in (mine, waits):
        found = await of(sessions, each)
        assert (found.status, found.closed_at) == (TicketStatus.CLOSED, later(2 * HOUR))
        assert (await history(sessions, each))[-1] == (TicketEventKind.CLOSED, "closed", "Emenda feita.")
    assert [(await of(sessions, each)).status for each in (out, other, visited)] == [TicketStatus.OPEN] * 3
    assert (await of(sessions, by_hand)).closed_at == later(HOUR)
    assert await history(sessions, by_hand) == [(TicketEventKind.INCIDENT, "in", "Fibra rompida.")]
    assert await counted(sessions, incident_id) == Counts(closed=4)
    assert await collected(sessions, 4 * HOUR) == 0


async def test_an_incident_of_2000_tickets_ends_in_batches_whoever_is_interrupted(sessions: Sessions) -> None:
    await many(sessions, 2000, contract_ref=await contract(sessions, cto="CTO-1"))
    incident_id = await opened(sessions, Scope(cto="CTO-1"))
    while await collected(sessions):
        pass
    assert (await counted(sessions, incident_id)).tickets == 2000
    await told(sessions, incident_id, "A equipe chegou.", seconds=HOUR)
    await worked(sessions, HOUR)
    await asyncio.gather(*(closed(sessions, incident_id) for _ in range(3)))
    async with sessions() as session:  # a worker that dies before it commits
        await incident_news.settle(session, now=later(3 * HOUR))
    await asyncio.gather(worked(sessions), worked(sessions))
    async with sessions() as session:
        states = select(Ticket.status, func.count()).group_by(Ticket.status)
        assert [tuple(row) for row in await session.execute(states)] == [(TicketStatus.CLOSED, 2000)]
        kinds = select(TicketEvent.kind, func.count()).group_by(TicketEvent.kind)
        lines = {kind: number for kind, number in await session.execute(kinds)}
        news = (await session.scalars(select(IncidentUpdate))).all()
    assert lines == {TicketEventKind.OPENED: 2000, TicketEventKind.INCIDENT: 4000, TicketEventKind.CLOSED: 2000}
    assert Counter(each.closes for each in news) == {False: 2, True: 1}
    assert await counted(sessions, incident_id) == Counts(closed=2000)


# -- "it still does not work"


async def test_who_still_sees_it_down_is_called_back_and_the_ticket_is_open_again(sessions: Sessions) -> None:
    mine = await ticket(sessions, await contract(sessions, cto="CTO-1"), phone=MOBILE)
    incident_id = await opened(sessions, Scope(cto="CTO-1"))
    async with sessions.begin() as session:
        await session.execute(update(Ticket).where(Ticket.id == mine).values(tier=Tier.L2, told_deadline_at=NOON))
    with pytest.raises(IncidentIsOn):
        await complained(sessions, incident_id, phone=MOBILE)
    await closed(sessions, incident_id)
    async with sessions() as session:
        assert (await incidents.find_recent(session, MOBILE, now=later(3 * HOUR))) is not None
        assert (await incidents.find_recent(session, LANDLINE, now=later(3 * HOUR))) is None
        assert (await incidents.find_recent(session, "", now=later(3 * HOUR))) is None
    asked = [complained(sessions, incident_id, phone=MOBILE, text="Luz vermelha.", actor="ana") for _ in range(3)]
    [complaint_id] = set(await asyncio.gather(*asked))
    found = await of(sessions, mine)
    assert (found.status, found.tier, found.closed_at) == (TicketStatus.OPEN, Tier.L1, None)
    assert found.told_deadline_at is None
    assert (await history(sessions, mine))[-1] == (TicketEventKind.REOPENED, "", "Luz vermelha.")
    async with sessions() as session:
        rings = (await session.scalars(select(Callback))).all()
    assert [(each.id, each.phone, each.state) for each in rings] == [(complaint_id, MOBILE, CallbackState.WAITING)]
    await worked(sessions, 5 * HOUR)  # the end of the incident does not close it again
    assert (await of(sessions, mine)).status is TicketStatus.OPEN
    assert await counted(sessions, incident_id) == Counts(back=1, complaints=1)


async def test_called_back_and_still_down_is_a_complaint_of_its_own(sessions: Sessions) -> None:
    mine = await ticket(sessions, await contract(sessions, cto="CTO-1"), phone=MOBILE)
    incident_id = await opened(sessions, Scope(cto="CTO-1"))
    await closed(sessions, incident_id)
    first = await complained(sessions, incident_id, phone=MOBILE)
    async with sessions.begin() as session:
        await queues.settle_callback(session, first, state=CallbackState.DONE, now=later(4 * HOUR))
    second = await complained(sessions, incident_id, phone=MOBILE, seconds=5 * HOUR)
    assert second != first
    assert [kind for kind, _, _ in await history(sessions, mine)][-2:] == [
        TicketEventKind.REOPENED,
        TicketEventKind.REPORTED,
    ]


async def test_who_only_rang_gets_a_ticket_now(sessions: Sessions) -> None:
    incident_id, call_id = await opened(sessions), make_id()
    await rang(sessions, [heard(incident_id, LANDLINE, wants_news=False, call_id=call_id)])
    await closed(sessions, incident_id)
    complaint_id = await complained(sessions, incident_id, phone=LANDLINE, call_id=make_id())
    found = await of(sessions, complaint_id)
    assert (found.protocol, found.phone, found.contract_ref) == (PROTOCOL, LANDLINE, "7")
    assert (found.category, found.incident_id) == (Category.SUPPORT, incident_id)
    assert found.summary
    async with sessions() as session:
        complaint = await session.get_one(IncidentComplaint, complaint_id)
        assert (complaint.ticket_id, complaint.phone) == (complaint_id, LANDLINE)
        assert (await session.get_one(Callback, complaint_id)).phone == LANDLINE


async def test_who_has_no_part_in_it_or_comes_too_late_does_not_complain(sessions: Sessions) -> None:
    touched = await contract(sessions, cto="CTO-1")
    silent, out, foreign = [await ticket(sessions, touched) for _ in range(2)] + [await ticket(sessions)]
    incident_id = await opened(sessions, Scope(cto="CTO-1"))
    async with sessions.begin() as session:
        outage, found = await outages.get_outage(session, incident_id), await tickets.get_ticket(session, out)
        await incident_tickets.take_out(session, outage, found, actor="ana", now=later(100))
    await closed(sessions, incident_id)
    for wrong in ({"phone": MOBILE}, {"call_id": make_id()}, {"ticket_id": out}, {"ticket_id": foreign}, {}):
        with pytest.raises(NotOfThisIncident):
            await complained(sessions, incident_id, **wrong)
    with pytest.raises(NoNumberToRing):
        await complained(sessions, incident_id, ticket_id=silent)
    too_late = 2 * HOUR + COMPLAINED_WITHIN.total_seconds() + 1
    with pytest.raises(ComplainedTooLate):
        await complained(sessions, incident_id, ticket_id=silent, phone=MOBILE, seconds=too_late)
    assert await complained(sessions, incident_id, ticket_id=silent, phone=MOBILE, seconds=too_late - 1)


async def test_what_was_said_is_listed_newest_first(sessions: Sessions) -> None:
    incident_id = await opened(sessions)
    await closed(sessions, incident_id)
    async with sessions() as session:
        said = await incidents.list_updates(session, incident_id)
    assert [(each.text, each.closes) for each in said] == [("Emenda feita.", True), ("Fibra rompida.", False)]


async def test_other_programs_hear_once_of_its_begin_its_news_and_its_end_and_never_its_words(
    sessions: Sessions,
) -> None:
    mine = await contract(sessions, cto="CTO-1")
    await ticket(sessions, mine)
    await ticket(sessions, mine)
    incident_id = await opened(sessions, Scope(cto="CTO-1"), text="Fibra rompida na casa de Ana.")
    update_id = make_id()
    for _ in range(2):
        async with sessions.begin() as session:
            outage = await outages.get_outage(session, incident_id)
            news: dict[str, Any] = {"text": "Ana avisou.", "ends_at": None, "actor": "noc", "update_id": update_id}
            await incidents.tell(session, outage, now=later(HOUR), **news)
        async with sessions.begin() as session:
            await incidents.open_incident(
                session,
                cause=Cause.FIBRE_CUT,
                scopes=(Scope(cto="CTO-1"),),
                started_at=later(60),
                ends_at=None,
                opened_by="noc",
                now=later(HOUR),
                incident_id=incident_id,
            )
    for seconds in (2 * HOUR, 3 * HOUR):
        await closed(sessions, incident_id, seconds=seconds, text="Ana confirmou.")
    async with sessions() as session:
        about = select(DomainEvent).where(DomainEvent.subject == incident_id, DomainEvent.kind.startswith("incident."))
        found = [(each.kind, each.at, each.data) for each in await session.scalars(about.order_by(DomainEvent.id))]
    estimate = later(60 + 2 * HOUR).isoformat()
    assert found == [
        ("incident.opened", later(60), {"cause": "fibre_cut", "tickets": 2, "ends_at": estimate}),
        ("incident.updated", later(HOUR), {"cause": "fibre_cut", "tickets": 2, "ends_at": None}),
        ("incident.closed", later(2 * HOUR), {"cause": "fibre_cut", "tickets": 2}),
    ]
