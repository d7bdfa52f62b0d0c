"""In-memory stand-ins for what a call touches: a caller, the house's lookups and acts, the journal."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ura.errors import HungUp, Unavailable
from ura.flows.channel import OneAfterTheOther, Recording
from ura.flows.effects import Spoken
from ura.flows.engine import State

Json = Any

HANG_UP = "hang up"
SILENCE = ""


@dataclass
class FakeChannel(OneAfterTheOther):
    """A caller with a plan: `presses` answers question after question; "" says nothing, HANG_UP goes.

    When the plan is at its end the caller hangs up. `cuts`: keys pressed while a prompt plays. `hang_up_at`: the
    how-manieth thing we do at which the caller goes, counted from 1. What was heard: `heard`, prompt keys in order.
    """

    presses: Iterable[str] = ()
    cuts: dict[str, str] = field(default_factory=dict)
    speaks_s: float = 8.0
    hang_up_at: int | None = None
    broken_at: tuple[int, ...] = ()
    heard: list[str] = field(default_factory=list)
    questions: list[list[str]] = field(default_factory=list)
    recordings: list[str] = field(default_factory=list)
    done: int = 0

    def __post_init__(self) -> None:
        self._plan = iter(self.presses)

    async def play(self, prompts: Sequence[str]) -> str:
        self._hear(prompts)
        return next((self.cuts.pop(prompt) for prompt in prompts if prompt in self.cuts), "")

    async def collect(self, prompts: Sequence[str], *, max_digits: int, timeout_s: float) -> str:
        self._hear(prompts)
        self.questions.append(list(prompts))
        pressed = next(self._plan, HANG_UP)
        if pressed == HANG_UP:
            raise HungUp
        return pressed

    async def listen(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return ""

    async def record(
        self, prompts: Sequence[str], *, tone: Sequence[str], recording_id: str, max_s: int, ends: str
    ) -> Recording:
        if cut := await self.play(prompts):
            return Recording(0.0, cut)
        self._hear(tone)
        self.recordings.append(recording_id)
        return Recording(self.speaks_s)

    def _hear(self, prompts: Sequence[str]) -> None:
        self.done += 1
        if self.done == self.hang_up_at:
            raise HungUp
        if self.done in self.broken_at:
            raise RuntimeError("the channel broke")
        self.heard += prompts


CITIES = [
    {"id": 1, "name": "Serra Azul", "prompt": "name.serra_azul"},
    {"id": 2, "name": "Vale Verde", "prompt": "name.vale_verde"},
]
STATUSES = ("covered", "covered", "covered", "planned", "covered", "none", "covered", "covered")
NEIGHBOURHOODS = [
    {
        "id": city * 100 + number,
        "name": f"Bairro {number}",
        "prompt": f"name.bairro_{city}_{number}",
        "status": status,
        "forecast_on": "2027-03-01" if status == "planned" else None,
        "city_id": city,
        "keys": f"22477{number}",
        "cep": f"1400{city}00{number}",
    }
    for city in (1, 2)
    for number, status in enumerate(STATUSES, start=1)
]
PLANS = [
    {
        "id": number,
        "name": f"Plano {speed}",
        "prompt": f"name.plano_{speed}",
        "speed_mbps": speed,
        "price": price,
        "setup_price": setup,
        "conditions_prompt": f"name.condicoes_{speed}",
    }
    for number, (speed, price, setup) in enumerate(
        [(100, "79.90", "0.00"), (200, "99.90", "0.00"), (400, "119.90", "50.00"), (600, "149.90", "0.00")], start=1
    )
]


@dataclass
class FakeLookups:
    """The house's answers, from memory. `down` names fail; `slow_s` makes them late; `asked` keeps the questions."""

    cities: list[dict[str, Json]] = field(default_factory=lambda: list(CITIES))
    neighbourhoods: list[dict[str, Json]] = field(default_factory=lambda: list(NEIGHBOURHOODS))
    plans: list[dict[str, Json]] = field(default_factory=lambda: list(PLANS))
    open: bool = True
    opens_at: str | None = "2026-11-23T08:00"
    recent: int = 0
    down: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    slow_s: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Json]]] = field(default_factory=list)

    async def __call__(self, name: str, args: dict[str, Json]) -> dict[str, Json]:
        self.asked.append((name, args))
        if name in self.slow_s:
            await asyncio.sleep(self.slow_s[name])
        if name in self.down:
            raise Unavailable(f"{name} is down")
        if name in self.broken:
            raise ZeroDivisionError(name)
        return self._answer(name, args)

    def _answer(self, name: str, args: dict[str, Json]) -> dict[str, Json]:
        match name:
            case "cities":
                return {"cities": self.cities}
            case "neighbourhoods":
                return self._rows(lambda row: row["city_id"] == args["city_id"])
            case "neighbourhoods_by_keys":
                return self._rows(lambda r: r["city_id"] == args["city_id"] and r["keys"].startswith(args["keys"]))
            case "neighbourhood_by_cep":
                return self._rows(lambda row: row["cep"] == args["cep"])
            case "plans":
                return {"plans": self.plans}
            case "opening":
                return {"open": self.open, "opens_at": None if self.open else self.opens_at}
            case "recent_calls":
                return {"count": self.recent}
        raise LookupError(name)

    def _rows(self, wanted: Any) -> dict[str, Json]:
        return {"neighbourhoods": [row for row in self.neighbourhoods if wanted(row)]}


@dataclass
class FakeActs:
    """What the house was asked to do: `done`, in order, each key once."""

    down: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    done: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def __call__(self, name: str, args: dict[str, Json], *, key: str) -> dict[str, Json]:
        if name in self.down:
            raise Unavailable(f"{name} is down")
        if name in self.broken:
            raise ZeroDivisionError(name)
        if key not in self.keys:
            self.keys.append(key)
            self.done.append((name, args))
        match name:
            case "save_lead":
                return {"lead_id": args.get("lead_id", "lead-1")}
            case "open_ticket":
                return {"ticket_id": "ticket-1", "protocol": "263260000017"}
        return {}

    def named(self, name: str) -> list[dict[str, Json]]:
        return [args for done, args in self.done if done == name]


@dataclass
class FakeRecorder:
    """The call's path: `steps` of (node, event, detail); `closed` is empty until the call has ended."""

    steps: list[tuple[str, str, dict[str, Json]]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    disk_full: bool = False

    def step(self, node: str, event: str, detail: dict[str, Json]) -> None:
        if self.disk_full:
            raise OSError("disk full")
        self.steps.append((node, event, detail))

    def close(self, outcome: str, last_node: str) -> None:
        self.closed.append((outcome, last_node))

    @property
    def path(self) -> list[str]:
        """Nodes in the order they were visited, a node that stayed once."""
        visited = [self.steps[0][0]] if self.steps else []
        for _, _, detail in self.steps:
            if detail["to"] != visited[-1]:
                visited.append(detail["to"])
        return visited

    def count(self, event: str) -> int:
        return Counter(name for _, name, _ in self.steps)[event]


@dataclass
class Saved:
    """Positions handed over for another process, the last one last."""

    states: list[State] = field(default_factory=list)

    def __call__(self, state: State) -> None:
        self.states.append(state)


def speak(spoken: Spoken) -> list[str]:
    """A value as one readable prompt key: `<money 99.90>`; names and lists are prompt keys already."""
    if spoken.kind == "name":
        return [spoken.value] if spoken.value else []
    if spoken.kind == "list":
        return list(spoken.value)
    return [f"<{spoken.kind} {spoken.value}>"]
