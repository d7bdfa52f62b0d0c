"""The application over a real database, asked without a network; and people and programs that ask."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from api.main import build
from ura import users
from ura.db import Sessions
from ura.models import Role
from ura.settings import Settings
from ura.users import Permission

PASSWORD = "correct horse battery"
HERE = "http://panel.test"
# What a password costs whoever guesses is shown in tests/ura/test_users.py; here it would be most of the work.
CHEAP = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
Client = Callable[..., Any]


@pytest.fixture
async def app(settings: Settings, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    monkeypatch.setattr(users, "_hasher", CHEAP)
    monkeypatch.setattr(users, "_nobody", cache(lambda: CHEAP.hash("nobody")))
    app = build(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app), base_url=HERE) as client:
        yield client


@pytest.fixture
def program(app: FastAPI, sessions: Sessions) -> Client:
    """`async with program("calls:read") as client`: a program with a token of these scopes."""

    @asynccontextmanager
    async def make(*scopes: str, name: str = "") -> AsyncIterator[AsyncClient]:
        now = datetime.now(UTC)
        async with sessions.begin() as session:
            token = await users.create_api_token(
                session,
                name=name or "-".join(scopes) or "all",
                scopes=scopes or tuple(Permission),
                expires_at=now + timedelta(days=1),
                now=now,
                actor="test",
            )
        headers = {"Authorization": f"Bearer {token}"}
        async with AsyncClient(transport=ASGITransport(app), base_url=HERE, headers=headers) as client:
            yield client

    return make


@pytest.fixture
def person(app: FastAPI, sessions: Sessions) -> Client:
    """`async with person(Role.OWNER) as client`: somebody who has logged in with a browser."""

    @asynccontextmanager
    async def make(role: Role = Role.ADMIN, email: str = "") -> AsyncIterator[AsyncClient]:
        email = email or f"{role}@provedor.test"
        async with sessions.begin() as session:
            await users.create_user(
                session, email=email, name=f"Pessoa {role}", role=role, password=PASSWORD, actor="test"
            )
        async with AsyncClient(
            transport=ASGITransport(app), base_url=HERE, headers={"Sec-Fetch-Site": "same-origin"}
        ) as client:
            answer = await log_in(client, email)
            assert answer.status_code == 303, answer.text
            yield client

    return make


async def log_in(client: AsyncClient, email: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
    sent = {"Sec-Fetch-Site": "same-origin", **headers}
    return await client.post("/panel/login", data={"email": email, "password": password}, headers=sent)
