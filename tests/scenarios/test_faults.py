"""Lookups fail, the database is away: what is heard is true, and there is a way on."""

from pathlib import Path
from typing import Any

import pytest

from prosa.example import ExampleProvider
from tests.conftest import free_port
from tests.scenarios.story import MONDAY_10H, SUNDAY_02H, tell
from ura.db import make_engine, make_sessions
from ura.lookups import Lookups
from ura.settings import Settings

TO_PLANS = "1,1,1,1,2"
COVERAGE = ["cities", "neighbourhoods", "neighbourhoods_by_keys", "neighbourhood_by_cep"]
AT = {"cities": "1,1", "neighbourhoods": "1,1,1", "neighbourhoods_by_keys": "1,1,1,2,725#",
      "neighbourhood_by_cep": "1,1,1,3,13000100"}  # fmt: skip


@pytest.mark.parametrize("lookup", COVERAGE)
async def test_coverage_away_is_said_and_never_taken_for_not_covered(lookup: str, tmp_path: Path) -> None:
    told = await tell(AT[lookup], tmp_path, fails=[lookup])

    told.hears("sales.lookup_failed", "sales.transferring")
    assert not {"sales.not_covered", "sales.not_found", "choose.letters_none", "choose.cep_none"} & set(told.heard)
    assert told.queues == ["vendas"]


async def test_prices_away_are_said_and_never_taken_for_no_plans(tmp_path: Path) -> None:
    told = await tell(TO_PLANS, tmp_path, fails=["plans"])

    told.hears("sales.covered", "sales.plans_failed", "sales.transferring")
    assert "sales.no_plans" not in told.heard


async def test_unknown_hours_try_the_queue_and_say_so(tmp_path: Path) -> None:
    told = await tell("9", tmp_path, fails=["opening"])

    told.hears("person.unknown_hours", "person.transferring")
    assert told.queues == ["l1"]


async def test_a_message_that_cannot_be_queued_is_not_promised(tmp_path: Path) -> None:
    told = await tell(f"{TO_PLANS},1", tmp_path, fails=["send_plans"])

    told.hears("plans.send", "sales.send_failed", "sales.transferring")
    assert not {"sales.send_queued", "sales.plans_failed", "sales.no_plans"} & set(told.heard)
    assert told.queues == ["vendas"]


async def test_nothing_on_sale_is_said_so_and_not_called_a_failure(tmp_path: Path) -> None:
    provider = ExampleProvider(now=MONDAY_10H)

    async def lookup(name: str, args: dict[str, Any]) -> dict[str, Any]:
        return {"plans": []} if name == "plans" else await provider.lookup(name, args)

    told = await tell(TO_PLANS, tmp_path, lookups=lookup)

    told.hears("sales.covered", "sales.no_plans", "sales.transferring")
    assert not {"sales.plans_failed", "sales.not_covered"} & set(told.heard)


async def test_a_lead_that_cannot_be_written_down_does_not_stop_the_sale(tmp_path: Path) -> None:
    told = await tell(f"{TO_PLANS},x", tmp_path, fails=["save_lead"])
    told.hears("sales.covered", "plans.intro")


async def test_a_waiting_list_that_cannot_be_written_down_is_not_promised(tmp_path: Path) -> None:
    told = await tell("1,1,2,2,1", tmp_path, fails=["join_waiting_list"])

    told.hears("sales.waiting_list", "sales.waiting_list_failed", "sales.transferring")
    assert "sales.waiting_list_joined" not in told.heard


@pytest.mark.parametrize("offer", ["1", "2,9", "3"])
async def test_at_night_with_a_broken_disk_every_offer_ends_honestly(offer: str, tmp_path: Path) -> None:
    broken = ["request_callback", "open_ticket", "save_recording"]
    told = await tell(f"9,{offer}", tmp_path, now=SUNDAY_02H, fails=broken, queues_give_back=["empty"])

    told.hears("person.offers", "person.last_try", "person.call_again")
    assert not {"person.callback_done", "person.ticket_done", "person.message_saved"} & set(told.heard)


@pytest.mark.parametrize("keys", [TO_PLANS, "2,1,2,2,2,2", "3,1", "4,1,2", "5,1", "9", ""])
async def test_with_the_database_away_every_branch_still_ends_well(keys: str, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, database_url=f"postgresql+psycopg://prosa@127.0.0.1:{free_port()}/prosa")
    engine = make_engine(settings.db_url)
    lookups = Lookups(make_sessions(engine), settings, now=lambda: MONDAY_10H.replace(tzinfo=settings.zone))
    told = await tell(keys, tmp_path, lookups=lookups)
    await engine.dispose()

    assert told.result.kind in ("queue", "end")
    assert "protocol.intro" in told.heard
    if keys == TO_PLANS:
        told.hears("sales.lookup_failed", "sales.transferring")
        assert [lead["status"] for lead in told.stored("lead_saved")] == ["new", "forwarded"]


async def test_without_a_durable_protocol_none_is_spoken_and_no_record_is_claimed(tmp_path: Path) -> None:
    told = await tell("", tmp_path, now=SUNDAY_02H, protocol="")

    assert not {"protocol.intro", "person.registered"} & set(told.heard)
    told.hears("person.closed", "person.offers.short", "person.call_again")
