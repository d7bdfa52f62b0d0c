"""A small provider to try everything with: two cities, 24 neighbourhoods, eight plans, four queues, three numbers, and
seventeen subscribers with a story each (subscribers.yaml)."""

import csv
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import imports
from ura.crypto import Keyring
from ura.demo.subscribers import streets
from ura.demo.tables import load_subscribers
from ura.imports import ImportKind
from ura.models import Attendant, BusinessHours, Did, Holiday, Queue
from ura.prompts import name_key
from ura.settings import Settings

FOLDER = Path(__file__).parent
FILES = {kind: f"{kind.value}.csv" for kind in (ImportKind.NEIGHBOURHOODS, ImportKind.PLANS, ImportKind.OFFERS)}


async def load_demo(session: AsyncSession, settings: Settings, *, now: datetime | None = None) -> bool:
    """Fill an empty database; one that has numbers or queues is left as it is (False). Names ship with their audio,
    so nothing is rendered here. `now`: what the demo's days are counted from; None: this moment."""
    taken = await session.scalar(select(func.count()).select_from(Did)) or await session.scalar(
        select(func.count()).select_from(Queue)
    )
    if taken:
        return False
    now = (now or datetime.now(UTC)).astimezone(settings.zone)
    today = now.date()
    await _load_provider(session, today)
    for kind, file in FILES.items():
        preview = await imports.preview(session, kind, _dated((FOLDER / file).read_text("utf-8"), today), today=today)
        if preview.errors:
            raise ValueError(f"ura/demo/{file}: {preview.errors[0]}")
        await imports.apply(session, preview, {text: name_key(text) for text in imports.names_of(preview)})
    await load_subscribers(session, Keyring.of(settings), now)
    return True


def names() -> list[str]:
    """Every name and condition that callers of the demo hear: what prompts/names.yaml has to list."""
    places = [line.split(";")[:2] for line in _lines("neighbourhoods.csv")]
    plans = [[line.split(";")[1], line.split(";")[5]] for line in _lines("plans.csv")]
    return list(dict.fromkeys(name for row in [*places, *plans, streets()] for name in row))


def forecasts(today: date) -> dict[tuple[str, str], date]:
    """City and name of each neighbourhood that the demo has planned → the day it tells on this one."""
    file = _dated((FOLDER / FILES[ImportKind.NEIGHBOURHOODS]).read_text("utf-8"), today)
    rows = list(csv.reader(file.splitlines()[1:], delimiter=";"))
    return {(city, name): date.fromisoformat(day) for city, name, _, _, day, *_ in rows if day}


@cache
def provider() -> Mapping[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "provider.yaml").read_text("utf-8"))
    return document


async def _load_provider(session: AsyncSession, today: date) -> None:
    demo = provider()
    session.add_all(Queue(**queue) for queue in demo["queues"])
    await session.flush()
    session.add_all(Did(**did) for did in demo["dids"])
    session.add_all(Attendant(**attendant) for attendant in demo["attendants"])
    session.add_all(
        BusinessHours(
            timetable=key, weekday=weekday, opens=time.fromisoformat(opens), closes=time.fromisoformat(closes)
        )
        for key, spans in demo["timetables"].items()
        for weekday, opens, closes in spans
    )
    session.add_all(
        Holiday(on_day=date(year, month, day), name=name)
        for month, day, name in demo["holidays"]
        for year in (today.year, today.year + 1)
    )
    await session.flush()


def _dated(text: str, today: date) -> str:
    """`{+60}` → the first day of the month after 60 days from now: a forecast of the demo never lies in the past."""

    def first_of_month(found: re.Match[str]) -> str:
        day = today + timedelta(days=int(found[1]))
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1).isoformat()

    return re.sub(r"\{\+(\d+)\}", first_of_month, text)


def _lines(file: str) -> list[str]:
    return (FOLDER / file).read_text("utf-8").splitlines()[1:]
