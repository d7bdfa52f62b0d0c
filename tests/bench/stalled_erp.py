"""Does a stalled ERP reach calls that do not need it? 100 calls hang on it; beside them others walk through sales.

The crowd is kept up all the time, by one SIPp, while the ERP is well and stalls in turn. So the keys that the probes
press meet the same load in each state, and differ in nothing but what the crowd waits for:

* well: the crowd is answered at once, and waits in a menu instead.
* slow: every answer takes 6 seconds. Longer ones would be no answers: after seven the ERP is given up, and after
  five of those it is left alone, so that nobody waits for it any more.
* stalled: ten seconds, and no answer: the crowd hangs until it is left alone.

Each call of the crowd asks three times: whose number it is (asked while it is greeted), and whose two contracts that
nobody has. Slow, that is 18 s of the 27 s of a call, so two of three hang on it at a moment. A process asks it at
most twenty things at once, and nobody deals out the calls among them: `WORKERS` are so many that ten ask in each, give
or take three. Where more than twenty did, the last would wait too long, and the ERP be left alone.
"""

import asyncio
import random
import threading
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import aliased

from prosa.run import Steps
from prosa.setup import prepare
from tests.bench import systems
from tests.bench.figures import Figure
from tests.bench.load import Load
from tests.bench.measure import percentile
from tests.bench.probe import Probe, Timing
from tests.bench.stack import Service, make_settings
from tests.bench.telephone import FIRST_CALLER, FIRST_PROBE, KEYS
from tests.bench.walks import SALES
from tests.bench.walks import Path as Walk
from ura.db import make_engine, make_sessions
from ura.models import Call, CallStep, Outage
from ura.settings import Settings

WORKERS = 10
HELD = 160
LEAST_HANGING = 100
CALL_S = 27.0
# Through greeting and protocol to a contract's number: 1#, pressed while it is asked whose number it is. When nobody
# has it, by what to search is asked again: 3, 2#. What is pressed before that question is dropped, so they come well
# after a slow "no": the first two take 14 s, as "still looking" is said to its end. Who keys a second number that
# nobody has is sent to a person, and hangs up.
ASKS = ((1.5, "2"), (3.0, "3"), (4.5, "1"), (5.0, "#"), (18.1, "3"), (18.7, "2"), (19.1, "#"))
CROWD = Walk("support_who", smooth=False, most_astray=0.1)  # it shall be a load; how many hang is counted
OTHERS = replace(SALES, most_astray=0.05)
NO_LIMIT = {"identify_misses": 10**6, "identify_alarm_misses": 10**6, "identify_total_misses": 10**6}
SLOW_S = 6.0
WARM_S = 60.0  # then the crowd is whole, and the first probe at its end: each key of the path is pressed as often
STATE_S = 90.0
SETTLE_S = 8.0  # then the crowd that hung on the last state is gone
PROBE_EVERY_S = 2.5  # a call of theirs takes a minute, so 24 at once
WELL, SLOW, STALLED = "well", "slow", "stalled"
Say = Callable[[str], None]


def measure(folder: Path, *, quick: bool, say: Say) -> list[Figure]:
    with systems.sgp() as erp:
        settings = make_settings(folder, agi_workers=WORKERS, **NO_LIMIT, **erp.settings)
        asyncio.run(_move_in(settings))
        with Service.running(settings, folder / "run.log") as service:
            return _Side(service, folder / "sipp", erp, say).measure(cycles=1 if quick else 2)


async def _move_in(settings: Settings) -> None:
    """Without an outage: while one is open, every call asks whether it is the caller's."""
    await prepare(settings, Steps(lambda line: None).step)
    engine = make_engine(settings.db_url)
    async with engine.begin() as connection:
        await connection.execute(update(Outage).values(closed_at=datetime.now(UTC)))
    await engine.dispose()


