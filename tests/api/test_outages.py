"""Outages through the API: opened, changed, closed; who asked is told."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from tests.factories import make_id, make_record
from ura.db import Sessions
from ura.models import AuditEntry, OutboxMessage, Role
from ura.projection import apply

OUTAGES = "/api/v1/outages"
PLACE = {"neighbourhood": "Jardim das Palmeiras", "city": "Vale Verde"}


def new(**changed: object) -> dict[str, object]:
    ends_at = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    return {"cause": "fibre_cut", "touches": [PLACE], "ends_at": ends_at, "note": "poste caído", **changed}


async def test_the_noc_opens_changes_and_closes_and_who_asked_is_told(program: Client, sessions: Sessions) -> None:
    async with program("outages:read", "outages:write") as client:
        answer = await client.post(OUTAGES, json=new())
        assert answer.status_code == 201
        outage, here = answer.json(), answer.headers["location"]
        assert outage["touches"] == [{"kind": "neighbourhood", "name": "Jardim das Palmeiras, Vale Verde"}]
        async with sessions.begin() as session:
            heard = {"outage_id": outage["id"], "call_id": make_id(), "phone": "+5511987650001", "wants_news": True}
            await apply(session, make_record("outage_heard", **heard, at=datetime.now(UTC)))
        changed = await client.put(here, json={"cause": "power", "ends_at": None, "touches": [{"cto": "CTO-1"}]})
        assert changed.json()["touches"] == [{"kind": "cto", "name": "CTO-1"}]
        assert (await client.get(OUTAGES, params={"over": False})).json()["items"][0]["waiting"] == 1
        closed = (await client.post(f"{here}/close")).json()
        assert (closed["told"], closed["closed_at"] is not None) == (1, True)
        assert (await client.post(f"{here}/close")).json()["told"] == 0
        assert (await client.get(here)).json()["calls"] == 1
        late = await client.put(here, json={"cause": "power"})
        assert (late.status_code, late.json()["code"]) == (409, "outage-is-over")
    async with sessions() as session:
        assert [one.to for one in await session.scalars(select(OutboxMessage))] == ["+5511987650001"]
        actions = [line.action for line in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert [action for action in actions if action.startswith("outage.")] == [
        "outage.open",
        "outage.change",
        "outage.close",
        "outage.close",
    ]


async def test_the_same_key_opens_one_outage(program: Client) -> None:
    async with program() as client:
        wanted, key = new(), {"Idempotency-Key": "noc-4711"}
        answers = [await client.post(OUTAGES, json=wanted, headers=key) for _ in range(2)]
        assert answers[0].json()["id"] == answers[1].json()["id"]
        assert len((await client.get(OUTAGES)).json()["items"]) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "wrong",
    [
        {"touches": []},
        {"touches": [{"neighbourhood": "Centro"}]},
        {"touches": [{**PLACE, "cto": "CTO-1"}]},
        {"cause": "bad weather"},
        {"ends_at": "2026-12-24T18:00:00"},
        {"ends_at": "2001-01-01T00:00:00Z"},
    ],
)
async def test_what_is_no_outage_is_refused_with_a_reason(program: Client, wrong: dict[str, object]) -> None:
    async with program() as client:
        answer = await client.post(OUTAGES, json=new(**wrong))
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_technician_may_open_one_and_an_attendant_may_only_look(person: Client) -> None:
    async with person(Role.TECHNICIAN) as client:
        assert (await client.post(OUTAGES, json=new())).status_code == 201
    async with person(Role.ATTENDANT) as client:
        assert (await client.post(OUTAGES, json=new())).status_code == 403
        assert len((await client.get(OUTAGES)).json()["items"]) == 1


async def test_outages_are_listed_page_by_page(program: Client) -> None:
    async with program("outages:read", "outages:write") as client:
        for hour in (1, 2, 3):
            body = {"cause": "power", "touches": [PLACE], "started_at": f"2026-11-20T0{hour}:00:00Z"}
            assert (await client.post("/api/v1/outages", json=body)).status_code == 201
        first = (await client.get("/api/v1/outages", params={"limit": 2})).json()
        second = (await client.get("/api/v1/outages", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    hours = [outage["started_at"][11:13] for page in (first, second) for outage in page["items"]]
    assert (hours, second["next_cursor"]) == (["03", "02", "01"], "")


async def test_the_board_opens_tells_and_closes_what_explains_tickets(person: Client, sessions: Sessions) -> None:
    board = "/panel/outages"
    async with person(Role.TECHNICIAN) as client, person(Role.ADMIN) as admin:
        fields = {"cause": "fibre_cut", "cto": "CTO-1", "text": "Um poste caiu."}
        assert (await client.post(board, data=fields)).status_code == 303
        [incident] = (await client.get("/api/v1/incidents")).json()["items"]
        ticket = (await admin.post("/api/v1/tickets", json={"category": "support", "summary": "Sem sinal"})).json()
        here = f"/api/v1/incidents/{incident['id']}"
        assert (await admin.post(f"{here}/tickets", json={"ticket_id": ticket["id"]})).status_code == 200
        shown = (await client.get(board)).text
        assert "Um poste caiu." in shown
        assert f'<a href="/panel/tickets?incident={incident["id"]}">1</a>' in shown
        listed = (await client.get("/panel/tickets", params={"incident": incident["id"]})).text
        assert ticket["id"] in listed
        assert ticket["id"] not in (await client.get("/panel/tickets", params={"incident": "0" * 32})).text

        empty = await client.post(f"{board}/{incident['id']}/updates", data={"text": " "})
        assert (empty.status_code, "Escreva a notícia." in empty.text) == (422, True)
        told = await client.post(f"{board}/{incident['id']}/updates", data={"text": "A equipe chegou."})
        assert told.status_code == 303
        assert "A equipe chegou." in (await client.get(board)).text
        closed = await client.post(f"{board}/{incident['id']}/close", data={"text": "Fibra emendada."})
        assert closed.status_code == 303
        late = await client.post(f"{board}/{incident['id']}/updates", data={"text": "Ainda."})
        assert late.status_code == 422
        history = (await client.get(f"/api/v1/tickets/{ticket['id']}")).json()
    assert history["status"] == "closed"
    assert [line["text"] for line in history["events"]][-2:] == ["A equipe chegou.", "Fibra emendada."]
    async with sessions() as session:
        actions = [line.action for line in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert [action for action in actions if action.startswith("incident.")] == [
        "incident.open",
        "incident.put-in",
        "incident.update",
        "incident.close",
    ]
