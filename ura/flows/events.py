"""What happened in a call: the engine's input. Past tense, frozen, JSON-able."""

from dataclasses import dataclass, field
from typing import Any, assert_never

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
    """The caller's message is on disk. `seconds` 0 means that nothing was said. `digits`: the universal key that ended
    it, or the words before it."""

    recording_id: str
    seconds: float
    digits: str = ""


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


def describe(event: Event, *, single_key: bool) -> tuple[str, dict[str, Json]]:
    """Name and detail of an event for the record. The key pressed in a menu as it is; other entries only counted, for
    they may be a document or a telephone number."""
    match event:
        case Started():
            return "started", {}
        case DigitsEntered(digits):
            return "digits", {"keys": digits} if single_key and len(digits) == 1 else {"count": len(digits)}
        case NoInput():
            return "no_input", {}
        case Played(digits):
            return "played", {"count": len(digits)} if digits else {}
        case LookupDone(name):
            return "lookup", {"name": name}
        case LookupFailed(name, reason):
            return "lookup_failed", {"name": name, "reason": reason}
        case ActDone(name):
            return "act", {"name": name}
        case ActFailed(name, reason):
            return "act_failed", {"name": name, "reason": reason}
        case Recorded(recording_id, seconds, digits):
            ended = {"keys": digits} if digits else {}
            return "recorded", {"recording_id": recording_id, "seconds": seconds} | ended
        case QueueLeft(queue, reason):
            return "queue_left", {"queue": queue, "reason": reason}
        case HungUp():
            return "hung_up", {}
        case _:
            assert_never(event)
