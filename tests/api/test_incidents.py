"""Incidents through the API: opened, told, closed, and what still does not work."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from tests.factories import make_id, make_record
from ura.db import Sessions
from ura.models import AuditEntry, Callback, OutboxMessage, Role
from ura.projection import apply

INCIDENTS = "/api/v1/incidents"
MOBILE = "+5511987650001"


def new(**changed: object) -> dict[str, object]:
    ends_at = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    return {
        "cause": "fibre_cut",
        "touches": [{"cto": "CTO-1"}],
        "ends_at": ends_at,
        "text": "Fibra rompida.",
        **changed,
    }


async def test_one_cause_is_told_closed_and_complained_of(program: Client, sessions: Sessions) -> None:
    async with program() as client:
        ticket = (await client.post("/api/v1/tickets", json={"category": "support", "summary": "Sem sinal"})).json()
        answer = await client.post(INCIDENTS, json=new(), headers={"Idempotency-Key": "noc-4711"})
        assert answer.status_code == 201, answer.text
        incident, here = answer.json(), answer.headers["location"]
        assert (incident["text"], incident["tickets"]) == ("Fibra rompida.", 0)
        async with sessions.begin() as session:
            heard = {"outage_id": incident["id"], "call_id": make_id(), "phone": MOBILE, "wants_news": True}
            await apply(session, make_record("outage_heard", **heard, at=datetime.now(UTC)))
        early = await client.post(f"{here}/complaints", json={"phone": MOBILE})
        assert (early.status_code, early.json()["code"]) == (409, "incident-is-on")
        put_in = await client.post(f"{here}/tickets", json={"ticket_id": ticket["id"]})
        assert put_in.json()["tickets"] == 1, put_in.text
        out = f"{here}/tickets/{ticket['id']}"
        assert (await client.delete(out)).json()["tickets"] == 0
        assert (await client.post(f"{here}/tickets", json={"ticket_id": ticket["id"]})).json()["tickets"] == 1
        for _ in range(2):
            key = {"Idempotency-Key": "noc-4712"}
            told = await client.post(f"{here}/updates", json={"text": "A equipe chegou."}, headers=key)
            assert told.status_code == 201, told.text
        seen = (await client.get(here)).json()
        assert [each["text"] for each in seen["updates"]] == ["A equipe chegou.", "Fibra rompida."]
        assert (seen["ends_at"], seen["waiting"], seen["untold"]) == (None, 1, 0)
        closed = (await client.post(f"{here}/close", json={"text": "Fibra emendada."})).json()
        assert (closed["tickets"], closed["closed"], closed["untold"]) == (0, 1, 0)
        again = (await client.post(f"{here}/close", json={})).json()
        assert again["closed_at"] == closed["closed_at"]
        assert (await client.get(f"/api/v1/tickets/{ticket['id']}")).json()["status"] == "closed"
        wish = {"ticket_id": ticket["id"], "phone": "11 98765-0001", "text": "Luz vermelha."}
        complaint = (await client.post(f"{here}/complaints", json=wish)).json()
        assert complaint["ticket_id"] == ticket["id"]
        assert (await client.get(f"/api/v1/tickets/{ticket['id']}")).json()["status"] == "open"
        late = await client.post(f"{here}/updates", json={"text": "Ok."})
        assert (late.status_code, late.json()["code"]) == (409, "outage-is-over")
        [listed] = (await client.get(INCIDENTS, params={"over": True})).json()["items"]
        assert (listed["id"], listed["back"], listed["complaints"]) == (incident["id"], 1, 1)
    async with sessions() as session:
        sent = {each.kind: each.to for each in await session.scalars(select(OutboxMessage))}
        assert sent == {"incident_update": MOBILE, "outage_fixed": MOBILE}
        assert [each.phone for each in await session.scalars(select(Callback))] == [MOBILE]
        lines = [line for line in await session.scalars(select(AuditEntry)) if line.action.startswith("incident.")]
    assert {line.action for line in lines} == {
        *("incident.open", "incident.put-in", "incident.take-out", "incident.update", "incident.close"),
        "incident.complaint",
    }
    assert MOBILE not in "".join(f"{line.subject}{line.detail}" for line in lines)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_closed_as_an_outage_it_closes_its_tickets_too(program: Client) -> None:
    async with program() as client:
        ticket = (await client.post("/api/v1/tickets", json={"category": "support", "summary": "Sem sinal"})).json()
        here = (await client.post(INCIDENTS, json=new(text=""))).headers["location"]
        await client.post(f"{here}/tickets", json={"ticket_id": ticket["id"]})
        assert (await client.post(f"{here.replace('incidents', 'outages')}/close")).status_code == 200
        assert (await client.get(f"/api/v1/tickets/{ticket['id']}")).json()["status"] == "closed"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_l3_keeps_it_and_an_attendant_says_that_it_goes_on(person: Client) -> None:
    async with person(Role.NETWORK) as client:
        opened = await client.post(INCIDENTS, json=new())
        here = opened.headers["location"]
        assert (await client.post(f"{here}/close", json={})).status_code == 200
    async with person(Role.ATTENDANT) as client:
        assert (await client.post(INCIDENTS, json=new())).status_code == 403
        refused = await client.post(f"{here}/complaints", json={"phone": MOBILE})
        assert (refused.status_code, refused.json()["code"]) == (409, "not-of-this-incident")
        assert (await client.post(f"{here}/complaints", json={"phone": "12"})).status_code == 422


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "wrong", [{"touches": []}, {"cause": "bad weather"}, {"ends_at": "2001-01-01T00:00:00Z"}, {"text": "x" * 201}]
)
async def test_what_is_no_incident_is_refused(program: Client, wrong: dict[str, object]) -> None:
    async with program() as client:
        assert (await client.post(INCIDENTS, json=new(**wrong))).status_code == 422
