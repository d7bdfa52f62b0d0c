"""One after the other: whoever looks first and changes then, where two at once would both have seen the old state."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ura import upsert

_POSTGRESQL = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 7715404))")
# Changes nothing, and makes us the writer: SQLite has one at a time.
_SQLITE = text("UPDATE event SET id = id WHERE 0 = 1")


async def take_turn(session: AsyncSession, what: str) -> None:
    """Whoever takes a turn at the same thing waits until our transaction is over. Rows read before may be old: read
    them after this, with `populate_existing`."""
    if upsert.dialect(session) == "postgresql":
        await session.execute(_POSTGRESQL, {"what": what})
    else:
        await session.execute(_SQLITE)
