"""A Monday of a small provider, from the first call to the evening: a hundred calls, people of all three tiers, one
incident, three missed deadlines. What is there in the evening is known to the last ticket."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from httpx import AsyncClient
from sqlalchemy import func, select

from prosa.demo_house import DemoHouse
from tests.api.conftest import Client
from tests.factories import call_closed, call_opened, call_step, make_record
from tests.scenarios.story import Told, tell
from ura import sla_policies
from ura.db import Sessions
from ura.journal import Record
from ura.models import Call, Callback, DomainEvent, Role, Ticket, TicketEvent
from ura.projection import apply_batch
from ura.settings import Settings
from worker.escalation import Escalation

ZONE = ZoneInfo("America/Sao_Paulo")
MONDAY = datetime(2026, 11, 23, tzinfo=ZONE)
TICKETS, INCIDENTS = "/api/v1/tickets", "/api/v1/incidents"
Clock = time_machine.Traveller


@dataclass(frozen=True)
class Callers:
    """So many people who press the same keys from `at` on, a minute apart; each has a number of their own."""

    at: time
    keys: str
    many: int
    ends: str  # how the flow's part ends; "queue": an attendant takes it
    opens: str = ""  # category of the ticket that the call opens


MORNING = (
    Callers(time(8, 5), "x", 20, "abandoned"),
    Callers(time(8, 5), "3,4,3,0", 25, "done"),
    Callers(time(8, 5), "4,1,2", 30, "done", "complaint"),
    Callers(time(8, 5), "4,9", 20, "queue"),
    Callers(time(8, 5), "5,1", 5, "queue", "cancellation"),
)


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(MONDAY.replace(hour=8), tick=False) as traveller:
        yield traveller


def until(clock: Clock, hour: int, minute: int = 0) -> None:
    moment = MONDAY.replace(hour=hour, minute=minute)
    assert moment > datetime.now(UTC), "a day goes forward"
    clock.move_to(moment)


# -- the calls


async def rings(sessions: Sessions, settings: Settings, folder: Path, group: int, callers: Callers) -> list[Told]:
    """Each as the telephone tells it: opened, what it did while it was on, its steps, its end."""
    told = []
    for number in range(callers.many):
        at = datetime.combine(MONDAY, callers.at, ZONE) + timedelta(minutes=number)
        call_id, caller = f"{group:016x}{number:016x}", f"+55119{group:02}{number:06}"
        opened = call_opened(call_id, at=at.astimezone(UTC), caller=caller)
        async with sessions.begin() as session:
            await apply_batch(session, [opened])
        one = await tell(
            callers.keys,
            folder / call_id,
            now=at.replace(tzinfo=None),
            caller=caller,
            call_id=call_id,
            protocol=opened.data["protocol"],
            house=DemoHouse(sessions, settings, at),
        )
        over = (at + timedelta(seconds=50)).astimezone(UTC)
        steps = [
            call_step(call_id, place, node=node, event=event, detail=detail, at=at.astimezone(UTC))
            for place, (node, event, detail) in enumerate(one.path.steps, 1)
        ]
        async with sessions.begin() as session:
            await apply_batch(session, [*steps, *_end(call_id, one, over)])
        told.append(one)
    return told


def _end(call_id: str, told: Told, at: datetime) -> list[Record]:
    """Who came to a queue is spoken with; Asterisk's events tell so."""
    if told.outcome != "queue":
        return [call_closed(call_id, told.outcome, at=at)]
    queued = make_record("call_queued", call_id=call_id, queue=told.queues[-1], at=at)
    answered = make_record("call_answered", call_id=call_id, attendant="101", at=at)
    return [queued, answered, call_closed(call_id, "done", at=at + timedelta(minutes=4), by="ami")]


# -- the people


async def opens(client: AsyncClient, number: int, summary: str = "Sem sinal") -> str:
    """Where the ticket is."""
    new = {"category": "support", "summary": summary, "phone": f"1193333{number:04}"}
    answer = await client.post(TICKETS, json=new)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


async def moves(client: AsyncClient, here: str, kind: str, **more: Any) -> dict[str, Any]:
    answer = await client.post(f"{here}/moves", json={"type": kind, **more})
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(client: AsyncClient, here: str, kind: str, **more: Any) -> str:
    answer = await client.post(f"{here}/moves", json={"type": kind, **more})
    assert answer.status_code in (403, 409, 422), answer.text
    return str(answer.json()["code"])


async def through_the_tiers(l1: AsyncClient, l2: AsyncClient, l3: AsyncClient, here: str) -> None:
    """Reported and promised, tried from afar, mended in the network, told to the customer."""
    promised = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    assert await refused(l1, here, "to_l2", report="LOS vermelha") == "deadline-not-told"
    await moves(l1, here, "to_l2", report="LOS vermelha", told_deadline_at=promised)
    await moves(l2, here, "take")
    await moves(l2, here, "try", text="Porta reiniciada, sem efeito")
    await moves(l2, here, "to_l3", reason="Toda a PON oscila")
    assert (await l3.get(here)).json()["phone"] == ""
    await moves(l3, here, "back_to_l2", finding="SFP trocado")
    await moves(l2, here, "try", text="Sinal em -19 dBm")
    await moves(l2, here, "back_to_l1", tell="A conexão voltou")
    await moves(l1, here, "close", text="Cliente avisado")


