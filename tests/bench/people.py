"""A known number among 1,000,000 subscribers: how long until the caller hears something about themselves?

Two places of the shipped flow ask who has the number that calls. After the greeting, when an outage is open anywhere:
is it this caller's? And in support: is it about this street? Real calls, on SQLite and on PostgreSQL; each from a
number that nobody asked for before. Numbers that nobody has take the same way and hear the menu, or the other question.
"""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, String, cast, literal, update

from prosa.run import Steps
from prosa.setup import prepare
from tests.bench.figures import Figure
from tests.bench.fill import analyze, fill
from tests.bench.measure import percentile
from tests.bench.probe import Probe, Timing
from tests.bench.stack import Service, make_settings
from tests.bench.walks import Astray
from tests.bench.walks import Path as Walk
from ura import outages
from ura.adapters import erp as erp_adapters
from ura.crypto import Keyring
from ura.db import make_engine, make_sessions
from ura.demo.subscribers import streets
from ura.erp import Answer, ContractStatus, Kind
from ura.models import Access, Cause, Contract, Outage, Subscriber, SubscriberPhone
from ura.outages import Scope
from ura.settings import Settings

SUBSCRIBERS = 1_000_000
FIRST_ID = 1_000_000  # behind those of the demo
FIRST_NUMBER = 5521_910_000_000  # +5521910000001 is the first subscriber's
FIRST_STRANGER = 5521_970_000_000
A_CTO = 16  # so many subscribers hang on one
CALLS = 40
PER_SECOND = 10  # dialled, as promised
LOOKUPS = 2000
GREETING_S = 9.0  # the greeting, and well into what follows it
GOAL_MS = 300
DOCUMENT = "12345678909"
SUPPORT = "2"
Say = Callable[[str], None]


