"""The scripted caller, heard by itself: one phone rings another, with no Asterisk between them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from prosa.caller import Call, Caller, CallerError
from prosa.heard import Fingerprints

rng = np.random.default_rng(3)


def noise(seconds: float) -> bytes:
    return rng.integers(0, 256, int(seconds * 8000), dtype=np.uint8).tobytes()


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    for key, seconds in {"greeting": 1.0, "menu": 2.0, "goodbye": 0.6}.items():
        (folder / f"{key}.alaw").write_bytes(noise(seconds))
    return folder


@pytest.fixture
async def house() -> AsyncIterator[Caller]:
    """The phone that is rung."""
    async with Caller(9) as phone:
        yield phone


@pytest.fixture
async def caller(house: Caller, prompts: Path) -> AsyncIterator[Caller]:
    async with Caller(house.port, index=Fingerprints.of_folders(prompts)) as phone:
        yield phone


async def connect(caller: Caller, house: Caller) -> tuple[Call, Call]:
    call = await caller.dial("551133330001")
    ringing = await house.incoming()
    ringing.answer()
    await call.answered()
    await ringing.answered()
    return call, ringing


async def test_what_one_phone_says_the_other_recognises(caller: Caller, house: Caller, prompts: Path) -> None:
    call, other = await connect(caller, house)
    assert "+5511987654321" in other.remote
    other.say(prompts / "greeting.alaw")
    heard = await call.heard("greeting", whole=True)
    assert heard.complete
    other.say(prompts / "menu.alaw")
    await call.heard("menu")
    await call.press("12")
    assert [key for _, key in call.keys] == ["1", "2"]
    await call.hang_up()
    await other.ended()
    assert [one.key for one in call.hearings()] == ["greeting", "menu"]
    assert not call.hearings()[1].complete
    assert 0 < call.answer_ms < 2000
    assert call.first_sound_ms > 0
    assert call.code == 200


async def test_a_prompt_that_is_not_heard_is_reported_with_what_was(
    caller: Caller, house: Caller, prompts: Path
) -> None:
    call, other = await connect(caller, house)
    other.say(prompts / "goodbye.alaw")
    await call.heard("goodbye")
    with pytest.raises(CallerError, match=r"menu was not heard: .*; heard: .*goodbye"):
        await call.heard("menu", timeout_s=0.3)
    with pytest.raises(CallerError, match="no audio for prompt unknown"):
        await call.heard("unknown")


async def test_the_other_side_hangs_up(caller: Caller, house: Caller) -> None:
    call, other = await connect(caller, house)
    await other.hang_up()
    await call.ended()
    with pytest.raises(CallerError, match="the call ended"):
        await call.heard("menu")


async def test_a_refused_call_says_how(caller: Caller, house: Caller) -> None:
    call = await caller.dial("551133330009")
    (await house.incoming()).answer(code=486)
    with pytest.raises(CallerError, match="486"):
        await call.answered()


async def test_several_calls_at_once_each_hear_their_own(caller: Caller, house: Caller, prompts: Path) -> None:
    pairs = [await connect(caller, house) for _ in range(4)]
    for (_, other), key in zip(pairs, ["greeting", "menu", "goodbye", "menu"], strict=True):
        other.say(prompts / f"{key}.alaw")
    await asyncio.gather(pairs[0][0].heard("greeting"), pairs[1][0].heard("menu"), pairs[2][0].heard("goodbye"))
    await pairs[3][0].heard("menu")
    assert [one.key for one in pairs[0][0].hearings()] == ["greeting"]
