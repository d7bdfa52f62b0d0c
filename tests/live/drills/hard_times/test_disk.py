"""The journal's disk is full, or read-only when the phone door starts (R38)."""

import csv
import errno
import os
import signal

import pytest

from prosa.caller import Caller
from tests.live.conftest import eventually
from tests.live.drills.hard_times.house import HardTimes
from tests.live.drills.tools import LANDLINE, complain, phone_door_open, tickets_of

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
    assert await to_be_called_back(times, numbers) == numbers

    after = await caller.dial(LANDLINE, from_="+5519981000053")
    await complain(after)
    await after.hang_up()

    async def there() -> bool:
        return (await tickets_of(times.house, [*numbers, "+5519981000053"])) == {"+5519981000053": 1}

    await eventually(there, 15)
    assert await to_be_called_back(times, [*numbers, "+5519981000053"]) == numbers


async def test_a_phone_door_that_starts_on_a_read_only_disk_serves_and_records_as_soon_as_it_can(
    times: HardTimes, caller: Caller
) -> None:
    before, during, after = "+5519981000054", "+5519981000055", "+5519981000056"
    first = await caller.dial(LANDLINE, from_=before)
    await complain(first)
    await first.hang_up()
    with times.read_only_journal():
        at, parent = len(times.house.log("agi")), times.house.pid("agi")
        os.kill(parent, signal.SIGKILL)
        await phone_door_open(times.house, parent)
        call = await caller.dial(LANDLINE, from_=during)
        await call.heard("greeting.welcome")
        await call.press("4")
        await call.heard("complaint.offer", timeout_s=20)
        await call.press("1")
        await call.heard("complaint.failed", timeout_s=10)
        assert not {call.same("protocol.intro"), call.same("complaint.registered")} & {o.key for o in call.hearings()}
        await call.hang_up()
        assert len(times.told("agi", "no journal", at)) == times.settings.agi_workers  # one line, not one each second
    last = await caller.dial(LANDLINE, from_=after)
    await complain(last)
    await last.hang_up()

    async def there() -> bool:
        return (await tickets_of(times.house, [before, during, after])) == {before: 1, after: 1}

    await eventually(there, 15)
    assert await to_be_called_back(times, [before, during, after]) == [during]


async def to_be_called_back(times: HardTimes, numbers: list[str]) -> list[str]:
    """Those of these callers whose call records say so. Asterisk writes one once the call is over."""
    file = times.settings.state_dir / "asterisk/log/cdr-csv/Master.csv"

    async def written() -> list[list[str]]:
        rows = list(csv.reader(file.read_text().splitlines())) if file.exists() else []
        return rows if set(numbers) <= {row[1] for row in rows} else []

    rows = await eventually(written)
    return [number for number in numbers if any(row[1] == number and "retorno" in row[-1] for row in rows)]
