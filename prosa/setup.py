"""What must be there before a door opens: folders, tables, a provider, a published flow, prompts, a first log-in."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from prosa.asterisk import Attendant, Did
from ura import numbers, prompts, queues, sla_policies, users
from ura.crypto import Keyring
from ura.db import Sessions, make_engine, make_sessions
from ura.demo import load_demo
from ura.demo.refresh import refresh_days
from ura.errors import BadInput, Refused
from ura.flows import store
from ura.models.did import DidKind
from ura.models.user import Role
from ura.settings import ROOT, Settings

MIGRATIONS = ROOT / "migrations" / "versions"
Step = Callable[[str], AbstractContextManager[list[str]]]


@dataclass
class Prepared:
    dids: list[Did]
    attendants: list[Attendant]
    log_in: str
    password_unseen: str  # to be shown even if the start fails: it is shown once


async def prepare(settings: Settings, step: Step, *, now: datetime | None = None) -> Prepared:
    """Safe to repeat; the second time it only looks. `now`: None for this moment."""
    with step("state folder") as notes:
        for folder in (settings.journal_dir, settings.live_dir, settings.recordings_dir, settings.logs_dir):
            folder.mkdir(parents=True, exist_ok=True)
        notes.append(str(settings.state_dir))
    with step("database") as notes:
        notes.append(settings.db_url.partition(":")[0].partition("+")[0])
        if not await is_current(settings):
            from ura.migrate import upgrade  # Alembic takes a second to import, and is seldom needed

            await upgrade(settings.db_url)
            notes.append("tables brought up to date")
    engine = make_engine(settings.db_url)
    try:
        sessions = make_sessions(engine, settings.place)
        password = await _first_content(settings, sessions, step, now or datetime.now(UTC))
        dids, attendants = await _numbers(sessions)
        log_in = f"{users.FIRST_ADMIN} / {password} (shown only now)" if password else "as before"
        return Prepared(dids, attendants, log_in, f"first log-in: {log_in}" if password else "")
    finally:
        await engine.dispose()


async def read_numbers(settings: Settings) -> tuple[list[Did], list[Attendant]]:
    """Our numbers and the phones of those who work, as the database has them now. Raises SQLAlchemyError, OSError."""
    engine = make_engine(settings.db_url)
    try:
        return await _numbers(make_sessions(engine))
    finally:
        await engine.dispose()


async def is_current(settings: Settings) -> bool:
    """Does the database have the newest migration? Their files are numbered (alembic.ini: file_template)."""
    if settings.db_url.startswith("sqlite") and not Path(settings.db_url.partition("///")[2]).exists():
        return False
    newest = max(file.name.partition("_")[0] for file in MIGRATIONS.glob("[0-9]*.py"))
    engine = make_engine(settings.db_url)
    try:
        async with engine.connect() as connection:
            found: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found == newest
    except DBAPIError:  # no such table, or no such database: the migration says what is wrong
        return False
    finally:
        await engine.dispose()


async def _first_content(settings: Settings, sessions: Sessions, step: Step, now: datetime) -> str:
    """The demo provider when there is no provider, the shipped flows when there are none, the first log-in when there
    is nobody. Returns that log-in's password, or nothing."""
    with step("provider") as notes:
        async with sessions.begin() as session:
            await sla_policies.install_shipped(session)  # first: the demo opens tickets
            notes.append(await _provider(session, settings, now))
    with step("flow and prompts") as notes:
        async with sessions.begin() as session:
            known = await store.known_here(session, prompts.load_all(settings.prompts_dir))
            for version in await store.publish_shipped(session, now=now, known=known):
                notes.append(f"published {version.flow_key} {version.number}")
    async with sessions.begin() as session:
        return await users.first_admin(session) or ""


async def _provider(session: AsyncSession, settings: Settings, now: datetime) -> str:
    if await load_demo(session, settings, now=now):
        return "demo loaded"
    is_tried_out = settings.environment == "development" and settings.erp == "local"
    if is_tried_out and await refresh_days(session, Keyring.of(settings), now.astimezone(settings.zone)):
        return "is there; the demo's days count from today"
    return "is there"


async def _numbers(sessions: Sessions) -> tuple[list[Did], list[Attendant]]:
    async with sessions() as session:
        kinds = list(DidKind)  # landline first: it is the one that we call ourselves
        rows = sorted(await numbers.list_dids(session), key=lambda did: (kinds.index(did.kind), did.number))
        dids = [Did(did.number, did.kind) for did in rows]
        attendants = [
            Attendant(each.extension, tuple(each.queues))
            for each in await queues.list_attendants(session)
            if each.active
        ]
    return dids, attendants


@asynccontextmanager
async def _transaction(settings: Settings) -> AsyncIterator[AsyncSession]:
    engine = make_engine(settings.db_url)
    try:
        async with make_sessions(engine, settings.place).begin() as session:
            yield session
    finally:
        await engine.dispose()


async def demo_into_empty(settings: Settings) -> str:
    """Raises Refused when somebody's provider is there."""
    async with _transaction(settings) as session:
        if not await load_demo(session, settings):
            raise Refused("There is a provider in this database. The demo goes into an empty one only.")
    return "The demo provider is loaded."


async def add_user(settings: Settings, *, email: str, role: str, name: str, password: str) -> str:
    try:
        wanted = Role(role)
    except ValueError:
        raise BadInput(f"{role} is no role. Choose one of {', '.join(Role)}.") from None
    async with _transaction(settings) as session:
        await users.create_user(session, email=email, name=name, role=wanted, password=password, actor="prosa user add")
    return f"{email} may log in as {wanted}."


async def change_password(settings: Settings, *, email: str, password: str) -> str:
    async with _transaction(settings) as session:
        user = await users.get_user(session, email=email)
        await users.set_password(session, user=user, password=password, actor="prosa user password")
    return f"{email} has a new password and has to log in with it, everywhere."


async def disable_user(settings: Settings, *, email: str) -> str:
    async with _transaction(settings) as session:
        await users.disable_user(session, user=await users.get_user(session, email=email), actor="prosa user disable")
    return f"{email} is logged out everywhere and cannot log in any more."


async def create_token(settings: Settings, *, name: str, scopes: list[str], days: int) -> str:
    """A token for a program; shown once."""
    now = datetime.now(UTC)
    async with _transaction(settings) as session:
        return await users.create_api_token(
            session,
            name=name,
            scopes=scopes,
            expires_at=now + timedelta(days=days),
            now=now,
            actor="prosa token create",
        )


async def revoke_token(settings: Settings, *, name: str) -> str:
    async with _transaction(settings) as session:
        await users.revoke_api_token(session, name=name, actor="prosa token revoke")
    return f"The token {name} opens nothing any more."
