"""People, sessions and what each role may do."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete, update

from ura import audit, users
from ura.db import Sessions
from ura.errors import BadInput, Refused
from ura.models import AuditEntry, Role
from ura.users import FIRST_ADMIN, GRANTS, LoginLimits, Permission, TooManyAttempts, WrongPassword

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RIGHT = "correct horse battery"
HOME, ABROAD = "10.0.0.1", "203.0.113.9"


def test_technicians_and_owners_never_see_a_number() -> None:
    assert not any(Permission.PHONES_SEE in GRANTS[role] for role in (Role.TECHNICIAN, Role.OWNER))


def test_every_role_has_its_permissions() -> None:
    assert set(GRANTS) == set(Role)


async def test_the_first_admin_is_made_once_and_can_log_in(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        password = await users.first_admin(session)
        assert password
        assert await users.first_admin(session) is None
        user, token = await users.log_in(
            session, LoginLimits(), email=" ADMIN ", password=password, source=HOME, now=NOW
        )
        assert user.email == FIRST_ADMIN
        actor = await users.find_session_actor(session, token=token, now=NOW)
        assert actor
        assert actor.role is Role.ADMIN


async def test_short_passwords_and_taken_names_are_refused_with_what_to_do(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await users.create_user(session, email="a@b", name="A", role=Role.OWNER, password="long enough", actor="t")
        with pytest.raises(Refused, match="another e-mail"):
            await users.create_user(session, email="A@B", name="A", role=Role.OWNER, password="long enough", actor="t")
        with pytest.raises(BadInput, match="10 characters"):
            await users.create_user(session, email="c@d", name="C", role=Role.OWNER, password="short", actor="t")


async def test_a_password_is_kept_as_a_hash_that_costs_memory_and_time(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        user = await users.create_user(session, email="a@b", name="A", role=Role.OWNER, password="a" * 10, actor="t")
    assert user.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_a_session_lives_while_it_is_used_and_not_past_a_shift(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await users.first_admin(session)
        user = await users.find_user(session, email=FIRST_ADMIN)
        assert user
        token = await users.open_session(session, user=user, now=NOW)
        used = NOW
        while used < NOW + users.ABSOLUTE_LIMIT:
            assert await users.find_session_actor(session, token=token, now=used)
            used += timedelta(hours=1)
        assert await users.find_session_actor(session, token=token, now=used) is None
        other = await users.open_session(session, user=user, now=NOW)
        assert await users.find_session_actor(session, token=other, now=NOW + users.IDLE_LIMIT) is None
        await users.forget_old_sessions(session, now=used)


async def test_scopes_that_do_not_exist_are_named(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        with pytest.raises(BadInput, match="calls:fly"):
            await users.create_api_token(
                session, name="x", scopes=["calls:fly"], expires_at=NOW + timedelta(days=1), now=NOW, actor="t"
            )


async def test_the_audit_only_grows(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await audit.record(session, actor="a", action="looked", subject="b", detail={})
    for statement in (delete(AuditEntry), update(AuditEntry).values(actor="x")):
        async with sessions() as session:
            with pytest.raises(audit.AuditIsAppendOnly):
                await session.execute(statement)
    async with sessions() as session:
        row = await session.get_one(AuditEntry, 1)
        row.actor = "x"
        with pytest.raises(audit.AuditIsAppendOnly):
            await session.flush()


def test_a_guesser_is_slowed_by_account_and_by_source_but_the_known_owner_is_not() -> None:
    limits = LoginLimits()
    limits.succeeded("owner", HOME)
    for n in range(LoginLimits.per_account):
        limits.failed("owner", f"198.51.100.{n}", NOW)
    limits.check("owner", HOME, NOW)
    with pytest.raises(TooManyAttempts) as refused:
        limits.check("owner", ABROAD, NOW)
    assert 0 < refused.value.retry_after_s <= 15 * 60 + 1
    limits.check("owner", ABROAD, NOW + LoginLimits.window)
    for n in range(LoginLimits.per_source):
        limits.failed(f"user{n}", ABROAD, NOW)
    with pytest.raises(TooManyAttempts):
        limits.check("somebody else", ABROAD, NOW)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_ten_thousand_guesses_cost_little_and_the_owner_gets_in_all_the_while(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 100 sources at 20 users, half of whom do not exist (R50)."""
    monkeypatch.setattr(users, "_hasher", PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))
    monkeypatch.setattr(users, "_nobody", lambda: hashed)
    hashed = users._hasher.hash("nobody's")
    limits, tried, waits = LoginLimits(), Counter[str](), list[int]()
    accounts = [f"user{n}" for n in range(20)]
    async with sessions.begin() as session:
        for account in accounts[:10]:
            await users.create_user(session, email=account, name="", role=Role.OWNER, password=RIGHT, actor="t")
        at_home = {"email": "user3", "password": RIGHT, "source": HOME}
        await users.log_in(session, limits, now=NOW, **at_home)
        for n in range(10_000):
            now = NOW + timedelta(seconds=n * 0.06)  # in ten minutes
            wanted = {"email": accounts[n % 20], "password": f"guess {n}", "source": f"198.51.100.{n // 20 % 100}"}
            try:
                await users.log_in(session, limits, now=now, **wanted)
            except WrongPassword:
                tried[wanted["email"]] += 1
            except TooManyAttempts as slowed:
                waits.append(slowed.retry_after_s)
            if n % 1000 == 999:
                await users.log_in(session, limits, now=now, **at_home)
    assert set(tried) == set(accounts)
    assert max(tried.values()) <= LoginLimits.per_account
    assert sum(tried.values()) + len(waits) == 10_000
    assert 0 < min(waits) <= max(waits) <= 15 * 60 + 1


