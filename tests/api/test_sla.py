"""Policies of deadlines and the explanation of one, through the API."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy import select

from tests.api.conftest import Client
from ura import sla_policies
from ura.db import Sessions
from ura.models import AuditEntry, Role, Ticket

POLICIES, TICKETS = "/api/v1/sla-policies", "/api/v1/tickets"
BUSINESS = {"title": "Empresas", "segment": "business", "category": "support", "tier": "l1", "hours": 2,
            "counted_by": "always", "warn_hours": 1}  # fmt: skip


@pytest.fixture
async def boss(program: Client, sessions: Sessions) -> AsyncIterator[AsyncClient]:
    async with sessions.begin() as session:
        await sla_policies.install_shipped(session)
    async with program("tickets:read", "tickets:write", "tickets:setup", "tickets:l1") as client:
        yield client


async def test_a_policy_is_set_holds_for_the_next_ticket_and_is_removed(boss: AsyncClient, sessions: Sessions) -> None:
    saved = await boss.put(f"{POLICIES}/empresas", json=BUSINESS)
    assert saved.status_code == 200, saved.text
    expected = {"key": "empresas", "timetable": "", "warn_percent": None, "pausable": True, **BUSINESS}
    assert saved.json() == expected
    assert expected in (await boss.get(POLICIES)).json()
    new = {"category": "support", "summary": "Sem sinal", "segment": "business"}
    ticket = (await boss.post(TICKETS, json=new)).json()
    opened, due = (datetime.fromisoformat(ticket[name]) for name in ("opened_at", "due_at"))
    assert due - opened == timedelta(hours=2)
    assert (await boss.delete(f"{POLICIES}/empresas")).json() == expected
    assert (await boss.delete(f"{POLICIES}/empresas")).status_code == 404
    async with sessions() as session:
        noted = await session.scalars(select(AuditEntry.action).where(AuditEntry.subject == "empresas"))
        assert list(noted) == ["sla-policy.set", "sla-policy.remove"]


async def test_what_was_changed_here_holds_for_the_very_next_ticket(boss: AsyncClient) -> None:
    """Whatever the one before it had read."""
    new = {"category": "support", "summary": "Sem sinal", "segment": "business"}

    async def hours() -> float:
        ticket = (await boss.post(TICKETS, json=new)).json()
        opened, due = (datetime.fromisoformat(ticket[name]) for name in ("opened_at", "due_at"))
        return (due - opened) / timedelta(hours=1)

    assert await hours() == 8
    for wanted in (2, 3):
        assert (await boss.put(f"{POLICIES}/empresas", json=BUSINESS | {"hours": wanted})).status_code == 200
        assert await hours() == wanted
    closed = {"title": "Suporte", "active": True, "form": [], "queue": "l2"}
    assert (await boss.put("/api/v1/ticket-categories/support", json=closed)).status_code == 200
    assert (await boss.post(TICKETS, json=new)).json()["queue"] == "l2"


async def test_of_two_that_would_tie_and_are_saved_at_once_one_is_refused(boss: AsyncClient) -> None:
    one, other = BUSINESS | {"category": ""}, BUSINESS | {"tier": ""}
    places = ((f"{POLICIES}/uma", one), (f"{POLICIES}/outra", other))
    answers = await asyncio.gather(*(boss.put(place, json=policy) for place, policy in places))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_a_deadline_is_explained_interval_by_interval(boss: AsyncClient, sessions: Sessions) -> None:
    await boss.put(f"{POLICIES}/empresas", json=BUSINESS)
    new = {"category": "support", "summary": "Sem sinal", "segment": "business"}
    ticket = (await boss.post(TICKETS, json=new)).json()
    found = (await boss.get(f"{TICKETS}/{ticket['id']}/deadline")).json()
    assert (found["due_at"], found["breached_at"], found["priority"]) == (ticket["due_at"], None, 0)
    [clock] = found["clocks"]
    assert (clock["by"], clock["policy"], clock["hours"]) == ("policy", "empresas", 2)
    line = {"from_at": ticket["opened_at"], "to_at": ticket["due_at"], "why": "counted", "name": ""}
    assert clock["intervals"] == [line]
    waiting = await boss.post(f"{TICKETS}/{ticket['id']}/moves", json={"type": "wait", "reason": "weather"})
    assert waiting.status_code in (200, 201), waiting.text
    found = (await boss.get(f"{TICKETS}/{ticket['id']}/deadline")).json()
    assert (found["due_at"], found["clocks"][0]["due_at"]) == (None, None)
    last = found["clocks"][0]["intervals"][-1]
    assert (last["why"], last["name"]) == ("paused", "weather")
    assert (await boss.get(f"{TICKETS}/{'0' * 32}/deadline")).status_code == 404


async def test_of_a_complaint_the_law_is_told_beside_the_policy(boss: AsyncClient) -> None:
    ticket = (await boss.post(TICKETS, json={"category": "complaint", "summary": "Cobrança"})).json()
    clocks = (await boss.get(f"{TICKETS}/{ticket['id']}/deadline")).json()["clocks"]
    assert [(clock["by"], clock["hours"]) for clock in clocks] == [("policy", 168), ("law", 168)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_opens_a_ticket_at_l2_has_told_no_later_moment_than_its_deadline(boss: AsyncClient) -> None:
    await boss.put("/api/v1/ticket-categories/rota", json={"title": "Rota", "first_tier": "l2"})
    await boss.put(f"{POLICIES}/rota", json=BUSINESS | {"tier": "l2", "category": "rota", "segment": ""})
    new = {"category": "rota", "summary": "Sem rota", "report": "Sem rota desde ontem"}
    told = [(datetime.now(UTC) + timedelta(hours=hours)).isoformat() for hours in (1, 3)]
    answers = [await boss.post(TICKETS, json=new | {"told_deadline_at": each}) for each in told]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "deadline-too-late"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("key", "changes", "status", "code"),
    [
        ("lenta", {"category": "complaint", "hours": 200}, 409, "sla-policy-against-the-law"),
        ("lenta", {"category": "cancellation", "hours": 1}, 409, "sla-policy-against-the-law"),
        ("igual", {"segment": "", "category": "", "tier": "l2"}, 409, "sla-policy-tie"),
        ("x", {"counted_by": "timetable", "timetable": "lua"}, 404, "timetable-not-found"),
        ("x", {"warn_hours": 3}, 422, "bad-input"),
        ("x", {"tier": "l9"}, 422, "invalid-request"),
        ("x", {"hours": -1}, 422, "invalid-request"),
    ],
)
async def test_a_policy_that_cannot_be_is_refused_and_why(
    boss: AsyncClient, key: str, changes: dict[str, object], status: int, code: str
) -> None:
    answer = await boss.put(f"{POLICIES}/{key}", json=BUSINESS | changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if code == "sla-policy-against-the-law":
        assert "11.034" in answer.json()["detail"]
    assert len((await boss.get(POLICIES)).json()) == 10


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_general_policy_stays_and_attendants_set_none(
    boss: AsyncClient, person: Client, sessions: Sessions
) -> None:
    assert (await boss.delete(f"{POLICIES}/geral")).json()["code"] == "sla-policy-is-needed"
    async with person(Role.ATTENDANT) as ana:
        assert (await ana.get(POLICIES)).status_code == 200
        assert (await ana.put(f"{POLICIES}/x", json=BUSINESS)).status_code == 403
        assert (await ana.delete(f"{POLICIES}/l1")).status_code == 403
    async with sessions() as session:
        assert list(await session.scalars(select(Ticket.id))) == []
