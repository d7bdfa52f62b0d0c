"""The emergency that a telephone of ours begins, and a number that goes first, on the real thing."""

from datetime import UTC, datetime

import pytest

from prosa.caller import Caller
from tests.live.conftest import House, register
from tests.live.drills.tools import LANDLINE
from ura import emergency, priority

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

PIN, EXTENSION = "4071", "201"
EVERYBODY, STRANGER, FIRST = "+5519987650181", "+5519987650182", "+5519987650183"


async def test_a_pin_and_a_key_on_an_extension_tell_every_caller_and_end_it_again(
    house: House, caller: Caller, attendant: Caller
) -> None:
    """A3: the caller who rings a moment later hears it first, and the menu behind it."""
    async with house.sessions() as session:
        await emergency.set_pin(session, PIN, by="ana", now=datetime.now(UTC))
        await session.commit()
    await register(house, attendant, EXTENSION)

    async def switch(key: str, told: str) -> None:
        phone = await attendant.dial("*77", from_=f"ramal-{EXTENSION}")
        await phone.heard("system.emergency_pin")
        await phone.press(PIN + "#")
        await phone.heard("system.emergency_choice")
        await phone.press(key)
        await phone.heard(told)
        await phone.hang_up()

    async def is_on() -> bool:
        async with house.sessions() as session:
            return await emergency.find_current(session, now=datetime.now(UTC)) is not None

    await switch("1", "system.emergency_on")
    try:
        assert await is_on()
        call = await caller.dial(LANDLINE, from_=EVERYBODY)
        await call.heard("emergency.general")
        await call.heard("menu.main", timeout_s=20)
        await call.hang_up()
    finally:
        await switch("2", "system.emergency_off")
    assert not await is_on()
    assert PIN not in house.log("agi")


async def test_a_stranger_at_the_trunk_cannot_begin_an_emergency(house: House, caller: Caller) -> None:
    call = await caller.dial("*77", from_=STRANGER)
    await call.heard("system.transferring", "greeting.welcome")  # no number of ours: a person all the same
    await call.hang_up()
    assert "system.emergency_pin" not in [one.key for one in call.hearings()]


async def test_a_number_with_priority_hears_no_menu_but_that_companies_come_first(house: House, caller: Caller) -> None:
    now = datetime.now(UTC)
    async with house.sessions() as session:
        await priority.add(session, {FIRST: "Mercado Sol"}, by="ana", now=now)
        await session.commit()
    # The phone door looks once a second whether there are any such numbers at all: a first call may be too early.
    heard, tries = "menu.main", 0
    while heard != "system.corporate" and tries < 3:
        tries += 1
        call = await caller.dial(LANDLINE, from_=FIRST)
        heard = (await call.heard("system.corporate", "menu.main", timeout_s=20)).key
        await call.hang_up()
    assert heard == "system.corporate"
    assert not [one.key for one in call.hearings() if one.key.startswith("menu.")]
