"""What is with the caller's line."""

from datetime import datetime, timedelta

import pytest

from tests.factories import NOON, later, make_id
from tests.ura.caller_lookups.world import HELENA, IVONE, RAUL, STRANGER, Erp, Network, World, outage_at
from ura import incidents, outages
from ura.adapters.erp.breaker import GuardedErp
from ura.caller_lookups.callers import OUTAGES_KEPT
from ura.db import Sessions
from ura.errors import Unavailable
from ura.network import Diagnosis, OutageFacts, Restart, Signal, Verdict
from ura.outages import Scope
from ura.prompts import name_key

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_a_diagnosis_is_told_with_the_outage_in_local_time(sessions: Sessions) -> None:
    facts = OutageFacts("o1", "fibre_cut", NOON, NOON + timedelta(hours=3), text="Um poste caiu.")
    said = Diagnosis(Verdict.OUTAGE, Signal.BAD, -28.5, None, facts, {"erp": "answered"}, Restart.DEVICE)
    world = World(sessions, network=Network([said]))
    found = await world.ask("diagnose", await world.known(IVONE))
    assert found == {
        "verdict": "outage",
        "signal": "bad",
        "rx_dbm": -28.5,
        "since": None,
        "sources": {"erp": "answered"},
        "restart": "device",
        "outage": {
            "id": "o1",
            "cause_prompt": "outage.fibre_cut",
            "text_prompt": name_key("Um poste caiu."),
            "ends_at": "2026-11-23T15:00",
        },
    }
    world.mute = {"outage.fibre_cut", name_key("Um poste caiu.")}  # the words are being rendered
    told = (await world.ask("diagnose", await world.known(IVONE)))["outage"]
    assert (told["cause_prompt"], told["text_prompt"]) == ("", "")


async def test_how_old_the_contract_is_goes_with_the_question(sessions: Sessions) -> None:
    """A system that is away is answered for from memory: what was blocked then may be paid for now."""
    erp = Erp()
    clock = [0.0]
    world = World(sessions, erp=GuardedErp(erp, clock=lambda: clock[0]))
    args = await world.known(HELENA)
    erp.down = True
    erp.now = NOON + timedelta(minutes=30)
    clock[0] = 1800.0
    await world.ask("erp_result", args | {"request_id": make_id()})  # after a wish the system is asked again
    await world.ask("diagnose", args)
    assert world.network.as_of == NOON


async def test_a_contract_that_is_gone_is_trouble(world: World) -> None:
    with pytest.raises(Unavailable, match="no longer there"):
        await world.ask("diagnose", await world.known(HELENA) | {"contract_id": "7"})


async def test_an_outage_is_known_by_the_number_to_exactly_whom_it_touches(world: World, sessions: Sessions) -> None:
    nothing = {"outage": None}
    assert await world.ask("outage_for_caller", {"caller": IVONE}) == nothing
    assert world.erp.asked["find_by_phone"] == 0  # no outage, no question
    outage_id = await outage_at(sessions, Scope(neighbourhood="Nova Esperança", city="Vale Verde"))
    world.now += OUTAGES_KEPT - timedelta(milliseconds=1)
    assert await world.ask("outage_for_caller", {"caller": IVONE}) == nothing  # not asked again for every call
    world.now += timedelta(milliseconds=1)
    found = await world.ask("outage_for_caller", {"caller": IVONE})
    told = {"id": outage_id, "cause_prompt": "outage.fibre_cut", "text_prompt": "", "ends_at": "2026-11-23T15:00"}
    assert found["outage"] == told
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, outage_id)
        await incidents.tell(session, outage, text="A equipe chegou.", ends_at=None, actor="noc", now=world.now)
    found = await world.ask("outage_for_caller", {"caller": IVONE})
    assert found["outage"] == told | {"text_prompt": name_key("A equipe chegou."), "ends_at": None}
    assert found["contract_id"] == (await world.known(IVONE))["contract_id"]
    for phone in (HELENA, STRANGER, ""):
        assert await world.ask("outage_for_caller", {"caller": phone}) == nothing


async def test_of_two_contracts_both_are_touched_or_nothing_is_said_before_it_is_clear_which(
    world: World, sessions: Sessions
) -> None:
    """RAUL has two: what is down at one of them may be nothing to this call."""
    (raul,) = (await world.erp.find_by_phone(RAUL)).value
    here, there = (await world.erp.list_contracts(raul.id)).value
    await outage_at(sessions, Scope(neighbourhood=here.neighbourhood, city=here.city))
    assert await world.ask("outage_for_caller", {"caller": RAUL}) == {"outage": None}
    await outage_at(sessions, Scope(neighbourhood=there.neighbourhood, city=there.city))
    assert await world.ask("outage_for_caller", {"caller": RAUL}) == {"outage": None}, "two outages: which of them?"
    everywhere = [Scope(neighbourhood=each.neighbourhood, city=each.city) for each in (here, there)]
    outage_id = await outage_at(sessions, *everywhere, hours=9)
    assert (await world.ask("outage_for_caller", {"caller": RAUL}))["outage"]["id"] == outage_id


async def test_an_estimate_that_has_passed_is_not_told(world: World, sessions: Sessions) -> None:
    await outage_at(sessions, Scope(olt="OLT-VV-2", pon="0/2/3"), hours=-0.5)
    found = await world.ask("outage_for_caller", {"caller": IVONE})
    assert found["outage"]["ends_at"] is None


def up(since: datetime | None) -> Diagnosis:
    return Diagnosis(Verdict.GOOD, since=since)


GONE, UNSURE = Diagnosis(Verdict.NO_SESSION), Diagnosis(Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("says", "state"),
    [
        ([up(NOON - timedelta(days=3)), GONE, up(later(4))], "online"),
        ([up(later(-5))], "online"),
        ([GONE], "offline"),
        ([up(NOON - timedelta(days=3))], "unknown"),
        ([up(None)], "unknown"),
        ([UNSURE], "unknown"),
        ([GONE, up(None)], "online"),
    ],
)
async def test_a_session_is_back_only_when_it_is_a_new_one(
    sessions: Sessions, says: list[Diagnosis], state: str
) -> None:
    world = World(sessions, network=Network(says))
    args = await world.known(HELENA)
    assert await world.ask("session_back", args | {"within_s": 20}) == {"state": state}
    assert world.now - NOON <= timedelta(seconds=20)
