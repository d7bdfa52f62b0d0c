"""What the conductor needs of a line to a caller. The phone, the simulator and the tests each bring one."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class ChannelLost(Exception):
    """Nothing can be played any more. Passes through the conductor; the door decides how the call goes on."""


class Recording(NamedTuple):
    """What a caller said: `seconds` of it, and the one of the keys `ends` that ended it, "" if none did."""

    seconds: float
    key: str = ""


class Channel(Protocol):
    """A way to talk to a caller. Every method raises ura.errors.HungUp when the caller has gone."""

    async def play(self, prompts: Sequence[str]) -> str:
        """Play prompt keys. The keys that cut it, "" if none."""
        ...

    async def collect(self, prompts: Sequence[str], *, max_digits: int, timeout_s: float) -> str:
        """Play, and collect; the first key cuts the prompt, `#` ends early. "" when nothing was pressed."""
        ...

    async def play_on(
        self, prompts: Sequence[str], question: Sequence[str], *, timeout_s: float, heard: Callable[[], None]
    ) -> str:
        """Play `prompts` and go straight on to `question`, which one key answers. Calls `heard` when the first have
        been heard out; without that call, what is returned are the keys that cut them."""
        ...

    async def listen(self, seconds: float) -> str:
        """The key pressed in that time, at once; "" when there was none. Nothing is heard."""
        ...

    async def record(
        self, prompts: Sequence[str], *, tone: Sequence[str], recording_id: str, max_s: int, ends: str
    ) -> Recording:
        """Play `prompts` and `tone`, and record until `#`, one of the keys `ends`, silence or `max_s`. One of `ends`
        pressed into the prompts: nothing is recorded; any other key: straight on to the tone. A caller who hangs up
        after speaking has left a message: no HungUp then."""
        ...


class OneAfterTheOther:
    """`Channel.play_on` for channels that have nothing better."""

    async def play_on(
        self: Channel, prompts: Sequence[str], question: Sequence[str], *, timeout_s: float, heard: Callable[[], None]
    ) -> str:
        if keys := await self.play(prompts):
            return keys
        heard()
        return await self.collect(question, max_digits=1, timeout_s=timeout_s)
