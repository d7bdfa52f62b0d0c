"""People, sessions and what each role may do."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update

from ura import audit, users
from ura.db import Sessions
from ura.errors import BadInput, Refused
from ura.models import AuditEntry, Role
from ura.users import FIRST_ADMIN, GRANTS, LoginLimits, Permission, TooManyAttempts, WrongPassword

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
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
