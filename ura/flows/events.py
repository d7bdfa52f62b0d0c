"""What happened in a call: the engine's input. Past tense, frozen, JSON-able."""

from dataclasses import dataclass, field
from typing import Any

Json = Any  # str | int | float | bool | None | list[Json] | dict[str, Json]; mypy has no cheap recursive alias


@dataclass(frozen=True, slots=True)
class Started:
    """The call reached the flow. `facts`: caller, did, number kind, now (local ISO), repeat_call, …"""

    facts: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Played:
    """A `Play` ended by itself. `digits` are keys that cut it: they count as typed ahead."""

    digits: str = ""


@dataclass(frozen=True, slots=True)
class DigitsEntered:
    digits: str


@dataclass(frozen=True, slots=True)
class NoInput:
    """The time ran out before the first key."""


@dataclass(frozen=True, slots=True)
class LookupDone:
    """`digits` are keys pressed while the caller waited: they count as typed ahead."""

    name: str
    result: dict[str, Json]
    digits: str = ""


@dataclass(frozen=True, slots=True)
class LookupFailed:
    name: str
    reason: str
    digits: str = ""


@dataclass(frozen=True, slots=True)
class ActDone:
    name: str
    result: dict[str, Json]
    digits: str = ""


@dataclass(frozen=True, slots=True)
class ActFailed:
    name: str
    reason: str
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The caller's message is on disk. `seconds` 0 means that nothing was said."""

    recording_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class QueueLeft:
    """Asterisk gave the caller back: timeout, empty, full, key, failed."""

    queue: str
    reason: str


@dataclass(frozen=True, slots=True)
class HungUp:
    pass


Event = (
    Started
    | Played
    | DigitsEntered
    | NoInput
    | LookupDone
    | LookupFailed
    | ActDone
    | ActFailed
    | Recorded
    | QueueLeft
    | HungUp
)