async def one_cause(clock: Clock, l1: AsyncClient, l3: AsyncClient, theirs: Sequence[str]) -> None:
    """A cable is cut, six tickets are one, and one of the six says afterwards that it is not over."""
    cause = {"cause": "fibre_cut", "touches": [{"cto": "CTO-7"}], "text": "Um cabo foi rompido."}
    answer = await l3.post(INCIDENTS, json=cause | {"ends_at": MONDAY.replace(hour=13).isoformat()})
    assert answer.status_code == 201, answer.text
    here = answer.headers["location"]
    for ticket in theirs:
        put_in = await l3.post(f"{here}/tickets", json={"ticket_id": ticket.rpartition("/")[2]})
        assert put_in.status_code in (200, 201), put_in.text
    until(clock, 11, 30)
    assert (await l3.post(f"{here}/updates", json={"text": "A equipe chegou."})).status_code == 201
    until(clock, 12)
    closed = (await l3.post(f"{here}/close", json={"text": "Cabo emendado."})).json()
    assert (closed["tickets"], closed["closed"]) == (0, len(theirs))
    until(clock, 12, 10)
    complaint = await l1.post(f"{here}/complaints", json={"ticket_id": theirs[0].rpartition("/")[2],
                                                          "phone": "11933330001", "text": "Luz vermelha."})  # fmt: skip
    assert complaint.status_code in (200, 201), complaint.text


# -- the evening


async def counted(sessions: Sessions, *columns: Any) -> dict[Any, int]:
    async with sessions() as session:
        rows = await session.execute(select(*columns, func.count()).group_by(*columns))
        return {key[0] if len(key) == 1 else tuple(key): many for *key, many in rows}


async def test_a_day_ends_as_it_must(
    person: Client, sessions: Sessions, settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    async with sessions.begin() as session:
        await sla_policies.install_shipped(session)
    escalation = Escalation(sessions)

    for group, callers in enumerate(MORNING, 1):
        for told in await rings(sessions, settings, tmp_path, group, callers):
            assert (told.outcome, [one["category"] for one in told.stored("ticket_opened")]) == (
                callers.ends,
                [callers.opens] if callers.opens else [],
            ), callers
    assert sum(callers.many for callers in MORNING) == 100

    until(clock, 8, 40)
    async with person(Role.ATTENDANT) as l1, person(Role.TECHNICIAN) as l2, person(Role.NETWORK) as l3:
        quick = {"title": "Suporte no N1", "tier": "l1", "category": "support", "hours": 2, "counted_by": "always"}
        async with person(Role.ADMIN) as admin:
            assert (await admin.put("/api/v1/sla-policies/dia", json=quick)).status_code == 200
        listed = (await l1.get(TICKETS, params={"category": "cancellation", "limit": 50})).json()["items"]
        for ticket in listed:
            await moves(l1, f"{TICKETS}/{ticket['id']}", "close", text="Cancelado, comprovante enviado.")
        until(clock, 10, 30)
        theirs = [await opens(l1, number) for number in range(6)]
        forgotten = [await opens(l1, number) for number in range(6, 9)]
        await through_the_tiers(l1, l2, l3, await opens(l1, 9))
        at_l2 = await opens(l1, 10)
        promised = MONDAY.replace(hour=16).isoformat()
        await moves(l1, at_l2, "to_l2", report="Sinal fraco", told_deadline_at=promised)
        until(clock, 11)
        await one_cause(clock, l1, l3, theirs)
        until(clock, 12, 31)
        for _ in range(2):
            await escalation.step()
        late = [(await l1.get(f"{here}/deadline")).json() for here in forgotten]
        assert all(one["breached_at"] and one["priority"] == 1 for one in late)

        today = {"first": "2026-11-23", "last": "2026-11-23", "flow_key": "provedor"}
        async with person(Role.SUPERVISOR) as boss:
            report = (await boss.get("/api/v1/reports/flow", params=today)).json()

    assert await counted(sessions, Ticket.category, Ticket.tier, Ticket.status) == {
        ("complaint", "l1", "open"): 30,
        ("cancellation", "l1", "closed"): 5,
        ("support", "l1", "closed"): 6,  # five of the incident, and the one that went through the tiers
        ("support", "l1", "open"): 4,  # the three forgotten, and the one that still does not work
        ("support", "l2", "open"): 1,
    }
    assert await counted(sessions, Call.outcome, Call.attendant) == {
        ("abandoned", ""): 20,
        ("done", ""): 55,
        ("done", "101"): 25,
    }
    assert await counted(sessions, TicketEvent.kind) == {
        "opened": 46,
        "assigned": 1,
        "moved": 5,
        "tried": 2,
        "incident": 12,  # six put into it, and the news on each
        "breached": 3,
        "closed": 12,
        "reopened": 1,
    }
    assert await counted(sessions, Callback.state) == {"waiting": 1}  # who says that it still does not work
    assert await counted(sessions, DomainEvent.kind) == {
        "call.opened": 100,
        "call.queued": 25,
        "call.answered": 25,
        "call.ended": 100,
        "callback.requested": 1,
        "incident.opened": 1,
        "incident.updated": 1,
        "incident.closed": 1,
        "outage.opened": 1,
        "outage.changed": 1,
        "outage.closed": 1,
        "ticket.opened": 46,
        "ticket.assigned": 1,
        "ticket.moved": 5,
        "ticket.tried": 2,
        "ticket.incident": 12,
        "ticket.breached": 3,
        "ticket.closed": 12,
        "ticket.reopened": 1,
    }
    assert {name: report[name] for name in ("calls", "done", "abandoned", "queued")} == {
        "calls": 100,
        "done": 80,
        "abandoned": 20,
        "queued": 25,
    }
    nodes = {node["node"]: (node["calls"], node["hung_up"], node["keys"]) for node in report["nodes"]}
    assert nodes["main"] == (100, 20, {"3": 25, "4": 50, "5": 5})
    assert nodes["complaint"] == (50, 0, {"1": 30, "9": 20})
    assert nodes["complaint_registered"] == (30, 0, {})
