"""Engine, session factory, Base. SQLite (WAL) is the embedded default, PostgreSQL (psycopg 3) is production."""

import math
import os
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, DateTime, Dialect, ExceptionContext, MetaData, TypeDecorator, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from ura.adapters.sqlite_thread import connector
from ura.place import Place
from ura.rulebook import Rulebook

# Named constraints, so that Alembic's batch mode can drop them again on SQLite.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class Moment(TypeDecorator[datetime]):
    """An aware UTC moment. SQLite keeps no zone, so it is taken off going in and put back coming out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


Sessions = async_sessionmaker[AsyncSession]


def make_engine(url: str) -> AsyncEngine:
    """An engine with the settings that the promises need: on SQLite WAL and `synchronous=FULL` (a power cut loses
    nothing that was committed), on PostgreSQL a statement time-out of 2 s."""
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        return _sqlite_engine(target)
    return _postgres_engine(target)


# A server that is gone without a word is given up after this; the kernel alone would take a quarter of an hour.
SILENT_SERVER = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 8000}
ASKED_AFTER_S = 1.0  # a connection that has rested for so long: is the server still there?
MOST_CONNECTIONS = 15  # of a process; PostgreSQL takes 100 of all
READ_ONLY = "25006"  # PostgreSQL, appendix A: read_only_sql_transaction


def _postgres_engine(target: URL) -> AsyncEngine:
    """Of several servers (`?host=a:5432&host=b:5432`), that one which takes writes."""
    hosts = target.query.get("host", "")
    several = not isinstance(hosts, str) or "," in hosts
    engine = create_async_engine(
        target if not several else target.update_query_dict({"target_session_attrs": "read-write"}),
        hide_parameters=True,  # an error that quotes its statement must not bring names and numbers into a log
        pool_size=MOST_CONNECTIONS,
        max_overflow=0,  # one more than the pool keeps is made and thrown away for each question
        connect_args={"connect_timeout": 2, "options": "-c statement_timeout=2000", **SILENT_SERVER},
    )

    @event.listens_for(engine.sync_engine, "checkin")
    def _rests(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _still_alive(connection: Any, record: Any, _proxy: Any) -> None:
        """Asked of one that has rested: in a rush, each question would cost a second one."""
        if time.monotonic() - record.info.get("rests_since", math.inf) < ASKED_AFTER_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the server is gone") from error  # the pool connects again

    @event.listens_for(engine.sync_engine, "handle_error")
    def _demoted(context: ExceptionContext) -> None:
        """Who writes nothing any more is as good as gone: connect again, and try later what was to be written."""
        if getattr(context.original_exception, "sqlstate", "") == READ_ONLY:
            context.is_disconnect = True

    return engine


def _sqlite_engine(target: URL) -> AsyncEngine:
    """The file is there or the database is away: it is not made anew (`mode=rw`; `ura.migrate` makes it). And a
    connection keeps to its file whatever the file is called now: one whose file was moved, or replaced by a backup,
    would go on writing where nobody looks. So it is given up before its next use."""
    path = os.path.abspath(target.database or "")
    engine = create_async_engine(target, hide_parameters=True, async_creator=connector(f"file:{quote(path)}?mode=rw"))

    @event.listens_for(engine.sync_engine, "connect")
    def _pragmas(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        record.info["file"] = _file_at(path)

    @event.listens_for(engine.sync_engine, "checkout")
    def _still_there(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _file_at(path):
            raise DisconnectionError("the database file is another one now, or none")  # the pool connects again

    return engine


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def make_sessions(
    engine: AsyncEngine,
    place: Place = Place(),  # noqa: B008 - frozen
    rulebook: Rulebook | None = None,
) -> Sessions:
    """`place` goes with every session: whoever opens or moves a ticket, what is due is due by that calendar. So does
    `rulebook`; without one, rules are read each time."""
    return async_sessionmaker(engine, expire_on_commit=False, info={"place": place, "rulebook": rulebook or Rulebook()})


def make_lookups(engine: AsyncEngine, place: Place = Place()) -> Sessions:  # noqa: B008 - frozen
    """For single questions, of which there are many: no transaction is begun and ended around each. What is written
    counts at once."""
    if engine.dialect.name == "postgresql":  # on a file it costs nothing
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    return make_sessions(engine, place)


def database_is_away(error: BaseException) -> bool:
    """True when trying again later can help; otherwise what was asked is at fault."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | OSError | TimeoutError)
