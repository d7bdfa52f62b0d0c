"""Who may use Prosa, and what each may do: people with a password, sessions of a browser, tokens of a program.

Passwords are argon2id. Sessions and tokens are 256-bit random values; the database keeps their SHA-256 only.
"""

import asyncio
import hashlib
import secrets
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit
from ura.errors import BadInput, NotFound, Refused, UraError
from ura.models.api_token import ApiToken
from ura.models.session import LoginSession
from ura.models.user import Role, User

FIRST_ADMIN = "admin"
SHORTEST_PASSWORD = 10
IDLE_LIMIT = timedelta(hours=2)
ABSOLUTE_LIMIT = timedelta(hours=12)  # a shift
SEEN_EVERY = timedelta(minutes=1)  # how often a session's last use is written
TOKEN_PREFIX = "prosa_"  # noqa: S105 - so that scanners of leaked secrets recognise one


class Permission(StrEnum):
    CALLS_READ = "calls:read"
    LEADS_READ = "leads:read"
    LEADS_WRITE = "leads:write"
    TICKETS_READ = "tickets:read"
    TICKETS_WRITE = "tickets:write"
    TICKETS_L1 = "tickets:l1"  # to act on a ticket while it is there
    TICKETS_L2 = "tickets:l2"
    TICKETS_L3 = "tickets:l3"
    TICKETS_SETUP = "tickets:setup"  # categories, forms, technicians
    OUTAGES_READ = "outages:read"
    OUTAGES_WRITE = "outages:write"
    CALLBACKS_READ = "callbacks:read"
    CALLBACKS_WRITE = "callbacks:write"
    MESSAGES_READ = "messages:read"
    MESSAGES_WRITE = "messages:write"
    COVERAGE_READ = "coverage:read"
    PLANS_READ = "plans:read"
    FLOWS_READ = "flows:read"
    RECORDINGS_HEAR = "recordings:hear"
    HOURS_READ = "hours:read"
    HOURS_WRITE = "hours:write"
    ENTRY_READ = "entry:read"
    ENTRY_WRITE = "entry:write"
    CALLERS_BLOCK = "callers:block"
    REPORTS_READ = "reports:read"
    PRIVACY_MANAGE = "privacy:manage"  # people's requests about their data, holds, the purge log
    HEALTH_READ = "health:read"
    METRICS_READ = "metrics:read"
    EVENTS_READ = "events:read"  # to follow what happens: of each kind, to those who may read what it is about
    WEBHOOKS_MANAGE = "webhooks:manage"
    PANEL_USE = "panel:use"
    PHONES_SEE = "phones:see"
    SUBSCRIBERS_READ = "subscribers:read"
    SUBSCRIBERS_REVEAL = "subscribers:reveal"  # CPF, numbers and address in full, each time with a reason
    QUEUES_READ = "queues:read"
    QUEUES_WRITE = "queues:write"
    AUDIT_READ = "audit:read"
    TOKENS_MANAGE = "tokens:manage"
    USERS_MANAGE = "users:manage"


