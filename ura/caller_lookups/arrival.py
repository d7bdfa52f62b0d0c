"""What must be known of a caller before the first menu? What we ourselves have said, and who has the number."""

import asyncio
from contextlib import suppress

from ura.caller_lookups import follow, line
from ura.caller_lookups.callers import Args, Callers, Json
from ura.errors import Unavailable

# Both are asked as the call begins. A greeting takes longer, so who hears it out has not waited, whatever is away.
STANDING_WITHIN_S = 1.0
ARRIVAL_WITHIN_S = 2.5


async def standing(callers: Callers, args: Args) -> dict[str, Json]:
    """`emergency` (`prompt`, `to_person`) or None; is this number `blocked`, is it one with `priority`?"""
    try:
        async with asyncio.timeout(STANDING_WITHIN_S):
            return await callers.standing.of(str(args["caller"] or ""))
    except TimeoutError:
        raise Unavailable("the database did not answer") from None


async def arrival(callers: Callers, args: Args) -> dict[str, Json]:
    """What `outage_for_caller` tells, and `segment`: what all contracts of everybody with this number are, "home" or
    "business"; "" when they are not alike, when there are none, when the system is slow or away. And, if there is
    anything, what is unfinished (`follow.unfinished`): a ticket, or an incident whose end may be doubted."""
    caller = str(args["caller"] or "")
    told = asyncio.ensure_future(line.outage_for_caller(callers, args))
    left = asyncio.ensure_future(follow.unfinished(callers, caller, within_s=STANDING_WITHIN_S))
    ends_at = asyncio.get_running_loop().time() + ARRIVAL_WITHIN_S
    try:
        segment = await _segment(callers, caller, ends_at)
        async with asyncio.timeout_at(ends_at):
            found = await told
        return found | {"segment": segment} | await left  # which began with us, and has a second
    except TimeoutError:
        raise Unavailable("nobody told in time whether there is an outage") from None
    finally:
        told.cancel()
        left.cancel()


async def _segment(callers: Callers, caller: str, ends_at: float) -> str:
    found: set[str] = set()
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout_at(ends_at):
            found = {each.segment for known in await callers.of_number(caller) for each in known.contracts}
    return found.pop() if len(found) == 1 else ""
