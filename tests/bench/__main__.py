"""`make bench`: our service against the same menus and the same audio as native dialplan, in one run on one machine.

    python -m tests.bench [--only cost,latency,lookups,ticket_lists,…] [--quick]

Prints a table and saves it as JSON under docs/benchmarks/; a run of some parts under their names. `--quick` is for
trying the bench itself and is not saved.
A part that breaks, because its calls did not go where they should, has no figures; the others still have theirs.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prosa import asterisk
from prosa.run import Steps
from prosa.setup import prepare
from tests.bench import diagnosis, lookups, people, postgres, rush, stalled_erp, ticket_lists
from tests.bench.figures import Figure, table
from tests.bench.measure import percentile
from tests.bench.same_menus import native_lines
from tests.bench.stack import Native, Service, make_settings
from tests.bench.telephone import AT_ONCE, KEYS, Knee, Plan, Sustained, Telephone
from ura.settings import ROOT, Settings

# Part → about how many minutes it takes.
BESIDE_NATIVE = {"cost": 3.5, "latency": 7.0, "sustained": 11.0, "knee": 8.0}
ALONE = {"lookups": 2.0, "people": 4.0, "ticket_lists": 4.0, "rush": 9.0, "diagnosis": 0.5, "stalled_erp": 10.0}
PARTS = BESIDE_NATIVE | ALONE
PER_SECOND = 10


def say(line: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {line}", flush=True)


@dataclass(slots=True)
class Parts:
    """Those that were asked for, and those that broke."""

    wanted: list[str]
    broken: list[str] = field(default_factory=list)

    @contextmanager
    def part(self, name: str, side: str = "") -> Iterator[None]:
        title, began = f"{name} {side}".strip(), time.monotonic()
        say(f"{title} …")
        try:
            yield
        except Exception:
            self.broken.append(name)
            traceback.print_exc()
            say(f"{title} BROKE; it has no figures")
        else:
            say(f"{title} took {(time.monotonic() - began) / 60:.1f} min")


def measure_telephone(phone: Telephone, parts: Parts, plan: Plan, *, ours: bool) -> dict[str, Any]:
    """What this side showed, by part."""
    runs: dict[str, Callable[[], object]] = {
        "cost": lambda: phone.cost(plan.cost_calls),
        "latency": lambda: phone.latency(plan.probes, plan.held),
        "sustained": lambda: phone.sustained(plan.sustained_calls, AT_ONCE, PER_SECOND),
        "knee": lambda: phone.knee(plan.knee_steps),
    }
    measured: dict[str, Any] = {}
    for name, run in runs.items():
        if name in parts.wanted and name not in parts.broken and (ours or name != "sustained"):
            with parts.part(name, "ours" if ours else "native"):
                measured[name] = run()
    return measured


def compare(native: dict[str, Any], ours: dict[str, Any]) -> list[Figure]:
    found: list[Figure] = []
    if "cost" in ours:
        a, b = native["cost"], ours["cost"]
        ratio = b.per_call_ms / a.per_call_ms
        found += [
            Figure("CPU per 30 s call with five keys", b.per_call_ms, "ms", "", None, a.per_call_ms),
            Figure("CPU per call, ratio", ratio, "× native", "≤ 1.15", ratio <= 1.15, 1.0),
            *(Figure(f"  of which {name}", ms, "ms") for name, ms in b.by_group_ms.items()),
        ]
    if "latency" in ours:
        a, b = native["latency"], ours["latency"]
        for name, share, extra in (("median", 0.5, 5.0), ("99 %", 0.99, 20.0)):
            x, y = percentile(a.key_ms, share), percentile(b.key_ms, share)
            found.append(Figure(f"key → next prompt, {name}", y, "ms", f"≤ native + {extra:g}", y <= x + extra, x))
        answer, native_answer = percentile(b.answer_ms, 0.99), percentile(a.answer_ms, 0.99)
        sound, native_sound = max(b.first_sound_ms), max(a.first_sound_ms)
        found += [
            Figure("INVITE → answer, 99 %", answer, "ms", "≤ 100", answer <= 100, native_answer),
            Figure("answer → first sound, most", sound, "ms", "≤ 300", sound <= 300, native_sound),
            Figure("keys that nothing answered", b.silent, "", "0", b.silent == 0, a.silent),
            Figure("UDP datagrams dropped", b.drops, "", "0", b.drops == 0, a.drops),
        ]
    if "sustained" in ours:
        run: Sustained = ours["sustained"]
        enough = 0.95 * AT_ONCE
        rate = run.load.calls / run.load.seconds
        found += [
            Figure("200 at once, 10 calls/s: calls", run.load.calls, "", "≥ 3000", run.load.calls >= 3000),
            Figure("  failed", run.load.failed, "", "0", run.load.failed == 0),
            Figure("  most at once", run.load.most_at_once, "calls", f"≥ {enough:g}", run.load.most_at_once >= enough),
            Figure("  calls a second reached", rate, ""),
            Figure("  INVITE → answer, 99 %", run.load.answer_p99_ms, "ms", "≤ 100", run.load.answer_p99_ms <= 100),
            Figure("  UDP datagrams dropped", run.drops, "", "0", run.drops == 0),
            Figure("  open files, more afterwards", run.new_files, ""),
        ]
        for name, before in run.memory_before_mb.items():
            ratio = run.memory_after_mb[name] / before
            found.append(Figure(f"  memory of {name} afterwards", ratio, "× before", "≤ 1.05", ratio <= 1.05))
    if "knee" in ours:
        x: Knee = native["knee"]
        y: Knee = ours["knee"]
        found.append(Figure("knee", y.calls, "calls", "≥ 0.9 × native", y.calls >= 0.9 * x.calls, x.calls))
        for calls, mb in y.agi_mb.items():
            met = mb <= 150 if calls == 300 else None
            found.append(Figure(f"memory of agi at {calls} calls", mb, "MB", "≤ 150" if calls == 300 else "", met))
    return found


async def _prepared(settings: Settings) -> list[str]:
    await prepare(settings, Steps(say).step)
    return await native_lines(settings, KEYS)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m tests.bench")
    arguments.add_argument("--only", default=",".join(PARTS), help="comma between: " + ", ".join(PARTS))
    arguments.add_argument("--quick", action="store_true")
    chosen = arguments.parse_args()
    parts = Parts(chosen.only.split(","))
    if unknown := set(parts.wanted) - set(PARTS):
        arguments.error(f"{', '.join(sorted(unknown))}: there is {', '.join(PARTS)}")
    if not shutil.which("sipp"):
        raise SystemExit("SIPp is missing: apt-get install sip-tester")
    if not chosen.quick:
        say(f"about {sum(PARTS[name] for name in parts.wanted):.0f} minutes")
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="prosa-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL and Asterisk may run as somebody else
        if set(parts.wanted) & set(BESIDE_NATIVE):
            found += _telephone(folder, parts, Plan.quick() if chosen.quick else Plan())
        for part, run in _alone(folder, quick=chosen.quick).items():
            if part in parts.wanted:
                with parts.part(part):
                    found += run()
    print(table(found))
    if not chosen.quick:
        _save(found, parts)
    if any(figure.met is False for figure in found):
        print("Some figures miss their goal.", file=sys.stderr)
    if parts.broken:
        raise SystemExit(f"without figures: {', '.join(parts.broken)}")


def _alone(folder: Path, *, quick: bool) -> dict[str, Callable[[], list[Figure]]]:
    """The parts that native dialplan has no peer for."""

    def on_both(measure: Callable[..., list[Figure]], name: str) -> list[Figure]:
        found = measure(folder / f"{name}-sqlite", quick=quick, say=say)
        with postgres.running() as url:
            return found + measure(folder / f"{name}-postgresql", quick=quick, say=say, database_url=url)

    def in_a_rush() -> list[Figure]:
        with postgres.running() as url:
            return rush.measure(folder / "rush", quick=quick, say=say, database_url=url)

    return {
        "lookups": lambda: on_both(lookups.measure, "lookups"),
        "people": lambda: on_both(people.measure, "people"),
        "ticket_lists": lambda: on_both(ticket_lists.measure, "ticket-lists"),
        "rush": in_a_rush,
        "diagnosis": lambda: diagnosis.measure(folder / "diagnosis", quick=quick, say=say),
        "stalled_erp": lambda: stalled_erp.measure(folder / "stalled", quick=quick, say=say),
    }


def _telephone(folder: Path, parts: Parts, plan: Plan) -> list[Figure]:
    service, native, ours = make_settings(folder / "ours"), dict[str, Any](), dict[str, Any]()
    with ExitStack() as stack:
        stack.enter_context(parts.part("native"))
        lines = asyncio.run(_prepared(service))
        say(f"native dialplan: {len(lines)} applications for keys {KEYS}")
        target = stack.enter_context(Native.running(make_settings(folder / "native"), lines))
        native = measure_telephone(Telephone(target, folder / "sipp-native", say), parts, plan, ours=False)
    if "native" in parts.broken:
        return []
    with parts.part("ours"), Service.running(service, folder / "run.log") as running:
        ours = measure_telephone(Telephone(running, folder / "sipp-ours", say), parts, plan, ours=True)
    return compare(native, ours)


def _save(found: list[Figure], parts: Parts) -> None:
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "",
    )
    home = asterisk.find(make_settings(Path(tempfile.gettempdir())))
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "cpu": cpu},
        "asterisk": asterisk.version(home) if home else None,
        "parts": [name for name in parts.wanted if name not in parts.broken],
        "broken": sorted(set(parts.broken)),
        "figures": [asdict(figure) for figure in found],
    }
    some = "" if set(parts.wanted) == set(PARTS) else "-" + "-".join(parts.wanted)
    file = ROOT / "docs" / "benchmarks" / f"{datetime.now(UTC):%Y-%m-%d}{some}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    print(f"saved as {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
