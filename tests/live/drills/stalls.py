"""Does an event loop stand still? Seen from outside, so that the loop pays nothing for it and cannot hide it.

A loop that has nothing to do is in one system call, the one in which it waits for events; while something blocks it,
it is in another, or computes. So its main thread is looked at every few milliseconds (proc(5): /proc/<pid>/syscall).
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

LOOK_S = 0.004
BLIND_S = 0.02  # when we ourselves were late, nothing is known of the time between


class Stalls:
    """`async with Stalls(pids) as stalls: ...`; then `stalls.worst_s` is the longest time that one of them did not come
    to wait for events. Time in which it was ready and the machine had no processor for it is left out."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._threads = {pid: Path(f"/proc/{pid}/task/{pid}") for pid in pids}
        self.worst_s = dict.fromkeys(self._threads, 0.0)
        self.looks = 0
        self._waiting: dict[int, str] = {}
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    async def __aenter__(self) -> Self:
        """Waits until each has been at rest for a moment: this is how its waiting is known."""
        for pid, thread in self._threads.items():
            async with asyncio.timeout(10):
                self._waiting[pid] = await _at_rest(thread)
        self._looking.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        await asyncio.to_thread(self._looking.join)

    def _look(self) -> None:
        since: dict[int, tuple[float, float]] = {}  # pid → when it was first found busy, and its wait for a processor
        looked_at = time.monotonic()
        while not self._over.wait(LOOK_S):
            now = time.monotonic()
            if now - looked_at > BLIND_S:
                since.clear()
            looked_at = now
            self.looks += 1
            for pid, thread in self._threads.items():
                if _call(thread) == self._waiting[pid]:
                    since.pop(pid, None)
                    continue
                starved_s = _starved_s(thread)
                began_at, before_s = since.setdefault(pid, (now, starved_s))
                self.worst_s[pid] = max(self.worst_s[pid], now - began_at - (starved_s - before_s))


async def _at_rest(thread: Path) -> str:
    """The call in which it is nearly all the time."""
    while True:
        seen = Counter[str]()
        for _ in range(30):
            seen[_call(thread)] += 1
            await asyncio.sleep(LOOK_S)
        call, often = seen.most_common(1)[0]
        if call != "running" and often > 0.8 * seen.total():
            return call


def _call(thread: Path) -> str:
    return (thread / "syscall").read_text().split()[0]


def _starved_s(thread: Path) -> float:
    """schedstat: nanoseconds run, nanoseconds ready without a processor, turns."""
    try:
        return int((thread / "schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:  # a kernel that does not count
        return 0.0
