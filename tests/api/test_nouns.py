"""Coverage, plans, leads, flows and health through the API."""

import os
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests import factories
from tests.api.conftest import HERE, Client
from tests.api.records import write
from ura import health
from ura.adapters.erp import ErpMetrics
from ura.db import Sessions
from ura.flows import documents, store
from ura.journal import Journal
from ura.metrics import MetricsFile
from ura.models import Coverage, Flow, FlowState, FlowVersion
from ura.settings import Settings


@pytest.fixture
async def places(sessions: Sessions) -> dict[str, int]:
    async with sessions.begin() as session:
        city = await factories.make_city(session)
        covered = await factories.make_neighbourhood(
            session,
            city,
            "Jardim das Palmeiras",
            aliases=["Palmeirinha"],
            cep_first="13000000",
            cep_last="13000999",
        )
        later = await factories.make_neighbourhood(session, city, "Jardim América", status=Coverage.PLANNED)
        plan = await factories.make_plan(session)
        await factories.make_offer(session, plan, covered)
        return {"city": city.id, "covered": covered.id, "planned": later.id, "plan": plan.id}


async def test_a_program_asks_whether_a_place_is_covered_and_at_what_price(
    program: Client, places: dict[str, int]
) -> None:
    async with program("coverage:read", "plans:read") as client:

        async def check(**params: object) -> tuple[bool, list[str]]:
            answer = (await client.get("/api/v1/coverage/check", params=params)).json()
            return answer["covered"], [place["name"] for place in answer["neighbourhoods"]]

        assert await check(cep="13000-123") == (True, ["Jardim das Palmeiras"])
        assert await check(name="jardim das palm") == (True, ["Jardim das Palmeiras"])
        assert await check(name="PALMEIRINHA") == (True, ["Jardim das Palmeiras"])
        assert await check(name="jardim america") == (False, ["Jardim América"])
        assert await check(name="centro", city_id=places["city"]) == (False, [])
        assert (await client.get("/api/v1/coverage/check")).status_code == 422
        cities = (await client.get("/api/v1/coverage/cities")).json()["items"]
        assert [city["name"] for city in cities] == ["Vale Verde"]
        here = {"city_id": places["city"], "limit": 1}
        first = (await client.get("/api/v1/coverage/neighbourhoods", params=here)).json()
        here["cursor"] = first["next_cursor"]
        second = (await client.get("/api/v1/coverage/neighbourhoods", params=here)).json()
        assert [place["status"] for place in (*first["items"], *second["items"])] == ["planned", "covered"]
        assert second["next_cursor"] == ""
        here = f"/api/v1/coverage/neighbourhoods/{places['covered']}/plans"
        [offer] = (await client.get(here, params={"audience": "home"})).json()
        assert (offer["name"], offer["price"]) == ("Turbo", "119.90")
        [plan] = (await client.get("/api/v1/plans")).json()["items"]
        assert plan["valid_from"] == "2026-01-01"
        sold = (await client.get("/api/v1/plans", params={"on": "2025-12-31"})).json()
        assert sold == {"items": [], "next_cursor": ""}


async def test_leads_are_filtered_and_their_numbers_masked(program: Client, sessions: Sessions) -> None:
    now = datetime.now(UTC)
    interested, gone = factories.make_id(), factories.make_id()
    await write(
        sessions,
        factories.lead_saved(interested, "interested", at=now),
        factories.lead_saved(gone, "abandoned", at=now),
    )
    async with program("leads:read") as client:
        page = (await client.get("/api/v1/leads", params={"status": "abandoned"})).json()
        assert [(lead["id"], lead["phone"]) for lead in page["items"]] == [(gone, "+5511*****4321")]
        assert (await client.get(f"/api/v1/leads/{interested}")).json()["status"] == "interested"


