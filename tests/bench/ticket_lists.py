"""The ticket list through the API, first page and filtered: a million tickets, whose calls have ten million steps, on
PostgreSQL; a tenth of both on SQLite."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from httpx import ASGITransport, AsyncClient
from sqlalchemy import ColumnElement, String, case, cast, func, literal, type_coerce

from api.main import build
from tests.bench.figures import Figure
from tests.bench.fill import analyze, fill
from tests.bench.measure import percentile
from tests.bench.stack import make_settings
from ura import migrate, users
from ura.db import Moment, make_engine, make_sessions
from ura.models import CallStep, Role, Ticket, TicketStatus, Tier, User
from ura.settings import Settings

TICKETS = {"PostgreSQL": 1_000_000, "SQLite": 100_000}
GOAL_MS = {"PostgreSQL": 50, "SQLite": 100}
DAYS = 365  # on each equally many were opened
TURNS, WARMING_UP = 200, 3
USERS = 20
STEPS = 10  # of a ticket's call
OPEN_EVERY = 50  # the others are closed
CATEGORIES = ("support", "billing", "sales", "message", "complaint", "cancellation")


def measure(folder: Path, *, quick: bool, say: Callable[[str], None], database_url: str = "") -> list[Figure]:
    """Milliseconds of wall time from request to answer, one after the other; the log-in is looked up each time."""
    folder.mkdir()
    return asyncio.run(_measure(make_settings(folder, database_url=database_url), quick=quick, say=say))


async def _measure(settings: Settings, *, quick: bool, say: Callable[[str], None]) -> list[Figure]:
    await migrate.upgrade(settings.db_url)
    kind = "SQLite" if settings.db_url.startswith("sqlite") else "PostgreSQL"
    now = datetime.now(UTC)
    token = await _fill(settings, TICKETS[kind] // (50 if quick else 1), now, say)
    tireless = {"api_requests_per_minute": 1_000_000, "source_requests_per_minute": 1_000_000}  # counted all the same
    app, times = build(settings.model_copy(update=tireless)), dict[str, list[float]]()
    headers = {"Authorization": f"Bearer {token}"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://bench.test", headers=headers) as client:
        for turn in range(-WARMING_UP, TURNS):
            for name, params in _questions(abs(turn), now).items():
                began = time.perf_counter()
                answer = await client.get("/api/v1/tickets", params=params)
                if turn >= 0:
                    times.setdefault(name, []).append(1000 * (time.perf_counter() - began))
                assert answer.status_code == 200, answer.text
                assert answer.json()["items"] or quick, name
    found = []
    for name, each in times.items():
        worst, goal = percentile(each, 0.99), GOAL_MS[kind]
        say(f"tickets {name} on {kind}: median {percentile(each, 0.5):.2f} ms, 99 % {worst:.2f} ms over {len(each)}")
        found.append(Figure(f"tickets {name}, 99 %, {kind}", worst, "ms", f"≤ {goal}", worst <= goal))
    return found


def _questions(turn: int, now: datetime) -> dict[str, dict[str, Any]]:
    one, yesterday = turn % USERS, (now - timedelta(days=1)).isoformat()
    return {
        "first page": {},
        "open": {"status": "open"},
        "of a tier": {"tier": ("l1", "l2", "l3")[turn % 3], "status": ("open", "closed")[turn % 2]},
        "of a rare category, open": {"category": "cancellation", "status": "open"},
        "of a user": {"assignee": f"user{one}@bench.test"},
        "due": {"due_before": (now + timedelta(days=turn)).isoformat()},
        "by the day of a protocol": {"protocol": f"26{turn:03d}"},
        "of an incident": {"incident_id": f"{one + 100:032d}"},
        "of some days": {"from": (now - timedelta(days=5 + turn)).isoformat(), "to": yesterday},
    }


async def _fill(settings: Settings, total: int, now: datetime, say: Callable[[str], None]) -> str:
    engine = make_engine(settings.db_url)
    say(f"  {total:,} tickets and {total * STEPS:,} steps into {engine.dialect.name}")
    async with make_sessions(engine).begin() as session:
        emails = [f"user{number}@bench.test" for number in range(USERS)]
        session.add_all(User(email=email, name=email, role=Role.TECHNICIAN, password_hash="") for email in emails)
        token = await users.create_api_token(
            session,
            name="bench",
            scopes=["tickets:read"],
            expires_at=now + timedelta(days=1),
            now=now,
            actor="bench",
        )
    chunk = total // DAYS
    for day in range(DAYS):
        start, at = day * chunk, now - timedelta(DAYS - day)
        await fill(engine, Ticket, chunk, partial(_ticket, day=day, start=start, at=at))
        await fill(engine, CallStep, chunk * STEPS, partial(_step, start=start * STEPS, at=at))
    await analyze(engine)
    await engine.dispose()
    return token


def _step(number: ColumnElement[int], *, start: int, at: datetime) -> dict[str, Any]:
    count = number + start - 1
    call_id = literal("0" * 22) + func.substr(cast(count // STEPS + 10_000_000_000, String), 2)
    return {"call_id": call_id, "seq": count % STEPS, "node": "menu", "event": "key", "detail": {"key": "2"}, "at": at}


def _ticket(number: ColumnElement[int], *, day: int, start: int, at: datetime) -> dict[str, Any]:
    """Those of a day have one moment; ids tell them apart."""
    count = number + start
    is_open = count % OPEN_EVERY == 0
    tier = case((count % 7 == 0, Tier.L3.value), (count % 3 == 0, Tier.L2.value), else_=Tier.L1.value)
    category = case(
        (count % 1001 == 0, "cancellation"),
        *((count % len(CATEGORIES) == place, name) for place, name in enumerate(CATEGORIES[:-1])),
        else_="support",
    )
    digits = func.substr(cast(count + 10_000_000_000, String), 2)  # ten digits, with zeros in front
    return {
        "id": literal("0" * 22) + digits,
        "protocol": literal(f"26{day:03d}") + func.substr(digits, 4),
        "tier": tier,
        "status": case((is_open, TicketStatus.OPEN.value), else_=TicketStatus.CLOSED.value),
        "category": category,
        "summary": "Sem sinal desde ontem",
        "phone": literal("+55119") + func.substr(cast(count % 500_000 + 100_000_000, String), 2),
        "queue": "l1",
        "contract_ref": cast(count % 200_000, String),
        "opened_at": at,
        "opened_by": "caller",
        "segment": "home",
        "report": "",
        "form": {},
        "due_at": case((is_open, type_coerce(at + timedelta(days=DAYS - 1), Moment))),
        "assignee_id": case((count % 3 == 0, count % USERS + 1)),
        "incident_id": case((count % 501 == 0, literal("0" * 29) + cast(count % USERS + 100, String))),
        "erp_protocol": "",
        "version": 1,
    }
