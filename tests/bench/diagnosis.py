"""How long does a diagnosis take when everybody is well, and when somebody does not answer?

Our own tables or an ERP behind HTTP (`prosa erp-sim sgp`), a FreeRADIUS with its accounting in PostgreSQL, and a
GenieACS: real servers on this machine, asked as an installation with those settings asks them.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from prosa.run import Steps
from prosa.setup import prepare
from tests.bench import postgres, systems
from tests.bench.figures import Figure
from tests.bench.measure import percentile
from tests.bench.stack import make_settings
from tests.bench.walks import Astray
from tests.radius import freeradius
from ura.adapters import erp as erp_adapters
from ura.adapters import network as network_adapters
from ura.db import make_engine, make_sessions
from ura.demo.subscribers import demo_world
from ura.erp import Answer, Contract, Erp
from ura.network import Diagnosis, Verdict
from ura.settings import Settings

GOAL_MS = 1500
STORY = "in_order"
TURNS, TURNS_STALLED, AT_ONCE = 200, 30, 10
RADIUS = "radius"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """`silent`: the sources of the diagnosis that do not answer; all others must."""

    name: str
    erp: str
    silent: frozenset[str] = frozenset()
    verdict: Verdict = Verdict.GOOD


ACS, ERP, ACCOUNTING = {"signal:genieacs"}, {"outages:sgp", "session:sgp", "signal:sgp"}, {"session:radius"}
CASES = (
    Case("own tables, RADIUS, GenieACS", "local"),
    Case("SGP, RADIUS, GenieACS", "sgp"),
    Case("GenieACS stalls", "local", frozenset(ACS)),
    Case("SGP and GenieACS stall", "sgp", frozenset(ERP | ACS)),
    Case("all three stall", "sgp", frozenset(ERP | ACS | ACCOUNTING), Verdict.UNKNOWN),
)


def measure(folder: Path, *, quick: bool, say: Say) -> list[Figure]:
    with ExitStack() as stack:
        url = stack.enter_context(postgres.running())
        port = urlsplit(url).port or 0
        with psycopg.connect(_database(port, "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {RADIUS}".encode())
        nas = stack.enter_context(freeradius("postgresql", port, "prosa", RADIUS))
        erp = stack.enter_context(systems.sgp())
        access = demo_world(datetime.now().astimezone()).story(STORY).contracts[0].contract.access
        acs = stack.enter_context(closing(systems.GenieAcs(access.onu)))
        nas.tell("Start", access.login, "s1", time.time() - 3600)
        nas.tell("Interim-Update", access.login, "s1", time.time())
        more = {
            "radius_accounting_url": f"postgresql+psycopg://prosa@127.0.0.1:{port}/{RADIUS}",
            "genieacs_url": acs.url,
        }
        found = []
        for case in CASES:
            settings = make_settings(folder / case.erp, **more, **(erp.settings if case.erp == "sgp" else {}))
            times = asyncio.run(_times(settings, case, partial(_stalled, case, erp, acs, port), quick=quick))
            found.append(_figure(case, times, say))
        return found


@contextmanager
def _stalled(case: Case, erp: systems.ErpSim, acs: systems.GenieAcs, port: int) -> Iterator[None]:
    with ExitStack() as stack:
        if case.silent >= ERP:
            erp.stall()
            stack.callback(erp.recover)
        if case.silent >= ACS:
            acs.well.clear()
            stack.callback(acs.well.set)
        if case.silent >= ACCOUNTING:
            connection = stack.enter_context(psycopg.connect(_database(port, RADIUS)))
            connection.execute("LOCK TABLE radacct IN ACCESS EXCLUSIVE MODE")  # until the connection is closed
        yield


async def _times(
    settings: Settings, case: Case, stalled: Callable[[], AbstractContextManager[None]], *, quick: bool
) -> list[float]:
    """Milliseconds. One after the other while all is well; where each waits for its deadline, several at once."""
    await prepare(settings, Steps(lambda line: None).step)
    engine = make_engine(settings.db_url)
    sessions = make_sessions(engine)
    erp = erp_adapters.from_settings(settings, sessions)
    network = network_adapters.from_settings(settings, sessions, erp)
    times: list[float] = []

    async def once(contract: Contract) -> None:
        began = time.perf_counter()
        diagnosis = await network.diagnose(contract)
        times.append(1000 * (time.perf_counter() - began))
        _check(case, diagnosis)

    try:
        contract = await _contract(erp)
        turns = TURNS_STALLED if case.silent else TURNS
        at_once = AT_ONCE if case.silent else 1
        with stalled():
            for _ in range((turns // 10 if quick else turns) // at_once or 1):
                await asyncio.gather(*(once(contract) for _ in range(at_once)))
    finally:
        await network.close()
        await erp.close()
        await engine.dispose()
    return times


async def _contract(erp: Erp) -> Contract:
    """As this system tells it."""
    demo = demo_world(datetime.now().astimezone()).story(STORY)
    people = await erp.find_by_phone(demo.subscriber.phones[0])
    assert isinstance(people, Answer)
    contracts = await erp.list_contracts(people.value[0].id)
    assert isinstance(contracts, Answer)
    return contracts.value[0]


def _check(case: Case, diagnosis: Diagnosis) -> None:
    silent = {name for name, word in diagnosis.sources.items() if word not in ("answered", "unsupported")}
    if silent != case.silent or diagnosis.verdict is not case.verdict:
        raise Astray(f"{case.name}: {diagnosis.verdict}, by {dict(diagnosis.sources)}")


def _figure(case: Case, times: list[float], say: Say) -> Figure:
    most = max(times)
    say(f"diagnosis, {case.name}: median {percentile(times, 0.5):.1f} ms, most {most:.1f} ms over {len(times)}")
    return Figure(f"diagnosis, {case.name}: most", most, "ms", f"≤ {GOAL_MS}", most <= GOAL_MS)


def _database(port: int, name: str) -> str:
    return f"postgresql://prosa@127.0.0.1:{port}/{name}"