async def test_who_does_not_exist_costs_as_much_as_a_wrong_password(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look at one hash of the same price, whoever was guessed: the time tells nothing."""
    users._nobody.cache_clear()  # of the price of another test's hasher
    looked: list[str] = []
    verify = users._hasher.verify_and_update

    def watched(password: str, hashed: str) -> tuple[bool, str | None]:
        looked.append("$".join(hashed.split("$")[:4]))
        return verify(password, hashed)

    monkeypatch.setattr(users._hasher, "verify_and_update", watched)
    async with sessions.begin() as session:
        for email in ("here", "gone"):
            await users.create_user(session, email=email, name="", role=Role.OWNER, password=RIGHT, actor="t")
        await users.disable_user(session, user=await users.get_user(session, email="gone"), actor="t")
        for email in ("here", "gone", "nobody"):
            with pytest.raises(WrongPassword, match="Wrong user or password"):
                await users.log_in(session, LoginLimits(), email=email, password="a guess", source=HOME, now=NOW)
    assert looked == ["$argon2id$v=19$m=65536,t=3,p=4"] * 3


def test_ten_thousand_sources_do_not_fill_the_memory() -> None:
    limits = LoginLimits()
    for n in range(20_000):
        limits.failed(f"user{n}", f"source{n}", NOW)
    assert limits.size() <= LoginLimits.remembered


async def test_a_disabled_user_is_told_no_more_than_a_stranger(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        password = await users.first_admin(session)
        user = await users.find_user(session, email=FIRST_ADMIN)
        assert user
        assert password
        await users.disable_user(session, user=user, actor="t")
        with pytest.raises(WrongPassword):
            await users.log_in(session, LoginLimits(), email=FIRST_ADMIN, password=password, source=HOME, now=NOW)


async def test_a_new_password_ends_the_old_one_and_every_session(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        old = await users.first_admin(session)
        assert old
        user, token = await users.log_in(session, LoginLimits(), email=FIRST_ADMIN, password=old, source=HOME, now=NOW)
        await users.set_password(session, user=user, password="outra-senha-boa", actor="t")
        assert await users.find_session_actor(session, token=token, now=NOW) is None
        with pytest.raises(WrongPassword):
            await users.log_in(session, LoginLimits(), email=FIRST_ADMIN, password=old, source=HOME, now=NOW)
        await users.log_in(session, LoginLimits(), email=FIRST_ADMIN, password="outra-senha-boa", source=HOME, now=NOW)
