"""`prosa calls compare`: Asterisk's own list of calls beside our records. Reads only; may run beside calls."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ura import call_lists
from ura.call_lists import Compared
from ura.db import make_engine, make_sessions
from ura.settings import Settings


async def compare(settings: Settings, file: Path | None, *, days: int) -> Compared:
    """Raises OSError when there is no such list."""
    now = datetime.now(UTC)
    engine = make_engine(settings.db_url)
    try:
        async with make_sessions(engine)() as session:
            since = now - timedelta(days=days)
            return await call_lists.compare(session, file or settings.state_dir / call_lists.LIST, since=since, now=now)
    finally:
        await engine.dispose()
