"""What goes with a caller into the queue, when more wait for each attendant than the queue allows (G46)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from agi import waiting
from agi.channel import PhoneChannel
from agi.session import Session


@dataclass
class Line:
    """Asterisk's answer about the queue, and what the caller hears."""

    state: str
    heard: list[str] = field(default_factory=list)

    def get_full_variable(self, expression: str) -> str:
        assert expression.startswith("${QUEUE_WAITING_COUNT(l1)}")
        return self.state

    async def run(self, command: Callable[..., Any], *arguments: str) -> Any:
        return command(*arguments)

    async def play(self, keys: list[str]) -> str:
        self.heard += keys
        return ""


async def sent(state: str, per_attendant: int | None) -> tuple[dict[str, str], list[str]]:
    """The variables of a caller who is sent to l1, and what was said before."""
    line = Line(state)

    async def lookups(name: str, args: dict[str, Any]) -> dict[str, Any]:
        if name == "talk_time":
            return {"seconds": 60.0}
        known = {"seconds": 240} if per_attendant is None else {"seconds": 240, "callers_per_attendant": per_attendant}
        return {"max_wait": known}[name]

    values = await waiting.prepare(cast(Session, line), cast(PhoneChannel, line), lookups, "l1", most=30)
    return values, line.heard


WAIT = {"URA_MAX_WAIT_S": "240"}


@pytest.mark.parametrize(
    ("state", "per_attendant"), [("5 0 1", 5), ("10 0 2", 5), ("1 0 1", 1), ("99 0 1", 5), ("3 1 3", 1)]
)
async def test_one_too_many_is_offered_another_way_and_hears_of_no_wait(state: str, per_attendant: int) -> None:
    assert await sent(state, per_attendant) == ({**WAIT, "URA_OVERFLOW": "yes"}, [])


@pytest.mark.parametrize(
    ("state", "per_attendant", "told"),
    [
        ("4 0 1", 5, "under_10"),
        ("5 0 1", 0, "under_10"),
        ("5 0 1", None, "under_10"),  # a database that has not got the column yet
        ("9 0 2", 5, "under_10"),
        ("5 6 6", 1, ""),  # somebody is free
        ("5 0 0", 5, ""),  # nobody is logged in: the queue says so at once
        ("30 0 9", 5, ""),  # full: the queue says so at once
        ("nonsense", 5, ""),
    ],
)
async def test_others_wait_and_are_told_how_long(state: str, per_attendant: int | None, told: str) -> None:
    assert await sent(state, per_attendant) == (WAIT, [f"queue.wait.{told}"] if told else [])
