"""Lookups that many callers ask at once."""

import asyncio
from typing import Any

import pytest

from ura import remembered as remembered_module
from ura.errors import Unavailable
from ura.remembered import Remembered


class Lookups:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(name)
        await self.go_on.wait()
        if self.down:
            raise Unavailable
        return {"n": len(self.asked), **args}


async def test_the_same_question_is_asked_once_in_a_while() -> None:
    lookups = Lookups()
    remembered = Remembered(lookups)
    assert await remembered("plans", {"neighbourhood_id": 1}) == await remembered("plans", {"neighbourhood_id": 1})
    await remembered("plans", {"neighbourhood_id": 2})
    assert lookups.asked == ["plans", "plans"]


async def test_an_old_answer_is_asked_for_again() -> None:
    lookups = Lookups()
    remembered = Remembered(lookups, {"plans": 0.0})
    assert await remembered("plans", {}) != await remembered("plans", {})


async def test_what_nobody_may_hear_any_more_takes_no_memory() -> None:
    remembered = Remembered(Lookups(), {"plans": 0.0, "cities": 60.0})
    for n in range(100):
        await remembered("plans", {"neighbourhood_id": n})
    await remembered("cities", {})
    assert len(remembered._known) <= 2


async def test_what_may_still_be_heard_is_kept_up_to_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_module, "MOST", 3)
    lookups = Lookups()
    remembered = Remembered(lookups)
    for n in (1, 2, 3, 4, 4, 1):
        await remembered("plans", {"neighbourhood_id": n})
    assert len(remembered._known) == 3
    assert len(lookups.asked) == 5  # the first was the oldest


async def test_what_is_a_callers_own_is_always_asked() -> None:
    lookups = Lookups()
    remembered = Remembered(lookups)
    for _ in range(2):
        await remembered("recent_calls", {"caller": "+5511"})
    assert len(lookups.asked) == 2


async def test_a_failure_is_not_remembered() -> None:
    lookups = Lookups()
    remembered = Remembered(lookups)
    lookups.down = True
    with pytest.raises(Unavailable):
        await remembered("cities", {})
    lookups.down = False
    assert await remembered("cities", {}) == {"n": 2}


async def test_who_hangs_up_does_not_cancel_the_question_of_the_others() -> None:
    lookups = Lookups()
    remembered = Remembered(lookups)
    lookups.go_on.clear()
    first, second = (asyncio.create_task(remembered("cities", {})) for _ in "ab")
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    lookups.go_on.set()
    assert await second == {"n": 1}


async def test_it_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ura.remembered.MOST", 3)
    remembered = Remembered(Lookups())
    for number in range(10):
        await remembered("plans", {"neighbourhood_id": number})
    assert len(remembered._known) <= 3
