"""`prosa import`: a CSV file is shown as it would be stored, then stored when somebody says so."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ura import imports, rendering
from ura.db import make_engine, make_sessions
from ura.errors import BadInput
from ura.imports import ImportKind, ImportRow, Preview
from ura.settings import Settings

SHOWN_ROWS = 10


async def run(
    settings: Settings, kind: str, file: Path, *, say: Callable[[str], None], confirm: Callable[[], bool]
) -> None:
    """Bad rows are named and left out; with no good row at all BadInput."""
    engine = make_engine(settings.db_url)
    try:
        sessions = make_sessions(engine)
        async with sessions() as session:
            today = datetime.now(settings.zone).date()
            preview = await imports.preview(session, ImportKind(kind), file.read_bytes(), today=today)
        _show(preview, say)
        if not preview.rows:
            raise BadInput(f"{file}: no row can be stored.")
        if not confirm():
            say("Nothing was stored.")
            return
        names = imports.names_of(preview)
        say(f"speaking {len(names)} names …")
        keys = await rendering.ensure_names(settings, names)
        async with sessions.begin() as session:
            stored = await imports.apply(session, preview, keys)
        say(f"{stored} rows stored.")
    finally:
        await engine.dispose()


def _show(preview: Preview, say: Callable[[str], None]) -> None:
    for row in preview.rows[:SHOWN_ROWS]:
        say(f"  {_line(row)}")
    if len(preview.rows) > SHOWN_ROWS:
        say(f"  … and {len(preview.rows) - SHOWN_ROWS} more")
    for error in preview.errors:
        say(f"  line {error.line}{f', {error.column}' if error.column else ''}: {error.message}")
    say(f"{len(preview.rows)} good rows, {len(preview.errors)} errors")


def _line(row: ImportRow) -> str:
    return f"line {row.line}: " + ", ".join(f"{k} {v}" for k, v in row.values.items() if v not in ("", None, []))
