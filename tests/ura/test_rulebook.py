"""Rules are told again for a moment, and forgotten at once by whoever changed them."""

import asyncio

from ura.rulebook import MOST, Rulebook


class Found:
    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self) -> int:
        self.asked += 1
        return self.asked


async def test_what_was_read_is_told_again_for_a_moment() -> None:
    now, found = [100.0], Found()
    book = Rulebook(1.0, clock=lambda: now[0])
    assert [await book.read("hours", found) for _ in range(3)] == [1, 1, 1]
    assert await book.read("policies", found) == 2
    now[0] += 1.0
    assert await book.read("hours", found) == 3


async def test_without_a_moment_each_is_read() -> None:
    found = Found()
    book = Rulebook()
    assert [await book.read("hours", found) for _ in range(3)] == [1, 2, 3]


async def test_what_was_being_read_when_it_changed_is_not_kept() -> None:
    book, changed = Rulebook(1.0, clock=lambda: 100.0), asyncio.Event()

    async def before() -> str:
        await changed.wait()
        return "before"

    async def after() -> str:
        return "after"

    reading = asyncio.create_task(book.read("hours", before))
    await asyncio.sleep(0)
    book.forget()
    changed.set()
    assert await reading == "before"
    assert await book.read("hours", after) == "after"


async def test_what_people_type_fills_no_memory() -> None:
    found, book = Found(), Rulebook(1.0, clock=lambda: 100.0)
    for number in range(2 * MOST + 1):
        await book.read(number, found)
    assert await book.read(0, found) == 2 * MOST + 2
