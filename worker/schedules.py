"""What happens by the clock: heartbeats, and forgetting what nobody needs any more."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ura import users
from ura.db import Sessions
from ura.settings import Settings

log = structlog.get_logger(__name__)

HOUR_S = 3600.0
RENDER_EVERY_S = 300.0
PENDING = "pending.json"  # ura.rendering.PENDING; its module would bring the audio libraries along


async def every(seconds: float, work: Callable[[], None]) -> None:
    """For ever. What `work` raises is logged; the next turn comes all the same."""
    while True:
        try:
            work()
        except Exception:
            log.exception("a scheduled task failed")
        await asyncio.sleep(seconds)


class Housekeeping:
    """Once an hour: log-ins that have ended."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def run(self) -> None:
        while True:
            try:
                await self.step(datetime.now(UTC))
            except Exception as error:
                log.warning("housekeeping put off for an hour", reason=type(error).__name__)
            await asyncio.sleep(HOUR_S)

    async def step(self, now: datetime) -> None:
        async with self._sessions.begin() as session:
            await users.forget_old_sessions(session, now=now)


async def render_waiting_names(settings: Settings) -> None:
    """Every five minutes: names that no engine could speak when they were saved. The engines are in a process of their
    own, which is gone afterwards with its memory."""
    while True:
        if (settings.rendered_dir / PENDING).exists():
            try:
                await _in_a_process_of_its_own(
                    "import asyncio; from ura import rendering, settings; "
                    "asyncio.run(rendering.render_pending(settings.load()))"
                )
            except OSError as error:
                log.warning("waiting names could not be rendered", reason=error.strerror)
        await asyncio.sleep(RENDER_EVERY_S)


async def _in_a_process_of_its_own(program: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
