"""The worker tells whose line failed, and only at hours at which a telephone may ring."""

from datetime import timedelta

from sqlalchemy import func, select

from tests.factories import NOON, call_closed, call_opened
from ura.db import Sessions
from ura.dropped import WAIT
from ura.erp import SendChannel
from ura.models import OutboxMessage
from ura.projection import apply_batch
from worker.recovery import Recovering


async def test_at_night_it_waits_and_a_caller_who_rings_again_before_is_not_told(sessions: Sessions) -> None:
    morning = NOON + timedelta(hours=10)
    recovering = Recovering(sessions, may_ring=lambda now: now >= morning, by=SendChannel.WHATSAPP)
    numbers = {"a" * 32: "+5511987654321", "b" * 32: "+5511944443333"}
    async with sessions.begin() as session:
        for call_id, caller in numbers.items():
            lost = call_closed(call_id, "dropped", by="ami", last_node="")
            await apply_batch(session, [call_opened(call_id, caller=caller), lost])

    async def messages() -> int:
        async with sessions() as session:
            return await session.scalar(select(func.count()).select_from(OutboxMessage)) or 0

    await recovering.turn(NOON + WAIT)
    await recovering.turn(morning - timedelta(seconds=1))
    assert await messages() == 0
    async with sessions.begin() as session:
        again = call_opened("c" * 32, caller=numbers["b" * 32], at=morning - timedelta(minutes=1))
        await apply_batch(session, [again])
    await recovering.turn(morning)
    async with sessions() as session:
        (message,) = await session.scalars(select(OutboxMessage))
    assert (message.to, message.channel) == (numbers["a" * 32], SendChannel.WHATSAPP)
