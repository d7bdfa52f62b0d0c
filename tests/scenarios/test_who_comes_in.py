"""Who comes in and how: companies without a menu, an emergency that all hear of, callers blocked for a while."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prosa.demo_house import DemoHouse
from tests.fake_erp import FakeErp
from tests.scenarios.story import LANDLINE, MARIA, MONDAY_10H, SUNDAY_02H, Told, tell
from ura import blocks, emergency, priority
from ura.db import Sessions
from ura.settings import Settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BAKERY, HELENA = "+551133331107", "+5511955550101"
MENU = ("menu.main", "menu.main.short")

Ring = Callable[..., Awaitable[Told]]


@pytest.fixture
async def ring(sessions: Sessions, settings: Settings, tmp_path: Path) -> Ring:
    """`await ring("9", BAKERY)`: one of the demo's people, or a stranger, rings up at the house."""
    calls = 0

    async def story(keys: str, caller: str, *, erp: Any = None, **more: Any) -> Told:
        nonlocal calls
        calls += 1
        now = more.get("now", MONDAY_10H).replace(tzinfo=settings.zone)
        house = DemoHouse(sessions, settings, now, erp=erp)
        if calls == 1:
            await house.move_in()
        return await tell(keys, tmp_path / str(calls), caller=caller, house=house, call_id=f"{calls:032x}", **more)

    return story


@pytest.fixture
def now(settings: Settings) -> Any:
    return MONDAY_10H.replace(tzinfo=settings.zone)


# -- companies


async def test_a_company_never_hears_the_menu(ring: Ring) -> None:
    told = await ring("", BAKERY)
    assert (told.queues, told.result.priority) == (["corporativo"], 10)
    told.hears("greeting.welcome", "protocol.intro", "system.corporate")
    assert not set(MENU) & set(told.heard)


async def test_a_number_of_the_table_is_treated_as_a_company(ring: Ring, sessions: Sessions, now: Any) -> None:
    async with sessions.begin() as session:
        await priority.add(session, {LANDLINE: "Mercado Sol"}, by="ana", now=now)
    told = await ring("", LANDLINE)
    assert told.queues == ["corporativo"]
    assert not set(MENU) & set(told.heard)
    told.hears("system.corporate")
    other = await ring("", MARIA)
    other.hears("menu.main")


async def test_a_company_that_nobody_answers_is_rung_back_whatever_the_hour(ring: Ring) -> None:
    told = await ring("", BAKERY, now=SUNDAY_02H, queues_give_back=["empty"])
    told.hears("system.corporate", "person.queue_empty", "person.callback_done", "end.thanks")
    assert not set(MENU) & set(told.heard)
    (callback,) = told.stored("callback_requested")
    assert (callback["phone"], callback["queue"]) == (BAKERY, "corporativo")
    assert told.outcome == "done"


async def test_a_household_and_a_company_whose_system_is_away_hear_the_menu(ring: Ring) -> None:
    for caller, erp in ((HELENA, None), (BAKERY, FakeErp(down=True))):
        told = await ring("", caller, erp=erp)
        told.hears("greeting.welcome", "menu.main")
        assert "corporativo" not in told.queues


# -- emergency


async def test_everybody_hears_of_an_emergency_after_the_greeting_and_goes_on(
    ring: Ring, sessions: Sessions, now: Any
) -> None:
    async with sessions.begin() as session:
        await emergency.begin(session, by="ana", now=now, lasts=timedelta(hours=4))
    for caller in (MARIA, HELENA, ""):
        told = await ring("", caller)
        told.hears("greeting.welcome", "emergency.general", "menu.main")
    company = await ring("", BAKERY)
    company.hears("emergency.general", "system.corporate")
    over = await ring("", MARIA, now=MONDAY_10H + timedelta(hours=4))
    assert "emergency.general" not in over.heard


