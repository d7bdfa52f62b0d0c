"""The native dialplan that plays the same files and reads the same keys as our flow does on a given path."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from prosa.simulate import PROTOCOL
from tests.bench.walks import SALES, Astray
from ura import speech
from ura.db import make_engine, make_sessions
from ura.errors import HungUp
from ura.flows import documents
from ura.flows.channel import Recording
from ura.flows.conduct import CallContext, conduct
from ura.flows.effects import Spoken
from ura.flows.events import Started
from ura.flows.facts import FirstFacts
from ura.flows.published import compile_document
from ura.lookups import Lookups
from ura.prompts import PromptIndex
from ura.settings import Settings

NOTHING_SAID: dict[str, dict[str, Any]] = {
    "standing": {"emergency": None, "blocked": False, "priority": False},
    "arrival": {"outage": None, "segment": ""},
}


@dataclass
class _Notebook:
    """A Channel that writes down, as dialplan, what it is asked to play and collect."""

    keys: list[str]
    index: PromptIndex
    lines: list[str] = field(default_factory=lambda: ["Answer()", "Set(AHEAD=)"])

    async def play(self, prompts: Sequence[str]) -> str:
        # As with us, a key cuts it and counts for the question that follows. (Background would look for an extension.)
        self.lines.append(f"Read(AHEAD,{self._files(prompts)},1,,1,0.1)")
        return ""

    async def collect(self, prompts: Sequence[str], *, max_digits: int, timeout_s: float) -> str:
        read = f"Read(KEY,{self._files(prompts)},{max_digits},,1,{timeout_s:g})"
        self.lines += [f'ExecIf($["${{AHEAD}}" = ""]?{read})', "Set(AHEAD=)"]
        if not self.keys:
            raise HungUp
        return self.keys.pop(0)

    async def play_on(
        self, prompts: Sequence[str], question: Sequence[str], *, timeout_s: float, heard: Callable[[], None]
    ) -> str:
        heard()
        return await self.collect([*prompts, *question], max_digits=1, timeout_s=timeout_s)

    async def listen(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return ""

    async def record(
        self, prompts: Sequence[str], *, tone: Sequence[str], recording_id: str, max_s: int, ends: str
    ) -> Recording:
        raise HungUp

    def _files(self, prompts: Sequence[str]) -> str:
        return "&".join(self.index.playable(prompts))


async def native_lines(settings: Settings, keys: str) -> list[str]:
    """What the shipped flow plays and reads for these keys, in order, as dialplan applications."""
    flow = compile_document(documents.shipped("provedor"), {})
    engine = make_engine(settings.db_url)
    now = datetime.now(settings.zone)

    async def done(name: str, args: dict[str, Any], *, key: str) -> dict[str, Any]:
        return {"lead_id": uuid4().hex, "protocol": PROTOCOL}

    class Recorder:
        last_node = ""

        def step(self, node: str, event: str, detail: dict[str, Any]) -> None: ...

        def close(self, outcome: str, last_node: str) -> None:
            self.last_node = last_node

    recorder = Recorder()

    def speak(spoken: Spoken) -> list[str]:
        return speech.prompt_keys(spoken, today=now.date())

    # Nobody is in an outage, and the path of our calls is looked at (walks.py): so this is the same one.
    known, failed = Lookups(make_sessions(engine), settings), list[str]()

    async def lookups(name: str, args: dict[str, Any]) -> dict[str, Any]:
        try:
            return NOTHING_SAID[name] if name in NOTHING_SAID else await known(name, args)
        except Exception:
            failed.append(name)
            raise

    facts = FirstFacts(
        call_id=uuid4().hex,
        caller="+5511900000000",
        caller_kind="mobile",
        did="551133330001",
        number_kind="landline",
        now=now.replace(tzinfo=None).isoformat(timespec="minutes"),
        protocol=PROTOCOL,
    )
    notebook = _Notebook(list(keys), PromptIndex.load(settings))
    try:
        await conduct(
            CallContext(facts.call_id, flow, Started(facts.as_dict())),
            notebook,
            lookups=lookups,
            acts=done,
            recorder=recorder,
            speak=speak,
        )
    finally:
        await engine.dispose()
    if failed or notebook.keys or recorder.last_node not in SALES.ends:
        raise Astray(f"the flow goes to {recorder.last_node!r}, failed at {failed}, with keys left: {notebook.keys}")
    return [*notebook.lines, "Wait(30)"]
