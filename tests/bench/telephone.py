"""The figures that need calls: each run on ours and on native, one after the other, with the same SIPp and probe."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.load import Load, LoadResult
from tests.bench.measure import cpu_s, family, memory_mb, open_files, percentile, udp_drops
from tests.bench.probe import Probe, Timing
from tests.bench.stack import Target

KEYS = "11111"
CALL_S = 30
PROBES_AT_ONCE = 10  # a probe mostly waits for prompts to end


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; `quick` is for trying the bench itself."""

    cost_calls: int = 300
    probes: int = 60
    held: int = 100
    sustained_calls: int = 3000
    knee_steps: tuple[int, ...] = (200, 250, 300, 350, 400, 450, 500, 550, 600)
    growth_calls: int = 5000

    @classmethod
    def quick(cls) -> "Plan":
        return cls(20, 3, 10, 60, (20, 40), 100)


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
    silent: int = 0
    drops: int = 0


@dataclass(slots=True)
class Memory:
    agi_mb: float = 0.0
    before_mb: dict[str, float] = field(default_factory=dict)
    after_mb: dict[str, float] = field(default_factory=dict)
    files_before: int = 0
    files_after: int = 0


class Telephone:
    def __init__(self, target: Target, sipp: list[str], folder: Path, say: Callable[[str], None]) -> None:
        self._target = target
        self._sipp = sipp
        self._folder = folder
        self._say = say
        self._runs = 0

    def _load(self, calls: int, per_second: float, at_once: int) -> Load:
        self._runs += 1
        load = Load(self._sipp, self._folder / str(self._runs), self._target.address)
        load.start(self._target.number, calls=calls, per_second=per_second, at_once=at_once)
        return load

    def cost(self, calls: int) -> Cost:
        """CPU of all our processes (their ended children too) over `calls` calls of 30 s with five keys."""
        self._load(10, 5, 10).wait(120)  # warm: the first calls fill caches
        groups = self._target.groups()
        before = {name: cpu_s(pids) for name, pids in groups.items()}
        result = self._load(calls, 5, calls).wait(CALL_S + calls / 5 + 60)
        after = {name: cpu_s(pids) for name, pids in groups.items()}
        by_group = {name: 1000 * (after[name] - before[name]) / calls for name in groups}
        self._say(f"cost: {sum(by_group.values()):.1f} ms a call {by_group}")
        return Cost(sum(by_group.values()), by_group, result.failed)

    def latency(self, probes: int, held: int) -> Latency:
        """Probe calls while `held` other calls are kept up."""
        latency, before = Latency(), udp_drops()
        load = self._load(probes * 40, 2 * held / CALL_S, held)
        self._until_held(load, held)
        with ThreadPoolExecutor(PROBES_AT_ONCE) as pool:
            for timing in pool.map(self._probe, range(probes)):
                self._keep(latency, timing)
        load.stop()
        latency.drops = udp_drops().receive_buffer - before.receive_buffer
        self._say(
            f"latency: {len(latency.key_ms)} keys, median {percentile(latency.key_ms, 0.5):.2f} ms, "
            f"99 % {percentile(latency.key_ms, 0.99):.2f} ms, {latency.silent} silent, {latency.drops} drops"
        )
        self._until_quiet()
        return latency

    def _probe(self, _turn: int) -> Timing:
        probe = Probe(self._target.settings.sip_host, self._target.settings.sip_port)
        try:
            return probe.call(self._target.number, KEYS)
        finally:
            probe.close()

    def sustained(self, calls: int, at_once: int, per_second: float) -> tuple[LoadResult, int]:
        before = udp_drops()
        result = self._load(calls, per_second, at_once).wait(calls / per_second * 2 + 120)
        drops = udp_drops().receive_buffer - before.receive_buffer
        self._say(f"sustained: {result}, {drops} drops")
        return result, drops

    def knee(self, steps: tuple[int, ...]) -> int:
        """The most calls at once that pass: none failed, no datagram dropped, 99 % answered within 200 ms."""
        best = 0
        for at_once in steps:
            self._until_quiet()
            result, drops = self.sustained(at_once * 2, at_once, at_once / CALL_S * 1.1)
            if result.failed or drops or result.answer_p99_ms > 200:
                break
            best = at_once
        return best

    def memory(self, at_once: int, growth_calls: int) -> Memory:
        """At `at_once` calls, and what grew over `growth_calls`."""
        memory = Memory()
        load = self._load(at_once, 15, at_once)
        self._until_held(load, at_once)
        memory.agi_mb = memory_mb(self._target.groups()["agi"])
        load.wait(120)
        self._until_quiet()
        memory.before_mb = self._memory()
        memory.files_before = open_files(self._target.pids())
        self._load(growth_calls, 10, 300).wait(growth_calls / 8 + 120)
        self._until_quiet()
        memory.after_mb = self._memory()
        memory.files_after = open_files(self._target.pids())
        self._say(f"memory: {memory}")
        return memory

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
