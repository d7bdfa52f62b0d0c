"""What have we ourselves said, of everybody or of this number, that holds before the first menu? One small look a
second for all callers: most of the time there is nothing, and then nothing more is asked."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ura import blocks, emergency, priority
from ura.caller_lookups.house import House

Json = Any
KEPT = timedelta(seconds=1)  # what is begun, lifted or ended now is heard from so much later on


class Standing:
    """One a process."""

    def __init__(self, house: House, now: Callable[[], datetime]) -> None:
        self._house = house
        self._now = now
        self._read_at: datetime | None = None
        self._emergency: dict[str, Json] | None = None
        self._blocked: frozenset[str] = frozenset()
        self._any_priority = False

    async def of(self, caller: str) -> dict[str, Json]:
        """`emergency` (`prompt`, `to_person`) or None; is this number `blocked`, is it one with `priority`? Raises what
        the database raises."""
        now = self._now()
        if self._read_at is None or not self._read_at <= now < self._read_at + KEPT:
            await self._read(now)
        return {
            "emergency": self._emergency,
            "blocked": caller in self._blocked,
            "priority": bool(caller) and self._any_priority and await self._has_priority(caller),
        }

    async def _read(self, now: datetime) -> None:
        async with self._house.sessions() as session:
            found = await emergency.find_current(session, now=now)
            blocked = await blocks.list_current(session, now=now)
            self._any_priority = await priority.is_any(session)
        self._blocked = frozenset(block.phone for block in blocked)
        self._emergency = None
        if found:
            spoken = self._house.can_speak(found.prompt_key)  # not yet: it is being rendered
            prompt = found.prompt_key if spoken else emergency.SHIPPED_PROMPT
            self._emergency = {"prompt": prompt, "to_person": found.to_person}
        self._read_at = now

    async def _has_priority(self, caller: str) -> bool:
        async with self._house.sessions() as session:
            return await priority.has(session, caller)
