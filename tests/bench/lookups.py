"""Coverage lookups with 10,000 neighbourhoods and 1,000,000 past calls, on SQLite and on PostgreSQL."""

import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, text

from tests.bench.figures import Figure
from tests.bench.measure import percentile
from ura import coverage, migrate
from ura.db import make_engine, make_sessions
from ura.lookups import Lookups
from ura.models import Audience, Call, City, Coverage, Neighbourhood, Plan, PlanOffer
from ura.settings import Settings

CITIES = 1  # the hardest: everything in one
NEIGHBOURHOODS = 10_000
CALLS = 1_000_000
CHUNK = 20_000
TURNS = 400
FIRST, SECOND = ("Jardim", "Vila", "Parque", "Residencial", "Bairro"), ("Palmeiras", "Aurora", "Primavera", "Central")


async def measure(settings: Settings, *, quick: bool, say: Callable[[str], None]) -> list[Figure]:
    """Each lookup of the sales path in turn, as the phone asks it. Milliseconds of wall time, one after the other."""
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
            ("recent_calls", {"caller": f"+55119{one:08d}"}),
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
    now = datetime.now(UTC)
    for start in range(0, total, CHUNK):
        say(f"  filling {url.partition(':')[0]}: {start:,} of {total:,} calls")
        async with sessions.begin() as session:
            await session.execute(insert(Call), [_call(n, now) for n in range(start, min(start + CHUNK, total))])
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
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


def _call(number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "uniqueid": f"1700000000.{number}",
        "caller": f"+55119{number % 500_000:08d}",
        "did": "551133330001",
        "flow_key": "provedor",
        "flow_version": 1,
        "opened_at": now - timedelta(seconds=10 * number),
    }
