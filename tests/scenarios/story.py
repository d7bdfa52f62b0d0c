"""A call as a story: keys pressed → sentences heard → what is stored. Real flow, engine, conductor, acts and journal.

    told = await tell("1,1,1,1,2,x", tmp_path)
    told.hears("sales.covered", "plans.intro")           # in this order, others may be between
    assert told.stored("lead_saved")[-1]["status"] == "abandoned"

Keys: one entry an answer, commas between; nothing between two commas is silence; `x` hangs up; `!9` (or `!x`) comes
at once, also while something is only being spoken; a number answers a recording with so many seconds, `12+9` ends it
with a key. After the last entry: silence.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from prosa.demo_house import DemoHouse
from prosa.example import ExampleProvider
from ura import journal, phones, speech
from ura.acts import Acts
from ura.demo.subscribers import streets
from ura.errors import HungUp
from ura.flows import documents
from ura.flows.channel import OneAfterTheOther, Recording
from ura.flows.conduct import CallContext, CallResult, conduct
from ura.flows.effects import Spoken
from ura.flows.engine import CompiledFlow
from ura.flows.events import QueueLeft, Started
from ura.flows.facts import FirstFacts
from ura.flows.published import compile_document
from ura.prompts import MANIFEST, name_key, read_manifest
from ura.settings import ROOT

Json = Any
Lookup = Callable[[str, dict[str, Json]], Awaitable[dict[str, Json]]]

MONDAY_10H = datetime(2026, 11, 23, 10, 0)
SUNDAY_02H = datetime(2026, 11, 22, 2, 0)
MARIA = "+5511987654321"
LANDLINE = "+551133334444"
HIDDEN = ""
PROTOCOL = "261326000017"


@cache
def provedor() -> CompiledFlow:
    return compile_document(documents.shipped("provedor"), {})


@cache
def durations() -> dict[str, float]:
    return {key: clip.duration_s for key, clip in read_manifest(ROOT / "prompts" / MANIFEST).items()}


@dataclass
class Caller(OneAfterTheOther):
    """Who is on the line: a Channel that presses what the story says and remembers what it hears."""

    keys: list[str]
    names: dict[str, str]
    heard: list[str] = field(default_factory=list)  # prompt keys; a name as its text
    heard_s: float = 0.0
    waited_s: float = 0.0
    times: dict[str, float] = field(default_factory=dict)  # when each was heard first, silences not counted
    gone: bool = False
    leaves_at: int = 0  # the line goes in the how-manieth thing that is said, counted from 1; 0: it stays
    said: int = 0

    async def play(self, prompts: Sequence[str]) -> str:
        if self.keys and self.keys[0].startswith("!"):
            self._hear(prompts[:1])
            pressed = self.keys.pop(0)[1:]
            if pressed == "x":
                self._leave()
            return pressed
        self._hear(prompts)
        return ""

    async def collect(self, prompts: Sequence[str], *, max_digits: int, timeout_s: float) -> str:
        self._hear(prompts)
        entry = self._next()
        self.waited_s += 0 if entry else timeout_s
        return entry.removesuffix("#")[:max_digits]

    async def listen(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return ""

    async def record(
        self, prompts: Sequence[str], *, tone: Sequence[str], recording_id: str, max_s: int, ends: str
    ) -> Recording:
        self._hear([*prompts, *tone])
        said, _, key = self._next().partition("+")
        return Recording(float(said or 0), key if key in ends else "")

    def _next(self) -> str:
        entry = self.keys.pop(0).removeprefix("!") if self.keys else ""
        if entry == "x":
            self._leave()
        return entry

    def _leave(self) -> None:
        self.gone = True
        raise HungUp

    def _hear(self, prompts: Sequence[str]) -> None:
        if self.gone:
            raise HungUp
        self.said += bool(prompts)
        for key in prompts:
            self.heard.append(self.names.get(key, key))
            self.times.setdefault(self.heard[-1], self.heard_s)
            self.heard_s += durations().get(key, 2.0)
            if self.said == self.leaves_at:
                self._leave()


@dataclass
class Trail:
    """Recorder: the steps of the call, and how it ended."""

    steps: list[tuple[str, str, dict[str, Json]]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def step(self, node: str, event: str, detail: dict[str, Json]) -> None:
        self.steps.append((node, event, detail))

    def close(self, outcome: str, last_node: str) -> None:
        self.ends.append(outcome)


@dataclass(frozen=True)
class ThisCall:
    call_id: str
    protocol: str
    caller: str


@dataclass
class Told:
    caller: Caller
    path: Trail
    result: CallResult
    queues: list[str]
    records: list[journal.Record]

    @property
    def heard(self) -> list[str]:
        return self.caller.heard

    @property
    def outcome(self) -> str:
        assert len(self.path.ends) <= 1, "the record of a call is closed once"
        return self.path.ends[0] if self.path.ends else self.result.kind

    def hears(self, *keys: str) -> None:
        """These, in this order; others may be between."""
        rest = iter(self.heard)
        for key in keys:
            assert key in rest, f"{key} was not heard (in this order) in:\n" + "\n".join(self.heard)

    def stored(self, kind: str) -> list[dict[str, Json]]:
        return [record.data for record in self.records if record.kind == kind]


async def tell(
    keys: str,
    folder: Path,
    *,
    now: datetime = MONDAY_10H,
    caller: str = MARIA,
    repeat_call: bool = False,
    queues_give_back: Sequence[str] = (),
    fails: Collection[str] = (),
    lookups: Lookup | None = None,
    flow: CompiledFlow | None = None,
    call_id: str = "c" * 32,
    protocol: str = PROTOCOL,
    house: DemoHouse | None = None,
    leaves_at: int = 0,
) -> Told:
    """One call from the greeting to its end. `queues_give_back`: how each queue in turn returns the caller. `house`:
    where the demo's people are known; without one the caller is a stranger."""
    provider = ExampleProvider(now=now, down=fails)
    names = provider.texts | {name_key(street): street for street in streets()}
    person = Caller([entry.strip() for entry in keys.split(",")] if keys else [], names, leaves_at=leaves_at)
    path = Trail()
    written = journal.Journal(folder / "journal", "test")
    this_call = ThisCall(call_id, protocol, caller)
    performs = Acts(written, this_call)
    at_once = house.acts(this_call) if house else None

    async def acts(name: str, args: dict[str, Json], *, key: str) -> dict[str, Json]:
        if name in fails:
            raise journal.JournalBroken("the disk refused")
        if at_once:
            await at_once(name, args, key=key)
        return await performs(name, args, key=key)

    async def ask(name: str, args: dict[str, Json]) -> dict[str, Json]:
        if house and name in house.lookups.names and name not in fails:
            return await house.lookups(name, args)
        return await (lookups or provider.lookup)(name, args)

    def speak(spoken: Spoken) -> list[str]:
        return speech.prompt_keys(spoken, today=now.date())

    facts = FirstFacts(
        call_id=call_id,
        caller=caller,
        caller_kind=phones.kind(caller).value,
        did="551133330001",
        number_kind="landline",
        now=now.isoformat(timespec="minutes"),
        protocol=protocol,
        repeat_call=repeat_call,
    )
    call = CallContext(call_id, flow or provedor(), Started(facts.as_dict()))
    left, queues = list(queues_give_back), []
    while True:
        result = await conduct(call, person, lookups=ask, acts=acts, recorder=path, speak=speak)
        if result.kind == "queue":
            queues.append(result.queue)
        if result.kind != "queue" or not left:
            break
        call = CallContext(call_id, call.flow, QueueLeft(result.queue, left.pop(0)), result.state)
    records = [record for file in journal.files(folder / "journal") for record in journal.read(file).records]
    written.close()
    return Told(person, path, result, queues, records)
