"""What goes with a caller into a queue: the longest wait that is configured, and a word on how long it may take; or
that too many wait for each attendant already, so that the flow offers something else.

What is not known in time keeps nobody from the queue: it is not said, and the dialplan has a wait of its own.
"""

import asyncio
import re
from typing import Any

import structlog

from agi.channel import PhoneChannel
from agi.session import NotPlayed, Session
from ura import queues
from ura.errors import Unavailable
from ura.flows.conduct import Lookups

log = structlog.get_logger("agi.waiting")

DEADLINE_S = 1.0
_QUEUE = re.compile(r"[a-z0-9_]+")  # as dialplan/queues.conf filters it
# app_queue.c 22: callers in the queue, attendants who could take one now, attendants whose phone is there.
_STATE = "${{QUEUE_WAITING_COUNT({0})}} ${{QUEUE_MEMBER({0},ready)}} ${{QUEUE_MEMBER({0},logged)}}"
_NUMBERS = re.compile(r"(\d{1,6}) (\d{1,6}) (\d{1,6})")


async def limit(lookups: Lookups, queue: str) -> dict[str, str]:
    """URA_MAX_WAIT_S as it is in the database now; nothing when that cannot be asked."""
    return _told(await _ask(lookups, "max_wait", queue))


async def prepare(
    session: Session, channel: PhoneChannel, lookups: Lookups, queue: str, *, most: int
) -> dict[str, str]:
    """`limit`, after a caller who will have to wait has been told how long that may be. Nobody waits behind `most`
    callers: that queue is full. URA_OVERFLOW, and no word, when too many wait for each attendant. Raises HungUp."""
    limits = await _ask(lookups, "max_wait", queue)
    state = await _state_of(session, queue) if limits else None  # with the database away the rest is not known either
    if state is None:
        return _told(limits)
    ahead, ready, attendants = state
    per_attendant = int(limits.get("callers_per_attendant") or 0)
    if queues.is_overfull(ahead=ahead, ready=ready, attendants=attendants, per_attendant=per_attendant):
        log.info("too many wait for each attendant: offered another way", queue=queue, ahead=ahead, there=attendants)
        return _told(limits) | {"URA_OVERFLOW": "yes"}
    if ready <= ahead < most and attendants:
        await _say_expected(channel, lookups, queue, state)
    return _told(limits)


def _told(limits: dict[str, Any]) -> dict[str, str]:
    return {"URA_MAX_WAIT_S": str(int(limits["seconds"]))} if limits else {}


async def _state_of(session: Session, queue: str) -> tuple[int, int, int] | None:
    """Callers there, attendants ready, attendants logged in; None when Asterisk does not say."""
    if not _QUEUE.fullmatch(queue):
        return None
    try:
        state = await session.run(session.get_full_variable, _STATE.format(queue))
    except NotPlayed:
        return None
    found = _NUMBERS.fullmatch(state)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


async def _say_expected(channel: PhoneChannel, lookups: Lookups, queue: str, state: tuple[int, int, int]) -> None:
    ahead, ready, attendants = state
    talk_s = (await _ask(lookups, "talk_time", queue)).get("seconds")
    if talk_s is None:
        return
    seconds = queues.expected_wait_s(ahead=ahead, ready=ready, attendants=attendants, talk_s=talk_s)
    await channel.play([queues.wait_prompt(seconds)])


async def _ask(lookups: Lookups, name: str, queue: str) -> dict[str, Any]:
    """Nothing when it is not known in time."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await lookups(name, {"queue": queue})
    except (Unavailable, TimeoutError) as error:
        log.warning("not known; the caller goes to the queue without", lookup=name, queue=queue, reason=repr(error))
        return {}
