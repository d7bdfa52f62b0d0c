"""A line fails in the middle of a call: its caller is told once, unless there is no need."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.factories import NOON, call_closed, call_opened, later, make_record
from ura import dropped, opt_outs
from ura.db import Sessions
from ura.dropped import NEWS_FOR, ONCE_IN, WAIT
from ura.erp import SendChannel
from ura.models import Callback, DroppedCall, OutboxMessage, Recovery
from ura.projection import apply_batch

MARIA, LANDLINE, PROTOCOL = "+5511987654321", "+551133334444", "263270009999"
CALL, AGAIN = "a" * 32, "b" * 32
LOST_AT = later(40)
SOON = LOST_AT + WAIT


def lost(call_id: str = CALL, *, at: datetime = LOST_AT, flow: str = "abandoned", **opened: Any) -> list[Any]:
    """The flow's own word of a caller who was gone, and then Asterisk's: the line failed."""
    return [
        call_opened(call_id, at=at - timedelta(seconds=40), **{"caller": MARIA, "protocol": PROTOCOL, **opened}),
        call_closed(call_id, flow, at=at),
        call_closed(call_id, "dropped", at=at, by="ami", last_node=""),
    ]


async def turn(sessions: Sessions, records: Sequence[Any], *, now: datetime = SOON) -> dict[Recovery, int]:
    async with sessions.begin() as session:
        await apply_batch(session, records)
    async with sessions.begin() as session:
        return dict(await dropped.recover(session, now=now))


async def told(sessions: Sessions) -> tuple[list[tuple[str, str, Any]], list[tuple[str, str]]]:
    async with sessions() as session:
        messages = [(row.kind, row.to, row.payload) for row in await session.scalars(select(OutboxMessage))]
        return messages, [(row.phone, row.queue) for row in await session.scalars(select(Callback))]


async def test_a_mobile_gets_the_protocol_once_however_often_it_is_looked_at(sessions: Sessions) -> None:
    assert await turn(sessions, lost(), now=SOON - timedelta(seconds=1)) == {}
    assert await turn(sessions, lost()) == {Recovery.MESSAGE: 1}
    assert await turn(sessions, lost(), now=SOON + timedelta(hours=1)) == {}
    assert await told(sessions) == ([("dropped", MARIA, {"protocol": PROTOCOL})], [])


@pytest.mark.parametrize("opened", [{"caller": LANDLINE}, {"protocol": ""}])
async def test_who_can_get_no_message_is_called_back(sessions: Sessions, opened: dict[str, Any]) -> None:
    assert await turn(sessions, lost(**opened)) == {Recovery.CALLBACK: 1}
    assert await told(sessions) == ([], [(opened.get("caller", MARIA), "l1")])


async def test_who_wants_no_messages_is_called_back(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await opt_outs.opt_out(session, channel=SendChannel.SMS, target=MARIA, by="reply", now=NOON)
    assert await turn(sessions, lost()) == {Recovery.CALLBACK: 1}
    assert await told(sessions) == ([], [(MARIA, "l1")])


@pytest.mark.parametrize(
    ("records", "recovery"),
    [
        (lost(flow="done"), Recovery.CONCLUDED),
        (
            [*lost(flow="queue"), make_record("call_answered", call_id=CALL, attendant="101", at=later(30))],
            Recovery.CONCLUDED,
        ),
        ([*lost(), call_opened(AGAIN, at=LOST_AT + timedelta(minutes=1), caller=MARIA)], Recovery.CALLED_AGAIN),
        (lost(caller=""), Recovery.CAPPED),
    ],
)
async def test_nobody_is_told_for_nothing(sessions: Sessions, records: list[Any], recovery: Recovery) -> None:
    assert await turn(sessions, records) == {recovery: 1}
    assert await told(sessions) == ([], [])


async def test_who_waited_in_a_queue_had_not_been_served(sessions: Sessions) -> None:
    assert await turn(sessions, lost(flow="queue")) == {Recovery.MESSAGE: 1}


async def test_who_hung_up_by_himself_is_left_alone(sessions: Sessions) -> None:
    records = [call_opened(CALL, caller=MARIA), call_closed(CALL, "abandoned", at=LOST_AT)]
    assert await turn(sessions, [*records, call_closed(CALL, "abandoned", at=LOST_AT, by="ami", last_node="")]) == {}


async def test_a_number_is_told_once_a_day(sessions: Sessions) -> None:
    assert await turn(sessions, lost()) == {Recovery.MESSAGE: 1}
    second = SOON + ONCE_IN - timedelta(seconds=1)
    assert await turn(sessions, lost(AGAIN, at=second - WAIT, protocol="263270008888"), now=second) == {
        Recovery.CAPPED: 1
    }
    third = SOON + ONCE_IN
    assert await turn(sessions, lost("c" * 32, at=third - WAIT, protocol="263270007777"), now=third) == {
        Recovery.MESSAGE: 1
    }
    assert len((await told(sessions))[0]) == 2


def restarted(seconds: int) -> Any:
    args = {"subscriber_id": "3", "contract_id": "7", "tell": MARIA}
    wish = {"request_id": "e" * 32, "operation": "session_reset", "args": args, "protocol": PROTOCOL}
    return make_record("erp_requested", call_id=CALL, at=LOST_AT - timedelta(seconds=seconds), **wish)


@pytest.mark.parametrize("seconds_ago", [20, 330])  # at once, or when Asterisk missed the packets
async def test_whose_line_failed_while_we_restarted_it_is_called_back_once(
    sessions: Sessions, seconds_ago: int
) -> None:
    assert await turn(sessions, [*lost(), restarted(seconds_ago)]) == {Recovery.CALLBACK: 1}
    assert await turn(sessions, lost(), now=SOON + timedelta(hours=1)) == {}
    assert await told(sessions) == ([], [(MARIA, "l1")])


async def test_whose_line_failed_long_after_a_restart_gets_the_protocol(sessions: Sessions) -> None:
    assert await turn(sessions, [*lost(), restarted(660)]) == {Recovery.MESSAGE: 1}


async def test_who_rang_again_after_a_restart_is_not_called_back(sessions: Sessions) -> None:
    again = call_opened(AGAIN, at=LOST_AT + timedelta(minutes=1), caller=MARIA)
    assert await turn(sessions, [*lost(), restarted(20), again]) == {Recovery.CALLED_AGAIN: 1}


async def test_two_of_one_number_at_once_are_one(sessions: Sessions) -> None:
    """Both lines of a switchboard fail in the same second."""
    both = [*lost(), *lost(AGAIN, protocol="263270008888")]
    found = await turn(sessions, both)
    assert found == {Recovery.MESSAGE: 1, Recovery.CAPPED: 1}


async def test_what_lay_for_a_day_is_no_news(sessions: Sessions) -> None:
    assert await turn(sessions, lost(), now=LOST_AT + NEWS_FOR + timedelta(seconds=1)) == {Recovery.CAPPED: 1}
    assert await told(sessions) == ([], [])
    async with sessions() as session:
        row = await session.get_one(DroppedCall, CALL)
        assert (row.recovery, row.phone) == (Recovery.CAPPED, MARIA)
