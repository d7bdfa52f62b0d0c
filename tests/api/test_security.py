"""Log-in, sessions, and what other sites may not do (R49, R50, R51)."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from starlette.routing import WebSocketRoute

from api import live
from api.main import build
from api.routes import panel
from api.security import POLICY
from tests.api.conftest import HERE, PASSWORD, Client, log_in
from ura import users
from ura.db import Sessions
from ura.models import AuditEntry, LoginSession, Role
from ura.settings import Settings

PANEL = "/panel"


async def test_the_cookie_cannot_be_read_by_scripts_and_the_database_has_only_its_hash(
    person: Client, sessions: Sessions, stranger: AsyncClient
) -> None:
    async with person(Role.ADMIN) as client:
        token = client.cookies["prosa_session"]
        answer = await log_in(stranger, "admin@provedor.test")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    async with sessions() as session:
        kept = {row.id for row in await session.scalars(select(LoginSession))}
    assert users.digest(token) in kept
    assert token not in kept


async def test_over_https_the_cookie_is_secure_and_bound_to_this_host(person: Client, app: FastAPI) -> None:
    async with person(Role.ADMIN):
        pass
    async with AsyncClient(transport=ASGITransport(app), base_url=HERE) as behind_a_proxy:
        answer = await log_in(
            behind_a_proxy, "admin@provedor.test", Origin="https://panel.test", **{"Sec-Fetch-Site": "same-origin"}
        )
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-prosa_session=")
    assert "Secure" in cookie
    assert "Path=/" in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://panel.test.evil.test"},
        {"Origin": "http://panel.test:8080"},
        {},
    ],
    ids=str,
)
async def test_another_site_cannot_act_for_somebody_who_is_logged_in(person: Client, headers: dict[str, str]) -> None:
    async with person(Role.ADMIN) as client:
        del client.headers["Sec-Fetch-Site"]
        for path in ("/panel/logout", "/api/v1/tickets", "/panel/login"):
            answer = await client.post(path, headers=headers, json={})
            assert answer.status_code == 403, path
            assert answer.json()["code"] == "foreign-origin"
        assert (await client.get(PANEL, headers=headers)).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_program_with_a_token_may_have_cookies_of_others(program: Client) -> None:
    """Of a proxy that spreads load, say: what a token may has nothing to do with them."""
    ticket = {"category": "support", "summary": "Sem sinal", "phone": "11933330002"}
    for cookie in ("sticky=a1", "prosa_session=stale"):
        async with program(name=cookie) as client:
            answer = await client.post("/api/v1/tickets", json=ticket, headers={"Cookie": cookie})
            assert answer.status_code == 201


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_method_that_is_not_answered_is_told_which_are(stranger: AsyncClient) -> None:
    for path, methods in (("/api/v1/tickets", "GET, POST"), ("/api/v1/leads/export.csv", "GET")):
        answer = await stranger.delete(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_another_site_is_allowed_nothing_when_it_asks_before(person: Client) -> None:
    """A browser asks first (preflight) whether a foreign page may send JSON or a token: it may not."""
    async with person(Role.ADMIN) as client:
        for path in ("/api/v1/tickets", "/api/v1/users", "/panel/logout"):
            asked = {
                "Origin": "http://evil.test",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type,authorization",
            }
            answer = await client.options(path, headers=asked)
            assert answer.status_code == 405
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert (await client.get("/api/v1/tickets")).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_there_is_no_web_socket_that_would_have_to_look_at_its_origin(settings: Settings) -> None:
    found = [each.original_route for each in iter_route_contexts(build(settings).routes)]
    assert len(found) > 20
    assert not [route for route in found if isinstance(route, WebSocketRoute)]


async def test_every_answer_has_the_policy_and_is_not_kept(stranger: AsyncClient) -> None:
    for path in ("/panel/login", "/api/v1/health", "/nowhere", "/static/panel.css"):
        answer = await stranger.get(path)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert ("no-store" in answer.headers["cache-control"]) == (not path.startswith("/static"))
    assert "unsafe" not in POLICY


async def test_pages_have_nothing_inline(person: Client) -> None:
    async with person(Role.ADMIN) as client:
        for path in ("/panel/login", "/panel", "/panel/journal"):
            page = (await client.get(path, follow_redirects=True)).text
            assert "<style" not in page
            assert " style=" not in page
            assert " onclick" not in page
            assert page.count("<script") == page.count('<script src="/static/')


async def test_logging_out_kills_the_session_and_disabling_kills_all(person: Client, sessions: Sessions) -> None:
    async with person(Role.ADMIN) as client:
        token = client.cookies["prosa_session"]
        assert (await client.get(PANEL)).status_code == 200
        await client.post("/panel/logout")
        client.cookies.set("prosa_session", token)
        assert (await client.get(PANEL)).status_code == 303
    async with person(Role.OWNER) as client:
        async with sessions.begin() as session:
            user = await users.find_user(session, email="owner@provedor.test")
            assert user
            await users.disable_user(session, user=user, actor="test")
        assert (await client.get(PANEL)).status_code == 303
        assert (await log_in(client, "owner@provedor.test")).status_code == 401


@pytest.mark.parametrize("how", ["log out", "disable", "another role"])
async def test_an_open_page_ends_with_its_session_within_five_seconds(
    app: FastAPI, person: Client, sessions: Sessions, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What a stream waits at the most before it looks: a quiet tick, after a look that it had just missed."""
    assert live.IDLE_TICK_S + panel.CHECK_SESSION_EVERY.total_seconds() <= 4.5
    monkeypatch.setattr(live, "IDLE_TICK_S", 0.05)
    monkeypatch.setattr(panel, "CHECK_SESSION_EVERY", timedelta(0))
    async with person(Role.ADMIN, "other@provedor.test") as admin, person(Role.OWNER) as owner:
        listed = (await admin.get("/api/v1/users")).json()["items"]
        there = next(f"/api/v1/users/{user['id']}" for user in listed if user["role"] == "owner")
        begun = asyncio.Event()
        page = asyncio.create_task(read_page(app, owner.cookies["prosa_session"], begun))
        async with asyncio.timeout(10):
            await begun.wait()
        match how:
            case "log out":
                await owner.post("/panel/logout")
            case "disable":
                await admin.patch(there, json={"active": False})
            case "another role":
                await admin.patch(there, json={"role": "network"})
        async with asyncio.timeout(10):
            await page


