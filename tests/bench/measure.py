"""What the kernel says: CPU seconds, memory, dropped datagrams. Linux's /proc only."""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        try:
            tasks = list(Path(f"/proc/{current}/task").iterdir())
        except FileNotFoundError:
            continue
        found.append(current)
        for task in tasks:
            try:
                queue += [int(child) for child in (task / "children").read_text().split()]
            except (FileNotFoundError, ProcessLookupError):
                continue
    return sorted(set(found))


def cpu_s(pids: Iterable[int]) -> float:
    """User plus system CPU of these processes so far, their ended children included."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def memory_mb(pids: Iterable[int]) -> float:
    """Proportional set size: pages shared by forked processes count once."""
    kilobytes = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kilobytes += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return kilobytes / 1024


def open_files(pids: Iterable[int]) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids if Path(f"/proc/{pid}/fd").exists())


class Drops:
    """`with Drops(ports) as drops: …`: datagrams that the kernel threw away meanwhile at the sockets of these ports.

    Looked at twice a second, for a socket takes its count with it. A load figure with drops is no figure.
    """

    def __init__(self, ports: Callable[[int], bool]) -> None:
        self._ports = ports
        self._counts: dict[str, int] = {}  # inode → dropped so far
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def count(self) -> int:
        return sum(self._counts.values()) - self._before

    def __enter__(self) -> Self:
        self._look()
        self._before = sum(self._counts.values())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._look()

    def _look(self) -> None:
        for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
            fields = line.split()
            if self._ports(int(fields[1].rpartition(":")[2], 16)):
                self._counts[fields[9]] = int(fields[-1])


def percentile(values: list[float], share: float) -> float:
    """Nearest rank; `share` from 0 to 1. 0.0 for no values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
