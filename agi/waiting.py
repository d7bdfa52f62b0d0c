"""What goes with a caller into a queue: the longest wait that is configured, and a word on how long it may take.

Neither keeps the caller from the queue: what is not known in time is not said, and the dialplan has a wait of its own.
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
    seconds = await _seconds(lookups, "max_wait", queue)
    return {} if seconds is None else {"URA_MAX_WAIT_S": str(int(seconds))}


async def prepare(
    session: Session, channel: PhoneChannel, lookups: Lookups, queue: str, *, most: int
) -> dict[str, str]:
    """`limit`, after a caller who will have to wait has been told how long that may be. Nobody waits behind `most`
    callers: that queue is full. Raises HungUp."""
    values = await limit(lookups, queue)
    if values:  # else the database is away: it would not know this either
        await _say_expected(session, channel, lookups, queue, most)
    return values


async def _say_expected(session: Session, channel: PhoneChannel, lookups: Lookups, queue: str, most: int) -> None:
    if not _QUEUE.fullmatch(queue):
        return
    try:
        state = await session.run(session.get_full_variable, _STATE.format(queue))
    except NotPlayed:
        return
    found = _NUMBERS.fullmatch(state)
    if found is None:
        return
    ahead, ready, attendants = map(int, found.groups())
    if ready > ahead or attendants == 0 or ahead >= most:
        return
    talk_s = await _seconds(lookups, "talk_time", queue)
    if talk_s is None:
        return
    seconds = queues.expected_wait_s(ahead=ahead, ready=ready, attendants=attendants, talk_s=talk_s)
    await channel.play([queues.wait_prompt(seconds)])


async def _seconds(lookups: Lookups, name: str, queue: str) -> Any:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return (await lookups(name, {"queue": queue}))["seconds"]
    except (Unavailable, TimeoutError) as error:
        log.warning("not known; the caller goes to the queue without", lookup=name, queue=queue, reason=repr(error))
        return None