async def read_page(app: FastAPI, token: str, begun: asyncio.Event) -> None:
    """The stream of the live page, until it ends."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/panel/events",
        "raw_path": b"/panel/events",
        "query_string": b"",
        "headers": [(b"host", b"panel.test"), (b"cookie", f"prosa_session={token}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("panel.test", 80),
    }
    never = asyncio.Event()

    async def receive() -> dict[str, object]:
        await never.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            begun.set()

    await app(scope, receive, send)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("limit", ["idle", "absolute"])
async def test_sessions_end_by_themselves(person: Client, sessions: Sessions, limit: str) -> None:
    async with person(Role.ADMIN) as client:
        async with sessions.begin() as session:
            row = (await session.scalars(select(LoginSession))).one()
            if limit == "idle":
                row.seen_at = datetime.now(UTC) - users.IDLE_LIMIT
            else:
                row.expires_at = datetime.now(UTC)
        assert (await client.get(PANEL)).status_code == 303


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_changed_role_counts_at_the_next_request(person: Client, sessions: Sessions) -> None:
    async with person(Role.ADMIN) as client:
        assert (await client.get("/api/v1/leads")).status_code == 200
        async with sessions.begin() as session:
            user = await users.find_user(session, email="admin@provedor.test")
            assert user
            user.role = Role.TECHNICIAN
        assert (await client.get("/api/v1/leads")).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_guessing_is_slowed_down_and_the_owner_still_gets_in(app: FastAPI, person: Client) -> None:
    async with person(Role.ADMIN):
        pass
    account = "admin@provedor.test"

    async def try_from(address: str, password: str) -> int:
        async with AsyncClient(transport=ASGITransport(app, client=(address, 1)), base_url=HERE) as client:
            return (await log_in(client, account, password)).status_code

    assert [await try_from("10.0.0.1", f"guess {n}") for n in range(7)] == [401] * 5 + [429] * 2
    assert await try_from("10.0.0.1", PASSWORD) == 429
    assert await try_from("10.0.0.2", PASSWORD) == 303


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_wrong_and_unknown_are_answered_alike_and_written_down(
    stranger: AsyncClient, person: Client, sessions: Sessions
) -> None:
    async with person(Role.ADMIN):
        pass
    wrong = await log_in(stranger, "admin@provedor.test", "not this one")
    unknown = await log_in(stranger, "nobody@provedor.test", "not this one")
    assert wrong.status_code == unknown.status_code == 401
    told = [re.sub(r'(data-now|value)="[^"]*"', "", answer.text) for answer in (wrong, unknown)]
    assert told[0] == told[1]
    async with sessions() as session:
        refused = await session.scalars(select(AuditEntry).where(AuditEntry.action == "log-in-refused"))
        assert [row.subject for row in refused] == ["admin@provedor.test", "nobody@provedor.test"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_tokens_expire_and_can_be_revoked(program: Client, sessions: Sessions) -> None:
    async with program("calls:read") as client:
        assert (await client.get("/api/v1/calls")).status_code == 200
        async with sessions.begin() as session:
            await users.revoke_api_token(session, name="calls:read", actor="test")
        refused = await client.get("/api/v1/calls")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        token = await users.create_api_token(
            session, name="old", scopes=["calls:read"], expires_at=now + timedelta(hours=1), now=now, actor="test"
        )
        later = now + timedelta(hours=1)
        assert await users.find_token_actor(session, token=token, now=now)
        assert await users.find_token_actor(session, token=token, now=later) is None
