"""Coverage lookups with 10,000 neighbourhoods and 1,000,000 past calls, on SQLite and on PostgreSQL."""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, String, cast, insert, literal

from tests.bench.figures import Figure
from tests.bench.fill import analyze, fill
from tests.bench.measure import percentile
from tests.bench.stack import make_settings
from ura import coverage, migrate
from ura.db import make_engine, make_sessions
from ura.lookups import Lookups
from ura.models import Audience, Call, City, Coverage, Neighbourhood, Plan, PlanOffer
from ura.settings import Settings

CITIES = 1  # the hardest: everything in one
NEIGHBOURHOODS = 10_000
CALLS = 1_000_000
CHUNK = 10_000
TURNS = 400
FIRST, SECOND = ("Jardim", "Vila", "Parque", "Residencial", "Bairro"), ("Palmeiras", "Aurora", "Primavera", "Central")


def measure(folder: Path, *, quick: bool, say: Callable[[str], None], database_url: str = "") -> list[Figure]:
    """Each lookup of the sales path in turn, as the phone asks it. Milliseconds of wall time, one after the other."""
    folder.mkdir()
    return asyncio.run(_measure(make_settings(folder, database_url=database_url), quick=quick, say=say))


async def _measure(settings: Settings, *, quick: bool, say: Callable[[str], None]) -> list[Figure]:
    await migrate.upgrade(settings.db_url)
    await _fill(settings.db_url, quick=quick, say=say)
    kind = "SQLite" if settings.db_url.startswith("sqlite") else "PostgreSQL"
    engine = make_engine(settings.db_url)
    lookups = Lookups(make_sessions(engine), settings)
    chance, times = random.Random(1), dict[str, list[float]]()
    for _ in range(TURNS):
        city, one = chance.randrange(1, CITIES + 1), chance.randrange(1, NEIGHBOURHOODS)
        for name, args in (
            ("cities", {}),
            ("neighbourhoods", {"city_id": city}),
            ("neighbourhoods_by_keys", {"city_id": city, "keys": "725"}),
            ("neighbourhood_by_cep", {"cep": f"{10_000_000 + one * 1000 + 5:08d}"}),
            ("plans", {"neighbourhood_id": one, "audience": "home"}),
            ("recent_calls", {"caller": f"+55119{10_000_000 + one}"}),
        ):
            began = time.perf_counter()
            await lookups(name, args)
            times.setdefault(name, []).append(1000 * (time.perf_counter() - began))
    await engine.dispose()
    found = []
    for name, each in times.items():
        worst = percentile(each, 0.99)
        say(f"{name} on {kind}: median {percentile(each, 0.5):.2f} ms, 99 % {worst:.2f} ms over {len(each)}")
        found.append(Figure(f"lookup {name}, 99 %, {kind}", worst, "ms", "≤ 10", worst <= 10))
    return found


async def _fill(url: str, *, quick: bool, say: Callable[[str], None]) -> None:
    engine = make_engine(url)
    sessions = make_sessions(engine)
    async with sessions.begin() as session:
        await session.execute(insert(City), [{"id": n, "name": f"Cidade {n}"} for n in range(1, CITIES + 1)])
        await session.execute(insert(Neighbourhood), [_neighbourhood(n) for n in range(1, NEIGHBOURHOODS + 1)])
        await session.execute(insert(Plan), [_plan(n) for n in range(1, 9)])
        offers = [
            {"plan_id": plan, "neighbourhood_id": n} for n in range(1, NEIGHBOURHOODS + 1) for plan in range(1, 9)
        ]
        await session.execute(insert(PlanOffer), offers)
    total = CALLS // 50 if quick else CALLS
    say(f"  {total:,} calls into {engine.dialect.name}")
    now = datetime.now(UTC)
    for start in range(0, total, CHUNK):
        await fill(engine, Call, CHUNK, partial(_call, start=start, at=now - timedelta(seconds=10 * start)))
    await analyze(engine)
    await engine.dispose()


def _neighbourhood(number: int) -> dict[str, Any]:
    name = f"{FIRST[number % 5]} {SECOND[number % 4]} {number}"
    return {
        "id": number,
        "city_id": number % CITIES + 1,
        "name": name,
        "aliases": [],
        "status": Coverage.COVERED,
        "cep_first": f"{10_000_000 + number * 1000:08d}",
        "cep_last": f"{10_000_000 + number * 1000 + 999:08d}",
        "sort_name": coverage.plain(name),
        "t9": coverage.keypad([name]),
        "prompt_key": "",
    }


def _plan(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "audience": Audience.HOME if number < 6 else Audience.BUSINESS,
        "name": f"Plano {number}",
        "speed_mbps": 100 * number,
        "price": Decimal(100 * number),
        "setup_price": Decimal(0),
        "valid_from": date(2026, 1, 1),
    }


def _call(number: ColumnElement[int], *, start: int, at: datetime) -> dict[str, Any]:
    digits = cast(number + 10_000_000 + start, String)
    return {
        "id": literal("0" * 24) + digits,
        "uniqueid": literal("1700000000.") + digits,
        "caller": literal("+55119") + cast((number + start) % 500_000 + 10_000_000, String),
        "did": "551133330001",
        "flow_key": "provedor",
        "flow_version": 1,
        "opened_at": at,
    }