async def test_the_published_flow_can_be_read(program: Client, sessions: Sessions) -> None:
    document = documents.shipped("provedor")
    async with sessions.begin() as session:
        session.add(Flow(key="provedor", title=document["title"]))
        await session.flush()
        for number, state in ((1, FlowState.RETIRED), (2, FlowState.PUBLISHED), (3, FlowState.DRAFT)):
            session.add(
                FlowVersion(
                    flow_key="provedor",
                    number=number,
                    state=state,
                    document=document,
                    checksum=store.checksum(document),
                    created_at=datetime.now(UTC),
                )
            )
    async with program("flows:read") as client:
        assert [flow["key"] for flow in (await client.get("/api/v1/flows")).json()] == ["provedor"]
        published = (await client.get("/api/v1/flows/provedor")).json()
        assert published["number"] == 2
        assert published["document"]["start"] == "greeting"
        assert (await client.get("/api/v1/flows/other")).status_code == 404


async def test_health_says_little_to_strangers_and_all_to_those_who_may(
    program: Client, stranger: AsyncClient, settings: Settings
) -> None:
    assert (await stranger.get("/api/v1/health")).json() == {"status": "ok"}
    writer = Journal(settings.journal_dir, "agi")
    writer.append("call_opened", "c", {})
    health.beat(settings.state_dir, "agi")
    async with program("health:read") as client:
        told = (await client.get("/api/v1/health/details")).json()
    writer.close()
    assert told["journal_waiting"] == 1
    assert told["status"] == "degraded"
    assert told["database"].split()[0] in ("SQLite", "PostgreSQL")
    assert {part["name"]: part["pulse"] for part in told["parts"]} == {
        "agi": "well",
        "worker": "unknown",
        "asterisk": "unknown",
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_part_that_stopped_is_silent(settings: Settings) -> None:
    health.beat(settings.state_dir, "agi")
    touched = (settings.state_dir / "heartbeat" / "agi").stat().st_mtime
    assert health.pulse(settings.state_dir, "agi", now_s=touched + 1).pulse is health.Pulse.WELL
    assert health.pulse(settings.state_dir, "agi", now_s=touched + 60).pulse is health.Pulse.SILENT


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_figures_are_for_this_machine_or_for_whoever_may(
    app: FastAPI, program: Client, settings: Settings
) -> None:
    of_the_worker = MetricsFile(settings.state_dir, "worker")
    ErpMetrics(of_the_worker.registry).calls.labels("sgp", "trust_unlock", "failed").inc()
    of_the_worker.write()

    async def scrape(address: str, **headers: str) -> tuple[int, str]:
        async with AsyncClient(transport=ASGITransport(app, client=(address, 1)), base_url=HERE) as client:
            await client.get("/api/v1/health")
            answer = await client.get("/metrics", headers=headers)
            return answer.status_code, answer.text

    status, text = await scrape("127.0.0.1")
    assert status == 200
    assert 'ura_http_requests_total{method="GET",route="/api/v1/health",status="200"}' in text
    assert "ura_journal_waiting_records 0.0" in text
    assert f'{{operation="trust_unlock",outcome="failed",process="worker-{os.getpid()}",source="sgp"}} 1.0' in text
    assert (await scrape("203.0.113.9"))[0] == 401
    assert (await scrape("127.0.0.1", **{"X-Forwarded-For": "203.0.113.9"}))[0] == 401
    async with program("metrics:read") as client:
        assert (await client.get("/metrics")).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_is_away_is_said_so_and_not_called_an_error(
    stranger: AsyncClient, settings: Settings, app: FastAPI
) -> None:
    database = settings.state_dir.parent / "prosa.db"
    database.unlink()
    database.mkdir()
    answer = await stranger.get("/api/v1/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "degraded"})
    refused = await stranger.get("/api/v1/calls", headers={"Authorization": "Bearer x"})
    assert refused.status_code == 503
    assert refused.json()["code"] == "database-unavailable"
    assert "Traceback" not in refused.text
