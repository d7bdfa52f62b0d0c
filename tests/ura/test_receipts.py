"""Receipts move a message forward and never back, whatever their order and however often they come."""

from itertools import permutations
from typing import Any

import pytest

from tests.factories import NOON, later
from ura import outbox, receipts
from ura.db import Sessions
from ura.models import OutboxMessage, OutboxState, Problem
from ura.receipts import Receipt

S = OutboxState
ID, THEIRS = "d" * 32, "wamid.1"


async def sent(sessions: Sessions, message_id: str = "") -> None:
    async with sessions.begin() as session:
        await outbox.enqueue(
            session, kind="protocol", to="+5511987654321", payload={}, now=NOON, message_id=message_id or ID
        )
        [message] = await outbox.claim(session, worker="w", now=NOON)
        theirs = message_id or THEIRS
        await outbox.mark_sent(session, message, now=NOON, provider="whatsapp", provider_id=theirs)


async def tell(sessions: Sessions, state: Any, seconds: float = 1, **more: Any) -> bool:
    given = {"provider": "whatsapp", "provider_id": THEIRS, **more}
    async with sessions.begin() as session:
        return await receipts.apply(session, Receipt(state=state, **given), now=later(seconds))


async def stored(sessions: Sessions, message_id: str = ID) -> OutboxMessage:
    async with sessions() as session:
        return await session.get_one(OutboxMessage, message_id)


async def test_delivered_and_read_are_kept_with_their_moments(sessions: Sessions) -> None:
    await sent(sessions)
    assert await tell(sessions, S.DELIVERED, 5)
    assert await tell(sessions, S.READ, 9)
    message = await stored(sessions)
    assert (message.state, message.sent_at, message.delivered_at, message.read_at) == (S.READ, NOON, later(5), later(9))


async def test_in_any_order_and_twice_the_end_is_the_same(sessions: Sessions) -> None:
    for number, order in enumerate(permutations([S.SENT, S.DELIVERED, S.READ, S.FAILED])):
        message_id = f"{number:032x}"
        await sent(sessions, message_id)
        for state in (*order, *order):
            await tell(sessions, state, provider_id=message_id)
        message = await stored(sessions, message_id)
        assert (message.state, message.problem) == (S.READ, None), order
        assert message.delivered_at


async def test_a_receipt_told_twice_tells_nothing_new(sessions: Sessions) -> None:
    await sent(sessions)
    assert await tell(sessions, S.DELIVERED)
    assert not await tell(sessions, S.DELIVERED)
    assert not await tell(sessions, S.SENT)


async def test_what_could_not_be_delivered_is_shown_and_may_be_sent_again(sessions: Sessions) -> None:
    await sent(sessions)
    assert await tell(sessions, S.FAILED, problem=Problem.UNKNOWN_ADDRESS, detail="131026")
    message = await stored(sessions)
    assert (message.state, message.problem, message.last_error) == (S.FAILED, Problem.UNKNOWN_ADDRESS, "131026")
    async with sessions.begin() as session:
        assert await outbox.send_again(session, ID, now=later(60))
    assert not await tell(sessions, S.FAILED), "a late word of the first try"
    assert (await stored(sessions)).state is S.QUEUED


async def test_our_own_id_settles_what_had_no_clear_end_and_it_is_not_sent_again(sessions: Sessions) -> None:
    """The answer to the POST was lost, but the message arrived."""
    async with sessions.begin() as session:
        await outbox.enqueue(session, kind="protocol", to="+5511987654321", payload={}, now=NOON, message_id=ID)
        [message] = await outbox.claim(session, worker="w", now=NOON)
        await outbox.mark_failed(session, message, error="ReadTimeout", now=NOON)
    assert await tell(sessions, S.SENT, message_id=ID)
    message = await stored(sessions)
    assert (message.state, message.provider, message.provider_id) == (S.SENT, "whatsapp", THEIRS)
    async with sessions.begin() as session:
        assert await outbox.claim(session, worker="w", now=later(3600)) == []


async def test_a_receipt_that_is_faster_than_the_answer_is_not_undone_by_it(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await outbox.enqueue(session, kind="protocol", to="+5511987654321", payload={}, now=NOON, message_id=ID)
        [message] = await outbox.claim(session, worker="w", now=NOON)
    assert await tell(sessions, S.DELIVERED, message_id=ID)
    async with sessions.begin() as session:
        assert not await outbox.mark_sent(session, message, now=NOON, provider="whatsapp", provider_id=THEIRS)
        assert not await outbox.mark_failed(session, message, error="x", now=NOON)
    assert (await stored(sessions)).state is S.DELIVERED


@pytest.mark.parametrize(
    "whose",
    [
        {"provider_id": "wamid.2"},
        {"provider": "zenvia"},
        {"provider": "zenvia", "message_id": ID},
        {"provider_id": "", "message_id": "e" * 32},
        {"provider_id": "", "message_id": ""},
    ],
    ids=str,
)
async def test_what_is_not_about_a_message_of_ours_changes_nothing(sessions: Sessions, whose: dict[str, str]) -> None:
    await sent(sessions)
    assert not await tell(sessions, S.DELIVERED, **whose)
    assert (await stored(sessions)).state is S.SENT
