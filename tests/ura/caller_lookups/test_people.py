"""Who calls, and is it really they?"""

import json

import pytest

from tests.ura.caller_lookups.world import CELIA, HELENA, HELENAS_CPF, MONTEIROS, OTAVIO, RAUL, STRANGER, World
from ura.db import Sessions
from ura.erp import Reply, Subscriber
from ura.errors import Unavailable
from ura.prompts import name_key

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_a_known_number_is_one_subscriber_with_streets_and_neither_name_nor_house(world: World) -> None:
    found = await world.ask("who_calls", {"caller": HELENA})
    assert found == {
        "subscriber": {"id": "1001", "kind": "person", "can_verify": True},
        "contracts": [
            {
                "id": "2001",
                "number_tail": "101",
                "street_prompt": name_key("Rua das Acácias"),
                "neighbourhood_prompt": name_key("Jardim das Palmeiras"),
                "status": "active",
                "segment": "home",
                "source": "fake",
            }
        ],
    }
    assert not {"Helena", "Prado", HELENAS_CPF, "120", HELENA} & set(json.dumps(found).split('"'))


@pytest.mark.parametrize("phone", [STRANGER, MONTEIROS, ""])
async def test_a_number_of_nobody_or_of_two_tells_nobody(world: World, phone: str) -> None:
    found = await world.ask("who_calls", {"caller": phone})
    assert (found["subscriber"], found["contracts"]) == (None, [])


async def test_a_number_is_asked_once_for_greeting_and_flow(world: World) -> None:
    for _ in range(3):
        await world.ask("who_calls", {"caller": HELENA})
    assert world.erp.asked["find_by_phone"] == 1


async def test_a_street_that_nobody_has_spoken_is_left_out_and_wanted(world: World) -> None:
    world.mute = {name_key("Rua das Acácias")}
    found = await world.ask("who_calls", {"caller": HELENA})
    assert found["contracts"][0]["street_prompt"] == ""
    assert world.wanted == ["Rua das Acácias"]


async def test_a_document_finds_its_subscriber_and_a_wrong_one_nobody(world: World) -> None:
    keyed = {"by": "cpf", "digits": HELENAS_CPF, "caller": STRANGER}
    assert (await world.ask("find_subscriber", keyed))["subscriber"]["id"] == "1001"
    for digits in ("39053344705", "12345678900", "123"):
        found = await world.ask("find_subscriber", keyed | {"digits": digits})
        assert found == {"subscriber": None, "contracts": [], "locked": False}


async def test_a_contracts_number_tells_that_contract_only(world: World) -> None:
    found = await world.ask("find_subscriber", {"by": "contract", "digits": "100105", "caller": STRANGER})
    assert [each["id"] for each in found["contracts"]] == ["2005"]


async def test_a_system_that_cannot_search_so_is_trouble_and_not_nobody(world: World) -> None:
    world.erp.cannot = {"find_by_contract"}
    with pytest.raises(Unavailable, match="cannot search by contract"):
        await world.ask("find_subscriber", {"by": "contract", "digits": "100105", "caller": STRANGER})


async def test_the_second_factor_is_checked_and_locked_after_too_many(world: World) -> None:
    args = await world.known(HELENA)
    factor = {"subscriber_id": args["subscriber_id"], "caller": HELENA}
    assert await world.ask("check_factor", factor | {"digits": "1984"}) == {"right": True, "locked": False}
    assert await world.ask("check_factor", factor | {"digits": "0101"}) == {"right": False, "locked": False}
    for _ in range(5):
        last = await world.ask("check_factor", factor | {"digits": "1111"})
    assert last == {"right": False, "locked": True}


async def test_another_process_finds_the_subscriber_again(world: World, sessions: Sessions) -> None:
    args = await world.known(HELENA)
    other = World(sessions)
    assert (await other.ask("targets", args))["targets"] == [
        {"channel": "sms", "tail": "0101"},
        {"channel": "email", "tail": ""},
    ]
    with pytest.raises(Unavailable, match="no longer there"):
        await other.ask("targets", args | {"subscriber_id": "9999"})
    third = World(sessions)
    third.erp.cannot = {"find_by_contract"}
    with pytest.raises(Unavailable, match="cannot do"):
        await third.ask("targets", args)


async def test_a_switchboard_is_nobody(world: World) -> None:
    everybody = tuple(each.subscriber for each in world.erp.world.subscribers[:4])

    async def by_number(phone: str) -> Reply[tuple[Subscriber, ...]]:
        reply: Reply[tuple[Subscriber, ...]] = await world.erp._ask("find_by_phone", everybody)
        return reply

    world.erp.find_by_phone = by_number
    assert (await world.ask("who_calls", {"caller": HELENA}))["subscriber"] is None


async def test_many_callers_are_kept_in_bounds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ura.caller_lookups.callers.MOST_KEPT", 2)
    first, *_, last = [await world.known(phone) for phone in (HELENA, OTAVIO, CELIA, RAUL)]
    asked = world.erp.asked["list_contracts"]
    await world.ask("targets", last)
    assert world.erp.asked["list_contracts"] == asked
    await world.ask("targets", first)
    assert world.erp.asked["list_contracts"] > asked