_P = Permission
_EVERYBODY = frozenset(
    {_P.PANEL_USE, _P.CALLS_READ, _P.TICKETS_READ, _P.OUTAGES_READ, _P.COVERAGE_READ, _P.PLANS_READ, _P.HOURS_READ}
) | {_P.EVENTS_READ, _P.QUEUES_READ}
_ADMINS_ONLY = frozenset({_P.USERS_MANAGE, _P.TOKENS_MANAGE, _P.WEBHOOKS_MANAGE, _P.AUDIT_READ})
GRANTS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.SUPERVISOR: frozenset(Permission) - _ADMINS_ONLY,
    Role.ATTENDANT: _EVERYBODY
    | {_P.TICKETS_WRITE, _P.TICKETS_L1, _P.LEADS_READ, _P.LEADS_WRITE, _P.FLOWS_READ, _P.PHONES_SEE, _P.RECORDINGS_HEAR}
    | {_P.CALLBACKS_READ, _P.CALLBACKS_WRITE, _P.MESSAGES_READ, _P.MESSAGES_WRITE}
    | {_P.ENTRY_READ, _P.CALLERS_BLOCK, _P.SUBSCRIBERS_READ, _P.SUBSCRIBERS_REVEAL},
    # Technicians see a customer's number with the contact that they may make (ura.tickets), in no list.
    Role.TECHNICIAN: _EVERYBODY
    | {_P.TICKETS_WRITE, _P.TICKETS_L2, _P.OUTAGES_WRITE, _P.HEALTH_READ}
    | {_P.SUBSCRIBERS_READ},
    # Who keeps the network never sees a customer's number, nor hears a customer.
    Role.NETWORK: _EVERYBODY | {_P.TICKETS_WRITE, _P.TICKETS_L3, _P.OUTAGES_WRITE, _P.HEALTH_READ},
    # Owners see figures and paths, masked, and change nothing.
    Role.OWNER: _EVERYBODY | {_P.LEADS_READ, _P.FLOWS_READ, _P.HEALTH_READ, _P.REPORTS_READ, _P.AUDIT_READ},
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks. `name` is what the audit says."""

    name: str
    permissions: frozenset[Permission]
    role: Role | None = None
    user_id: int | None = None
    session_id: str | None = None

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


class TooManyAttempts(UraError):
    code = "too-many-attempts"
    http_status = 429

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UserNotFound(NotFound):
    code = "user-not-found"


class TokenNotFound(NotFound):
    code = "token-not-found"


class WrongPassword(UraError):
    code = "wrong-password"
    http_status = 401


# 64 MiB and about 50 ms a try. Not more than two tries at a time: log-ins must not take the machine from calls.
_hasher = PasswordHash((Argon2Hasher(),))
_hashing = asyncio.Semaphore(2)


@cache
def _nobody() -> str:
    """An unknown name costs as much as a wrong password. Made at the first log-in: it takes 64 MiB and a while."""
    return _hasher.hash(secrets.token_urlsafe(16))


def digest(token: str) -> str:
    """What the database keeps of a session or token. The token is 256 random bits, so a plain SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


# -- people -----------------------------------------------------------------------------------------------------------


async def create_user(session: AsyncSession, *, email: str, name: str, role: Role, password: str, actor: str) -> User:
    """Raises BadInput for a short password, Refused when the e-mail is taken."""
    email = email.strip().lower()
    if not email:
        raise BadInput("Give an e-mail or a log-in name.")
    if len(password) < SHORTEST_PASSWORD:
        raise BadInput(f"Choose a password of {SHORTEST_PASSWORD} characters or more.")
    if await find_user(session, email=email):
        raise Refused(f"There is a user {email} already. Choose another e-mail, or change that user.")
    user = User(email=email, name=name.strip() or email, role=role, password_hash=await _hash(password), active=True)
    session.add(user)
    await session.flush()
    await audit.record(session, actor=actor, action="user-created", subject=email, detail={"role": role})
    return user


async def list_emails(session: AsyncSession, *, roles: Collection[Role] = tuple(Role)) -> list[str]:
    """Of all who may log in, in these roles, by name."""
    query = select(User.email).where(User.active, User.role.in_(roles)).order_by(User.email)
    return list(await session.scalars(query))


async def emails_of(session: AsyncSession, user_ids: Collection[int]) -> dict[int, str]:
    if not user_ids:
        return {}
    return {
        row.id: row.email for row in await session.execute(select(User.id, User.email).where(User.id.in_(user_ids)))
    }


async def find_user(session: AsyncSession, *, email: str) -> User | None:
    found: User | None = await session.scalar(select(User).where(User.email == email.strip().lower()))
    return found


async def get_user(session: AsyncSession, *, email: str) -> User:
    user = await find_user(session, email=email)
    if user is None:
        raise UserNotFound(f"There is no user {email.strip().lower()}.")
    return user


