"""Users, tokens and the audit: nobody gives away more than they have, and somebody can always log in."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import select

from tests.api.conftest import PASSWORD, Client, log_in
from ura.db import Sessions
from ura.models import ApiToken, AuditEntry, LoginSession, Role, User
from ura.users import GRANTS, Permission

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ANA = {"email": "ana@provedor.test", "name": "Ana", "role": "attendant"}


async def add(client: AsyncClient, **other: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/users", json=ANA | other)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def id_of(client: AsyncClient, email: str) -> int:
    listed = (await client.get("/api/v1/users")).json()["items"]
    return next(int(user["id"]) for user in listed if user["email"] == email)


async def test_an_administrator_adds_somebody_who_can_log_in_with_the_password_told_once(
    person: Client, stranger: AsyncClient, sessions: Sessions
) -> None:
    async with person(Role.ADMIN) as admin:
        made = await add(admin)
        assert made["password"]
        read = await admin.get(f"/api/v1/users/{made['id']}")
        assert read.json() == {"id": made["id"], **ANA, "active": True}
        assert (await admin.post("/api/v1/users", json=ANA)).status_code == 409
        short = await admin.post("/api/v1/users", json=ANA | {"email": "b@c.test", "password": "short"})
        assert short.status_code == 422
    assert (await log_in(stranger, ANA["email"], made["password"])).status_code == 303
    async with sessions() as session:
        lines = await session.scalars(select(AuditEntry).where(AuditEntry.subject == ANA["email"]))
        assert next((line.action, line.actor) for line in lines) == ("user-created", "admin@provedor.test")
        assert made["password"] not in str((await session.scalars(select(AuditEntry.detail))).all())


async def test_another_role_or_the_end_of_an_account_logs_out_at_once(
    person: Client, program: Client, stranger: AsyncClient, sessions: Sessions
) -> None:
    async with person(Role.ADMIN) as admin, person(Role.ATTENDANT) as attendant:
        there = f"/api/v1/users/{await id_of(admin, 'attendant@provedor.test')}"
        assert (await attendant.get("/api/v1/leads")).status_code == 200
        renamed = await admin.patch(there, json={"name": "Ana Maria"})
        assert renamed.json()["name"] == "Ana Maria"
        assert (await attendant.get("/api/v1/leads")).status_code == 200
        assert (await admin.patch(there, json={"role": "network"})).json()["role"] == "network"
        assert (await attendant.get("/api/v1/tickets")).status_code == 401
        await log_in(attendant, "attendant@provedor.test")
        assert (await attendant.get("/api/v1/tickets")).status_code == 200
        assert (await attendant.get("/api/v1/leads")).status_code == 403
        assert (await admin.patch(there, json={"active": False})).json()["active"] is False
        assert (await attendant.get("/api/v1/tickets")).status_code == 401
        assert (await log_in(attendant, "attendant@provedor.test")).status_code == 401
        await admin.patch(there, json={"active": True})
        reset = (await admin.post(f"{there}/password", json={})).json()["password"]
        assert (await log_in(attendant, "attendant@provedor.test", PASSWORD)).status_code == 401
        assert (await log_in(attendant, "attendant@provedor.test", reset)).status_code == 303


async def test_the_last_administrator_stays_one(person: Client) -> None:
    async with person(Role.ADMIN) as admin:
        there = f"/api/v1/users/{await id_of(admin, 'admin@provedor.test')}"
        for change in ({"role": "owner"}, {"active": False}):
            refused = await admin.patch(there, json=change)
            assert (refused.status_code, refused.json()["code"]) == (409, "last-admin")
        second = await add(admin, email="b@provedor.test", role="admin")
        assert (await admin.patch(f"/api/v1/users/{second['id']}", json={"active": False})).status_code == 200
        assert (await admin.patch(there, json={"role": "owner"})).status_code == 409  # who cannot log in is no way out
        await admin.patch(f"/api/v1/users/{second['id']}", json={"active": True})
        assert (await admin.patch(there, json={"role": "owner"})).status_code == 200


async def test_two_administrators_cannot_remove_each_other_at_the_same_moment(
    person: Client, sessions: Sessions
) -> None:
    async with person(Role.ADMIN, "a@provedor.test") as first, person(Role.ADMIN, "b@provedor.test") as second:
        other, one = await id_of(first, "b@provedor.test"), await id_of(first, "a@provedor.test")
        answers = await asyncio.gather(
            first.patch(f"/api/v1/users/{other}", json={"active": False}),
            second.patch(f"/api/v1/users/{one}", json={"active": False}),
        )
    # Who comes second is told that one has to stay, or is nobody any more when asked who they are.
    assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 401])
    async with sessions() as session:
        left = await session.scalars(select(User).where(User.role == Role.ADMIN, User.active))
        assert len(left.all()) == 1


@ONE_DATABASE
async def test_nobody_gives_away_or_takes_more_rights_than_they_have(
    program: Client, person: Client, sessions: Sessions
) -> None:
    async with person(Role.ADMIN) as admin:
        there = f"/api/v1/users/{await id_of(admin, 'admin@provedor.test')}"
    scopes = GRANTS[Role.OWNER] | {Permission.USERS_MANAGE}
    async with program(*scopes) as clerk:
        for answer in (
            await clerk.post("/api/v1/users", json=ANA),
            await clerk.patch(there, json={"active": False}),
            await clerk.post(f"{there}/password", json={"password": "mine, all mine"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "more-than-yours")
        assert (await clerk.post("/api/v1/users", json=ANA | {"role": "owner"})).status_code == 201
    async with sessions() as session:
        assert await session.scalar(select(LoginSession.id).limit(1))  # the administrator is still logged in


@ONE_DATABASE
async def test_a_token_is_told_once_and_can_do_no_more_than_who_made_it(
    person: Client, program: Client, stranger: AsyncClient, sessions: Sessions
) -> None:
    end = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    wanted = {"name": "crm", "scopes": ["leads:read"], "expires_at": end}
    async with person(Role.ADMIN) as admin:
        made = (await admin.post("/api/v1/tokens", json=wanted)).json()
        [listed] = (await admin.get("/api/v1/tokens")).json()["items"]
        assert (listed["name"], listed["scopes"], listed["made_by"]) == ("crm", ["leads:read"], "admin@provedor.test")
        assert "token" not in listed
        stranger.headers["Authorization"] = f"Bearer {made['token']}"
        assert (await stranger.get("/api/v1/leads")).status_code == 200
        assert (await stranger.get("/api/v1/calls")).status_code == 403
        assert (await admin.post("/api/v1/tokens", json=wanted)).json()["code"] == "token-name-taken"
        late = wanted | {"name": "b", "expires_at": (datetime.now(UTC) + timedelta(days=800)).isoformat()}
        past = wanted | {"name": "b", "expires_at": (datetime.now(UTC) - timedelta(days=1)).isoformat()}
        for refused in (late, past, wanted | {"name": "b", "expires_at": None}, wanted | {"scopes": ["calls:fly"]}):
            assert (await admin.post("/api/v1/tokens", json=refused)).status_code == 422
        assert (await admin.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204
        assert (await admin.delete(f"/api/v1/tokens/{made['id']}")).status_code == 404
    assert (await stranger.get("/api/v1/leads")).status_code == 401
    async with sessions() as session:
        assert await session.scalar(select(ApiToken.id).limit(1)) is None
        assert made["token"] not in str((await session.scalars(select(AuditEntry.detail))).all())
    async with program("tokens:manage", "leads:read") as other:  # a token that leaked cannot live on in others
        assert (await other.post("/api/v1/tokens", json=wanted)).json()["code"] == "more-than-yours"


async def test_the_audit_is_read_page_by_page_and_filtered(person: Client) -> None:
    async with person(Role.ADMIN) as admin:
        for n in range(5):
            await add(admin, email=f"u{n}@provedor.test", role="owner")
        await admin.patch(f"/api/v1/users/{await id_of(admin, 'u1@provedor.test')}", json={"active": False})
        wanted = {"action": "user-created", "actor": "admin@provedor.test", "limit": 2}
        seen: list[str] = []
        cursor = ""
        while True:
            page = (await admin.get("/api/v1/audit", params={**wanted, "cursor": cursor})).json()
            seen += [line["subject"] for line in page["items"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
        assert seen == [f"u{n}@provedor.test" for n in (4, 3, 2, 1, 0)]
        changed = (await admin.get("/api/v1/audit", params={"subject": "u1@provedor.test"})).json()["items"]
        assert next((line["action"], line["detail"]) for line in changed) == ("user-changed", {"active": False})
        soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        assert (await admin.get("/api/v1/audit", params={"from": soon})).json()["items"] == []
        for bad in ("x", "bm8=", "InRleHQi"):
            assert (await admin.get("/api/v1/audit", params={"cursor": bad})).json()["code"] == "bad-cursor"


@ONE_DATABASE
async def test_the_audit_is_for_administrators_and_owners(person: Client) -> None:
    for role in Role:
        async with person(role) as client:
            status = (await client.get("/api/v1/audit")).status_code
            assert status == (200 if role in (Role.ADMIN, Role.OWNER) else 403), role


@ONE_DATABASE
async def test_users_are_listed_page_by_page(person: Client) -> None:
    async with person(Role.ADMIN) as admin:
        for name in ("c", "b", "a"):
            await add(admin, email=f"{name}@provedor.test", role="owner")
        first = (await admin.get("/api/v1/users", params={"limit": 2})).json()
        second = (await admin.get("/api/v1/users", params={"limit": 2, "cursor": first["next_cursor"]})).json()
        emails = [user["email"].partition("@")[0] for page in (first, second) for user in page["items"]]
        assert (emails, second["next_cursor"]) == (["a", "admin", "b", "c"], "")
        roles = {each["role"]: each["permissions"] for each in (await admin.get("/api/v1/roles")).json()}
        assert set(roles) == set(Role)
        assert "phones:see" not in roles["technician"]
