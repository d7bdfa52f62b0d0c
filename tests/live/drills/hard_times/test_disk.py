"""The journal's disk is full (R38)."""

import errno

import pytest

from prosa.caller import Caller
from tests.live.conftest import eventually
from tests.live.drills.hard_times.house import HardTimes
from tests.live.drills.tools import LANDLINE, complain, tickets_of

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


async def test_with_a_full_journal_nothing_is_promised_and_a_person_is_offered(
    times: HardTimes, caller: Caller
) -> None:
    filler, at = times.journal / "filler", len(times.house.log("agi"))
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError as full:
            if full.errno != errno.ENOSPC:
                raise
    for journal in times.journal.glob("*.journal"):  # what is left of the last page; blank lines are no records
        with journal.open("ab") as file:
            file.write(b"\n" * (-journal.stat().st_size % 4096))
    numbers = ["+5519981000051", "+5519981000052"]
    calls = [await caller.dial(LANDLINE, from_=number) for number in numbers]
    for call in calls:
        await call.heard("greeting.welcome")
    for call in calls:
        await call.press("4")
    for call in calls:
        await call.heard("complaint.offer", timeout_s=20)
        await call.press("1")
        await call.heard("complaint.failed", timeout_s=10)
    keys = [one.key for call in calls for one in call.hearings()]
    assert not {call.same("protocol.intro"), call.same("complaint.registered")} & set(keys)
    filler.unlink()
    for call in calls:
        await call.hang_up()
    assert times.told("agi", "call not recorded; it goes on without a protocol", at)

    after = await caller.dial(LANDLINE, from_="+5519981000053")
    await complain(after)
    await after.hang_up()

    async def there() -> bool:
        return (await tickets_of(times.house, [*numbers, "+5519981000053"])) == {"+5519981000053": 1}

    await eventually(there, 15)
