"""What may be changed about those who use Prosa, by whom? People with a role, and tokens of programs.

1. Nobody gives away, or takes from others, more rights than they have themselves.
2. There is always an administrator who can log in.
3. Whoever has less to say from now on is logged out: an open page would go on showing what it showed.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, paging, users
from ura.errors import BadInput, Refused, UraError
from ura.models import ApiToken, Role, User
from ura.paging import Page
from ura.turns import take_turn
from ura.users import GRANTS, Actor, Permission, TokenNotFound, UserNotFound

LONGEST_TOKEN = timedelta(days=731)


class LastAdmin(Refused):
    code = "last-admin"


class MoreThanYours(UraError):
    code = "more-than-yours"
    http_status = 403


class TokenNameTaken(Refused):
    code = "token-name-taken"


# -- people -----------------------------------------------------------------------------------------------------------


async def list_users(session: AsyncSession, *, cursor: str = "", limit: int = 50) -> Page[User]:
    """By e-mail; those who are disabled, too."""
    return await paging.fetch_by(session, User, (), by=User.email, cursor=cursor, limit=limit)


async def get_user(session: AsyncSession, user_id: int) -> User:
    user = await session.get(User, user_id, populate_existing=True)
    if user is None:
        raise UserNotFound("There is no such user.")
    return user


async def create_user(
    session: AsyncSession, *, email: str, name: str, role: Role, password: str | None, actor: Actor
) -> tuple[User, str | None]:
    """The user, and the password when it was made here, to be shown once. Raises MoreThanYours, BadInput, Refused."""
    _check_rights(actor, role)
    made = password or _new_password()
    await take_turn(session, "users")
    user = await users.create_user(session, email=email, name=name, role=role, password=made, actor=actor.name)
    return user, None if password else made


async def change_user(
    session: AsyncSession,
    user_id: int,
    *,
    name: str | None = None,
    role: Role | None = None,
    active: bool | None = None,
    actor: Actor,
) -> User:
    """What is None stays. Raises UserNotFound, MoreThanYours, LastAdmin."""
    await take_turn(session, "users")
    user = await get_user(session, user_id)
    _check_rights(actor, user.role, role or user.role)
    becomes, stays = role or user.role, user.active if active is None else active
    if user.role is Role.ADMIN and user.active and not (becomes is Role.ADMIN and stays):
        await _check_another_admin(session, user)
    before = {"name": user.name, "role": user.role.value, "active": user.active}
    user.name, user.role = (name or user.name).strip() or user.email, becomes
    if (becomes.value, stays) != (before["role"], before["active"]):
        user.active = stays
        await users.end_sessions(session, user=user)
    after = {"name": user.name, "role": user.role.value, "active": user.active}
    changed = {what: value for what, value in after.items() if value != before[what] and what != "name"}
    if after != before:
        await audit.record(session, actor=actor.name, action="user-changed", subject=user.email, detail=changed)
    return user


async def reset_password(session: AsyncSession, user_id: int, *, password: str | None, actor: Actor) -> str | None:
    """The password when it was made here, to be shown once. Ends every session of the user."""
    user = await get_user(session, user_id)
    _check_rights(actor, user.role)
    made = password or _new_password()
    await users.set_password(session, user=user, password=made, actor=actor.name)
    return None if password else made


async def _check_another_admin(session: AsyncSession, user: User) -> None:
    others = select(func.count()).where(User.role == Role.ADMIN, User.active, User.id != user.id)
    if not await session.scalar(others):
        raise LastAdmin("This is the last administrator. Make somebody else one first.")


def _check_rights(actor: Actor, *roles: Role) -> None:
    if any(not GRANTS[role] <= actor.permissions for role in roles):
        raise MoreThanYours("This role may do more than you may. Ask somebody who has it.")


def _new_password() -> str:
    return "-".join(secrets.token_hex(2) for _ in range(4))


# -- tokens -----------------------------------------------------------------------------------------------------------


async def list_tokens(session: AsyncSession, *, cursor: str = "", limit: int = 50) -> Page[ApiToken]:
    """The newest first; those that ended, too."""
    return await paging.fetch_by(session, ApiToken, (), by=ApiToken.id, cursor=cursor, limit=limit, newest_first=True)


async def create_token(
    session: AsyncSession, *, name: str, scopes: Sequence[Permission], expires_at: datetime, now: datetime, actor: Actor
) -> tuple[ApiToken, str]:
    """The row, and the token, which nobody can read again.

    1. a person makes it, so that a token that leaked cannot live on in others; 2. its scopes are rights that the person
    has; 3. it ends, within two years; 4. its name, by which the audit calls it, is of no other.
    Raises MoreThanYours, BadInput, TokenNameTaken.
    """
    if actor.user_id is None:
        raise MoreThanYours("A token makes no tokens. Log in, or use `prosa token create`.")
    if not frozenset(scopes) <= actor.permissions:
        raise MoreThanYours("A token can do no more than who makes it. Leave out the scopes that you do not have.")
    if expires_at > now + LONGEST_TOKEN:
        raise BadInput("Choose an end within two years.")
    await take_turn(session, "tokens")
    if await session.scalar(select(ApiToken.id).where(ApiToken.name == name).limit(1)):
        raise TokenNameTaken(f"There is a token {name} already. Choose another name, or revoke that one.")
    token = await users.create_api_token(
        session, name=name, scopes=scopes, expires_at=expires_at, now=now, actor=actor.name
    )
    row = (await session.scalars(select(ApiToken).where(ApiToken.hash == users.digest(token)))).one()
    return row, token


async def revoke_token(session: AsyncSession, token_id: int, *, actor: Actor) -> None:
    """It is dead at its next request. Raises TokenNotFound."""
    name = await session.scalar(delete(ApiToken).where(ApiToken.id == token_id).returning(ApiToken.name))
    if name is None:
        raise TokenNotFound("There is no such token.")
    await audit.record(session, actor=actor.name, action="token-revoked", subject=name, detail={})
