"""A short day on the real thing, on both databases: a hundred calls by SIP, people of all three tiers through the API,
one incident, three missed deadlines. tests/api/test_a_day.py has a long one, with its hours."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from prosa import setup
from prosa.caller import Caller
from prosa.run import Steps
from tests.conftest import run_apart
from tests.live.conftest import Database, House, eventually, register, start_house, stop_house
from tests.live.drills.crowd import Crowd
from tests.live.drills.postgres import Postgres
from tests.live.drills.tools import LANDLINE, no_channels
from ura.models import Call, Callback, Lead, Queue, Role, Ticket, TicketEvent
from ura.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

TICKETS, INCIDENTS, REPORT = "/api/v1/tickets", "/api/v1/incidents", "/api/v1/reports/flow"
PASSWORD = "a-day-of-its-own"
PEOPLE = (Role.ATTENDANT, Role.TECHNICIAN, Role.NETWORK, Role.SUPERVISOR, Role.ADMIN)
ATTENDANT = "101"
DUE_H = 2 / 3600  # in two seconds


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Its attendants work day and night."""
    server = Postgres() if request.param == "postgresql" else None
    more: dict[str, Any] = {"queue_wrap_up_s": 0}
    try:
        if server:
            server.start()
            server.create("prosa")
            more["database_url"] = f"postgresql+psycopg://prosa@127.0.0.1:{server.port}/prosa"
        run_apart(_furnish(Settings(state_dir=tmp_path / "state", **more)))
        house = start_house(tmp_path / "state", rtp_first_port=43000, rtp_last_port=43999, **more)
        try:
            yield house
        finally:
            stop_house(house)
    finally:
        if server:
            server.remove()


async def _furnish(settings: Settings) -> None:
    await setup.prepare(settings, Steps(print).step)
    for role in PEOPLE:
        await setup.add_user(settings, email=f"{role}@day.test", role=role, name=role, password=PASSWORD)
    async with Database(settings.db_url) as session:
        await session.execute(update(Queue).values(business_hours=""))
        await session.commit()


# -- the calls


@dataclass(frozen=True)
class Callers:
    """So many with numbers from `first` on, who press the same keys. `hang_up_s`: after so long; None: we end it."""

    first: int
    calls: int
    keys: Sequence[tuple[float, str]]
    hang_up_s: float | None = None
    per_second: float = 2


LONGEST_S = 60
CALLERS = (
    Callers(5511961000000, 20, (), hang_up_s=6),  # the menu is enough for them
    Callers(5511962000000, 25, ((1.5, "1"), (4, "1"), (7, "1"), (10, "1"), (14, "1")), hang_up_s=20),  # hear of plans
    Callers(5511963000000, 40, ((2, "4"), (5, "1"), (9, "2"))),  # complain, and hear their protocol
    Callers(5511964000000, 15, ((2, "9"),), per_second=0.5),  # want a person, and get one
)


async def answer_all(phone: Caller, answered: list[str]) -> None:
    while True:
        call = await phone.incoming(120)
        call.answer()
        await call.answered()
        answered.append(call.remote)
        await call.hang_up()


async def a_hundred_calls(house: House, folder: Path) -> None:
    answered: list[str] = []
    async with AsyncExitStack() as stack:
        phone = await stack.enter_async_context(house.caller())
        await register(house, phone, ATTENDANT)
        desk = asyncio.create_task(answer_all(phone, answered))
        crowds = []
        for group in CALLERS:
            crowd = Crowd(folder / str(group.first), house.settings.sip_port, first_number=group.first)
            await stack.enter_async_context(crowd)
            crowd.dial(
                LANDLINE,
                group.keys,
                group.hang_up_s or LONGEST_S,
                calls=group.calls,
                per_second=group.per_second,
                at_once=group.calls,
                until_ended=group.hang_up_s is None,
            )
            crowds.append(crowd)
        for crowd in crowds:
            assert (await crowd.ended(120)).failed == 0, crowd.complaints()
        desk.cancel()
    assert len(answered) == 15
    await no_channels(house)


# -- the people


