import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.factories import NOON, call_opened, make_city, make_id, make_neighbourhood, make_offer, make_plan
from ura.db import Sessions, make_engine, make_sessions
from ura.errors import Unavailable
from ura.lookups import Lookups
from ura.models import Coverage, Queue
from ura.projection import apply_batch
from ura.settings import Settings


def lookups_at(sessions: Sessions, settings: Settings, now: datetime = NOON) -> Lookups:
    return Lookups(sessions, settings, now=lambda: now)


async def test_by_when_a_visit_can_come_is_local_and_null_when_nobody_ever_comes(
    sessions: Sessions, settings: Settings
) -> None:
    async with sessions.begin() as session:
        session.add(Queue(key="noc", title="Plantão", business_hours=""))
        session.add(Queue(key="nobody", title="?", business_hours="missing"))
    ask = lookups_at(sessions, settings)
    assert await ask("deadline", {"queue": "noc", "hours": 10}) == {"until": "2026-11-23T22:00:00-03:00"}
    assert await ask("deadline", {"queue": "nobody", "hours": 10}) == {"until": None}
    with pytest.raises(Unavailable):
        await ask("deadline", {"queue": "gone", "hours": 10})


async def test_a_caller_finds_the_plans_of_the_neighbourhood(sessions: Sessions, settings: Settings) -> None:
    async with sessions.begin() as session:
        city = await make_city(session)
        place = await make_neighbourhood(
            session, city, "Jardim das Palmeiras", cep_first="13920000", cep_last="13924999"
        )
        planned = await make_neighbourhood(
            session, city, "Chácara Flora", status=Coverage.PLANNED, forecast_on=date(2027, 3, 1)
        )
        plan = await make_plan(session, setup_price=Decimal("50"), conditions_prompt_key="name.conditions")
        await make_offer(session, plan, place)
    ask = lookups_at(sessions, settings)
    covered = {
        "id": place.id,
        "name": "Jardim das Palmeiras",
        "prompt": "name.neighbourhood",
        "status": "covered",
        "forecast_on": None,
    }
    soon = {
        "id": planned.id,
        "name": "Chácara Flora",
        "prompt": "name.neighbourhood",
        "status": "planned",
        "forecast_on": "2027-03-01",
    }
    assert await ask("cities", {}) == {"cities": [{"id": city.id, "name": "Vale Verde", "prompt": "name.city"}]}
    assert await ask("neighbourhoods", {"city_id": city.id}) == {"neighbourhoods": [soon, covered]}
    assert await ask("neighbourhoods_by_keys", {"city_id": city.id, "keys": "725"}) == {"neighbourhoods": [covered]}
    assert await ask("neighbourhood_by_cep", {"cep": "13921000"}) == {"neighbourhoods": [covered]}
    assert await ask("neighbourhood", {"id": planned.id}) == soon
    assert await ask("plans", {"neighbourhood_id": place.id, "audience": "home"}) == {
        "plans": [
            {
                "id": plan.id,
                "name": "Turbo",
                "prompt": "name.plan",
                "speed_mbps": 600,
                "price": "119.90",
                "setup_price": "50.00",
                "conditions_prompt": "name.conditions",
            }
        ]
    }
    assert await ask("plans", {"neighbourhood_id": place.id, "audience": "business"}) == {"plans": []}


async def test_a_plan_ends_at_midnight_here_not_in_greenwich(sessions: Sessions, settings: Settings) -> None:
    async with sessions.begin() as session:
        place = await make_neighbourhood(session, await make_city(session), "Centro")
        plan = await make_plan(session, valid_to=date(2026, 11, 23))
        await make_offer(session, plan, place)
    args = {"neighbourhood_id": place.id, "audience": "home"}
    evening = NOON + timedelta(hours=10)  # 22:00 here, already the 24th in Greenwich
    assert len((await lookups_at(sessions, settings, evening)("plans", args))["plans"]) == 1
    assert await lookups_at(sessions, settings, evening + timedelta(hours=2))("plans", args) == {"plans": []}


async def test_the_opening_is_told_in_local_time(sessions: Sessions, settings: Settings) -> None:
    async with sessions.begin() as session:
        session.add_all([Queue(key="always", title="?"), Queue(key="never", title="?", business_hours="none")])
    ask = lookups_at(sessions, settings)
    assert await ask("opening", {"queue": "always"}) == {"open": True, "opens_at": None}
    assert await ask("opening", {"queue": "never"}) == {"open": False, "opens_at": None}


async def test_a_queue_tells_its_longest_wait_and_no_talk_time_when_nobody_talked(
    sessions: Sessions, settings: Settings
) -> None:
    async with sessions.begin() as session:
        session.add(Queue(key="l1", title="?", max_wait_s=90))
    ask = lookups_at(sessions, settings)
    assert await ask("max_wait", {"queue": "l1"}) == {"seconds": 90, "callers_per_attendant": 5}
    assert await ask("talk_time", {"queue": "l1"}) == {"seconds": None}


async def test_a_second_call_within_two_hours_is_noticed_but_not_the_one_that_asks(
    sessions: Sessions, settings: Settings
) -> None:
    ages_s = {"this": 1, "before": 3600, "long ago": 7300}
    async with sessions.begin() as session:
        await apply_batch(
            session, [call_opened(make_id(), at=NOON - timedelta(seconds=age)) for age in ages_s.values()]
        )
    ask = lookups_at(sessions, settings)
    assert await ask("recent_calls", {"caller": "+5511987654321"}) == {"count": 1}
    assert await ask("recent_calls", {"caller": "+5511900000000"}) == {"count": 0}
    assert await ask("recent_calls", {"caller": ""}) == {"count": 0}


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("weather", {}),
        ("neighbourhood", {"id": 999}),
        ("neighbourhood", {"id": None}),
        ("neighbourhoods", {}),
        ("plans", {"neighbourhood_id": 1, "audience": "martians"}),
        ("opening", {"queue": "gone"}),
        ("max_wait", {"queue": "gone"}),
    ],
)
async def test_whatever_goes_wrong_is_unavailable(
    sessions: Sessions, settings: Settings, name: str, args: dict[str, Any]
) -> None:
    with pytest.raises(Unavailable):
        await lookups_at(sessions, settings)(name, args)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_is_away_is_unavailable_not_no_coverage(settings: Settings) -> None:
    engine = make_engine("postgresql+psycopg://nobody@127.0.0.1:9/prosa")
    with pytest.raises(Unavailable):
        await lookups_at(make_sessions(engine), settings)("cities", {})
    await engine.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_without_tables_is_unavailable(settings: Settings, tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    with pytest.raises(Unavailable):
        await lookups_at(make_sessions(engine), settings)("cities", {})
    await engine.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_does_not_answer_is_given_up(settings: Settings) -> None:
    @asynccontextmanager
    async def stuck() -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    ask = Lookups(stuck, settings, deadline_s=0.01)  # type: ignore[arg-type]  # all that is used of it
    with pytest.raises(Unavailable):
        await ask("cities", {})