async def test_an_emergency_may_lead_straight_to_a_person(ring: Ring, sessions: Sessions, now: Any) -> None:
    async with sessions.begin() as session:
        await emergency.begin(session, by="ana", now=now, lasts=timedelta(hours=4), to_person=True)
    told = await ring("", MARIA)
    told.hears("greeting.welcome", "emergency.general", "protocol.intro", "person.transferring")
    assert told.queues == ["l1"]
    assert not set(MENU) & set(told.heard)
    async with sessions.begin() as session:
        night = SUNDAY_02H.replace(tzinfo=now.tzinfo)
        await emergency.begin(session, by="ana", now=night, lasts=timedelta(hours=4), to_person=True)
    nobody = await ring("", MARIA, now=SUNDAY_02H)
    nobody.hears("emergency.general", "menu.main")


async def test_in_an_emergency_a_company_known_by_its_contracts_has_its_own_queue(
    ring: Ring, sessions: Sessions, now: Any
) -> None:
    async with sessions.begin() as session:
        await emergency.begin(session, by="ana", now=now, lasts=timedelta(hours=4), to_person=True)
    told = await ring("", BAKERY)
    told.hears("emergency.general", "protocol.intro", "system.corporate")
    assert (told.queues, told.result.priority) == (["corporativo"], 10)
    unknown = await ring("", BAKERY, erp=FakeErp(down=True))
    assert unknown.queues == ["l1"]
    assert (await ring("", HELENA, fails={"arrival"})).queues == ["l1"]


async def test_a_database_that_is_away_means_that_nothing_is_on(ring: Ring, sessions: Sessions, now: Any) -> None:
    async with sessions.begin() as session:
        await emergency.begin(session, by="ana", now=now, lasts=timedelta(hours=4))
        await blocks.block(session, MARIA, by="ana", now=now)
    told = await ring("", MARIA, fails={"standing"})
    told.hears("greeting.welcome", "menu.main")
    assert not {"emergency.general", "blocked.told"} & set(told.heard)


# -- blocked


@pytest.fixture
async def blocked(sessions: Sessions, now: Any) -> None:
    async with sessions.begin() as session:
        await blocks.block(session, MARIA, by="ana", now=now)


@pytest.mark.usefixtures("blocked")
async def test_who_is_blocked_hears_so_and_is_said_goodbye_to_with_a_protocol(ring: Ring) -> None:
    told = await ring("", MARIA)
    told.hears("greeting.welcome", "blocked.told", "blocked.keys", "protocol.intro", "end.thanks")
    assert not set(MENU) & set(told.heard)
    assert told.queues == []
    for caller in (HELENA, ""):
        assert "blocked.told" not in (await ring("", caller)).heard
    over = await ring("", MARIA, now=MONDAY_10H + blocks.USUAL)
    over.hears("greeting.welcome", "menu.main")


@pytest.mark.usefixtures("blocked")
async def test_complaint_and_cancellation_stay_open_and_do_not_lead_around_the_block(ring: Ring) -> None:
    complaint = await ring("4,1,2", MARIA)
    complaint.hears("blocked.told", "protocol.intro", "complaint.registered")
    assert complaint.stored("ticket_opened")[0]["category"] == "complaint"
    cancelled = await ring("5,1", MARIA)
    cancelled.hears("blocked.told", "cancel.confirm", "cancel.registered")
    assert cancelled.stored("ticket_opened")[0]["category"] == "cancellation"
    changed_mind = await ring("5,2", MARIA)
    changed_mind.hears("blocked.told", "cancel.confirm", "blocked.keys")
    for told in (complaint, cancelled, changed_mind):
        assert not set(MENU) & set(told.heard)


@pytest.mark.usefixtures("blocked")
@pytest.mark.parametrize("keys", [",".join("9" * 12), ",".join("0" * 12), ",".join("3" * 12), ",".join("*" * 12)])
async def test_no_key_leads_who_is_blocked_to_a_person_and_the_call_ends_soon(ring: Ring, keys: str) -> None:
    told = await ring(keys, MARIA)
    assert told.queues == []
    assert told.heard.count("blocked.keys") <= 5
    assert told.heard[-1] == "end.thanks"
    assert not set(MENU) & set(told.heard)