@asynccontextmanager
async def person(house: House, role: Role) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has logged in with a browser."""
    address = f"http://{house.settings.http_host}:{house.settings.http_port}"
    async with httpx.AsyncClient(base_url=address, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        answer = await client.post("/panel/login", data={"email": f"{role}@day.test", "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client


async def done(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    answer = await client.post(path, json=body)
    assert answer.status_code in (200, 201), answer.text
    return answer


async def opens(client: httpx.AsyncClient, category: str, number: int) -> str:
    """Where the ticket is."""
    about = {"category": category, "summary": "Sem sinal", "phone": f"1193333{number:04}"}
    return str((await done(client, TICKETS, **about)).headers["location"])


async def through_the_tiers(l1: httpx.AsyncClient, l2: httpx.AsyncClient, l3: httpx.AsyncClient) -> None:
    here = await opens(l1, "support", 1)
    moves = f"{here}/moves"
    refused = await l1.post(moves, json={"type": "to_l2", "report": "LOS vermelha"})
    assert refused.json()["code"] == "deadline-not-told"
    promised = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    await done(l1, moves, type="to_l2", report="LOS vermelha", told_deadline_at=promised)
    await done(l2, moves, type="take")
    await done(l2, moves, type="try", text="Porta reiniciada, sem efeito")
    await done(l2, moves, type="to_l3", reason="Toda a PON oscila")
    assert (await l3.get(here)).json()["phone"] == ""
    await done(l3, moves, type="back_to_l2", finding="SFP trocado")
    await done(l2, moves, type="back_to_l1", tell="A conexão voltou")
    await done(l1, moves, type="close", text="Cliente avisado")


async def one_cause(l1: httpx.AsyncClient, l3: httpx.AsyncClient) -> None:
    """Six tickets are one, and of one the caller says afterwards that it is not over."""
    theirs = [await opens(l1, "support", number) for number in range(10, 16)]
    ends_at = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    cause = {"cause": "fibre_cut", "touches": [{"cto": "CTO-7"}], "text": "Um cabo foi rompido.", "ends_at": ends_at}
    here = (await done(l3, INCIDENTS, **cause)).headers["location"]
    for ticket in theirs:
        await done(l3, f"{here}/tickets", ticket_id=ticket.rpartition("/")[2])
    await done(l3, f"{here}/updates", text="A equipe chegou.")
    closed = (await done(l3, f"{here}/close", text="Cabo emendado.")).json()
    assert (closed["tickets"], closed["closed"]) == (0, 6)
    complaint = {"ticket_id": theirs[0].rpartition("/")[2], "phone": "11933330010", "text": "Luz vermelha."}
    await done(l1, f"{here}/complaints", **complaint)


# -- the evening


async def counted(house: House, *columns: Any, since: datetime) -> dict[Any, int]:
    """Of the tickets of today; the demo provider has one of last week."""
    query = select(*columns, func.count()).group_by(*columns).select_from(Ticket).where(Ticket.opened_at >= since)
    if columns[0].class_ is TicketEvent:
        query = query.join(TicketEvent, TicketEvent.ticket_id == Ticket.id)
    async with house.sessions() as session:
        return {tuple(map(str, key)): many for *key, many in await session.execute(query)}


async def of_calls(house: House, *columns: Any) -> dict[Any, int]:
    async with house.sessions() as session:
        rows = await session.execute(select(*columns, func.count()).group_by(*columns))
        return {tuple(map(str, key)): many for *key, many in rows}


async def test_a_day_of_real_calls_ends_as_it_must(house: House, tmp_path: Path) -> None:
    began, zone = datetime.now(UTC), house.settings.zone
    async with (
        person(house, Role.ATTENDANT) as l1,
        person(house, Role.TECHNICIAN) as l2,
        person(house, Role.NETWORK) as l3,
        person(house, Role.SUPERVISOR) as boss,
    ):
        quick = {"title": "Cobrança no N1", "tier": "l1", "category": "billing", "hours": DUE_H, "counted_by": "always"}
        async with person(house, Role.ADMIN) as admin:
            assert (await admin.put("/api/v1/sla-policies/day", json=quick)).status_code == 200
        forgotten = [await opens(l1, "billing", number) for number in range(20, 23)]
        await asyncio.gather(through_the_tiers(l1, l2, l3), one_cause(l1, l3), a_hundred_calls(house, tmp_path))

        async def recorded() -> bool:
            async with house.sessions() as session:
                return await session.scalar(select(func.count()).where(Call.ended_at.is_not(None))) == 100

        await eventually(recorded, 30)

        async def breached() -> bool:
            late = [(await l1.get(f"{here}/deadline")).json() for here in forgotten]
            return all(one["breached_at"] and one["priority"] == 1 for one in late)

        await eventually(breached, 75)  # it is looked at each minute
        days = {"first": began.astimezone(zone).date().isoformat(), "last": datetime.now(zone).date().isoformat()}
        report = (await boss.get(REPORT, params={**days, "flow_key": "provedor"})).json()

    assert await counted(house, Ticket.category, Ticket.tier, Ticket.status, since=began) == {
        ("complaint", "l1", "open"): 40,
        ("billing", "l1", "open"): 3,
        ("support", "l1", "closed"): 6,  # five of the incident, and the one that went through the tiers
        ("support", "l1", "open"): 1,  # the one that still does not work
    }
    assert await counted(house, TicketEvent.kind, since=began) == {
        ("opened",): 50,
        ("assigned",): 1,
        ("moved",): 4,
        ("tried",): 1,
        ("incident",): 12,  # six put into it, and the news on each
        ("breached",): 3,
        ("closed",): 7,
        ("reopened",): 1,
    }
    assert await of_calls(house, Call.outcome, Call.attendant) == {
        ("abandoned", ""): 45,
        ("done", ""): 40,
        ("queue", "101"): 15,
    }
    assert await of_calls(house, Lead.status) == {("abandoned",): 25}
    assert await of_calls(house, Callback.state) == {("waiting",): 1}  # who says that it still does not work
    assert {name: report[name] for name in ("calls", "done", "abandoned", "queued")} == {
        "calls": 100,
        "done": 40,
        "abandoned": 45,
        "queued": 15,
    }
    nodes = {node["node"]: (node["calls"], node["hung_up"], node["keys"]) for node in report["nodes"]}
    assert nodes["main"] == (20, 20, {})  # the others pressed their key in the greeting
    assert nodes["plans"] == (25, 25, {})
    assert nodes["complaint_registered"] == (40, 0, {})
    assert nodes["person_queue"] == (15, 0, {})
