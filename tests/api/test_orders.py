"""Visits through the API: who makes them, free slots, booking at the same moment, and what came of each."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import select, update

from tests.api.conftest import Client
from ura import timetables
from ura.db import Sessions
from ura.models import AuditEntry, ErpRequest, Role, Visit
from ura.queues import Span
from ura.settings import Settings

ORDERS, TICKETS = "/api/v1/orders", "/api/v1/tickets"
TECHNICIAN = "technician@provedor.test"
DAY_AND_NIGHT = [Span(weekday, time(0), time(0)) for weekday in range(7)]


@pytest.fixture
async def boss(person: Client, sessions: Sessions) -> AsyncIterator[AsyncClient]:
    """A supervisor, and a technician who visits at all hours: no day of the year changes what is tested."""
    async with sessions.begin() as session:
        await timetables.set_hours(session, "sempre", DAY_AND_NIGHT)
    async with person(Role.SUPERVISOR) as client, person(Role.TECHNICIAN):
        answer = await client.put(f"/api/v1/technicians/{TECHNICIAN}", json={"timetable": "sempre"})
        assert answer.status_code == 200, answer.text
        yield client


async def at_l2(client: AsyncClient, **more: Any) -> str:
    new = {"category": "support", "summary": "Sem sinal", "phone": "11933330002", **more}
    ticket_id = (await client.post(TICKETS, json=new)).json()["id"]
    told = (datetime.now(UTC) + timedelta(hours=8)).isoformat()
    body = {"type": "to_l2", "report": "LOS", "told_deadline_at": told}
    assert (await client.post(f"{TICKETS}/{ticket_id}/moves", json=body)).status_code == 200
    return str(ticket_id)


async def slots(client: AsyncClient, **params: Any) -> list[str]:
    """Of the days that follow a week on: none is a holiday of the whole week."""
    begins = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    answer = await client.get(f"{ORDERS}/slots", params={"from": begins, **params})
    assert answer.status_code == 200, answer.text
    return [each["starts_at"] for each in answer.json()]


async def move(client: AsyncClient, order_id: str, kind: str, **more: Any) -> dict[str, Any]:
    headers = more.pop("headers", {})
    answer = await client.post(f"{ORDERS}/{order_id}/moves", json={"type": kind, **more}, headers=headers)
    return {"status_code": answer.status_code, **answer.json()}


async def test_a_visit_from_its_slot_to_its_end(boss: AsyncClient, person: Client, sessions: Sessions) -> None:
    ticket_id, (first, second, *_) = await at_l2(boss), await slots(boss)
    new = {"ticket_id": ticket_id, "technician": TECHNICIAN, "starts_at": first, "address": "Rua das Flores 12"}
    key = {"Idempotency-Key": "visit-0001"}
    booked = [await boss.post(ORDERS, json=new, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in booked] == [201, 201], booked[0].text
    order = booked[1].json()
    assert booked[0].json() == order
    assert (order["technician"], order["status"], order["address"]) == (TECHNICIAN, "booked", "Rua das Flores 12")
    other = await boss.post(ORDERS, json=new | {"address": "Rua B"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert first not in await slots(boss)

    here = booked[0].headers["location"]
    assert here == f"{ORDERS}/{order['id']}"
    seen = (await boss.get(here)).headers["etag"]
    assert (await move(boss, order["id"], "confirm", headers={"If-Match": seen}))["status"] == "confirmed"
    stale = await move(boss, order["id"], "cancel", outcome="x", headers={"If-Match": seen})
    assert (stale["status_code"], stale["code"]) == (412, "changed-meanwhile")
    put_off = await move(boss, order["id"], "put_off", starts_at=second)
    assert (put_off["starts_at"], put_off["customer_changes"], put_off["status"]) == (second, 1, "booked")
    early = await move(boss, order["id"], "done", outcome="Trocado")
    assert (early["status_code"], early["code"]) == (409, "visit-not-begun")
    async with person(Role.NETWORK) as l3, person(Role.OWNER) as owner:
        assert (await l3.get(here)).json()["address"] == ""
        assert (await owner.get(ORDERS)).json()["items"][0]["address"] == ""
        assert (await move(l3, order["id"], "cancel", outcome="x"))["code"] == "ticket-of-another-tier"
    async with sessions.begin() as session:
        begun = datetime.now(UTC) - timedelta(minutes=5)
        await session.execute(update(Visit).values(starts_at=begun, ends_at=begun + timedelta(hours=2)))
    done = await move(boss, order["id"], "done", outcome="Conector trocado")
    assert (done["status"], done["outcome"]) == ("done", "Conector trocado")
    history = (await boss.get(f"{TICKETS}/{ticket_id}")).json()["events"]
    assert [event["kind"] for event in history][2:] == [
        "visit_booked", "visit_changed", "visit_changed", "visit_ended",
    ]  # fmt: skip


async def test_two_who_book_one_slot_at_the_same_moment_get_one_visit(boss: AsyncClient) -> None:
    ids, (first, *_) = [await at_l2(boss) for _ in range(3)], await slots(boss)
    answers = await asyncio.gather(
        *(boss.post(ORDERS, json={"ticket_id": each, "technician": TECHNICIAN, "starts_at": first}) for each in ids)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409], [each.text for each in answers]
    assert {each.json()["code"] for each in answers if each.status_code == 409} == {"slot-taken"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_wrong_with_an_order_is_said(boss: AsyncClient, person: Client) -> None:
    ticket_id, (first, second, *_) = await at_l2(boss), await slots(boss)
    new = {"ticket_id": ticket_id, "technician": TECHNICIAN, "starts_at": first}
    for wrong, status, code in (
        ({"technician": "nobody@x.test"}, 404, "user-not-found"),
        ({"technician": "supervisor@provedor.test"}, 404, "technician-not-found"),
        ({"ticket_id": "0" * 32}, 404, "ticket-not-found"),
        ({"starts_at": "2020-01-01T08:00:00-03:00"}, 409, "no-such-slot"),
        ({"starts_at": "2027-01-01T08:00:00"}, 422, "invalid-request"),
        ({"kind": "gossip"}, 422, "invalid-request"),
    ):
        answer = await boss.post(ORDERS, json=new | wrong)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    order = (await boss.post(ORDERS, json=new)).json()
    assert (await move(boss, order["id"], "put_off", starts_at=second, asked_by="provider"))["code"] == "why-missing"
    assert (await move(boss, order["id"], "missed", outcome=" "))["code"] == "why-missing"
    assert (await move(boss, order["id"], "gossip"))["status_code"] == 422
    assert (await move(boss, "0" * 32, "confirm"))["code"] == "visit-not-found"
    assert (await move(boss, order["id"], "cancel", outcome="Voltou"))["status"] == "cancelled"
    assert (await move(boss, order["id"], "confirm"))["code"] == "visit-is-over"
    async with person(Role.ATTENDANT) as l1:
        assert (await l1.post(ORDERS, json=new)).json()["code"] == "ticket-of-another-tier"
        assert (await l1.put(f"/api/v1/technicians/{TECHNICIAN}", json={"timetable": "sempre"})).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_technicians_are_listed_and_an_agenda_is_read_day_by_day(boss: AsyncClient, sessions: Sessions) -> None:
    assert (await boss.get("/api/v1/technicians")).json() == [
        {"technician": TECHNICIAN, "name": "Pessoa technician", "timetable": "sempre", "slot_min": 120, "active": True}
    ]
    first, second, *_ = await slots(boss, technician=TECHNICIAN, days=10)
    for at in (second, first):
        new = {"ticket_id": await at_l2(boss), "technician": TECHNICIAN, "starts_at": at}
        assert (await boss.post(ORDERS, json=new)).status_code == 201

    async def listed(**params: Any) -> list[str]:
        return [each["starts_at"] for each in (await boss.get(ORDERS, params=params)).json()["items"]]

    assert await listed(**{"from": first, "technician": TECHNICIAN}) == [first, second]
    assert await listed(kind="visit", status="booked") == [second, first]
    assert await listed(to=second) == [first]
    assert (await boss.get(ORDERS, params={"from": "2026-01-01T00:00:00"})).status_code == 422
    unknown = await boss.put("/api/v1/technicians/nobody@x.test", json={"timetable": "sempre"})
    assert unknown.json()["code"] == "user-not-found"
    nowhere = await boss.put(f"/api/v1/technicians/{TECHNICIAN}", json={"timetable": "noite"})
    assert nowhere.json()["code"] == "timetable-not-found"
    async with sessions() as session:
        audited = await session.scalars(select(AuditEntry.subject).where(AuditEntry.action == "technician.set"))
        assert list(audited) == [TECHNICIAN]


class TestWithAnotherSystem:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"erp": "sgp"})

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_a_ticket_and_its_visit_are_wanted_there_too(self, boss: AsyncClient, sessions: Sessions) -> None:
        key = {"Idempotency-Key": "ticket-0001"}
        new = {"category": "support", "summary": "Sem sinal", "contract_ref": "1042"}
        opened = [(await boss.post(TICKETS, json=new, headers=key)).json() for _ in range(2)]
        await boss.post(TICKETS, json=new | {"contract_ref": ""})
        ticket_id, (first, *_) = await at_l2(boss, contract_ref="1042"), await slots(boss)
        order = await boss.post(ORDERS, json={"ticket_id": ticket_id, "technician": TECHNICIAN, "starts_at": first})
        async with sessions() as session:
            wishes = (await session.scalars(select(ErpRequest).order_by(ErpRequest.created_at))).all()
        assert [(each.operation, each.args["contract_id"], each.args["ticket_id"]) for each in wishes] == [
            ("open_ticket", "1042", opened[0]["id"]),
            ("open_ticket", "1042", ticket_id),
            ("open_order", "1042", ticket_id),
        ]
        assert wishes[2].args["visit_id"] == order.json()["id"]
