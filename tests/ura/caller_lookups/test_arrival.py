"""What is known of a caller before the first menu."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import NOON
from tests.fake_erp import for_ever
from tests.ura.caller_lookups.world import HELENA, MONTEIROS, STRANGER, Erp, World
from ura import blocks, emergency, priority
from ura.caller_lookups import arrival
from ura.caller_lookups.standing import KEPT
from ura.db import Sessions
from ura.erp import Reply

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BAKERY = "+551133331107"
NOTHING = {"emergency": None, "blocked": False, "priority": False}


async def test_most_of_the_time_nothing_was_said_of_anybody(world: World) -> None:
    for caller in (HELENA, STRANGER, "", None):
        assert await world.ask("standing", {"caller": caller}) == NOTHING


async def test_what_is_said_of_a_number_holds_for_it_alone_and_within_a_second(
    world: World, sessions: Sessions
) -> None:
    assert await world.ask("standing", {"caller": HELENA}) == NOTHING
    async with sessions.begin() as session:
        blocked = await blocks.block(session, HELENA, by="ana", now=NOON)
        await priority.add(session, {STRANGER: "Mercado"}, by="ana", now=NOON)
    world.now += KEPT
    assert await world.ask("standing", {"caller": HELENA}) == NOTHING | {"blocked": True}
    assert await world.ask("standing", {"caller": STRANGER}) == NOTHING | {"priority": True}
    assert await world.ask("standing", {"caller": ""}) == NOTHING  # who hides the number is never one of them
    async with sessions.begin() as session:
        await blocks.lift(session, blocked.id, by="ana", now=world.now)
    world.now += KEPT
    assert await world.ask("standing", {"caller": HELENA}) == NOTHING


async def test_an_emergency_is_everybodys_and_heard_in_the_shipped_words_until_its_own_are_rendered(
    world: World, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        said = await emergency.begin(
            session, by="ana", now=NOON, lasts=timedelta(hours=4), text="Sem energia.", to_person=True
        )
    world.mute = {said.prompt_key}
    for caller in (HELENA, STRANGER, ""):
        found = (await world.ask("standing", {"caller": caller}))["emergency"]
        assert found == {"prompt": "emergency.general", "to_person": True}
    world.mute = set()
    world.now += KEPT
    assert (await world.ask("standing", {"caller": ""}))["emergency"]["prompt"] == said.prompt_key
    world.now = NOON + timedelta(hours=4)
    assert (await world.ask("standing", {"caller": ""}))["emergency"] is None


@pytest.mark.parametrize(
    ("caller", "segment"), [(BAKERY, "business"), (HELENA, "home"), (MONTEIROS, "home"), (STRANGER, ""), ("", "")]
)
async def test_a_number_has_the_segment_of_all_its_contracts(world: World, caller: str, segment: str) -> None:
    assert await world.ask("arrival", {"caller": caller}) == {"outage": None, "segment": segment}


async def test_one_household_on_a_companys_number_and_it_is_no_companys(world: World) -> None:
    """The baker's mother gives the bakery's number as her own: with her contract at home there, the number tells
    nothing."""
    mother = next(one for one in world.erp.world.subscribers if HELENA in one.subscriber.phones)

    class SharedNumber(Erp):
        async def find_by_phone(self, phone: str) -> Reply[Any]:
            reply: Any = await super().find_by_phone(phone)
            both: Reply[Any] = replace(reply, value=(*reply.value, mother.subscriber))
            return both

    shared = World(world.sessions, erp=SharedNumber())
    assert (await shared.ask("arrival", {"caller": BAKERY}))["segment"] == ""


async def test_a_system_that_is_away_or_slow_costs_the_segment_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.erp.down = True
    assert await world.ask("arrival", {"caller": BAKERY}) == {"outage": None, "segment": ""}
    monkeypatch.setattr(arrival, "ARRIVAL_WITHIN_S", 0.01)
    stalled = World(world.sessions, erp=Erp(takes=for_ever))
    assert await stalled.ask("arrival", {"caller": BAKERY}) == {"outage": None, "segment": ""}
