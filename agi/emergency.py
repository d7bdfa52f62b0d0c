"""A telephone of ours begins or ends the emergency: PIN, then one key. Nothing of it is written into a call's record,
and the PIN nowhere at all."""

from typing import Protocol

import structlog

from ura.errors import Unavailable
from ura.flows.channel import Channel

log = structlog.get_logger("agi.emergency")

TRIES = 3  # in one call; ura.emergency counts over all of them
LONGEST_PIN = 12
TIMEOUT_S = 10.0
ON, OFF = "1", "2"


class Desk(Protocol):
    """ura.emergency.Desk. Both raise Unavailable."""

    async def is_right(self, keyed: str, *, by: str) -> bool: ...

    async def switch(self, *, on: bool, by: str) -> None: ...


async def conduct(channel: Channel, desk: Desk, *, by: str) -> None:
    """Until it is done, or refused. Raises HungUp."""
    try:
        if await _may(channel, desk, by):
            await _switch(channel, desk, by)
    except Unavailable as error:
        log.error("the emergency was not changed by telephone; its user hears so", by=by, reason=error.message)
        await channel.play(["system.emergency_failed"])


async def _may(channel: Channel, desk: Desk, by: str) -> bool:
    for _ in range(TRIES):
        keyed = await channel.collect(["system.emergency_pin"], max_digits=LONGEST_PIN, timeout_s=TIMEOUT_S)
        if not keyed:
            return False
        if await desk.is_right(keyed.removesuffix("#"), by=by):
            return True
        await channel.play(["system.emergency_refused"])
    return False


async def _switch(channel: Channel, desk: Desk, by: str) -> None:
    key = await channel.collect(["system.emergency_choice"], max_digits=1, timeout_s=TIMEOUT_S)
    if key not in (ON, OFF):
        return
    await desk.switch(on=key == ON, by=by)
    await channel.play(["system.emergency_on" if key == ON else "system.emergency_off"])
