"""Trouble is told as trouble, and repeats nothing of the caller."""

import pytest

from tests.fake_erp import for_ever
from tests.ura.caller_lookups.world import HELENA, HELENAS_CPF, STRANGER, World, outage_at
from ura.db import Sessions
from ura.erp import ErpUnavailable
from ura.errors import Unavailable
from ura.outages import Scope

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("name", ["who_calls", "outage_for_caller"])
async def test_a_system_that_is_down_is_trouble_and_says_nothing_of_the_caller(
    world: World, name: str, sessions: Sessions
) -> None:
    await outage_at(sessions, Scope(olt="OLT-VV-1"))
    world.erp.down = True
    with pytest.raises(Unavailable) as trouble:
        await world.ask(name, {"caller": HELENA})
    assert HELENA not in str(trouble.value)


async def test_a_system_that_stalls_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ura.caller_lookups.DEADLINE_S", 0.05)
    world.erp.takes = for_ever
    with pytest.raises(Unavailable, match="TimeoutError"):
        await world.ask("open_invoices", {"contract_id": "2001"})


async def test_an_adapter_that_breaks_repeats_nothing_that_was_keyed(world: World) -> None:
    world.erp.broken = ValueError(f"no JSON: {HELENAS_CPF}")
    with pytest.raises(Unavailable) as trouble:
        await world.ask("find_subscriber", {"by": "cpf", "digits": HELENAS_CPF, "caller": STRANGER})
    assert HELENAS_CPF not in str(trouble.value)
    assert trouble.value.__cause__ is None


async def test_an_unknown_question_and_wrong_arguments_are_trouble(world: World) -> None:
    for name in ("telepathy", "targets"):
        with pytest.raises(Unavailable):
            await world.ask(name, {})


async def test_trouble_of_the_erp_keeps_its_words(world: World) -> None:
    world.erp.broken = ErpUnavailable("the circuit is open")
    with pytest.raises(Unavailable, match="the circuit is open"):
        await world.ask("open_invoices", {"contract_id": "2001"})


def test_every_question_has_a_name(world: World) -> None:
    assert {"who_calls", "diagnose", "erp_result"} <= world.ask.names
