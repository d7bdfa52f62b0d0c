"""What the call shall do next: the engine's output. Imperative, frozen."""

from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any

LOOKUP_S = 2.0  # a lookup in our own tables; one that asks another system says its own

SpokenKind = Literal["money", "date", "time", "moment", "count", "digits", "protocol", "name", "list", "speed"]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A value to be spoken; `ura.speech` turns it into prompt keys.

    money: "129.90" · date: "2026-12-31" · time: "18:00" · moment: ISO date and time · count: int ·
    digits / protocol: "261326000017" · name: a prompt key made when the name was saved · list: prompt keys ·
    speed: Mbit/s. `feminine` asks for "duas" instead of "dois".
    """

    kind: SpokenKind
    value: Json
    feminine: bool = False


Prompt = str | Spoken  # a key of the catalogue, or a value


@dataclass(frozen=True, slots=True)
class Play:
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """Play, and collect up to `max_digits` keys; the first key cuts the prompt; `#` ends early.

    `given`: first digits of this entry, typed before they were asked for. They travel with the effect, not in the
    state: they may be the beginning of a document, and a state is written to disk.
    """

    prompts: tuple[Prompt, ...]
    max_digits: int = 1
    timeout_s: float = 6.0
    given: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Ask the house for facts (read only). `filler` is heard after a second, `still` again and again after it.

    `early`: may be asked before its turn, while what comes before it is still being said.
    """

    name: str
    args: dict[str, Json] = field(default_factory=dict)
    filler: str = ""
    still: str = ""
    deadline_s: float = LOOKUP_S
    early: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Change something, durably, before anything more is spoken. `key` makes it idempotent within the call."""

    name: str
    args: dict[str, Json] = field(default_factory=dict)
    key: str = ""
    filler: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Play `prompts` and the `tone`, and record. `ends`: keys that end the words or the recording; `#` always does."""

    prompts: tuple[Prompt, ...]
    max_s: int = 120
    tone: tuple[Prompt, ...] = ()
    ends: str = ""


@dataclass(frozen=True, slots=True)
class SendToQueue:
    queue: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class EndCall:
    reason: str = "done"
    prompts: tuple[Prompt, ...] = ()


Effect = Play | Collect | Lookup | Act | Record | SendToQueue | EndCall
