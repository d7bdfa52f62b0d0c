"""Nobody can add a route that forgets to say who may use it, and the rules hold for each way of asking (R48)."""

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from httpx import AsyncClient

from api.deps import OpenToAll, Requires, Rule
from api.main import build
from api.routes.health import Scraper
from tests.api.conftest import Client
from ura.models import Role
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
            if not isinstance(rule, Requires) or route.path in ("/panel/events", "/panel/logout"):
                continue
            path = route.path.replace("{", "").replace("}", "")
            for method in route.methods:
                status = (await client.request(method, path, json={})).status_code
                allowed = rule.permission in GRANTS[role]
                assert (status != 403) == allowed, f"{role} {method} {path}: {status}"


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
