"""Leads through the API and the panel's form: taken further by whoever may, with a line in the audit."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from tests.factories import NOON, lead_saved, make_id
from ura import leads
from ura.db import Sessions
from ura.models import AuditEntry, LeadSource, LeadStatus, Role
from ura.projection import apply_batch

LEADS = "/api/v1/leads"
TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
FORM = {"status": "visit", "source": "phone", "next_at": "2100-01-01T10:00"}


@pytest.fixture
async def lead_id(sessions: Sessions) -> str:
    lead_id = make_id()
    async with sessions.begin() as session:
        await apply_batch(session, [lead_saved(lead_id, "proposal", at=NOON)])
    return lead_id


async def audited(sessions: Sessions) -> list[tuple[str, dict[str, str]]]:
    async with sessions() as session:
        lines = await session.scalars(select(AuditEntry).where(AuditEntry.action == "lead.change"))
        return [(line.subject, line.detail) for line in lines]


async def test_a_lead_is_taken_further_and_the_audit_says_by_what(
    program: Client, person: Client, sessions: Sessions, lead_id: str
) -> None:
    wanted = {
        "status": "visit",
        "owner": "attendant@provedor.test",
        "next_action_at": TOMORROW.isoformat(),
        "source": "partner",
        "source_ref": "Loja Sol",
    }
    async with program("leads:read", "leads:write") as client:
        unknown = await client.patch(f"{LEADS}/{lead_id}", json=wanted)
        assert (unknown.status_code, unknown.json()["code"]) == (422, "owner-unknown")
        async with person(Role.ATTENDANT):
            for _ in range(2):
                answer = await client.patch(f"{LEADS}/{lead_id}", json=wanted)
                assert answer.status_code == 200, answer.text
        told = answer.json()
        assert {name: told[name] for name in ("status", "owner", "source", "source_ref")} == {
            name: wanted[name] for name in ("status", "owner", "source", "source_ref")
        }
        assert datetime.fromisoformat(told["next_action_at"]) == TOMORROW
        assert told["phone"] == "+5511*****4321"
        listed = (await client.get(LEADS, params={"owner": "attendant@provedor.test", "source": "partner"})).json()
        assert [lead["id"] for lead in listed["items"]] == [lead_id]
        assert (await client.get(LEADS, params={"due": "true"})).json()["items"] == []
    [(subject, detail)] = await audited(sessions)
    assert (subject, detail["status"], detail["owner"]) == (lead_id, "visit", "attendant@provedor.test")


async def test_what_makes_no_sense_is_refused_with_its_reason(
    program: Client, sessions: Sessions, lead_id: str
) -> None:
    async with program("leads:read", "leads:write") as client:
        for body, code in (
            ({"status": "lost"}, "lost-without-reason"),
            ({"status": "visit"}, "next-action-missing"),
            ({"next_action_at": NOON.replace(year=2020).isoformat()}, "next-action-is-past"),
            ({"status": "waiting"}, "lead-step-refused"),
        ):
            answer = await client.patch(f"{LEADS}/{lead_id}", json=body)
            assert (answer.status_code in (409, 422), answer.json()["code"]) == (True, code)
        assert (await client.patch(f"{LEADS}/{'0' * 32}", json={})).json()["code"] == "lead-not-found"
    assert await audited(sessions) == []


async def test_who_may_only_read_changes_nothing(program: Client, person: Client, lead_id: str) -> None:
    async with program("leads:read") as client:
        assert (await client.patch(f"{LEADS}/{lead_id}", json={"status": "contract"})).status_code == 403
    async with person(Role.OWNER) as client:
        page = await client.get("/panel/leads")
        assert (page.status_code, 'action="/panel/leads/' in page.text) == (200, False)
        assert (await client.post(f"/panel/leads/{lead_id}", data=FORM)).status_code == 403


async def test_the_form_changes_a_lead_or_says_why_not(person: Client, sessions: Sessions, lead_id: str) -> None:
    async with person(Role.ATTENDANT) as client:
        refused = await client.post(f"/panel/leads/{lead_id}", data=FORM | {"status": "lost"})
        assert (refused.status_code, "Diga por que a venda foi perdida." in refused.text) == (422, True)
        nothing = await client.post(f"/panel/leads/{lead_id}", data=FORM | {"next_at": "amanhã"})
        assert nothing.status_code == 422
        assert await audited(sessions) == []
        done = await client.post(f"/panel/leads/{lead_id}", data=FORM | {"owner": "attendant@provedor.test"})
        assert done.status_code == 303
        mine = await client.get("/panel/leads", params={"only": "mine"})
        assert f'id="lead-{lead_id}"' in mine.text
        assert f'id="lead-{lead_id}"' not in (await client.get("/panel/leads", params={"only": "due"})).text
        assert f'id="lead-{lead_id}"' not in (await client.get("/panel/leads", params={"status": "lost"})).text
        await client.post(f"/panel/leads/{lead_id}", data=FORM | {"status": "lost", "reason": "price"})
        assert "Preço" in (await client.get("/panel/leads", params={"status": "lost"})).text
    async with sessions() as session:
        lead = await leads.get_lead(session, lead_id)
    assert (lead.status, lead.source, lead.next_action_at) == (LeadStatus.LOST, LeadSource.PHONE, None)
