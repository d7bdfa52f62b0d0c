"""The bench's callers in a drill: waits do not stop the event loop, and no SIPp is left, whatever happens."""

import asyncio
import time
from pathlib import Path

from tests.bench.load import Load, LoadResult


class Crowd(Load):
    """`async with Crowd(...)`."""

    def __init__(self, folder: Path, sip_port: int, *, first_number: int) -> None:
        super().__init__(folder, f"127.0.0.1:{sip_port}", first_number=first_number)

    async def held(self, wanted: int, timeout_s: float = 60) -> None:
        """Return when that many calls are up."""
        deadline = time.monotonic() + timeout_s
        while self.calls_now() < wanted:
            assert self._process.poll() is None, f"SIPp ended:\n{self.complaints()}"
            assert time.monotonic() < deadline, f"{self.calls_now()} of {wanted} calls are up\n{self.complaints()}"
            await asyncio.sleep(0.1)

    async def ended(self, timeout_s: float) -> LoadResult:
        deadline = time.monotonic() + timeout_s
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"SIPp's calls did not end\n{self.complaints()}"
            await asyncio.sleep(0.05)
        return self.wait(0)

    async def __aenter__(self) -> "Crowd":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