def measure(folder: Path, *, quick: bool, say: Say, database_url: str = "") -> list[Figure]:
    settings = make_settings(folder, database_url=database_url)
    kind = "PostgreSQL" if database_url else "SQLite"
    total, calls = (SUBSCRIBERS // 50, 4) if quick else (SUBSCRIBERS, CALLS)
    asyncio.run(_move_in(settings, total, say))
    # Everybody once, far apart: what one process remembers of a number is no answer for the next.
    known = [FIRST_NUMBER + 1 + n * (total // (2 * calls)) for n in range(2 * calls)]
    strangers = [FIRST_STRANGER + n for n in range(2 * calls)]
    found = asyncio.run(_bare(settings, total, kind, quick=quick, say=say))
    with Service.running(settings, folder / "run.log") as service:
        calling = _Calling(service, kind, say)
        found += calling.question(known[:calls], strangers[:calls])
        asyncio.run(_open_outage(settings, known[calls:]))
        found += calling.outage(known[calls:], strangers[calls:])
    return found


class _Calling:
    def __init__(self, service: Service, kind: str, say: Say) -> None:
        self._service = service
        self._kind = kind
        self._say = say

    def question(self, known: list[int], strangers: list[int]) -> list[Figure]:
        """The silence between the protocol and the question that needs the number: the street, or who it is. Then `1`:
        yes, it is about this street; or: by CPF."""
        ours, theirs = self._calls(known, strangers, keys=SUPPORT + "1")
        self._check(Walk("line"), known)
        self._check(Walk("support_who", ends=("support_who",)), strangers)
        sound = [timing.first_sound_ms for timing in ours]
        return [self._figure("answer → greeting, known number", sound), self._silence("matched question", ours, theirs)]

    def outage(self, known: list[int], strangers: list[int]) -> list[Figure]:
        """The silence between the greeting and what follows it: the outage of this caller, or the menu."""
        ours, theirs = self._calls(known, strangers, enough_s=GREETING_S)
        self._check(Walk("nearby_until"), known)
        self._check(Walk("nearby", ends=("main",)), strangers)
        return [self._silence("outage of a known number", ours, theirs)]

    def _calls(
        self, known: list[int], strangers: list[int], *, keys: str = "", enough_s: float = 60.0
    ) -> tuple[list[Timing], list[Timing]]:
        numbers = known + strangers
        with ThreadPoolExecutor(len(numbers)) as pool:
            running = []
            for number in numbers:
                running.append(pool.submit(self._call, number, keys, enough_s))
                time.sleep(1 / PER_SECOND)  # the rate of the calls
            timings = [call.result() for call in running]
        return timings[: len(known)], timings[len(known) :]

    def _call(self, number: int, keys: str, enough_s: float) -> Timing:
        probe = Probe(self._service.settings.sip_host, self._service.settings.sip_port)
        try:
            return probe.listen(self._service.number, str(number), keys=keys, enough_s=enough_s)
        finally:
            probe.close()

    def _check(self, walk: Walk, numbers: list[int]) -> None:
        self._service.check_walk(walk, numbers, calls=len(numbers))

    def _silence(self, before: str, ours: list[Timing], theirs: list[Timing]) -> Figure:
        strangers = max(timing.silence_ms for timing in theirs)
        self._say(f"the same for numbers that nobody has, {self._kind}: most {strangers:.0f} ms")
        return self._figure(f"silence before {before}", [timing.silence_ms for timing in ours])

    def _figure(self, name: str, times: list[float]) -> Figure:
        most = max(times)
        name = f"{name}, most, {self._kind}"
        self._say(f"{name}: {most:.0f} ms, median {percentile(times, 0.5):.0f} ms over {len(times)}")
        return Figure(name, most, "ms", f"≤ {GOAL_MS}", most <= GOAL_MS)


async def _bare(settings: Settings, total: int, kind: str, *, quick: bool, say: Say) -> list[Figure]:
    """The question itself, as each process of the phone asks it: the number, then that person's contracts."""
    engine = make_engine(settings.db_url)
    erp = erp_adapters.from_settings(settings, make_sessions(engine))
    chance, times = random.Random(1), list[float]()
    for _ in range(LOOKUPS // 10 if quick else LOOKUPS):
        phone = f"+{FIRST_NUMBER + chance.randrange(1, total + 1)}"
        began = time.perf_counter()
        people = await erp.find_by_phone(phone)
        if not isinstance(people, Answer) or len(people.value) != 1:
            raise Astray(f"the number of one subscriber finds {people}")
        contracts = await erp.list_contracts(people.value[0].id)
        times.append(1000 * (time.perf_counter() - began))
        if not isinstance(contracts, Answer) or len(contracts.value) != 1:
            raise Astray(f"one subscriber has the contracts {contracts}")
    await erp.close()
    await engine.dispose()
    say(f"number → contract on {kind}: median {percentile(times, 0.5):.2f} ms over {len(times)}")
    return [
        Figure(f"number → contract among {total:,}, median, {kind}", percentile(times, 0.5), "ms"),
        Figure(f"number → contract among {total:,}, 99 %, {kind}", percentile(times, 0.99), "ms"),
    ]


# -- the house


async def _move_in(settings: Settings, total: int, say: Say) -> None:
    """The demo's provider without its outages, and `total` subscribers with a number, a contract and a line each."""
    await prepare(settings, Steps(lambda line: None).step)
    engine = make_engine(settings.db_url)
    say(f"  {total:,} subscribers into {engine.dialect.name}")
    now = datetime.now(UTC)
    sealed = Keyring.of(settings).seal(DOCUMENT)  # one for all: it is opened for each caller, never searched for

    def subscriber(n: ColumnElement[int]) -> dict[str, Any]:
        digits = cast(n + FIRST_ID, String)
        return {
            "id": n + FIRST_ID,
            "document": sealed,
            "document_hash": literal("bench ") + digits,
            "name": literal("Subscriber ") + digits,
            "kind": Kind.PERSON,
            "birth_year": 1980,
            "emails": [],
            "updated_at": now,
        }

    def phone(n: ColumnElement[int]) -> dict[str, Any]:
        return {"phone": literal("+") + cast(n + FIRST_NUMBER, String), "subscriber_id": n + FIRST_ID, "place": 0}

    def contract(n: ColumnElement[int]) -> dict[str, Any]:
        digits = cast(n + FIRST_ID, String)
        return {
            "id": n + FIRST_ID,
            "subscriber_id": n + FIRST_ID,
            "number": digits,
            "keys": digits,
            "status": ContractStatus.ACTIVE,
            "street": streets()[0],
            "updated_at": now,
        }

    def access(n: ColumnElement[int]) -> dict[str, Any]:
        login = literal("line") + cast(n + FIRST_ID, String)
        return {"contract_id": n + FIRST_ID, "login": login, "cto": literal("CTO ") + cast(n // A_CTO, String)}

    tables = ((Subscriber, subscriber), (SubscriberPhone, phone), (Contract, contract), (Access, access))
    for model, row in tables:
        await fill(engine, model, total, row)
    async with engine.begin() as connection:
        await connection.execute(update(Outage).values(closed_at=now))
    await analyze(engine)
    await engine.dispose()


async def _open_outage(settings: Settings, numbers: list[int]) -> None:
    """At the CTOs of these numbers."""
    engine = make_engine(settings.db_url)
    now = datetime.now(UTC)
    async with make_sessions(engine).begin() as session:
        await outages.open_outage(
            session,
            cause=Cause.FIBRE_CUT,
            scopes=[Scope(cto=f"CTO {(number - FIRST_NUMBER) // A_CTO}") for number in numbers],
            started_at=now,
            ends_at=now + timedelta(hours=2),
            opened_by="bench",
            now=now,
        )
    await engine.dispose()
