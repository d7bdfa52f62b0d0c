"""The emergency by telephone: PIN and one key, and what whoever dials hears."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from agi import emergency
from tests.factories import NOON
from tests.fakes import FakeChannel
from ura import emergency as house
from ura.db import Sessions
from ura.emergency import Desk
from ura.errors import HungUp, Unavailable

PIN, WRONG, BY = "4071", "4072", "ramal-101"
ASKED, CHOICE, REFUSED = "system.emergency_pin", "system.emergency_choice", "system.emergency_refused"


@dataclass
class FakeDesk:
    away: bool = False
    asked: list[str] = field(default_factory=list)
    switched: list[bool] = field(default_factory=list)

    async def is_right(self, keyed: str, *, by: str) -> bool:
        assert by == BY
        self.asked.append(keyed)
        return keyed == PIN

    async def switch(self, *, on: bool, by: str) -> None:
        if self.away:
            raise Unavailable("away")
        self.switched.append(on)


@pytest.mark.parametrize(
    ("presses", "switched", "heard"),
    [
        ([PIN, "1"], [True], [ASKED, CHOICE, "system.emergency_on"]),
        ([PIN + "#", "2"], [False], [ASKED, CHOICE, "system.emergency_off"]),
        ([WRONG, PIN, "1"], [True], [ASKED, REFUSED, ASKED, CHOICE, "system.emergency_on"]),
        ([WRONG] * 4, [], [ASKED, REFUSED] * emergency.TRIES),
        ([PIN, "3"], [], [ASKED, CHOICE]),
        ([""], [], [ASKED]),
    ],
)
async def test_a_pin_and_a_key(presses: list[str], switched: list[bool], heard: list[str]) -> None:
    desk, channel = FakeDesk(), FakeChannel(presses)
    await emergency.conduct(channel, desk, by=BY)
    assert (desk.switched, channel.heard) == (switched, heard)


async def test_what_could_not_be_changed_is_said_and_a_hang_up_changes_nothing() -> None:
    channel = FakeChannel([PIN, "1"])
    await emergency.conduct(channel, FakeDesk(away=True), by=BY)
    assert channel.heard[-1] == "system.emergency_failed"
    desk = FakeDesk()
    with pytest.raises(HungUp):
        await emergency.conduct(FakeChannel([PIN]), desk, by=BY)
    assert desk.switched == []


async def test_the_desk_counts_wrong_pins_over_all_calls_and_writes_what_is_switched(sessions: Sessions) -> None:
    desk = Desk(sessions, lasts=timedelta(hours=4), now=lambda: NOON)
    async with sessions.begin() as session:
        await house.set_pin(session, PIN, by="ana", now=NOON)
    await emergency.conduct(FakeChannel([WRONG, PIN, "1"]), desk, by=BY)
    async with sessions() as session:
        found = await house.find_current(session, now=NOON)
        assert found is not None
        assert (found.began_by, found.until_at) == (BY, NOON + timedelta(hours=4))
    await emergency.conduct(FakeChannel([PIN, "2"]), desk, by=BY)
    async with sessions() as session:
        assert await house.find_current(session, now=NOON) is None
    for _ in range(2):
        await emergency.conduct(FakeChannel([WRONG] * emergency.TRIES), desk, by=BY)
    locked = FakeChannel([PIN] * emergency.TRIES)
    await emergency.conduct(locked, desk, by=BY)
    assert locked.heard == [ASKED, REFUSED] * emergency.TRIES
