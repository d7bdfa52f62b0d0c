"""A number is blocked for a while, and for a while only."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.factories import NOON, later
from ura import blocks
from ura.blocks import BlockNotFound, NobodyToBlock
from ura.db import Sessions
from ura.errors import BadInput
from ura.models import AuditEntry

PRANKSTER, OTHER = "+5511987654321", "+5511955550101"
HALF_HOUR_S, DAY = 1800, timedelta(hours=24)


async def test_a_block_ends_by_itself_after_half_an_hour(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        made = await blocks.block(session, PRANKSTER, by="ana", now=NOON, reason="trote", call_id="c" * 32)
        assert made.until_at == later(HALF_HOUR_S)
    async with sessions() as session:
        for seconds, there in ((0, True), (HALF_HOUR_S - 1, True), (HALF_HOUR_S, False)):
            found = await blocks.find_current(session, PRANKSTER, now=later(seconds))
            assert (found is not None) is there, seconds
            listed = await blocks.list_current(session, now=later(seconds))
            assert [block.phone for block in listed] == [PRANKSTER] * there
        assert await blocks.find_current(session, OTHER, now=NOON) is None


async def test_blocked_again_it_gets_the_new_end_and_lifted_it_is_over_at_once(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        first = await blocks.block(session, PRANKSTER, by="ana", now=NOON, reason="trote")
        again = await blocks.block(session, PRANKSTER, by="bia", now=later(60), lasts=DAY)
        assert (again.id, again.until_at, again.reason) == (first.id, later(60) + DAY, "trote")
        for _ in range(2):
            await blocks.lift(session, first.id, by="bia", now=later(90))
        assert await blocks.list_current(session, now=later(90)) == []
        fresh = await blocks.block(session, PRANKSTER, by="ana", now=later(120))
        assert fresh.id != first.id
        lines = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [(line.actor, line.action) for line in lines] == [
        ("ana", "caller.block"),
        ("bia", "caller.block"),
        ("bia", "caller.unblock"),
        ("ana", "caller.block"),
    ]
    assert PRANKSTER not in str([(line.subject, line.detail) for line in lines])


async def test_nobody_is_blocked_who_hides_the_number_nor_for_longer_than_a_day(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        with pytest.raises(NobodyToBlock):
            await blocks.block(session, "", by="ana", now=NOON)
        for lasts in (timedelta(0), DAY + timedelta(seconds=1)):
            with pytest.raises(BadInput):
                await blocks.block(session, PRANKSTER, by="ana", now=NOON, lasts=lasts)
        with pytest.raises(BlockNotFound):
            await blocks.lift(session, "0" * 32, by="ana", now=NOON)
        assert await blocks.list_current(session, now=NOON) == []