async def first_admin(session: AsyncSession) -> str | None:
    """Create the user `admin` when there is no user at all. Returns its password, to be shown once, or None."""
    if await session.scalar(select(func.count()).select_from(User)):
        return None
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    await create_user(
        session, email=FIRST_ADMIN, name="Administrador", role=Role.ADMIN, password=password, actor="prosa run"
    )
    return password


async def set_password(session: AsyncSession, *, user: User, password: str, actor: str) -> None:
    """Change it, and end every session of the user."""
    if len(password) < SHORTEST_PASSWORD:
        raise BadInput(f"Choose a password of {SHORTEST_PASSWORD} characters or more.")
    user.password_hash = await _hash(password)
    await end_sessions(session, user=user)
    await audit.record(session, actor=actor, action="password-changed", subject=user.email, detail={})


async def disable_user(session: AsyncSession, *, user: User, actor: str) -> None:
    """No further log-in, and every session is dead at its next request."""
    user.active = False
    await end_sessions(session, user=user)
    await audit.record(session, actor=actor, action="user-disabled", subject=user.email, detail={})


async def _hash(password: str) -> str:
    async with _hashing:
        return await asyncio.to_thread(_hasher.hash, password)


async def _verify(password: str, hashed: str | None) -> tuple[bool, str | None]:
    async with _hashing:
        return await asyncio.to_thread(lambda: _hasher.verify_and_update(password, hashed or _nobody()))


# -- log-in -----------------------------------------------------------------------------------------------------------


class LoginLimits:
    """Failures remembered in memory, by account and source. A wrong password slows its source down, never the owner
    of the account: a source that logged in before is not held back by what others try from elsewhere.
    """

    window = timedelta(minutes=15)
    per_pair = 5
    per_source = 30
    per_account = 60
    remembered = 10_000

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, account: str, source: str, now: datetime) -> None:
        """Raises TooManyAttempts."""
        limits = {(account, source): self.per_pair, ("", source): self.per_source, (account, ""): self.per_account}
        if (account, source) in self._known:
            del limits[(account, "")]
        for key, limit in limits.items():
            recent = self._recent(key, now)
            if len(recent) >= limit:
                wait = recent[-limit] + self.window - now
                raise TooManyAttempts(
                    "Too many wrong passwords. Wait before the next try.", retry_after_s=int(wait.total_seconds()) + 1
                )

    def failed(self, account: str, source: str, now: datetime) -> None:
        for key in ((account, source), ("", source), (account, "")):
            self._recent(key, now).append(now)
            self._failures.move_to_end(key)
        while len(self._failures) > self.remembered:
            self._failures.popitem(last=False)

    def succeeded(self, account: str, source: str) -> None:
        self._failures.pop((account, source), None)
        self._known[(account, source)] = None
        self._known.move_to_end((account, source))
        while len(self._known) > self.remembered:
            self._known.popitem(last=False)

    def size(self) -> int:
        return len(self._failures)

    def _recent(self, key: tuple[str, str], now: datetime) -> deque[datetime]:
        times = self._failures.setdefault(key, deque(maxlen=max(self.per_account, self.per_source)))
        while times and times[0] <= now - self.window:
            times.popleft()
        return times


async def log_in(
    session: AsyncSession, limits: LoginLimits, *, email: str, password: str, source: str, now: datetime
) -> tuple[User, str]:
    """The user and the token for the cookie. Raises WrongPassword, with one text for unknown name, wrong password and
    disabled user, or TooManyAttempts. Commit in both cases: the failure is in the audit."""
    account = email.strip().lower()
    limits.check(account, source, now)
    user = await find_user(session, email=account)
    right, better_hash = await _verify(password, user.password_hash if user else None)
    if user is None or not right or not user.active:
        limits.failed(account, source, now)
        await audit.record(session, actor=account, action="log-in-refused", subject=account, detail={"source": source})
        raise WrongPassword("Wrong user or password.")
    limits.succeeded(account, source)
    if better_hash:
        user.password_hash = better_hash
    token = await open_session(session, user=user, now=now)
    await audit.record(session, actor=user.email, action="logged-in", subject=user.email, detail={"source": source})
    return user, token


