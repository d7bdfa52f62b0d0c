"""Each process's figures in a file, and all of them at the browser door."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ura import metrics
from ura.adapters.erp.breaker import ErpMetrics
from ura.metrics import MetricsFile, OtherDoors


def told(state: Path) -> dict[tuple[str, str], float]:
    """Everything that a scraper reads: (name, process) → the sum of its values. What it cannot read, fails."""
    registry = CollectorRegistry()
    registry.register(OtherDoors(state))
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            key = sample.name, sample.labels["process"]
            found[key] = found.get(key, 0) + sample.value
    return found


def left_by(state: Path, process: str, count: int) -> Path:
    registry = CollectorRegistry()
    Counter("ura_tried", "Tries.", registry=registry).inc(count)
    file = metrics.folder(state) / f"{process}.prom"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(generate_latest(registry))
    return file


async def until_told(state: Path, key: tuple[str, str]) -> None:
    async with asyncio.timeout(10):
        while key not in told(state):
            await asyncio.sleep(0.01)


async def test_what_a_process_counts_is_told_until_it_ends(tmp_path: Path) -> None:
    figures = MetricsFile(tmp_path, "worker")
    erp = ErpMetrics(figures.registry)
    erp.calls.labels("sgp", "open_invoices", "failed").inc(3)
    erp.seconds.labels("sgp", "open_invoices").observe(0.3)
    running = asyncio.create_task(figures.run())
    process = f"worker-{os.getpid()}"
    await until_told(tmp_path, ("ura_erp_calls_total", process))
    found = told(tmp_path)
    assert found["ura_erp_calls_total", process] == 3
    assert found["ura_erp_seconds_count", process] == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert told(tmp_path) == {}


def test_several_processes_stay_apart(tmp_path: Path) -> None:
    left_by(tmp_path, "agi-1", 2)
    left_by(tmp_path, "agi-2", 5)
    found = told(tmp_path)
    assert (found["ura_tried_total", "agi-1"], found["ura_tried_total", "agi-2"]) == (2, 5)


def test_a_process_that_was_killed_is_soon_told_of_no_more(tmp_path: Path) -> None:
    file = left_by(tmp_path, "agi-1", 2)
    gone = time.time() - metrics.SILENT_AFTER_S - 1
    os.utime(file, (gone, gone))
    assert told(tmp_path) == {}


async def test_and_its_file_is_cleared_away_by_the_next_one(tmp_path: Path) -> None:
    file = left_by(tmp_path, "agi-1", 2)
    long_gone = time.time() - metrics.FORGOTTEN_AFTER_S - 1
    os.utime(file, (long_gone, long_gone))
    figures = MetricsFile(tmp_path, "agi")
    Counter("ura_tried", "Tries.", registry=figures.registry)
    running = asyncio.create_task(figures.run())
    await until_told(tmp_path, ("ura_tried_total", f"agi-{os.getpid()}"))
    running.cancel()
    assert not file.exists()


def test_a_file_that_nobody_can_read_hides_no_other(tmp_path: Path) -> None:
    left_by(tmp_path, "agi-1", 2).write_text("ura_tried_total{ 1")
    left_by(tmp_path, "agi-2", 5)
    assert ("ura_tried_total", "agi-2") in told(tmp_path)


def test_a_folder_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    metrics.folder(tmp_path).write_text("somebody's file")
    MetricsFile(tmp_path, "agi").write()
    assert told(tmp_path) == {}
