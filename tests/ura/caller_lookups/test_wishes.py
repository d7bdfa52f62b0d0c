"""What became of what the caller wanted done."""

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import NOON, later, make_id
from tests.ura.caller_lookups.world import OTAVIO, World
from ura import erp_requests, outbox, receipts
from ura.db import Sessions
from ura.models import Operation, OutboxState
from ura.receipts import Receipt

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def wished(sessions: Sessions, operation: str = "trust_unlock") -> str:
    args = {"tell": OTAVIO}
    row = {"id": make_id(), "operation": Operation(operation), "args": args, "protocol": "", "call_id": None}
    async with sessions.begin() as session:
        await erp_requests.add_requests(session, [row | {"created_at": NOON}])
    return str(row["id"])


async def settle(sessions: Sessions, result: dict[str, Any] | None) -> None:
    async with sessions.begin() as session:
        for request in await erp_requests.claim(session, worker="w", now=later(60), limit=10):
            if result is None:
                await erp_requests.fail(session, request, error="never", now=later(60))
            else:
                await erp_requests.settle(session, request, result, now=later(60), source="fake")


async def test_a_wish_is_waited_for_and_its_time_told_as_it_is_here(world: World, sessions: Sessions) -> None:
    args = await world.known(OTAVIO)
    request_id = await wished(sessions)
    result = {"verdict": "granted", "until": "2026-11-26T12:00:00+00:00", "protocol": "1"}

    async def worker() -> None:
        world.on_wait = None
        await settle(sessions, result)

    world.on_wait = worker
    found = await world.ask("erp_result", args | {"request_id": request_id})
    assert found == {"state": "done", "result": result | {"until": "2026-11-26T09:00"}}
    async with sessions() as session:
        assert (await outbox.list_messages(session)).items == []  # heard in the call, so not told again
    asked = world.erp.asked["list_contracts"]
    await world.ask("targets", args)
    assert world.erp.asked["list_contracts"] == asked + 1  # the contract may have changed


async def test_a_wish_that_is_not_settled_in_time_is_queued_and_one_that_failed_says_so(
    world: World, sessions: Sessions
) -> None:
    request_id = await wished(sessions)
    assert await world.ask("erp_result", {"request_id": request_id}) == {"state": "queued", "result": None}
    assert timedelta(seconds=7) < world.now - NOON <= timedelta(seconds=8)
    await settle(sessions, None)
    async with sessions() as session:
        (message,) = (await outbox.list_messages(session)).items
        assert (message.kind, message.to) == ("erp_result", OTAVIO)
    assert await world.ask("erp_result", {"request_id": request_id}) == {"state": "failed", "result": None}
    assert (await world.ask("erp_result", {"request_id": make_id()}))["state"] == "queued"  # still in the journal


async def test_a_message_is_sent_when_the_gateway_said_so(world: World, sessions: Sessions) -> None:
    async with sessions.begin() as session:
        message_id = await outbox.enqueue(session, kind="invoice", to="+5511955550101", payload={}, now=NOON)
    assert await world.ask("message_state", {"message_id": message_id}) == {"state": "queued"}
    async with sessions.begin() as session:
        (message,) = await outbox.claim(session, worker="w", now=later(1))
        await outbox.mark_sent(session, message, now=later(2))
    assert await world.ask("message_state", {"message_id": message_id}) == {"state": "sent"}


async def accepted(sessions: Sessions, provider: str) -> dict[str, str]:
    """A message that a gateway has answered 200 to, as the arguments of the lookup."""
    async with sessions.begin() as session:
        message_id = await outbox.enqueue(session, kind="invoice", to="+5511955550101", payload={}, now=NOON)
    async with sessions.begin() as session:
        (message,) = await outbox.claim(session, worker="w", now=later(1))
        await outbox.mark_sent(session, message, now=later(2), provider=provider, provider_id="theirs")
    return {"message_id": message_id}


@pytest.mark.parametrize(
    ("receipt", "heard"),
    [
        (OutboxState.SENT, "sent"),
        (OutboxState.DELIVERED, "sent"),
        (OutboxState.READ, "sent"),
        (OutboxState.FAILED, "failed"),
    ],
)
async def test_of_a_gateway_that_only_accepts_the_receipt_is_waited_for(
    sessions: Sessions, receipt: Any, heard: str
) -> None:
    world = World(sessions, confirming={"whatsapp": True})
    args = await accepted(sessions, "whatsapp")

    async def webhook() -> None:
        world.on_wait = None
        async with sessions.begin() as session:
            assert await receipts.apply(session, Receipt("whatsapp", receipt, "theirs"), now=later(3))

    world.on_wait = webhook
    assert await world.ask("message_state", args) == {"state": heard}
    assert world.now > NOON


async def test_accepted_and_nothing_more_is_never_said_to_be_sent(sessions: Sessions) -> None:
    args = await accepted(sessions, "whatsapp")
    waits, cannot = World(sessions, confirming={"whatsapp": True}), World(sessions, confirming={"whatsapp": False})
    assert await waits.ask("message_state", args) == {"state": "queued"}
    assert timedelta(seconds=7) < waits.now - NOON <= timedelta(seconds=8)
    assert await cannot.ask("message_state", args) == {"state": "queued"}
    assert cannot.now == NOON, "no receipt can come: nobody waits for one"


async def test_a_gateway_whose_yes_is_the_last_word_is_believed_at_once(sessions: Sessions) -> None:
    world = World(sessions, confirming={"whatsapp": True, "zenvia": True})
    assert await world.ask("message_state", await accepted(sessions, "mail")) == {"state": "sent"}
    assert world.now == NOON
