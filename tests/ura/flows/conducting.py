"""One call with everything it touches, for the tests of the conductor."""

from typing import Any

from tests.fakes import FakeActs, FakeChannel, FakeLookups, FakeRecorder, Saved, speak
from tests.ura.flows.making import make_flow, menu, say
from ura.flows.conduct import CallContext, CallResult, conduct
from ura.flows.engine import CompiledFlow, State, compile_flow
from ura.flows.events import Event, Started
from ura.flows.nodes import Flow

PROTOCOL = {"key": "tell", "type": "protocol", "next": "plans"}
PLANS = {
    "key": "plans",
    "type": "offer_plans",
    "on": dict.fromkeys(("sent", "number", "done", "none", "failed"), "goodbye") | {"sales": "person"},
}
LEAD = {"key": "lead", "type": "lead", "next": "tell", "failed": "goodbye"}
MESSAGE = {"key": "message", "type": "message", "prompts": ["speak.now"], "next": "goodbye"} | dict.fromkeys(
    ("empty", "failed"), "main"
)
FLOW = make_flow(
    say("hello", "main"), menu("main", k1="lead", k2="message", k3="goodbye"), LEAD, PROTOCOL, PLANS, MESSAGE
)


class House:
    """One call with everything it touches."""

    def __init__(self, channel: FakeChannel, **fakes: Any) -> None:
        self.channel = channel
        self.lookups: FakeLookups = fakes.get("lookups", FakeLookups())
        self.acts: FakeActs = fakes.get("acts", FakeActs())
        self.recorder: FakeRecorder = fakes.get("recorder", FakeRecorder())
        self.saved = Saved()
        self.draining = False

    async def call(
        self,
        flow: Flow | CompiledFlow = FLOW,
        event: Event | None = None,
        state: State | None = None,
        **instead: Any,
    ) -> CallResult:
        compiled = compile_flow(flow) if isinstance(flow, Flow) else flow
        begun = Started({"caller": "+5516999990000", "protocol": "263260000017"})
        injected: dict[str, Any] = {
            "lookups": self.lookups,
            "acts": self.acts,
            "recorder": self.recorder,
            "speak": speak,
            "save": self.saved,
            "draining": lambda: self.draining,
        }
        return await conduct(
            CallContext("call-1", compiled, event or begun, state or State()), self.channel, **(injected | instead)
        )
