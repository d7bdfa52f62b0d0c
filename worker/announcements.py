"""The words of an emergency or an outage are needed now: rendered within seconds of being typed. Names can wait."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ura import emergency, outages
from ura.db import Sessions
from ura.prompts import clean_name, name_key, sound
from worker.schedules import repeat

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 5.0
RENDER = (
    "import asyncio, sys; from ura import rendering, settings; "
    "asyncio.run(rendering.ensure_names(settings.load(), [sys.argv[1]]))"
)


async def render_at_once(text: str) -> None:
    """In a process of its own, which is gone afterwards with the memory of its engines."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", RENDER, text)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


class Announcements:
    """`render` a text, and raise OSError when that cannot be begun; `rendered`: the folder of what was. One try a text:
    what no engine can speak now waits with the names."""

    def __init__(self, sessions: Sessions, rendered: Path, render: Callable[[str], Awaitable[None]]) -> None:
        self._sessions = sessions
        self._rendered = rendered
        self._render = render
        self._tried: set[str] = set()

    async def run(self) -> None:
        put_off = "words for all callers are rendered later"
        await repeat(LOOK_EVERY_S, lambda: self.turn(datetime.now(UTC)), put_off=put_off)

    async def turn(self, now: datetime) -> None:
        async with self._sessions() as session:
            current = await emergency.find_current(session, now=now)
            texts = [*([current.text] if current else []), *await outages.list_words(session)]
        for text in filter(None, map(clean_name, texts)):
            key = name_key(text)
            if key in self._tried:
                continue
            if not (self._rendered / f"{sound(key)}.alaw").exists():
                await self._render(text)
                log.info("words for all callers were rendered", key=key)
            self._tried.add(key)
