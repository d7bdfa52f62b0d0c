"""pyst2's blocking methods on asyncio."""

import asyncio

import pytest

from agi import bridge


async def _soon(value: str) -> str:
    await asyncio.sleep(0)
    return value


async def test_a_blocking_method_waits_without_a_thread() -> None:
    def method(first: str) -> str:
        return first + bridge.wait(_soon("b")) + bridge.wait(_soon("c"))

    assert await bridge.run(method, "a") == "abc"


async def test_a_method_that_never_waits_just_returns() -> None:
    assert await bridge.run(lambda: 7) == 7


async def test_what_the_wait_raises_is_raised_in_the_method_and_what_the_method_raises_here() -> None:
    async def fails() -> None:
        raise KeyError("inside")

    def method() -> None:
        try:
            bridge.wait(fails())
        except KeyError as error:
            raise ValueError("outside") from error

    with pytest.raises(ValueError, match="outside"):
        await bridge.run(method)


async def test_cancelling_the_call_cancels_the_command_inside() -> None:
    seen: list[str] = []

    def method() -> None:
        try:
            bridge.wait(asyncio.Event().wait())
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(bridge.run(method))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_hundreds_of_calls_interleave() -> None:
    def method(number: int) -> int:
        for _ in range(3):
            bridge.wait(_soon(""))
        return number

    assert await asyncio.gather(*(bridge.run(method, n) for n in range(300))) == list(range(300))


def test_waiting_outside_a_bridge_is_refused() -> None:
    ready: asyncio.Future[None] = asyncio.new_event_loop().create_future()
    with pytest.raises(RuntimeError, match=r"inside bridge\.run"):
        bridge.wait(ready)
