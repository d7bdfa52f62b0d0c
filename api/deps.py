"""What routes ask for: the wired objects, a database session, and whoever asks, with the permission it takes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from api.errors import Forbidden, NotLoggedIn
from api.event_feed import EventFeed
from api.idempotency import Answers
from api.limits import RequestLimits, TooManyRequests, is_limited
from api.live import Broadcaster
from api.metrics import Metrics
from api.reader import Reader
from api.security import SECURE_SESSION_COOKIE, SESSION_COOKIE
from ura import users
from ura.crypto import Keyring
from ura.db import Sessions
from ura.errors import Unavailable
from ura.protocol import Protocols
from ura.rulebook import Rulebook
from ura.second_copies import SecondCopies
from ura.settings import Settings
from ura.users import Actor, LoginLimits, Permission

ANSWER_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Wired:
    """What api/main.py built, for the routes."""

    settings: Settings
    sessions: Sessions
    lookups: Sessions  # for single questions
    rulebook: Rulebook
    limits: LoginLimits
    protocols: Protocols
    broadcaster: Broadcaster
    events: EventFeed
    reader: Reader
    metrics: Metrics
    keyring: Keyring
    answers: Answers
    request_limits: RequestLimits
    second_copies: SecondCopies | None  # None: nobody is given a link


async def wired(request: Request) -> Wired:
    """A coroutine, though nothing is awaited: a plain function would be called in a thread, for each request."""
    return cast(Wired, request.app.state.wired)


WiredDep = Annotated[Wired, Depends(wired)]


async def _session(request: Request, things: WiredDep) -> AsyncIterator[AsyncSession]:
    async with things.sessions.begin() as session:
        request.state.session = session  # for what is kept with the effect (api/idempotency.py)
        yield session


# scope="function": committed before the answer leaves, so what was answered is what is stored.
SessionDep = Annotated[AsyncSession, Depends(_session, scope="function")]


async def _rules_may_change(things: WiredDep) -> AsyncIterator[None]:
    try:
        yield
    finally:
        things.rulebook.forget()


# For routers where rules are changed. Begun before the session, so it ends behind its commit.
RulesMayChange = Depends(_rules_may_change, scope="function")

bearer_token = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="An opaque token with scopes and an end; an administrator makes it.",
)
_cookie = APIKeyCookie(name=SESSION_COOKIE, auto_error=False, scheme_name="session", description="The panel's log-in.")


def session_token(request: Request) -> str | None:
    return request.cookies.get(SECURE_SESSION_COOKIE) or request.cookies.get(SESSION_COOKIE)


async def find_actor(things: Wired, *, bearer: str | None, cookie: str | None) -> Actor | None:
    """Not in the transaction of the route. A bearer token that is wrong is not rescued by a cookie."""
    now = datetime.now(UTC)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S), things.lookups.begin() as session:
            if bearer is not None:
                return await users.find_token_actor(session, token=bearer, now=now)
            if cookie is not None:
                return await users.find_session_actor(session, token=cookie, now=now)
    except TimeoutError as error:
        raise Unavailable("The database does not answer. Try again in a moment.") from error
    return None


async def allow(request: Request, things: Wired, permission: Permission, *, bearer: str | None) -> Actor:
    """Whoever asks, when they may. Raises NotLoggedIn, Forbidden."""
    actor = await find_actor(things, bearer=bearer, cookie=session_token(request))
    if actor is None:
        raise NotLoggedIn("Send a valid token as `Authorization: Bearer …`, or log in to the panel.")
    request.state.actor = actor
    await _count(request, things, actor)
    if not actor.may(permission):
        raise Forbidden(f"This needs the permission {permission}. Ask an administrator for it.")
    return actor


async def _count(request: Request, things: Wired, actor: Actor) -> None:
    """Raises TooManyRequests."""
    if is_limited(request.url.path) and (standing := await things.request_limits.of_actor(actor.name)):
        request.state.standing = standing  # api/limits.py tells it
        if not standing.taken:
            raise TooManyRequests(standing)


class Rule:
    """The dependency that every route has: who may? tests/api/test_permissions.py fails for a route without one."""


@dataclass(frozen=True)
class Requires(Rule):
    """Whoever has the permission."""

    permission: Permission

    async def __call__(
        self,
        request: Request,
        things: WiredDep,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)],
        _documented: Annotated[str | None, Security(_cookie)],
    ) -> Actor:
        token = bearer.credentials if bearer else None
        actor = await allow(request, things, self.permission, bearer=token)
        await things.answers.begin(request, actor)
        return actor


@dataclass(frozen=True)
class OpenToAll(Rule):
    """A route that anybody may call says so, and why."""

    because: str

    async def __call__(self) -> None:
        return None


CallReader = Annotated[Actor, Depends(Requires(Permission.CALLS_READ))]
LeadReader = Annotated[Actor, Depends(Requires(Permission.LEADS_READ))]
LeadWriter = Annotated[Actor, Depends(Requires(Permission.LEADS_WRITE))]
TicketReader = Annotated[Actor, Depends(Requires(Permission.TICKETS_READ))]
TicketWriter = Annotated[Actor, Depends(Requires(Permission.TICKETS_WRITE))]
TicketSetter = Annotated[Actor, Depends(Requires(Permission.TICKETS_SETUP))]
OutageReader = Annotated[Actor, Depends(Requires(Permission.OUTAGES_READ))]
OutageWriter = Annotated[Actor, Depends(Requires(Permission.OUTAGES_WRITE))]
CallbackReader = Annotated[Actor, Depends(Requires(Permission.CALLBACKS_READ))]
CallbackWriter = Annotated[Actor, Depends(Requires(Permission.CALLBACKS_WRITE))]
RecordingHearer = Annotated[Actor, Depends(Requires(Permission.RECORDINGS_HEAR))]
MessageReader = Annotated[Actor, Depends(Requires(Permission.MESSAGES_READ))]
MessageWriter = Annotated[Actor, Depends(Requires(Permission.MESSAGES_WRITE))]
CoverageReader = Annotated[Actor, Depends(Requires(Permission.COVERAGE_READ))]
PlanReader = Annotated[Actor, Depends(Requires(Permission.PLANS_READ))]
FlowReader = Annotated[Actor, Depends(Requires(Permission.FLOWS_READ))]
HoursReader = Annotated[Actor, Depends(Requires(Permission.HOURS_READ))]
HoursWriter = Annotated[Actor, Depends(Requires(Permission.HOURS_WRITE))]
EntryReader = Annotated[Actor, Depends(Requires(Permission.ENTRY_READ))]
EntryWriter = Annotated[Actor, Depends(Requires(Permission.ENTRY_WRITE))]
Blocker = Annotated[Actor, Depends(Requires(Permission.CALLERS_BLOCK))]
ReportReader = Annotated[Actor, Depends(Requires(Permission.REPORTS_READ))]
HealthReader = Annotated[Actor, Depends(Requires(Permission.HEALTH_READ))]
PrivacyManager = Annotated[Actor, Depends(Requires(Permission.PRIVACY_MANAGE))]
EventReader = Annotated[Actor, Depends(Requires(Permission.EVENTS_READ))]
WebhookKeeper = Annotated[Actor, Depends(Requires(Permission.WEBHOOKS_MANAGE))]
SubscriberReader = Annotated[Actor, Depends(Requires(Permission.SUBSCRIBERS_READ))]
SubscriberRevealer = Annotated[Actor, Depends(Requires(Permission.SUBSCRIBERS_REVEAL))]
QueueReader = Annotated[Actor, Depends(Requires(Permission.QUEUES_READ))]
QueueWriter = Annotated[Actor, Depends(Requires(Permission.QUEUES_WRITE))]
AuditReader = Annotated[Actor, Depends(Requires(Permission.AUDIT_READ))]
TokenManager = Annotated[Actor, Depends(Requires(Permission.TOKENS_MANAGE))]
UserManager = Annotated[Actor, Depends(Requires(Permission.USERS_MANAGE))]
PanelUser = Annotated[Actor, Depends(Requires(Permission.PANEL_USE))]
