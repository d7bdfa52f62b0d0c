"""Is this installation well? Heartbeats of its parts, the database, and records that still wait in the journal.

A part touches `<state>/heartbeat/<name>` every second (`beat`); one that stopped touching it is not well.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ura import journal
from ura.models import Call, JournalOffset

PARTS = ("agi", "worker", "asterisk")
SILENT_AFTER_S = 10.0


class Pulse(StrEnum):
    WELL = "well"
    SILENT = "silent"
    UNKNOWN = "unknown"  # never heard of


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    pulse: Pulse
    seconds_ago: float | None


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    kind: str
    call_id: str
    at: datetime


def heartbeat(state_dir: Path, name: str) -> Path:
    """The file that this part touches."""
    return state_dir / "heartbeat" / name


def beat(state_dir: Path, name: str) -> None:
    """Called by a part about once a second."""
    file = heartbeat(state_dir, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def pulse(state_dir: Path, name: str, *, now_s: float | None = None) -> Part:
    try:
        ago = max(0.0, (now_s or time.time()) - heartbeat(state_dir, name).stat().st_mtime)
    except FileNotFoundError:
        return Part(name, Pulse.UNKNOWN, None)
    return Part(name, Pulse.WELL if ago <= SILENT_AFTER_S else Pulse.SILENT, round(ago, 1))


async def ask_database(session: AsyncSession) -> str:
    """Its version, in its own words. Raises what the driver raises when it is away."""
    if session.get_bind().dialect.name == "sqlite":
        return f"SQLite {await session.scalar(select(func.sqlite_version()))}"
    version = str(await session.scalar(text("SHOW server_version")))
    return f"PostgreSQL {version.partition(' ')[0]}"


async def journal_offsets(session: AsyncSession) -> dict[str, int]:
    """File → bytes that the database has."""
    return {row.file: row.offset for row in await session.scalars(select(JournalOffset))}


async def count_live(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(Call).where(Call.ended_at.is_(None))) or 0


def waiting_records(folder: Path, offsets: Mapping[str, int], *, limit: int = 200) -> list[WaitingRecord]:
    """The oldest records that the database does not have yet."""
    found: list[WaitingRecord] = []
    for path in journal.files(folder):
        for record in _records(path, offsets.get(path.name, 0)):
            if len(found) == limit:
                return found
            call_id = str(record.data.get("call_id", ""))
            found.append(WaitingRecord(record.kind, call_id, datetime.fromisoformat(record.at)))
    return found


def _records(path: Path, offset: int) -> Iterator[journal.Record]:
    while True:
        try:
            batch = journal.read(path, offset)
        except FileNotFoundError:  # the projector was done with it
            return
        yield from batch.records
        if batch.next_offset == offset:
            return
        offset = batch.next_offset
