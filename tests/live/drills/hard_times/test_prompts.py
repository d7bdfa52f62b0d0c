"""Prompts damaged, missing or empty (R16), and names that no voice engine can be asked to say (R17)."""

import asyncio

import pytest
from sqlalchemy import select

from agi.sounds import SAME_S
from prosa.caller import Caller
from tests.bench.measure import family
from tests.factories import make_neighbourhood
from tests.live.drills.hard_times.house import DAMAGED, EMPTY_FOR_ASTERISK, HardTimes
from tests.live.drills.tools import CORPORATE, LANDLINE, choose_by_letters, restarted_after
from ura.models import City, Neighbourhood
from ura.prompts import name_key

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

MISSING, EMPTY = "greeting.welcome", "menu.main"


async def test_a_damaged_missing_or_empty_prompt_is_the_next_best_sentence_and_never_silence(
    times: HardTimes, caller: Caller
) -> None:
    missing, empty = times.prompt(MISSING), times.prompt(EMPTY)
    kept = {file: file.read_bytes() for file in (missing, empty)}
    missing.unlink()
    empty.write_bytes(b"")
    await asyncio.sleep(SAME_S)  # what the call before found whole counts for so long
    try:
        calls = [await caller.dial(LANDLINE, from_=f"+551998100000{n}") for n in range(4)]
        for call in calls:
            await call.heard("fallback.prompt")  # once, instead of the greeting and of the menu after it
            assert call.first_sound_ms < 2000
        for call in calls:
            await call.press("2")
        for call in calls:
            await call.heard("protocol.intro")
        for call in calls:
            again = await call.heard("fallback.prompt", since=call.keys[-1][0], timeout_s=30)  # the damaged question
            before = [one for one in call.hearings() if one.ended_s <= again.started_s + 0.1]
            assert again.started_s - before[-1].ended_s < 2
            await call.hang_up()
        for key in (MISSING, EMPTY):
            lines = times.told("agi", f"key={key}")
            assert 1 <= len(lines) <= times.settings.agi_workers, lines  # once a process
            assert all("prosa prompts build" in line for line in lines)
        assert len(times.told("agi", f"key={DAMAGED}")) >= 1
    finally:
        for file, content in kept.items():
            file.write_bytes(content)
    call = await caller.dial(LANDLINE, from_="+5519981000009")
    await call.heard(MISSING)  # made good while we run
    await call.heard(EMPTY, timeout_s=20)
    await call.hang_up()


async def test_a_prompt_that_asterisk_says_itself_is_never_an_empty_file(times: HardTimes, caller: Caller) -> None:
    """One was empty when Asterisk started, the one to be said instead is emptied while it runs."""
    other = times.prompt("system.transferring")
    kept = other.read_bytes()
    other.write_bytes(b"")
    try:
        call = await caller.dial(CORPORATE, from_="+5519981000011")
        await call.heard("system.transferring", timeout_s=5)
        assert call.first_sound_ms < 2000
        assert EMPTY_FOR_ASTERISK not in [one.key for one in call.hearings()]
        await call.hang_up()
    finally:
        other.write_bytes(kept)


async def test_a_name_without_a_voice_costs_one_word_and_nothing_is_synthesised_in_a_call(
    times: HardTimes, caller: Caller
) -> None:
    async with times.house.sessions() as session:
        city = (await session.scalars(select(City).order_by(City.name))).all()[1]
        place = await make_neighbourhood(session, city, "Xyzumbi", prompt_key=name_key("Xyzumbi"))
        await session.commit()
        place_id = place.id
    before = set(family(times.house.process.pid))
    call = await caller.dial(LANDLINE, from_="+5519981000010")
    await choose_by_letters(call)
    await call.press("9998#")
    pressed_at = call.keys[-1][0]
    await call.heard("fallback.name", since=pressed_at)
    assert (restarted_after(call, pressed_at) or 9) < 1
    assert set(family(times.house.process.pid)) == before
    await call.hang_up()
    async with times.house.sessions() as session:
        await session.delete(await session.get_one(Neighbourhood, place_id))
        await session.commit()
