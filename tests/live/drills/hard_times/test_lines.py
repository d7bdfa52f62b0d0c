"""More callers than lines (R13)."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from prosa.caller import Caller
from tests.live.drills.crowd import Crowd
from tests.live.drills.hard_times.house import MAX_CALLS, HardTimes
from tests.live.drills.tools import LANDLINE, channels, drops, until
from ura.models import Call

pytestmark = [pytest.mark.live, pytest.mark.alone, pytest.mark.timeout(180)]


async def test_callers_beyond_the_limit_get_503_and_the_others_notice_nothing(
    times: HardTimes, caller: Caller, tmp_path: Path
) -> None:
    with drops(times.house) as lost:
        async with Crowd(tmp_path / "crowd", times.settings.sip_port, first_number=5519983000000) as crowd:
            crowd.dial(
                LANDLINE,
                [(1.5, "4")],
                8,
                calls=200,
                per_second=12,
                at_once=round(MAX_CALLS * 1.2),
                may_be_refused=True,
            )
            listened = [await caller.dial(LANDLINE, from_=f"+551998100006{n}") for n in range(2)]
            for call in listened:
                await call.heard("menu.main", timeout_s=20)
            await until(lambda: crowd.refused() > 0, 20, "a 503")
            for call in listened:
                await call.press("4")
                await call.heard("protocol.intro", timeout_s=5)
                assert (
                    call.key_to_prompt_ms()[0] < 100 + 100 + 200
                )  # the key is down for 100 ms; its own packets, our ear
            result = await crowd.ended(60)
            for call in listened:
                assert call.ended_at is None
                await call.hang_up()
    assert crowd.refused() > 5
    assert result.failed == 0, crowd.complaints()
    assert result.answer_p99_ms <= 200
    assert lost.count == 0
    await until(lambda: channels(times.house) == 0, 10)
    alarms = [line for line in times.house.log("worker").splitlines() if "callers are turned away" in line]
    assert len(alarms) == 1, alarms
    async with times.house.sessions() as session:
        accepted = await session.scalar(select(func.count()).where(Call.caller.like("+551998300%")))
    assert accepted == result.calls - crowd.refused()
