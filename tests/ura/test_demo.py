from datetime import date, datetime

from sqlalchemy import func, select

from tests.factories import NOON
from ura import coverage, demo, queues
from ura.db import Sessions
from ura.lookups import Lookups
from ura.models import Attendant, Audience, City, Coverage, Did, Neighbourhood, Plan
from ura.prompts import load_names, name_key
from ura.settings import Settings


async def load(sessions: Sessions, settings: Settings) -> bool:
    async with sessions.begin() as session:
        return await demo.load_demo(session, settings, now=NOON)


async def test_the_demo_provider_is_as_promised(sessions: Sessions, settings: Settings) -> None:
    assert await load(sessions, settings)
    async with sessions() as session:
        places = (await session.scalars(select(Neighbourhood))).all()
        counts = {status: sum(place.status is status for place in places) for status in Coverage}
        assert counts == {Coverage.COVERED: 16, Coverage.PLANNED: 3, Coverage.NONE: 5}
        assert await session.scalar(select(func.count()).select_from(City)) == 2
        plans = (await session.scalars(select(Plan))).all()
        assert sorted(plan.audience for plan in plans) == [Audience.BUSINESS] * 3 + [Audience.HOME] * 5
        dids = {did.number: did for did in await session.scalars(select(Did))}
        assert set(dids) == {"551133330001", "5511933330002", "551133330003"}
        assert (dids["551133330001"].flow_key, dids["5511933330002"].flow_key) == ("provedor", "provedor")
        assert (dids["551133330003"].flow_key, dids["551133330003"].queue) == (None, "corporativo")
        for place in places:
            assert place.prompt_key == name_key(place.name)
            assert (place.forecast_on is not None) == (place.status is Coverage.PLANNED)
            assert place.forecast_on is None or place.forecast_on > NOON.date()
            offers = [
                await coverage.list_offers(
                    session, neighbourhood_id=place.id, audience=audience, today=date(2026, 11, 23)
                )
                for audience in Audience
            ]
            assert bool(offers[0]) == (place.status is Coverage.COVERED)


async def test_loading_again_leaves_what_people_changed(sessions: Sessions, settings: Settings) -> None:
    await load(sessions, settings)
    async with sessions.begin() as session:
        (await session.get_one(Did, "551133330001")).label = "Mudado"
    assert not await load(sessions, settings)
    async with sessions() as session:
        assert (await session.get_one(Did, "551133330001")).label == "Mudado"
        assert await session.scalar(select(func.count()).select_from(Neighbourhood)) == 24


async def test_jardim_das_palmeiras_is_on_the_first_page_and_has_plans(sessions: Sessions, settings: Settings) -> None:
    await load(sessions, settings)
    ask = Lookups(sessions, settings)
    cities = {city["name"]: city["id"] for city in (await ask("cities", {}))["cities"]}
    places = (await ask("neighbourhoods", {"city_id": cities["Vale Verde"]}))["neighbourhoods"]
    names = [place["name"] for place in places]
    assert "Jardim das Palmeiras" in names[:5]
    place = places[names.index("Jardim das Palmeiras")]
    plans = (await ask("plans", {"neighbourhood_id": place["id"], "audience": "home"}))["plans"]
    assert len(plans) == 5
    assert all(plan["prompt"] and plan["conditions_prompt"] for plan in plans)


async def test_the_demo_is_open_on_weekdays_and_saturday_mornings(sessions: Sessions, settings: Settings) -> None:
    await load(sessions, settings)

    async def is_open(text: str) -> bool:
        now = datetime.fromisoformat(text).replace(tzinfo=settings.zone)
        async with sessions() as session:
            return (await queues.opening(session, "l1", now, zone=settings.zone, state_uf="SP")).open

    assert await is_open("2026-11-23T17:59")
    assert not await is_open("2026-11-23T18:00")
    assert await is_open("2026-11-21T11:59")
    assert not await is_open("2026-11-21T12:00")
    assert not await is_open("2026-11-22T10:00")


async def test_every_queue_of_the_demo_has_somebody(sessions: Sessions, settings: Settings) -> None:
    await load(sessions, settings)
    async with sessions() as session:
        attendants = (await session.scalars(select(Attendant))).all()
        for queue in await queues.list_queues(session):
            assert any(queue.key in attendant.queues for attendant in attendants)


def test_the_audio_of_every_name_ships() -> None:
    assert set(demo.names()) <= set(load_names(Settings().prompts_dir))