# -- sessions ---------------------------------------------------------------------------------------------------------


async def open_session(session: AsyncSession, *, user: User, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    session.add(
        LoginSession(id=digest(token), user_id=user.id, created_at=now, seen_at=now, expires_at=now + ABSOLUTE_LIMIT)
    )
    await session.flush()
    return token


async def find_session_actor(session: AsyncSession, *, token: str, now: datetime) -> Actor | None:
    """The person behind a cookie; None when the session is unknown, idle too long, too old or of a disabled user."""
    row = (
        await session.execute(
            select(LoginSession, User)
            .join(User, User.id == LoginSession.user_id)
            .where(LoginSession.id == digest(token))
        )
    ).one_or_none()
    if row is None:
        return None
    browser, user = row
    if now >= browser.expires_at or now - browser.seen_at >= IDLE_LIMIT or not user.active:
        return None
    if now - browser.seen_at >= SEEN_EVERY:
        await session.execute(update(LoginSession).where(LoginSession.id == browser.id).values(seen_at=now))
    return Actor(name=user.email, permissions=GRANTS[user.role], role=user.role, user_id=user.id, session_id=browser.id)


async def end_session(session: AsyncSession, *, token: str) -> None:
    await session.execute(delete(LoginSession).where(LoginSession.id == digest(token)))


async def end_sessions(session: AsyncSession, *, user: User) -> None:
    """Log out everywhere."""
    await session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))


async def forget_old_sessions(session: AsyncSession, *, now: datetime) -> None:
    await session.execute(
        delete(LoginSession).where((LoginSession.expires_at <= now) | (LoginSession.seen_at <= now - IDLE_LIMIT))
    )


# -- tokens of programs -----------------------------------------------------------------------------------------------


async def create_api_token(
    session: AsyncSession, *, name: str, scopes: Iterable[str], expires_at: datetime, now: datetime, actor: str
) -> str:
    """Returns the token, which nobody can read again. Scopes are permission names."""
    if expires_at <= now:
        raise BadInput("Choose a moment in the future for the end of the token.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    granted = sorted(_permissions(list(scopes)))
    row = ApiToken(name=name, made_by=actor, hash=digest(token), scopes=granted, created_at=now, expires_at=expires_at)
    session.add(row)
    await audit.record(session, actor=actor, action="token-created", subject=name, detail={"scopes": granted})
    await session.flush()
    return token


_TOKEN = select(ApiToken.id, ApiToken.name, ApiToken.scopes, ApiToken.expires_at, ApiToken.last_used_at).where(
    ApiToken.hash == bindparam("wanted")
)


async def find_token_actor(session: AsyncSession, *, token: str, now: datetime) -> Actor | None:
    """The program behind a bearer token; None when it is unknown or has expired."""
    row = (await session.execute(_TOKEN, {"wanted": digest(token)})).one_or_none()
    if row is None or row.expires_at is None or now >= row.expires_at:
        return None
    if row.last_used_at is None or now - row.last_used_at >= SEEN_EVERY:
        await session.execute(update(ApiToken).where(ApiToken.id == row.id).values(last_used_at=now))
    return Actor(name=f"token {row.name}", permissions=frozenset(Permission(scope) for scope in row.scopes))


async def revoke_api_token(session: AsyncSession, *, name: str, actor: str) -> None:
    """Raises TokenNotFound."""
    gone = await session.scalars(delete(ApiToken).where(ApiToken.name == name).returning(ApiToken.id))
    if not gone.all():
        raise TokenNotFound(f"There is no token {name}.")
    await audit.record(session, actor=actor, action="token-revoked", subject=name, detail={})


def _permissions(scopes: Collection[str]) -> set[Permission]:
    unknown = set(scopes) - set(Permission)
    if unknown or not scopes:
        known = ", ".join(Permission)
        raise BadInput(f"Unknown or no scope {', '.join(sorted(unknown))}. Choose among: {known}.")
    return {Permission(scope) for scope in scopes}
