import pytest

from tests.factories import NOON, close_ticket, later, make_id, ticket_opened
from ura import tickets
from ura.db import Sessions
from ura.models import Category, TicketEventKind, TicketStatus, Tier
from ura.projection import apply_batch
from ura.tickets import CommentIsEmpty, TicketFilter, TicketNotFound


async def open_one(sessions: Sessions, ticket_id: str = "", **values: object) -> str:
    ticket_id = ticket_id or make_id()
    defaults = {
        "protocol": "263270000017",
        "category": Category.SUPPORT,
        "summary": " Sem sinal ",
        "phone": "+5511987654321",
        "queue": "l1",
        "opened_by": "ana@example.org",
        "now": NOON,
    }
    async with sessions.begin() as session:
        await tickets.open_ticket(session, ticket_id=ticket_id, **{**defaults, **values})
    return ticket_id


async def test_a_ticket_has_a_history_from_its_first_moment(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        assert (ticket.status, ticket.tier, ticket.summary) == (TicketStatus.OPEN, Tier.L1, "Sem sinal")
        history = await tickets.list_events(session, ticket)
        assert [(line.kind, line.actor, line.text) for line in history] == [
            (TicketEventKind.OPENED, "ana@example.org", "Sem sinal")
        ]


async def test_opening_twice_opens_once(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    await open_one(sessions, ticket_id, summary="another text")
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        assert ticket.summary == "Sem sinal"
        assert len(await tickets.list_events(session, ticket)) == 1


async def test_a_record_that_comes_again_does_not_reopen(sessions: Sessions) -> None:
    record = ticket_opened(make_id())
    async with sessions.begin() as session:
        await apply_batch(session, [record, record])
        ticket = await tickets.get_ticket(session, record.data["ticket_id"])
        await close_ticket(session, ticket, at=later(60))
    async with sessions.begin() as session:
        await apply_batch(session, [record])
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, record.data["ticket_id"])
        assert (ticket.status, ticket.closed_at) == (TicketStatus.CLOSED, later(60))
        assert ticket.opened_by == "caller"
        kinds = [line.kind for line in await tickets.list_events(session, ticket)]
        assert kinds == [TicketEventKind.OPENED, TicketEventKind.CLOSED]


async def test_comments_stay_in_order_and_are_taken_once(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    for _ in range(2):
        async with sessions.begin() as session:
            ticket = await tickets.get_ticket(session, ticket_id)
            await tickets.comment(session, ticket, text="liguei", actor="ana", now=later(5), event_id="e" * 32)
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        made = await tickets.comment(session, ticket, text=" de novo ", actor="ana", now=later(6))
        assert made.text == "de novo"
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        assert [line.text for line in await tickets.list_events(session, ticket)] == ["Sem sinal", "liguei", "de novo"]


async def test_an_empty_comment_is_refused(sessions: Sessions) -> None:
    ticket_id = await open_one(sessions)
    async with sessions.begin() as session:
        ticket = await tickets.get_ticket(session, ticket_id)
        with pytest.raises(CommentIsEmpty):
            await tickets.comment(session, ticket, text="  ", actor="ana", now=NOON)


async def test_lists_are_filtered_and_paged(sessions: Sessions) -> None:
    first = await open_one(sessions, now=NOON, category=Category.COMPLAINT)
    second = await open_one(sessions, now=later(60), queue="sales", call_id="c" * 32)
    async with sessions() as session:

        async def ids(**wanted: object) -> list[str]:
            page = await tickets.list_tickets(session, filters=TicketFilter(**wanted))
            return [ticket.id for ticket in page.items]

        assert await ids() == [second, first]
        assert await ids(category=Category.COMPLAINT) == [first]
        assert await ids(queue="sales", call_id="c" * 32) == [second]
        assert await ids(opened_from=later(30)) == [second]
        assert await ids(opened_before=later(30)) == [first]
        assert await ids(status=TicketStatus.CLOSED) == []
        page = await tickets.list_tickets(session, limit=1)
        page = await tickets.list_tickets(session, limit=1, cursor=page.next_cursor)
        assert ([ticket.id for ticket in page.items], page.next_cursor) == ([first], "")


async def test_a_protocol_is_found_by_how_it_begins(sessions: Sessions) -> None:
    numbers = ["263270000017", "263270000025", "263280000016", "269990000013", "270010000014"]
    for number in numbers:
        await open_one(sessions, protocol=number)
    async with sessions() as session:

        async def found(text: str) -> list[str]:
            page = await tickets.list_tickets(session, filters=TicketFilter(protocol=text))
            return sorted(ticket.protocol for ticket in page.items)

        assert await found("26327") == numbers[:2]
        assert await found("263") == numbers[:3]
        assert await found("2699") == numbers[3:4]
        assert await found("26") == numbers[:4]
        assert await found("9") == []
        assert await found("263270000025") == numbers[1:2]
        assert await found("26327000002") == numbers[1:2]


async def test_what_is_due_is_listed_by_its_deadline_and_only_while_it_is_not_closed(sessions: Sessions) -> None:
    ids = [await open_one(sessions, now=later(-minutes)) for minutes in (1, 2, 3, 4)]
    closed_id = await open_one(sessions)
    async with sessions.begin() as session:
        for ticket_id, due in zip(ids, (later(600), later(60), later(1200), None), strict=True):
            (await tickets.get_ticket(session, ticket_id)).due_at = due
        closed = await tickets.get_ticket(session, closed_id)
        closed.due_at = later(30)
        await session.flush()
        await close_ticket(session, closed)
    async with sessions() as session:
        wanted = TicketFilter(due_before=later(900))
        page = await tickets.list_tickets(session, filters=wanted, limit=1)
        then = await tickets.list_tickets(session, filters=wanted, limit=1, cursor=page.next_cursor)
        assert [ticket.id for ticket in (*page.items, *then.items)] == [ids[1], ids[0]]
        assert then.next_cursor == ""


async def test_an_unknown_ticket_is_said_to_be_unknown(sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(TicketNotFound):
            await tickets.get_ticket(session, "nobody")
