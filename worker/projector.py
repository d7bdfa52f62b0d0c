"""The projector: from the journals into the database, exactly once.

The place reached in each file is committed in the same transaction as the rows it led to. While the database is away
the files wait; nobody on the phone notices.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import structlog
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import journal, upsert
from ura.db import Sessions, database_is_away
from ura.models.journal_offset import JournalOffset
from ura.projection import apply_batch

log = structlog.get_logger(__name__)

PAUSE_S = 0.1
# A transaction costs as much CPU as the records of ten calls, so what comes within half a second shares one, unless a
# caller waits for it. The pause also lets others write, for SQLite's waiters do not queue in order.
TOGETHER_S = 0.5
LONGEST_PAUSE_S = 5.0
LOOK_FOR_DEAD_EVERY = 20  # turns: a file that does not grow is opened no more often


class Projector:
    def __init__(
        self,
        folder: Path,
        sessions: Sessions,
        wakes: Mapping[str, asyncio.Event] | None = None,
        *,
        mirror: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wakes`: kind of record that is waited for → what is set when such records have been applied. `mirror`: see
        ura.projection."""
        self._folder = folder
        self._sessions = sessions
        self._wakes = wakes or {}
        self._mirror = mirror
        self._offsets: dict[str, int] | None = None
        self._turns = -1  # so the first turn looks for the dead
        self._clock = clock
        self._applied_at = -TOGETHER_S
        self._waited_for = [b'["%s",' % kind.encode() for kind in self._wakes]  # as journal.encode writes it

    async def run(self) -> None:
        """For ever. Says once that the database is away, and once that it is back."""
        pause, away = PAUSE_S, False
        while True:
            try:
                if away or self.is_time():
                    await self.step()
            except Exception as error:
                if not database_is_away(error):
                    log.exception("the journal could not be applied; trying again")
                elif not away:
                    log.error("database away; the journal keeps what callers do", error=type(error).__name__)
                away, pause = True, min(pause * 2, LONGEST_PAUSE_S)
                self._offsets = None  # ask again what was committed
            else:
                if away:
                    log.info("database back; the journal drains")
                pause, away = PAUSE_S, False
            await asyncio.sleep(pause)

    def is_time(self) -> bool:
        """Half a second has passed since rows were last written, or somebody waits for what has come meanwhile."""
        if self._clock() - self._applied_at >= TOGETHER_S or self._offsets is None:
            return True
        return any(self._is_waited_for(path, size) for path, size in journal.sizes(self._folder))

    def _is_waited_for(self, path: Path, size: int) -> bool:
        offset = (self._offsets or {}).get(path.name, 0)
        if size <= offset:
            return False
        new = journal.new_bytes(path, offset)
        return any(kind in new for kind in self._waited_for)

    async def step(self) -> int:
        """Apply what is there now, at most a mebibyte a file, in one transaction. Returns how many lines that were."""
        if self._offsets is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            async with self._sessions() as session:
                rows = await session.execute(select(JournalOffset.file, JournalOffset.offset))
                self._offsets = {file: offset for file, offset in rows}
        grown: dict[Path, journal.Batch] = {}
        self._turns += 1
        for path, size in journal.sizes(self._folder):
            offset = self._offsets.get(path.name, 0)
            if size <= offset and self._turns % LOOK_FOR_DEAD_EVERY:
                continue
            abandoned = journal.is_abandoned(path)  # asked before reading: then the read sees all there will ever be
            batch = journal.read(path, offset)
            if batch.next_offset > offset:
                grown[path] = batch
            elif abandoned:
                await self._finish(path, offset)
                self._offsets.pop(path.name, None)
        if grown:
            await self._apply(grown)
            self._applied_at = self._clock()
            self._offsets |= {path.name: batch.next_offset for path, batch in grown.items()}
            for kind in {record.kind for batch in grown.values() for record in batch.records} & self._wakes.keys():
                self._wakes[kind].set()
        return sum(len(batch.records) + len(batch.bad) for batch in grown.values())

    async def _apply(self, grown: Mapping[Path, journal.Batch]) -> None:
        bad = {path: batch.bad for path, batch in grown.items()}
        try:
            async with self._sessions.begin() as session:
                records = [record for batch in grown.values() for record in batch.records]
                await apply_batch(session, records, mirror=self._mirror)
                await _remember(session, grown)
        except Exception as error:
            if database_is_away(error):
                raise
            for path, batch in grown.items():
                bad[path] = batch.bad + await self._apply_singly(path, batch)
        for path, lines in bad.items():
            if lines:
                _quarantine(path, lines)

    async def _apply_singly(self, path: Path, batch: journal.Batch) -> list[bytes]:
        """One record at fault must not stop the others: it is put aside."""
        bad = []
        async with self._sessions.begin() as session:
            # First: on SQLite only a write begins the transaction that the savepoints must be in.
            await _remember(session, {path: batch})
            for record in batch.records:
                try:
                    async with session.begin_nested():
                        await apply_batch(session, [record], mirror=self._mirror)
                except Exception as error:
                    if database_is_away(error):
                        raise
                    log.error("journal record put aside", kind=record.kind, key=record.key, error=type(error).__name__)
                    bad.append(journal.encode(record).rstrip(b"\n"))
        return bad

    async def _finish(self, path: Path, offset: int) -> None:
        """The writer is gone and all is applied: put a half line aside and remove the file."""
        tail = journal.new_bytes(path, offset)  # less than a line: whole ones have been applied
        if tail.strip():
            _quarantine(path, [tail])
        path.unlink()
        async with self._sessions.begin() as session:
            await session.execute(delete(JournalOffset).where(JournalOffset.file == path.name))


def _quarantine(path: Path, lines: Sequence[bytes]) -> None:
    with path.with_suffix(".bad").open("ab") as file:
        for line in lines:
            file.write(line + b"\n")
    log.error("damaged journal lines put aside", file=path.with_suffix(".bad").name, lines=len(lines))


async def _remember(session: AsyncSession, grown: Mapping[Path, journal.Batch]) -> None:
    rows = [{"file": path.name, "offset": batch.next_offset} for path, batch in grown.items()]
    await upsert.execute(session, _place(upsert.dialect(session)), rows)


@lru_cache
def _place(dialect: str) -> upsert.Insert:
    insert = upsert.insert(dialect, JournalOffset)
    return insert.on_conflict_do_update(index_elements=["file"], set_={"offset": insert.excluded.offset})
