"""Deletes what has had its time, class by class, and writes down how much that was."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy import select

from ura import call_lists, legal_holds, purges, retention
from ura.crypto import Keyring
from ura.db import Sessions
from ura.erp import Erp, ErpUnavailable
from ura.models import Recording
from ura.retention import CLASSES, Purging, Times, Turn
from ura.settings import Settings
from worker.schedules import HOUR_S, repeat

log = structlog.get_logger(__name__)

SOUNDS = "*.wav"
BREATH_S = 0.05  # between two transactions: on SQLite others wait for the same lock, and do not queue in order


def utc_now() -> datetime:
    return datetime.now(UTC)


class Retention:
    def __init__(
        self,
        sessions: Sessions,
        erp: Erp,
        settings: Settings,
        *,
        at_once: int = retention.AT_ONCE,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._sessions = sessions
        self._erp = erp
        self._keyring = Keyring.of(settings)
        self._times = Times.of(settings)
        self._zone = settings.zone
        self._recordings: Path = settings.recordings_dir
        self._call_list = settings.state_dir / call_lists.LIST
        self._at_once = at_once
        self._now = now

    async def run(self) -> None:
        await repeat(HOUR_S, self.step, put_off="what has had its time is deleted later")

    async def step(self) -> None:
        """Until nothing is left that has had its time. What is broken off goes on at the next turn, nothing twice."""
        now = self._now()
        try:
            for kind, purge in CLASSES.items():
                gone = await self._purge(kind, purge, now)
                if gone:
                    log.info("deleted what had had its time", kind=kind, rows=gone)
        except ErpUnavailable as trouble:  # whose data are held is not known: then nothing goes
            log.warning("what has had its time is deleted later", reason=trouble.message)
            return
        if orphans := await self._drop_sounds_without_a_row(now):
            log.info("deleted recorded sound that no call knows of", files=orphans)
        await self._put_call_list_away(now)

    async def _put_call_list_away(self, now: datetime) -> None:
        today = now.astimezone(self._zone).date()
        try:
            gone = await asyncio.to_thread(call_lists.put_away, self._call_list, today=today, now=now)
        except OSError as trouble:
            log.warning("Asterisk's list of calls is put away later", reason=trouble.strerror)
            return
        if gone:
            async with self._sessions.begin() as session:
                await purges.record(session, kind="asterisks_list", rows=gone, on_day=today, now=now)

    async def _purge(self, kind: str, purge: Purging, now: datetime) -> int:
        total = 0
        while True:
            async with self._sessions.begin() as session:
                held = await legal_holds.current(session, self._keyring, self._erp)
                gone = await purge(Turn(session, held, self._times, now, self._recordings, self._at_once))
                if gone:
                    day = now.astimezone(self._zone).date()
                    await purges.record(session, kind=kind, rows=gone, on_day=day, now=now)
            total += gone
            if gone < self._at_once:
                return total
            await asyncio.sleep(BREATH_S)

    async def _drop_sounds_without_a_row(self, now: datetime) -> int:
        """A caller's recording whose row never came (its call's record was lost with a disk) has had its time too."""
        before = (now - max(self._times.recordings, self._times.contracting)).timestamp()

        def old_files() -> list[Path]:
            return [file for file in self._recordings.glob(SOUNDS) if file.stat().st_mtime < before]

        old = await asyncio.to_thread(old_files)
        if not old:
            return 0
        gone = 0
        for start in range(0, len(old), self._at_once):
            part = old[start : start + self._at_once]
            async with self._sessions.begin() as session:
                names = [file.name for file in part]
                known = set(await session.scalars(select(Recording.path).where(Recording.path.in_(names))))
                orphans = [file for file in part if file.name not in known]
                for file in orphans:
                    file.unlink(missing_ok=True)
                if orphans:
                    day = now.astimezone(self._zone).date()
                    await purges.record(session, kind="sounds_without_a_row", rows=len(orphans), on_day=day, now=now)
            gone += len(orphans)
        return gone
