"""`make bench`: our service against the same menus and the same audio as native dialplan, in one run on one machine.

    python -m tests.bench [--only cost,latency,sustained,knee,lookups] [--quick]

Prints a table and saves it as JSON under docs/benchmarks/. `--quick` is for trying the bench itself; it saves nothing.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from prosa import asterisk
from prosa.run import Steps
from prosa.setup import prepare
from tests.bench import lookups, postgres
from tests.bench.figures import Figure, table
from tests.bench.measure import percentile
from tests.bench.same_menus import native_lines
from tests.bench.stack import Native, Service, make_settings
from tests.bench.telephone import AT_ONCE, KEYS, Knee, Plan, Sustained, Telephone
from ura.settings import ROOT, Settings

PARTS = ("cost", "latency", "sustained", "knee", "lookups")
PER_SECOND = 10


def say(line: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {line}", flush=True)


def measure_telephone(phone: Telephone, parts: list[str], plan: Plan, *, ours: bool) -> dict[str, object]:
    measured: dict[str, object] = {}
    if "cost" in parts:
        measured["cost"] = phone.cost(plan.cost_calls)
    if "latency" in parts:
        measured["latency"] = phone.latency(plan.probes, plan.held)
    if "sustained" in parts and ours:
        measured["sustained"] = phone.sustained(plan.sustained_calls, AT_ONCE, PER_SECOND)
    if "knee" in parts:
        measured["knee"] = phone.knee(plan.knee_steps)
    return measured


def compare(native: dict[str, object], ours: dict[str, object]) -> list[Figure]:
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
        good = run.load.failed == 0 and run.load.most_at_once >= 0.95 * AT_ONCE
        rate = run.load.calls / run.load.seconds
        found += [
            Figure("200 at once, 10 calls/s: calls", run.load.calls, "", "≥ 3000", run.load.calls >= 3000),
            Figure("  failed", run.load.failed, "", "0", good),
            Figure("  most at once", run.load.most_at_once, "calls"),
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
    parts = chosen.only.split(",")
    plan = Plan.quick() if chosen.quick else Plan()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="prosa-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if set(parts) - {"lookups"}:
            found += _telephone(folder, parts, plan)
        if "lookups" in parts:
            found += asyncio.run(lookups.measure(make_settings(folder / "lookups"), quick=chosen.quick, say=say))
            with postgres.running() as url:
                settings = make_settings(folder / "lookups").model_copy(update={"database_url": url})
                found += asyncio.run(lookups.measure(settings, quick=chosen.quick, say=say))
    print(table(found))
    if not chosen.quick:
        _save(found, parts)
    if any(figure.met is False for figure in found):
        print("Some figures miss their goal.", file=sys.stderr)


def _telephone(folder: Path, parts: list[str], plan: Plan) -> list[Figure]:
    if not shutil.which("sipp"):
        raise SystemExit("SIPp is missing: apt-get install sip-tester")
    service = make_settings(folder / "ours")
    lines = asyncio.run(_prepared(service))
    say(f"native dialplan: {len(lines)} applications for keys {KEYS}")
    native = make_settings(folder / "native")
    with Native.running(native, lines) as target:
        say("native")
        first = measure_telephone(Telephone(target, folder / "sipp-native", say), parts, plan, ours=False)
    with Service.running(service, folder / "run.log") as ours:
        say("ours")
        second = measure_telephone(Telephone(ours, folder / "sipp-ours", say), parts, plan, ours=True)
    return compare(first, second)


def _save(found: list[Figure], parts: list[str]) -> None:
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
        "parts": parts,
        "figures": [asdict(figure) for figure in found],
    }
    file = ROOT / "docs" / "benchmarks" / f"{datetime.now(UTC):%Y-%m-%d}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    print(f"saved as {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
