"""A program that goes wild is told to wait; the others, and health, are not."""

from collections.abc import AsyncIterator

import pytest
import time_machine
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from api.main import build
from tests.api.conftest import HERE, Client
from ura.models import Role
from ura.settings import Settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"api_requests_per_minute": 3, "source_requests_per_minute": 12})


@pytest.fixture
async def from_elsewhere(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app, client=("10.0.0.9", 1)), base_url=HERE) as client:
        yield client


async def test_a_token_that_asks_too_often_is_told_how_long_to_wait(program: Client) -> None:
    async with program("calls:read") as client, program("leads:read") as other:
        answers = [await client.get("/api/v1/calls") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"minute";q=3;w=60'
        assert answers[0].headers["ratelimit"].startswith('"minute";r=2;t=')
        refused = answers[-1]
        assert refused.json()["code"] == "too-many-requests"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit"].startswith('"minute";r=0;t=')
        assert (await other.get("/api/v1/leads")).status_code == 200


async def test_after_a_while_it_may_ask_again(program: Client) -> None:
    with time_machine.travel("2026-11-23T15:00:30Z", tick=False) as clock:
        async with program("calls:read") as client:
            assert [(await client.get("/api/v1/calls")).status_code for _ in range(4)][-1] == 429
            clock.shift(120)
            assert (await client.get("/api/v1/calls")).status_code == 200


async def test_a_source_is_limited_whoever_it_says_it_is_and_before_anything_is_looked_up(
    app: FastAPI, stranger: AsyncClient, from_elsewhere: AsyncClient
) -> None:
    for n in range(12):
        guess = await stranger.get("/api/v1/calls", headers={"Authorization": f"Bearer guess-{n}"})
        assert guess.status_code == 401
    for path in ("/api/v1/calls", "/panel/login"):
        refused = await stranger.get(path)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
        assert "retry-after" in refused.headers
    assert (await from_elsewhere.get("/api/v1/calls")).status_code == 401


async def test_health_is_never_refused(stranger: AsyncClient, program: Client) -> None:
    async with program("health:read") as client:
        for _ in range(20):
            assert (await stranger.get("/api/v1/health")).status_code == 200
            assert (await client.get("/api/v1/health/details")).status_code == 200


async def test_nought_is_no_limit(settings: Settings, person: Client) -> None:
    free = settings.model_copy(update={"api_requests_per_minute": 0, "source_requests_per_minute": 0})
    app = build(free)
    async with (
        app.router.lifespan_context(app),
        person(Role.OWNER) as owner,
        AsyncClient(transport=ASGITransport(app), base_url=HERE, cookies=owner.cookies) as client,
    ):
        answers = [await client.get("/api/v1/calls") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers
