"""The panel's list of tickets: what the filters find, how many there are, and whose saved filters are whose."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.live import ALL, BELL_EVERY_S, Figures, Hint, Message, PageBell
from tests.api.conftest import Client
from tests.factories import make_id
from ura import ticket_clock, tickets, users
from ura.db import Sessions
from ura.models import Role, Ticket, TicketStatus, Tier
from ura.ticket_clock import DeadlineState

PAGE = "/panel/tickets"
NOW = datetime.now(UTC)


async def open_one(sessions: Sessions, summary: str, **more: Any) -> str:
    """`more`: columns of the row as they are after opening."""
    ticket_id = make_id()
    async with sessions.begin() as session:
        ticket = await tickets.open_ticket(
            session,
            ticket_id=ticket_id,
            protocol=more.pop("protocol", "263270000017"),
            category=more.pop("category", "support"),
            summary=summary,
            phone="+5511933330002",
            queue="l1",
            opened_by="ana",
            now=NOW,
        )
        for name, value in more.items():
            setattr(ticket, name, value)
    return ticket_id


async def test_the_list_has_what_the_filters_ask_for_and_figures_lead_there(person: Client, sessions: Sessions) -> None:
    await open_one(sessions, "Sem sinal", due_at=NOW - timedelta(hours=1))
    await open_one(sessions, "Lenta", tier=Tier.L2, protocol="263280000019", due_at=NOW + timedelta(hours=2))
    await open_one(sessions, "Cobrada duas vezes", category="billing", status=TicketStatus.WAITING, due_at=None)
    async with person(Role.ATTENDANT) as client:
        async with sessions.begin() as session:
            me = await users.get_user(session, email="attendant@provedor.test")
        await open_one(sessions, "Mudar de quarto", assignee_id=me.id, due_at=None)

        async def found(**asked: str) -> set[str]:
            page = (await client.get(PAGE, params=asked)).text
            return {word for word in ("Sem sinal", "Lenta", "Cobrada duas vezes", "Mudar de quarto") if word in page}

        assert len(await found()) == 4
        assert await found(tier="l2", status="", category="") == {"Lenta"}
        assert await found(status="waiting") == await found(category="billing") == {"Cobrada duas vezes"}
        assert await found(due="missed") == {"Sem sinal"}
        assert await found(due="soon") == {"Sem sinal", "Lenta"}
        assert await found(mine="1") == {"Mudar de quarto"}
        assert await found(q="263 28") == {"Lenta"}
        assert await found(q="(11) 93333-0002", tier="l2") == {"Lenta"}
        assert await found(q="(11) 94444-0002") == set()
        assert (await client.get(PAGE, params={"tier": "l9"})).status_code == 422
        assert (await client.get(PAGE, params={"q": "263"})).status_code == 422
        page = (await client.get(PAGE)).text
    for query, many in {
        "tier=l1&amp;status=open": 2,
        "tier=l2&amp;status=open": 1,
        "tier=l1&amp;status=waiting": 1,
        "tier=l3&amp;status=open": 0,
        "due=missed": 1,
        "mine=1&amp;status=open": 1,
    }.items():
        figure = page.split(f'href="/panel/tickets?{query}"', 1)[1].split("</a>", 1)[0]
        assert f'<span class="figure-n">{many}</span>' in figure, query


async def test_no_number_is_shown_or_found_out_by_who_may_not_see_it(person: Client, sessions: Sessions) -> None:
    await open_one(sessions, "Ligar para (11) 93333-0002")
    for role in (Role.TECHNICIAN, Role.NETWORK, Role.OWNER):
        async with person(role) as client:
            page = await client.get(PAGE)
            assert "Ligar para ******0002" in page.text, role
            assert "93333" not in page.text, role
            searched = await client.get(PAGE, params={"q": "11933330002"})
            assert "Nenhum chamado com este filtro." in searched.text, role


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_next_page_goes_on_with_the_filter(person: Client, sessions: Sessions) -> None:
    for number in range(51):
        await open_one(sessions, f"Chamado {number}.", opened_at=NOW - timedelta(minutes=number))
    async with person(Role.ATTENDANT) as client:
        first = (await client.get(PAGE, params={"status": "open"})).text
        assert "Chamado 49." in first
        assert "Chamado 50." not in first
        more = first.split('class="btn" href="')[-1].split('"', 1)[0].replace("&amp;", "&")
        assert "status=open" in more
        second = (await client.get(more)).text
    assert "Chamado 50." in second
    assert "Chamado 49." not in second


async def test_a_saved_filter_is_its_owners_alone_and_keeps_nothing_that_was_searched_for(
    person: Client, program: Client
) -> None:
    wanted = {"name": "Lentos no N2", "tier": "l2", "due": "missed", "status": "", "q": "11933330002"}
    async with person(Role.ATTENDANT) as client, person(Role.TECHNICIAN) as other:
        saved = await client.post(f"{PAGE}/filters", data=wanted)
        assert (saved.status_code, saved.headers["location"]) == (303, f"{PAGE}?tier=l2&due=missed")
        page = (await client.get(saved.headers["location"])).text
        assert '<a class="btn btn-sm" href="/panel/tickets?tier=l2&amp;due=missed" aria-current="true">' in page
        assert "93333" not in page
        assert "Lentos no N2" not in (await other.get(PAGE)).text
        await other.post(f"{PAGE}/filters/remove", data={"name": "Lentos no N2"})
        await client.post(f"{PAGE}/filters", data={"name": "Lentos no N2", "tier": "l3"})
        page = (await client.get(PAGE)).text
        assert "/panel/tickets?tier=l3" in page.split('class="saved"')[1].split("</ul>")[0]
        assert (await client.post(f"{PAGE}/filters", data={"name": " ", "tier": "l3"})).status_code == 422
        assert (await client.post(f"{PAGE}/filters", data={"name": "x", "tier": "l9"})).status_code == 422
        await client.post(f"{PAGE}/filters/remove", data={"name": "Lentos no N2"})
        assert "Lentos no N2" not in (await client.get(PAGE)).text
        for number in range(21):
            last = await client.post(f"{PAGE}/filters", data={"name": f"filtro {number}", "tier": "l1"})
        assert last.status_code == 409
    async with program() as machine:
        assert (await machine.post(f"{PAGE}/filters", data=wanted)).status_code == 422


def test_a_page_is_told_at_once_but_once_a_second_and_nothing_is_lost() -> None:
    clock = [100.0]
    mine, every = PageBell("tickets", "a", clock=lambda: clock[0]), PageBell("tickets", ALL, clock=lambda: clock[0])
    board = PageBell("outages", ALL, clock=lambda: clock[0])

    def told(*ids: str) -> Message:
        return Message("1-1", (), Figures(), 0, {"tickets": frozenset(ids)})

    assert (mine.rings(told("b")), every.rings(told("b"))) == (False, True)
    assert (mine.rings(told()), every.rings(told())) == (False, False)
    assert (mine.rings(told("a", "b")), every.rings(told("a"))) == (True, False)
    assert every.rings(Hint.QUIET) is False
    clock[0] += BELL_EVERY_S
    assert (mine.rings(Hint.QUIET), every.rings(Hint.QUIET)) == (False, True)
    assert every.rings(Hint.QUIET) is False
    assert board.rings(told("a")) is False
    assert board.rings(Message("1-2", (), Figures(), 0, {"outages": frozenset("o")})) is True


def test_the_state_of_a_deadline_is_read_off_the_ticket() -> None:
    def state(**row: Any) -> DeadlineState:
        blank = {"status": TicketStatus.OPEN, "due_at": None, "warn_at": None, "closed_at": None}
        return ticket_clock.state_of(Ticket(**{**blank, **row}), NOW)

    hour = timedelta(hours=1)
    assert state() is DeadlineState.NONE
    assert state(status=TicketStatus.WAITING) is DeadlineState.PAUSED
    assert state(due_at=NOW + hour, warn_at=NOW + hour / 2) is DeadlineState.OK
    assert state(due_at=NOW + hour, warn_at=NOW) is DeadlineState.NEAR
    assert state(due_at=NOW) is DeadlineState.MISSED
    closed = {"status": TicketStatus.CLOSED, "due_at": NOW - hour}
    assert state(**closed, closed_at=NOW - 2 * hour) is DeadlineState.OK
    assert state(**closed, closed_at=NOW) is DeadlineState.MISSED
