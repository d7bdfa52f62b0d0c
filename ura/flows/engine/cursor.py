"""What one step reads and changes: a mutable copy of the state, and the moves a node can make."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ura.flows.effects import Act, Collect, Effect, Prompt, Spoken
from ura.flows.engine.compiled import CompiledFlow
from ura.flows.engine.state import Json, Mode, State
from ura.flows.events import Event
from ura.flows.nodes import Asking, Prompts, Wording

LONGEST_AHEAD = 32
LONGEST_BACK = 20
MOST_RETRIES = 3  # of silence and wrong keys together, whatever the author allowed each
MOST_REPEATS = 4
MOST_GIVEN_UP = 2
CALLS_THAT_SHOW_FRUSTRATION = 3
MOST_CALLS_AT_THE_END = 5
MOBILE = re.compile(r"\+55[1-9][1-9]9\d{8}")


@dataclass(frozen=True, slots=True)
class Go:
    """Go to the node with this absolute key."""

    to: str


@dataclass(frozen=True, slots=True)
class Entered:
    """The question is answered by keys that were typed ahead."""

    digits: str


@dataclass(frozen=True, slots=True)
class Bail:
    """The flow cannot go on by itself: to the fallback queue."""


Move = Effect | Go | Entered | Bail


@dataclass(frozen=True, slots=True)
class Handler:
    """A node kind's behaviour.

    put     the effect for the present phase; may be called again at any time
    hear    answers events other than an entry; None: it means nothing here
    answer  hears an entry to the question put; None: a wrong key
    back    one question back inside the node; None: there is none
    silence what silence means here; None: what it means everywhere
    """

    put: Callable[["Cursor", Any], Move]
    hear: Callable[["Cursor", Any, Event], Move | None]
    answer: Callable[["Cursor", Any, str], Move | None] | None = None
    back: Callable[["Cursor", Any], Move | None] | None = None
    silence: Callable[["Cursor", Any], Move | None] | None = None


class Cursor:
    """The state under change, and the vocabulary of the node kinds."""

    __slots__ = (
        *State.__slots__,
        "compiled",
        "flow",
        "full",
        "lead_in",
    )
    mode: Mode
    node: str
    phase: str
    data: dict[str, Json]
    facts: dict[str, Json]
    back: tuple[str, ...]
    ahead: str
    want: int
    silences: int
    mistakes: int
    wrong: str
    repeats: int
    strays: int
    given_up: int
    speechless: bool
    person_calls: int
    escapes: int
    protocol_given: bool
    settled: bool
    owed: tuple[dict[str, Json], ...]
    reason: str
    spent: int
    seq: int

    def __init__(self, compiled: CompiledFlow, state: State) -> None:
        for name in State.__slots__:
            setattr(self, name, getattr(state, name))
        self.data = dict(state.data)
        self.facts = dict(state.facts)
        self.compiled = compiled
        self.flow = compiled.flow
        self.full = False  # the caller asked for the whole text again
        self.lead_in: tuple[Prompt, ...] = ()  # said before the question when it is put again

    def frozen(self) -> State:
        return State(*[getattr(self, name) for name in State.__slots__])

    # -- facts and prompts

    def fact(self, path: str) -> Json:
        value: Json = self.facts
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def learn(self, path: str, value: Json) -> None:
        *folders, last = path.split(".")
        at = self.facts
        for part in folders:
            inner = at.get(part)
            at[part] = at = dict(inner) if isinstance(inner, dict) else {}
        at[last] = value

    def say(self, prompts: Prompts) -> tuple[Prompt, ...]:
        """Slots become values; a slot whose fact is missing is left out."""
        said: list[Prompt] = []
        for prompt in prompts:
            if isinstance(prompt, str):
                said.append(prompt)
            elif (value := self.fact(prompt.of)) is not None:
                said.append(Spoken(prompt.say, value, prompt.feminine))
        return tuple(said)

    def brief(self) -> bool:
        """Has the caller heard it before, or had enough?"""
        again = self.silences or self.mistakes or self.speechless
        return not self.full and bool(again or self.facts.get("repeat_call") or self.facts.get("frustrated"))

    def wording(self, prompts: Prompts, short: Prompts) -> tuple[Prompt, ...]:
        return self.say(short if short and self.brief() else prompts)

    def word(self, wording: Wording, name: str) -> str:
        """One sentence of a composed question, the short one where `wording` has one."""
        short = getattr(wording, f"{name}_short", "") if self.brief() else ""
        said: str = short or getattr(wording, name)
        return said

    def phone(self) -> str:
        return str(self.facts.get("contact_phone") or self.facts.get("caller") or "")

    def mobile(self) -> str:
        """Where a message can go; "" when the number known is none that takes messages."""
        return self.phone() if MOBILE.fullmatch(self.phone()) else ""

    # -- moving

    def to(self, key: str | None) -> Go:
        """An edge's target, which is relative to the (sub)flow of the present node."""
        if key is None:
            return Go(self.flow.person)
        return Go(self.node.rpartition("/")[0] + "/" + key if "/" in self.node else key)

    def arrive(self, key: str) -> None:
        self.node = key
        self.seq += 1
        self.turn("", clear=True)

    def turn(self, phase: str, *, clear: bool = False) -> None:
        """The caller got further: a new question, with its own retries."""
        self.phase = phase
        self.wrong = ""
        self.want = self.silences = self.mistakes = self.repeats = self.strays = 0
        if clear:
            self.data = {}

    def remember(self) -> None:
        """The present question is what the back key leads to from now on."""
        if not self.back or self.back[-1] != self.node:
            self.back = (*self.back, self.node)[-LONGEST_BACK:]

    def person(self) -> Move:
        """The caller wants a person: no questions."""
        self.ahead = ""
        self.person_calls += 1
        self.facts["person_calls"] = self.person_calls
        if self.person_calls >= CALLS_THAT_SHOW_FRUSTRATION:
            self.facts["frustrated"] = True
        self.remember()
        return Go(self.flow.person)

    def go_back(self) -> Go | None:
        self.ahead = ""
        while self.back:
            *rest, last = self.back
            self.back = tuple(rest)
            if last != self.node and last in self.compiled.nodes:
                return Go(last)
        return None

    # -- asking

    def ask(
        self, node: Asking, prompts: tuple[Prompt, ...], *, digits: int = 1, timeout_s: float | None = None
    ) -> Move:
        """Put a question; keys typed ahead answer it, in part or whole."""
        self.want = digits
        wait_s = node.timeout_s if timeout_s is None else timeout_s
        if not self.ahead:
            return Collect(self.lead_in + prompts, digits, wait_s)
        taken, self.ahead = self.ahead[:digits], self.ahead[digits:]
        if len(taken) == digits or "#" in taken:
            return Entered(taken)
        return Collect((), digits - len(taken), wait_s, taken)

    def type_ahead(self, digits: str) -> None:
        if digits:
            self.ahead = (self.ahead + digits)[:LONGEST_AHEAD]

    def silence(self, node: Asking) -> Move | None:
        """Nothing was pressed. None: put the question again. Who left a question in silence is asked the next once."""
        self.silences += 1
        retry = node.on_silence()
        once = self.speechless or bool(self.facts.get("repeat_call"))
        if once or self.silences >= retry.tries or self._too_often():
            self.speechless = True
            return self.give_up(retry.next)
        self.lead_in = self.say(retry.prompts or self.flow.fallback.no_input)
        return None

    def mistake(self, node: Asking, entry: str, *, says: Prompts = (), to: str | None = None) -> Move | None:
        """A wrong key, or an answer that leads nowhere. None: put the question again."""
        self.ahead = ""
        self.mistakes += 1
        retry = node.on_wrong_key()
        if self.wrong == entry or self.mistakes >= retry.tries or self._too_often():
            return self.give_up(to or retry.next)
        self.wrong = entry
        self.lead_in = self.say(says or retry.prompts or self.flow.fallback.invalid)
        return None

    def _too_often(self) -> bool:
        return self.silences + self.mistakes > MOST_RETRIES

    def give_up(self, target: str | None) -> Move:
        """The question is not put again. Twice at the person node by giving up is a circle: to the fallback queue."""
        self.remember()
        go = self.to(target)
        if go.to == self.flow.person:
            self.given_up += 1
            if self.given_up > MOST_GIVEN_UP:
                return Bail()
        return go

    # -- acting

    def act(self, name: str, args: dict[str, Json], *, filler: str = "") -> Act:
        """Put again, it is the same act. A node that does another one of this name within one visit adds to `seq`.
        In a call that continues a ticket, everything is done under that ticket's protocol."""
        if continues := self.facts.get("continues"):
            args = args | {"protocol": continues}
        return Act(name, args, f"{self.node}:{name}:{self.seq}", filler)

    def owe(self, name: str, args: dict[str, Json]) -> None:
        """To be performed before the call can leave us."""
        self.owed = (*self.owed, {"name": name, "args": args, "key": f"{self.node}:{name}:{self.seq}"})

    def next_owed(self) -> Act | None:
        if not self.owed:
            return None
        first = self.owed[0]
        self.owed = self.owed[1:]
        return Act(first["name"], first["args"], first["key"])