class _Weather:
    """The ERP's states, one after the other, from its own thread; what it was at a moment."""

    def __init__(self, erp: systems.ErpSim, say: Say) -> None:
        self._erp = erp
        self._say = say
        self._over = threading.Event()
        self.began_ns: list[int] = []
        self.states: list[str] = []
        self.ended_ns = 0

    @contextmanager
    def turning(self, cycles: int) -> Iterator[None]:
        """Well to warm up, well and slow in turn, so often; at last stalled, to the end."""
        thread = threading.Thread(target=self._turn, args=([WELL, SLOW] * cycles,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.ended_ns = time.time_ns()
            self._over.set()
            thread.join()

    def _turn(self, states: list[str]) -> None:
        if self._over.wait(WARM_S):
            return
        for state in [*states, STALLED]:
            self._erp.recover()
            if state is SLOW:
                self._erp.stall("stall_after", SLOW_S)
            if state is STALLED:
                self._erp.stall()
            self.states.append(state)
            self.began_ns.append(time.time_ns())
            self._say(f"  the ERP is {state}")
            if self._over.wait(STATE_S):
                return
        self._over.wait()

    def at(self, moment_ns: int) -> str:
        """ "" before the first, and while a state is new."""
        place = bisect(self.began_ns, moment_ns) - 1
        if place < 0 or moment_ns - self.began_ns[place] < SETTLE_S * 1e9:
            return ""
        return self.states[place]


class _Side:
    """The crowd on one side, the probes on the other."""

    def __init__(self, service: Service, folder: Path, erp: systems.ErpSim, say: Say) -> None:
        self._service = service
        self._folder = folder
        self._weather = _Weather(erp, say)
        self._say = say
        self._numbers = count(FIRST_PROBE)

    def measure(self, *, cycles: int) -> list[Figure]:
        probes = round((WARM_S + (2 * cycles + 1) * STATE_S) / PROBE_EVERY_S)
        rate = HELD / CALL_S
        crowd = Load(self._folder, self._service.address, first_number=FIRST_CALLER)
        calls = round(rate * (probes * PROBE_EVERY_S + 150))
        crowd.dial(self._service.number, ASKS, CALL_S, calls=calls, per_second=rate, at_once=HELD)
        try:
            with self._weather.turning(cycles):
                timings = self._probe(probes)
            crowd.enough()
            result = crowd.wait(CALL_S + 60)
        finally:
            crowd.stop()
        walked = result.calls - result.failed
        self._service.check_walk(CROWD, crowd.callers(result.calls), calls=walked)
        self._service.check_walk(OTHERS, range(FIRST_PROBE, FIRST_PROBE + probes), calls=len(timings))
        return self._compare(timings, unanswered=probes - len(timings), failed=result.failed)

    def _probe(self, probes: int) -> list[Timing]:
        chance, running = random.Random(1), []
        with ThreadPoolExecutor(probes) as pool:
            for _ in range(probes):
                running.append(pool.submit(self._call))
                time.sleep(chance.expovariate(1 / PROBE_EVERY_S))  # callers dial when they like
            return [timing for probe in running if (timing := probe.result())]

    def _call(self) -> Timing | None:
        """None for one that was not answered, or heard nothing."""
        probe = Probe(self._service.settings.sip_host, self._service.settings.sip_port)
        try:
            return probe.call(self._service.number, KEYS, str(next(self._numbers)))
        except (TimeoutError, ConnectionError):
            return None
        finally:
            probe.close()

    def _compare(self, timings: list[Timing], *, unanswered: int, failed: int) -> list[Figure]:
        keys: dict[str, list[float]] = {WELL: [], SLOW: [], STALLED: [], "": []}
        for timing in timings:
            for pressed_ns, took_ms in zip(timing.pressed_ns, timing.keys_ms, strict=True):
                keys[self._weather.at(pressed_ns)].append(took_ms)
        hanging = asyncio.run(self._hanging())
        well = percentile(keys[WELL], 0.99)
        found = []
        for state in (WELL, SLOW, STALLED):
            worst = percentile(keys[state], 0.99)
            self._say(
                f"ERP {state}: {hanging[state]:.0f} calls hang on it; key → prompt of others: median "
                f"{percentile(keys[state], 0.5):.2f} ms, 99 % {worst:.2f} ms over {len(keys[state])}"
            )
            if state is WELL:
                found.append(Figure("sales beside a crowd, ERP well: key → prompt, 99 %", worst, "ms"))
                continue
            ratio = worst / well if well else 0.0
            found.append(_held(state, hanging[state]))
            found.append(Figure(f"  ERP {state}: key → prompt, 99 %", worst, "ms"))
            found.append(Figure(f"  ERP {state}: the same, ratio", ratio, "× well", "≤ 1.10", ratio <= 1.10))
        silent = unanswered + sum(timing.silent for timing in timings)
        found.append(Figure("  calls of the crowd that failed", failed, "", "0", failed == 0))
        found.append(Figure("  keys that nothing answered", silent, "", "0", silent == 0))
        return found

    async def _hanging(self) -> dict[str, float]:
        """State → how many calls hung on the ERP at a time, the median: from a question to an answer, or its lack, or
        the end of the call. The first is asked as the call begins.

        No longer than the ERP takes when it is slow: what is being said when it answers is said to its end."""
        asked, answered = aliased(CallStep), aliased(CallStep)
        query = select(asked.call_id, asked.at, answered.at).join(answered, answered.call_id == asked.call_id)
        off = (answered.event == "hung_up") & (asked.node == "support_who") & (asked.event == "digits")
        query = query.where(answered.node == "support_who", off | answered.event.in_(("lookup", "lookup_failed")))
        query = query.where(asked.seq == answered.seq - 1).order_by(asked.at)
        engine = make_engine(self._service.settings.db_url)
        async with make_sessions(engine)() as session:
            rows = (await session.execute(query)).all()
            opened = {call_id: at for call_id, at in await session.execute(select(Call.id, Call.opened_at))}
        await engine.dispose()
        spans = []
        for call_id, asked_at, ended in rows:
            began = opened.pop(call_id, asked_at)
            spans.append((began, min(ended, began + timedelta(seconds=SLOW_S))))
        hung: dict[str, list[float]] = {WELL: [], SLOW: [], STALLED: [], "": []}
        for second in range(self._weather.began_ns[0], self._weather.ended_ns, 1_000_000_000):
            moment = datetime.fromtimestamp(second / 1e9, UTC)
            hung[self._weather.at(second)].append(sum(began <= moment < ended for began, ended in spans))
        return {state: percentile(counts, 0.5) for state, counts in hung.items()}


def _held(state: str, calls: float) -> Figure:
    """Too few say that the ratio beside it is of a lighter load than it should be. Who does not answer at all is left
    alone soon, so there nobody can be held."""
    name = f"  ERP {state}: calls hanging on it, median"
    if state is SLOW:
        return Figure(name, calls, "calls", f"≥ {LEAST_HANGING}", calls >= LEAST_HANGING)
    return Figure(name, calls, "calls")
