"""The figures that need calls: each run on ours and on native, one after the other, with the same SIPp and probe."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.bench.load import Load, LoadResult
from tests.bench.measure import Drops, cpu_s, family, memory_mb, open_files, percentile
from tests.bench.probe import Probe, Timing
from tests.bench.stack import Target
from tests.bench.walks import SALES

KEYS = "11111"
CALL_S = 30
WARM_S = 10
FIRST_CALLER, FIRST_PROBE = 5511_900_000_000, 5511_970_000_000
AT_ONCE = 200  # what we promise
RAMP_S = 20
PROBES_AT_ONCE, PROBE_EVERY_S = 80, 1.0  # a probe mostly waits for prompts to end


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; `quick` is for trying the bench itself."""

    cost_calls: int = 240
    probes: int = 90  # of five keys: enough for a 99th percentile
    held: int = 100
    sustained_calls: int = 5000  # 3,000 without a failure prove "under 0.1 %"; 5,000 show what grows
    knee_steps: tuple[int, ...] = (300, 330, 360, 390, 420)

    @classmethod
    def quick(cls) -> "Plan":
        return cls(30, 3, 10, 60, (20, 40))


@dataclass(slots=True)
class Cost:
    per_call_ms: float
    by_group_ms: dict[str, float]
    failed: int


@dataclass(slots=True)
class Latency:
    answer_ms: list[float] = field(default_factory=list)
    first_sound_ms: list[float] = field(default_factory=list)
    key_ms: list[float] = field(default_factory=list)
    silent: int = 0  # keys, or whole probes, that nothing answered
    drops: int = 0


@dataclass(slots=True)
class Sustained:
    load: LoadResult
    drops: int
    memory_before_mb: dict[str, float]
    memory_after_mb: dict[str, float]
    new_files: int


@dataclass(slots=True)
class Knee:
    """`agi_mb`: calls held → memory of agi with so many calls up."""

    calls: int = 0
    agi_mb: dict[int, float] = field(default_factory=dict)


