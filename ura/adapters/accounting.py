"""Is this login dialled in? From FreeRADIUS's accounting table `radacct`, in PostgreSQL or MariaDB/MySQL.

Read only. On a large table the query wants an index on (UserName, AcctStartTime).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ura.erp import Answer, Connection, Contract, ErpUnavailable, Reply, SessionState, Unsupported

NAME = "radius"
MISSED_UPDATES = 3  # a session that has been silent for so many intervals may be over: nobody knows
CONNECT_S = 2
# Moments as seconds since 1970: MariaDB's DATETIME has no zone, and only the server knows its own.
EPOCH = {"postgresql": "extract(epoch from {0})", "mysql": "unix_timestamp({0})"}
SESSION = """
SELECT {started} AS started, {updated} AS updated, {stopped} AS stopped, acctsessionid,
       {nas} AS nasipaddress, {address} AS framedipaddress
FROM radacct WHERE username = :login ORDER BY acctstarttime DESC, radacctid DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class RadiusSession:
    """The newest one of a login. Moments in UTC."""

    id: str
    nas: str
    address: str
    started_at: datetime
    heard_at: datetime  # when the NAS last told of it
    stopped_at: datetime | None


def utc_now() -> datetime:
    return datetime.now(UTC)


class RadiusAccounting:
    """`url` as SQLAlchemy takes it, e.g. `mysql+aiomysql://user:password@host/radius`. `interim_s`: how often NASes
    tell of a session. (The row's acctinterval is only the last gap, and grows with each update that was lost.)"""

    name = NAME

    def __init__(self, url: str, *, interim_s: int = 600, now: Callable[[], datetime] = utc_now) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url, pool_pre_ping=True, pool_size=3, connect_args={"connect_timeout": CONNECT_S}
        )
        self._interim = timedelta(seconds=interim_s)
        self._now = now
        dialect = self._engine.dialect.name
        epoch, address = EPOCH[dialect], "host({0})" if dialect == "postgresql" else "{0}"
        self._query = text(
            SESSION.format(
                started=epoch.format("acctstarttime"),
                updated=epoch.format("acctupdatetime"),
                stopped=epoch.format("acctstoptime"),
                nas=address.format("nasipaddress"),
                address=address.format("framedipaddress"),
            )
        )

    async def find_session(self, login: str) -> RadiusSession | None:
        """Raises ErpUnavailable."""
        try:
            async with self._engine.connect() as connection:
                row = (await connection.execute(self._query, {"login": login})).first()
        except (SQLAlchemyError, OSError) as error:
            raise ErpUnavailable(f"the RADIUS accounting cannot be read: {type(error).__name__}") from error
        if row is None or row.started is None:
            return None
        started = _moment(row.started)
        return RadiusSession(
            id=row.acctsessionid,
            nas=str(row.nasipaddress),
            address=str(row.framedipaddress or ""),
            started_at=started,
            heard_at=max(started, _moment(row.updated)) if row.updated is not None else started,
            stopped_at=_moment(row.stopped) if row.stopped is not None else None,
        )

    async def connection(self, contract: Contract) -> Reply[Connection]:
        """ONLINE only while the NAS keeps saying so; a login that was never seen here is UNKNOWN, not offline."""
        login, now = contract.access.login, self._now()
        if not login:
            return Unsupported(NAME, "connection")
        session = await self.find_session(login)
        if session is None:
            return Answer(Connection(SessionState.UNKNOWN), NAME, now)
        if session.stopped_at is not None:
            return Answer(Connection(SessionState.OFFLINE, session.stopped_at), NAME, now)
        if now - session.heard_at > MISSED_UPDATES * self._interim:
            return Answer(Connection(SessionState.UNKNOWN), NAME, session.heard_at)
        return Answer(Connection(SessionState.ONLINE, session.started_at), NAME, session.heard_at)

    async def close(self) -> None:
        await self._engine.dispose()


def _moment(epoch: object) -> datetime:
    return datetime.fromtimestamp(float(str(epoch)), UTC)
