"""What must be known of a caller before the first menu? What we ourselves have said, and who has the number."""

import asyncio
from contextlib import suppress

from ura.caller_lookups import line
from ura.caller_lookups.callers import Args, Callers, Json
from ura.errors import Unavailable

SEGMENT_WITHIN_S = 2.5  # a greeting takes longer, so who hears it out has not waited


async def standing(callers: Callers, args: Args) -> dict[str, Json]:
    """`emergency` (`prompt`, `to_person`) or None; is this number `blocked`, is it one with `priority`?"""
    return await callers.standing.of(str(args["caller"] or ""))


async def arrival(callers: Callers, args: Args) -> dict[str, Json]:
    """What `outage_for_caller` tells, and `segment`: what all contracts of everybody with this number are, "home" or
    "business"; "" when they are not alike, when there are none, when the system is slow or away."""
    told = asyncio.ensure_future(line.outage_for_caller(callers, args))
    try:
        segment = await _segment(callers, str(args["caller"] or ""))
        return await told | {"segment": segment}
    finally:
        told.cancel()


async def _segment(callers: Callers, caller: str) -> str:
    found: set[str] = set()
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(SEGMENT_WITHIN_S):
            found = {each.segment for known in await callers.of_number(caller) for each in known.contracts}
    return found.pop() if len(found) == 1 else ""