class Telephone:
    def __init__(self, target: Target, folder: Path, say: Callable[[str], None]) -> None:
        self._target = target
        self._folder = folder
        self._say = say
        self._runs = 0
        self._callers = count(FIRST_CALLER)
        self._probes = count(FIRST_PROBE)

    def _load(self, calls: int, per_second: float, at_once: int, call_s: float = CALL_S) -> Load:
        """`calls` calls of `call_s` seconds with the keys spread over them. Each from a number that never called
        before: who calls again within two hours hears shorter prompts."""
        self._runs += 1
        keys = [((n + 1) * call_s / (len(KEYS) + 1), key) for n, key in enumerate(KEYS)]
        first = next(self._callers)
        self._callers = count(first + calls)
        load = Load(self._folder / str(self._runs), self._target.address, first_number=first)
        load.dial(self._target.number, keys, call_s, calls=calls, per_second=per_second, at_once=at_once)
        return load

    def _check(self, load: Load, result: LoadResult) -> None:
        self._target.check_walk(SALES, load.callers(result.calls), calls=result.calls - result.failed)

    def _drops(self) -> Drops:
        """At Asterisk's sockets: SIP and media."""
        settings = self._target.settings
        media = range(settings.rtp_first_port, settings.rtp_last_port + 1)
        return Drops(lambda port: port == settings.sip_port or port in media)

    def cost(self, calls: int) -> Cost:
        """CPU of all our processes (their ended children too) over `calls` calls of 30 s with five keys, as many at
        once as we promise."""
        self._load(10, 5, 10, WARM_S).wait(120)  # the first calls fill caches
        groups = self._target.groups()
        before = {name: cpu_s(pids) for name, pids in groups.items()}
        load = self._load(calls, AT_ONCE / CALL_S, calls)
        result = load.wait(calls * CALL_S / AT_ONCE + 2 * CALL_S + 60)
        after = {name: cpu_s(pids) for name, pids in groups.items()}
        by_group = {name: 1000 * (after[name] - before[name]) / calls for name in groups}
        self._say(f"cost: {sum(by_group.values()):.1f} ms a call {by_group}")
        self._check(load, result)
        return Cost(sum(by_group.values()), by_group, result.failed)

    def latency(self, probes: int, held: int) -> Latency:
        """Probe calls while `held` other calls are kept up."""
        latency = Latency()
        first = next(self._probes)
        with self._drops() as drops:
            load = self._load(probes * 40, 2 * held / CALL_S, held)
            try:
                self._until_held(load, held)
                timings = self._probe_often(probes)
                for timing in timings:
                    self._keep(latency, timing)
                latency.silent += probes - len(timings)
                load.enough()
                result = load.wait(CALL_S + 30)
            finally:
                load.stop()
        latency.drops = drops.count
        self._say(
            f"latency: {len(latency.key_ms)} keys, median {percentile(latency.key_ms, 0.5):.2f} ms, "
            f"99 % {percentile(latency.key_ms, 0.99):.2f} ms, {latency.silent} silent, {latency.drops} drops"
        )
        self._until_quiet()
        self._check(load, result)
        self._target.check_walk(SALES, range(first + 1, next(self._probes)), calls=len(timings))
        return latency

    def _probe_often(self, probes: int) -> list[Timing]:
        """Those that were answered. They dial as people do, each when it likes: in step they would press in the same
        millisecond, and wait for each other."""
        chance, running = random.Random(1), []
        with ThreadPoolExecutor(PROBES_AT_ONCE) as pool:
            for _ in range(probes):
                running.append(pool.submit(self._probe))
                time.sleep(chance.expovariate(1 / PROBE_EVERY_S))
            return [timing for probe in running if (timing := probe.result())]

    def _probe(self) -> Timing | None:
        """None for one that was not answered, or heard nothing."""
        probe = Probe(self._target.settings.sip_host, self._target.settings.sip_port)
        try:
            return probe.call(self._target.number, KEYS, str(next(self._probes)))
        except (TimeoutError, ConnectionError):
            return None
        finally:
            probe.close()

    def sustained(self, calls: int, at_once: int, per_second: float) -> Sustained:
        """`calls` calls at `per_second`, so long that `at_once` are up. Warmed by as many at once, five times over:
        what is compared is growth, not the first time that so many were up. (Asterisk's heap is at its height after 700
        calls, as SIP transactions stay for half a minute; Python's after 1,000.)"""
        length_s = at_once / per_second
        warm = min(calls, 5 * at_once)
        self._load(warm, per_second, at_once + 20, length_s).wait(warm / per_second * 2 + 120)
        self._until_quiet()
        memory, files = self._memory(), open_files(self._target.pids())
        with self._drops() as drops:
            load = self._load(calls, per_second, at_once + 20, length_s)
            result = load.wait(calls / per_second * 2 + 120)
        self._until_quiet()
        sustained = Sustained(result, drops.count, memory, self._memory(), open_files(self._target.pids()) - files)
        self._say(f"sustained: {sustained}")
        self._check(load, result)
        return sustained

    def knee(self, steps: tuple[int, ...]) -> Knee:
        """The most calls at once that pass: none failed, no datagram dropped, 99 % answered within 200 ms."""
        knee = Knee()
        for at_once in steps:
            self._until_quiet()
            with self._drops() as drops:
                load = self._load(int(at_once * 1.2), at_once / RAMP_S, at_once)
                if "agi" in self._target.groups():
                    self._until_held(load, at_once)
                    knee.agi_mb[at_once] = memory_mb(self._target.groups()["agi"])
                result = load.wait(3 * CALL_S + 60)
            self._say(f"knee at {at_once}: {result}, {drops.count} drops")
            if result.failed or drops.count or result.answer_p99_ms > 200:
                break
            self._check(load, result)
            knee.calls = at_once
        return knee

    def _memory(self) -> dict[str, float]:
        return {name: memory_mb(pids) for name, pids in self._target.groups().items()}

    def _keep(self, latency: Latency, timing: Timing) -> None:
        latency.answer_ms.append(timing.answer_ms)
        latency.first_sound_ms.append(timing.first_sound_ms)
        latency.key_ms += timing.keys_ms
        latency.silent += timing.silent

    def _until_held(self, load: Load, wanted: int) -> None:
        end = time.monotonic() + 90
        while load.calls_now() < wanted * 0.95:
            if time.monotonic() > end:
                raise TimeoutError(f"{load.calls_now()} of {wanted} calls are up")
            time.sleep(0.5)

    def _until_quiet(self) -> None:
        """Nothing of the last run may weigh on the next one."""
        end = time.monotonic() + 60
        pids = family(self._target.groups()["asterisk"][0])
        while time.monotonic() < end:
            before = cpu_s(pids)
            time.sleep(1)
            if cpu_s(pids) - before < 0.05:
                return
