"""How can pyst2's blocking methods run on asyncio without a thread? In a greenlet that lends its waits to a coroutine.

`run(method, ...)` starts the method in a greenlet. Where the method would block it calls `wait(awaitable)`: that
switches back here, the coroutine awaits it, and switches in again with the result, or throws what was raised.
Cancelling the coroutine's task therefore cancels the command. SQLAlchemy's asyncio support works the same way.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]  # it has none

T = TypeVar("T")


def wait(awaitable: Awaitable[T]) -> T:
    """Inside `run`: the result of the awaitable, as if this were a blocking call."""
    parent = getcurrent().parent
    if parent is None:
        raise RuntimeError("bridge.wait() works only inside bridge.run()")
    result: T = parent.switch(awaitable)
    return result


async def run(method: Callable[..., T], *args: Any) -> T:
    """Run a method that blocks through `wait`. What it raises is raised here."""
    inside = greenlet(method)
    asked = inside.switch(*args)
    while not inside.dead:
        try:
            answer = await asked
        except BaseException as raised:  # CancelledError too: the method must see it to stop
            inside.parent = getcurrent()
            asked = inside.throw(raised)
        else:
            inside.parent = getcurrent()
            asked = inside.switch(answer)
    result: T = asked
    return result
