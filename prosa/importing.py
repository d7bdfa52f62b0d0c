"""`prosa import`: a CSV file is shown as it would be stored, then stored when somebody says so."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from ura import documents, imports, phones, rendering
from ura.crypto import Keyring
from ura.db import make_engine, make_sessions
from ura.errors import BadInput
from ura.imports import ImportKind, ImportRow, Preview
from ura.settings import Settings

SHOWN_ROWS = 10
SHOWN_ERRORS = 200
MOST_NAMES_AT_ONCE = 100  # a minute; the worker speaks the others, and calls hear a general sentence meanwhile


async def run(
    settings: Settings, kind: str, file: Path, *, say: Callable[[str], None], confirm: Callable[[], bool]
) -> None:
    """Bad rows are named and left out; with no good row at all BadInput."""
    engine = make_engine(settings.db_url)
    keyring = Keyring.of(settings)
    try:
        sessions = make_sessions(engine)
        async with sessions() as session:
            today = datetime.now(settings.zone).date()
            data = file.read_bytes()
            preview = await imports.preview(session, ImportKind(kind), data, today=today, keyring=keyring)
        _show(preview, say)
        if not preview.rows:
            raise BadInput(f"{file}: no row can be stored.")
        if not confirm():
            say("Nothing was stored.")
            return
        keys = await _speak(settings, imports.names_of(preview), say)
        stored = 0
        for part in imports.parts(preview):
            async with sessions.begin() as session:
                stored += await imports.apply(session, part, keys, keyring=keyring)
        say(f"{stored} rows stored.")
        if preview.kind in (ImportKind.NUMBERS, ImportKind.ATTENDANTS):
            say("`prosa run` hands them to Asterisk within half a minute, and calls go on. A container: restart it.")
    finally:
        await engine.dispose()


async def _speak(settings: Settings, names: list[str], say: Callable[[str], None]) -> dict[str, str]:
    now, later = names[:MOST_NAMES_AT_ONCE], names[MOST_NAMES_AT_ONCE:]
    if now:
        say(f"speaking {len(now)} names …")
    keys = await rendering.ensure_names(settings, now)
    if later:
        say(f"{len(later)} more names are spoken by the worker, {rendering.MOST_AT_ONCE} every five minutes")
    return keys | await rendering.leave_for_later(settings, later)


def _show(preview: Preview, say: Callable[[str], None]) -> None:
    for row in preview.rows[:SHOWN_ROWS]:
        say(f"  {_line(row)}")
    if len(preview.rows) > SHOWN_ROWS:
        say(f"  … and {len(preview.rows) - SHOWN_ROWS} more")
    for error in preview.errors[:SHOWN_ERRORS]:
        say(f"  line {error.line}{f', {error.column}' if error.column else ''}: {error.message}")
    if len(preview.errors) > SHOWN_ERRORS:
        say(f"  … and {len(preview.errors) - SHOWN_ERRORS} more errors")
    say(f"{len(preview.rows)} good rows, {len(preview.errors)} errors")


def _line(row: ImportRow) -> str:
    told = {name: _masked(name, value) for name, value in row.values.items() if value not in ("", None, [])}
    return f"line {row.line}: " + ", ".join(f"{name} {value}" for name, value in told.items())


def _masked(name: str, value: Any) -> Any:
    """A terminal is copied into tickets: enough to see that the columns are right, no more."""
    match name:
        case "document":
            return documents.mask(value)
        case "phones":
            return " | ".join(phones.mask(each) for each in value)
        case "subscriber":
            return f"{value.split()[0]} …"
        case "emails" | "line" | "pix" | "birth_year":
            return "…"
        case _:
            return value
