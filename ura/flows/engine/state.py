"""Where a call is. Frozen, and JSON both ways: another process can go on with it."""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

Json = Any


class Mode(StrEnum):
    NEW = "new"
    LIVE = "live"
    FALLBACK = "fallback"  # the flow is out of its depth; on the way to the fallback queue
    CLOSING = "closing"  # the caller has gone; what is owed is being written down
    OVER = "over"


@dataclass(frozen=True, slots=True)
class State:
    """One call's position. `phase` and `data` belong to the node; everything here is JSON.

    What is saved goes to a disk: keys typed ahead do not, for they may be the beginning of a document.
    """

    mode: Mode = Mode.NEW
    node: str = ""
    phase: str = ""
    data: dict[str, Json] = field(default_factory=dict)
    facts: dict[str, Json] = field(default_factory=dict)
    back: tuple[str, ...] = ()
    ahead: str = ""  # keys typed before they were asked for
    want: int = 0  # digits asked for; 0 when nothing is asked
    silences: int = 0  # the next five count within one question
    mistakes: int = 0
    wrong: str = ""
    repeats: int = 0
    strays: int = 0
    given_up: int = 0  # the rest count within the call
    speechless: bool = False  # a question was left in silence, and no key was pressed since
    person_calls: int = 0
    escapes: int = 0
    protocol_given: bool = False
    settled: bool = False  # the caller got something done: a later hang-up is no abandonment
    owed: tuple[dict[str, Json], ...] = ()  # acts to perform before the call can leave us
    reason: str = ""
    spent: int = 0
    seq: int = 0

    def to_json(self) -> dict[str, Json]:
        made = {name: getattr(self, name) for name in _NAMES}
        return made | {"mode": self.mode.value, "back": list(self.back), "owed": list(self.owed)}

    @classmethod
    def from_json(cls, made: dict[str, Json]) -> "State":
        """The state that `to_json` gave. Raises KeyError, TypeError or ValueError on anything else."""
        known = {name: made[name] for name in _NAMES}
        known |= {"mode": Mode(made["mode"]), "back": tuple(made["back"]), "owed": tuple(made["owed"])}
        return cls(**known)


_NAMES = tuple(f.name for f in fields(State) if f.name != "ahead")
