"""What is owed, and what we owe first."""

from datetime import timedelta

import pytest

from tests.factories import NOON, make_id, make_record, ticket_opened
from tests.ura.caller_lookups.world import CELIA, HELENA, IVONE, OTAVIO, World, outage_at
from ura.db import Sessions
from ura.erp import OutageNotice
from ura.errors import Unavailable
from ura.models import PaymentPromise, PromiseOutcome
from ura.outages import Scope
from ura.projection import apply

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_open_invoices_come_overdue_first_with_what_was_disputed_last(world: World, sessions: Sessions) -> None:
    args = await world.known(CELIA)
    invoices = (await world.ask("open_invoices", args))["invoices"]
    assert invoices == [
        {"id": "300301", "due_on": "2026-11-11", "amount": "119.90", "overdue": True, "disputed": False},
        {"id": "300302", "due_on": "2026-12-11", "amount": "119.90", "overdue": False, "disputed": False},
    ]
    dispute = {"ticket_id": make_id(), "call_id": make_id(), "protocol": "263270000017", "at": NOON}
    about = {"source": "fake", "contract_id": "2003", "invoice_id": "300301"}
    async with sessions.begin() as session:
        await apply(session, make_record("invoice_disputed", **dispute, **about))
    again = (await world.ask("open_invoices", args))["invoices"]
    assert [(each["id"], each["disputed"]) for each in again] == [("300302", False), ("300301", True)]


async def test_what_a_system_cannot_do_is_said(world: World) -> None:
    args = await world.known(HELENA)
    world.erp.cannot = {"open_invoices", "may_unlock"}
    assert await world.ask("open_invoices", args) == {"unsupported": True}
    assert await world.ask("may_unlock", args) == {"unsupported": True}


async def test_a_line_is_told_in_blocks_and_a_wrong_one_not_at_all(world: World) -> None:
    args = await world.known(CELIA) | {"invoice_id": "300301"}
    blocks = (await world.ask("invoice_line", args))["blocks"]
    assert len("".join(blocks)) == 47
    assert max(map(len, blocks)) <= 6
    world.erp.spoil_lines = True
    with pytest.raises(Unavailable, match="a bank would take"):
        await world.ask("invoice_line", args)
    with pytest.raises(Unavailable):
        await world.ask("invoice_line", args | {"invoice_id": "1"})


async def test_may_i_be_unlocked(world: World) -> None:
    assert await world.ask("may_unlock", await world.known(OTAVIO)) == {"verdict": "allowed", "until": None}
    assert (await world.ask("may_unlock", await world.known(HELENA)))["verdict"] == "not_blocked"


async def test_days_of_a_promise_are_days_of_the_policy(world: World) -> None:
    days = (await world.ask("promise_days", await world.known(HELENA)))["days"]
    assert days[0] == "2026-11-24"
    assert len(days) == 3
    world.erp.cannot = {"promise"}
    assert await world.ask("promise_days", await world.known(HELENA)) == {"unsupported": True, "days": []}
    assert (await world.ask("service_first", await world.known(HELENA)))["promises"] is False


async def test_who_broke_a_promise_is_offered_no_day_and_led_to_a_person(world: World, sessions: Sessions) -> None:
    args = await world.known(CELIA)
    broken = {"source": "fake", "contract_ref": args["contract_id"], "outcome": PromiseOutcome.BROKEN}
    async with sessions.begin() as session:
        day = NOON.date() - timedelta(days=4)
        session.add(PaymentPromise(id=make_id(), on_day=day, made_at=NOON - timedelta(days=9), **broken))
    assert await world.ask("promise_days", args) == {"unsupported": True, "days": []}
    assert (await world.ask("service_first", args))["promises"] is False
    world.now += timedelta(days=27)
    assert len((await world.ask("promise_days", args))["days"]) == 3
    assert (await world.ask("service_first", args))["promises"] is True


async def test_only_channels_with_a_gateway_are_offered(sessions: Sessions) -> None:
    world = World(sessions, channels=())
    assert await world.ask("targets", await world.known(HELENA)) == {"targets": []}


@pytest.mark.parametrize(("phone", "matter"), [(HELENA, ""), ("+5511955550113", "open_ticket")])
async def test_what_we_owe_the_caller_comes_first(world: World, phone: str, matter: str) -> None:
    args = await world.known(phone) | {"caller": phone, "call_id": make_id()}
    assert (await world.ask("service_first", args))["matter"] == matter


async def test_an_outage_comes_before_all_and_our_own_tickets_count(world: World, sessions: Sessions) -> None:
    args = await world.known(IVONE) | {"caller": IVONE}
    world.erp.cannot = {"list_tickets"}
    async with sessions.begin() as session:
        await apply(session, ticket_opened(make_id(), category="support", phone=IVONE))
    assert (await world.ask("service_first", args))["matter"] == "open_ticket"
    await outage_at(sessions, Scope(cto="CTO-NES-01"))
    assert (await world.ask("service_first", args))["matter"] == "outage"


async def test_a_system_that_cannot_list_tickets_just_now_hides_no_outage(world: World, sessions: Sessions) -> None:
    args = await world.known(IVONE) | {"caller": IVONE}
    await outage_at(sessions, Scope(cto="CTO-NES-01"))

    async def fails(operation: str) -> None:
        world.erp.down = operation == "list_tickets"

    world.erp.takes = fails
    assert (await world.ask("service_first", args))["matter"] == "outage"


@pytest.mark.parametrize(("hours", "matter"), [(2, "outage"), (-2, ""), (None, "")])
async def test_an_outage_that_only_the_system_knows_of_comes_first_too(
    world: World, hours: int | None, matter: str
) -> None:
    """HELENA's line is up: a notice without an end says nothing about it."""
    args = await world.known(HELENA) | {"caller": HELENA}
    ends_at = None if hours is None else NOON + timedelta(hours=hours)
    world.erp.notices[args["contract_id"]] = (OutageNotice("77", "", ends_at),)
    assert (await world.ask("service_first", args))["matter"] == matter
