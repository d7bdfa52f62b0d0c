"""Nobody can add a route that forgets to say who may use it, and the rules hold for each way of asking (R48)."""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from httpx import AsyncClient
from sqlalchemy import update

from api.deps import OpenToAll, Requires, Rule
from api.main import build
from api.routes.health import Scraper
from tests.api.conftest import Client
from ura import users
from ura.db import Sessions
from ura.models import ApiToken, LoginSession, Role, User
from ura.settings import Settings
from ura.users import GRANTS, Permission

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

# Whoever opens a route to everybody changes this list too, and is asked why.
OPEN = {"/", "/2via/{token}", "/api/v1/docs", "/api/v1/health", "/panel/login", "/metrics"}


def routes(app: FastAPI) -> list[RouteContext]:
    """Every route that we wrote, with its whole path."""
    return [each for each in iter_route_contexts(app.routes) if isinstance(each.original_route, APIRoute)]


def rules(dependant: Dependant) -> list[Rule]:
    own = [dependant.call] if isinstance(dependant.call, Rule) else []
    return own + [rule for inner in dependant.dependencies for rule in rules(inner)]


def test_every_route_names_one_rule(settings: Settings) -> None:
    app = build(settings)
    found = routes(app)
    assert len(found) > 20
    assert {route.path for route in found} >= {"/api/v1/calls", "/panel/events"}
    for route in found:
        assert len(rules(route.dependant)) == 1, (
            f"{route.path} does not say who may use it: take a dependency of api.deps"
        )


def test_only_these_routes_are_open(settings: Settings) -> None:
    found = routes(build(settings))
    opened = {route.path for route in found if isinstance(rules(route.dependant)[0], OpenToAll | Scraper)}
    assert opened == OPEN


async def test_without_a_log_in_there_is_nothing(stranger: AsyncClient, app: FastAPI) -> None:
    for route in routes(app):
        if route.path in OPEN:
            continue
        path = route.path.replace("{", "").replace("}", "")
        for method in route.methods:
            answer = await stranger.request(method, path, json={})
            login = answer.status_code == 303 and answer.headers["location"] == "/panel/login"
            assert answer.status_code == 401 or login, f"{method} {path}: {answer.status_code}"


@pytest.mark.parametrize("role", Role)
async def test_each_role_gets_what_the_table_says_and_no_more(app: FastAPI, person: Client, role: Role) -> None:
    async with person(role) as client:
        for route in routes(app):
            rule = rules(route.dependant)[0]
            if not isinstance(rule, Requires) or route.path in ("/panel/events", "/panel/logout", "/api/v1/events"):
                continue
            path = route.path.replace("{", "").replace("}", "")
            for method in route.methods:
                status = (await client.request(method, path, json={})).status_code
                allowed = rule.permission in GRANTS[role]
                assert (status != 403) == allowed, f"{role} {method} {path}: {status}"


LET_IN_NO_MORE = (
    "session too old",
    "session idle",
    "user disabled",
    "logged out everywhere",
    "token ended",
    "token revoked",
)


@pytest.mark.parametrize("why", LET_IN_NO_MORE)
async def test_who_is_let_in_no_more_finds_every_door_closed(
    app: FastAPI, person: Client, program: Client, sessions: Sessions, why: str
) -> None:
    async with person(Role.ADMIN) as browser, program() as machine:
        client = machine if why.startswith("token") else browser
        assert (await client.get("/api/v1/calls")).status_code == 200
        async with sessions.begin() as session:
            long_ago = datetime.now(UTC) - timedelta(days=1)
            match why:
                case "session too old":
                    await session.execute(update(LoginSession).values(expires_at=long_ago))
                case "session idle":
                    await session.execute(update(LoginSession).values(seen_at=long_ago))
                case "user disabled":  # and their session is still there
                    await session.execute(update(User).values(active=False))
                case "logged out everywhere":
                    await users.end_sessions(session, user=await users.get_user(session, email="admin@provedor.test"))
                case "token ended":
                    await session.execute(update(ApiToken).values(expires_at=long_ago))
                case "token revoked":
                    await users.revoke_api_token(session, name="all", actor="test")
        for route in routes(app):
            if route.path in OPEN or route.path.startswith("/hooks/"):
                continue
            path = route.path.replace("{", "").replace("}", "")
            for method in route.methods:
                answer = await client.request(method, path, json={})
                login = answer.status_code == 303 and answer.headers["location"] == "/panel/login"
                assert answer.status_code == 401 or login, f"{why}: {method} {path}: {answer.status_code}"


async def test_a_token_opens_what_its_scopes_say(program: Client) -> None:
    async with program(Permission.LEADS_READ) as client:
        assert (await client.get("/api/v1/leads")).status_code == 200
        refused = await client.get("/api/v1/calls")
    assert refused.status_code == 403
    assert "calls:read" in refused.json()["detail"]


async def test_the_openapi_page_describes_every_route(app: FastAPI, stranger: AsyncClient) -> None:
    document = (await stranger.get("/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    described = set(document["paths"])
    assert described == {route.path for route in routes(app) if route.path.startswith("/api/v1")} - {"/api/v1/docs"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], f"{method} {path}"
            if path not in OPEN:
                assert operation["security"], f"{method} {path}"
                assert "application/problem+json" in operation["responses"]["403"]["content"]
