"""Small flows and a call to talk through them."""

import json
from dataclasses import replace
from typing import Any

from ura.flows.effects import Collect, Effect, Play, Prompt, Spoken
from ura.flows.engine import CompiledFlow, State, compile_flow, step
from ura.flows.events import DigitsEntered, Event, NoInput, Played, QueueLeft, Started
from ura.flows.nodes import End, Flow

Json = Any
QUEUE_EDGES = dict.fromkeys(("timeout", "empty", "full", "key", "failed"), "goodbye")
PERSON = {"key": "person", "type": "queue", "queue": "l1", "prompts": ["system.transferring"], "on": QUEUE_EDGES}
GOODBYE = {"key": "goodbye", "type": "end", "prompts": ["system.goodbye"]}
WAYS_OUT = {"no_input": {"tries": 2, "next": "person"}, "invalid": {"tries": 3, "next": "person"}}


def menu(key: str, *, prompts: list[Any] | None = None, **choices: str) -> dict[str, Json]:
    """`menu("main", k1="sales")`: key 1 leads to sales."""
    made = {name.removeprefix("k"): {"label": target, "next": target} for name, target in choices.items()}
    return {"key": key, "type": "menu", "prompts": prompts or [f"ask.{key}"], "choices": made, **WAYS_OUT}


def say(key: str, target: str) -> dict[str, Json]:
    return {"key": key, "type": "say", "prompts": [f"say.{key}"], "next": target}


def document(*nodes: dict[str, Json], **fields: Json) -> dict[str, Json]:
    """A flow that starts at the first node; `person` and `goodbye` are added unless given."""
    keys = [node["key"] for node in nodes]
    extra = [node for node in (PERSON, GOODBYE) if node["key"] not in keys]
    return {"key": "test", "title": "Teste", "start": keys[0], "person": "person", "nodes": [*nodes, *extra]} | fields


def make_flow(*nodes: dict[str, Json], **fields: Json) -> Flow:
    return Flow.model_validate(document(*nodes, **fields))


class Talk:
    """A call in progress. Each method gives the effect that follows; the state goes through JSON at every step, which
    keeps all of it but the keys typed ahead."""

    def __init__(self, flow: Flow | CompiledFlow, others: dict[str, Flow] | None = None, **facts: Json) -> None:
        self.flow = compile_flow(flow, others) if isinstance(flow, Flow) else flow
        self.state = State()
        self.effects: list[Effect] = []
        self.effect: Effect = Play(())
        self.hears(Started({"caller": "+5516999990000", "protocol": "263260000017"} | facts))

    def hears(self, event: Event) -> Effect:
        saved = State.from_json(json.loads(json.dumps(self.state.to_json())))
        self.state, self.effect = step(self.flow, replace(saved, ahead=self.state.ahead), event)
        self.effects.append(self.effect)
        return self.effect

    def press(self, *entries: str) -> Effect:
        for entry in entries:
            self.hears(DigitsEntered(self.given + entry))
        return self.effect

    def silence(self, times: int = 1) -> Effect:
        for _ in range(times):
            self.hears(DigitsEntered(self.given) if self.given else NoInput())
        return self.effect

    @property
    def given(self) -> str:
        """Digits typed ahead that begin the entry asked for: the conductor puts them before what is pressed now."""
        return self.effect.given if isinstance(self.effect, Collect) else ""

    def played(self, digits: str = "") -> Effect:
        return self.hears(Played(digits))

    def left(self, reason: str) -> Effect:
        return self.hears(QueueLeft("l1", reason))

    @property
    def prompts(self) -> list[str]:
        return words(getattr(self.effect, "prompts", ()))

    @property
    def ended(self) -> bool:
        """Goodbye is being said, or has been."""
        return isinstance(self.flow.nodes[self.state.node], End)

    @property
    def asked(self) -> bool:
        return isinstance(self.effect, Collect)


def words(prompts: tuple[Prompt, ...]) -> list[str]:
    return [f"<{p.kind} {p.value}>" if isinstance(p, Spoken) else p for p in prompts]
