"""Figures of the doors that have no HTTP: each process keeps its own in a file, and the browser door tells them all.

<state>/metrics/worker-4711.prom      Prometheus text, written anew every few seconds while the process lives
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

EVERY_S = 5.0
SILENT_AFTER_S = 3 * EVERY_S  # its process is gone
FORGOTTEN_AFTER_S = 3600.0


def folder(state_dir: Path) -> Path:
    return state_dir / "metrics"


class MetricsFile:
    """One a process. What counts there counts in `registry`."""

    def __init__(self, state_dir: Path, door: str) -> None:
        self.registry = CollectorRegistry()
        self._file = folder(state_dir) / f"{door}-{os.getpid()}.prom"

    async def run(self) -> None:
        """For ever; cancelled, it takes the file away."""
        try:
            await asyncio.to_thread(self._clear_away)
            while True:
                await asyncio.to_thread(self.write)
                await asyncio.sleep(EVERY_S)
        finally:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)

    def write(self) -> None:
        """A disk that is full costs the figures, nothing else."""
        new = self._file.with_suffix(".new")
        with suppress(OSError):
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(generate_latest(self.registry))
            new.rename(self._file)

    def _clear_away(self) -> None:
        """What was left by processes that were killed."""
        with suppress(OSError):
            for file in self._file.parent.iterdir():
                if _age_s(file) > FORGOTTEN_AFTER_S:
                    file.unlink(missing_ok=True)


class OtherDoors(Collector):
    """What the processes of this installation have written down, each with its name as the label `process`."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = folder(state_dir)

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before it is asked; without this, registering would already read the files."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for file in sorted(self._folder.glob("*.prom")):
            for family in _read(file):
                whole = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    labels = {**sample.labels, "process": file.stem}
                    whole.samples.append(sample._replace(labels=labels))
        yield from found.values()


def _read(file: Path) -> list[Metric]:
    try:
        if _age_s(file) > SILENT_AFTER_S:
            return []
        return list(text_string_to_metric_families(file.read_text()))
    except FileNotFoundError:  # its process has just ended
        return []
    except (OSError, ValueError) as error:
        log.error("a process's figures cannot be read", file=file.name, error=type(error).__name__)
        return []


def _age_s(file: Path) -> float:
    return time.time() - file.stat().st_mtime
