"""What an author can do wrong: one error class a mistake. The texts, in Portuguese, say what to do: messages.json."""

import json
from functools import cache
from pathlib import Path

from ura.errors import BadInput


@cache
def texts() -> dict[str, str]:
    found: dict[str, str] = json.loads((Path(__file__).parent / "messages.json").read_text(encoding="utf-8"))
    return found


class FlowMistake(BadInput):
    """One mistake in one flow. `flow` and `node` are keys; the message names them and the remedy."""

    def __init__(self, flow: str, node: str = "", **words: object) -> None:
        super().__init__(texts()[self.code].format(flow=flow, node=node, **words))
        self.flow = flow
        self.node = node


class FlowInvalid(BadInput):
    """A document with mistakes, all of them."""

    code = "flow-invalid"

    def __init__(self, mistakes: list[FlowMistake]) -> None:
        super().__init__("\n".join(mistake.message for mistake in mistakes))
        self.mistakes = mistakes


class FieldMissing(FlowMistake):
    code = "flow-field-missing"


class FieldUnknown(FlowMistake):
    code = "flow-field-unknown"


class FieldWrong(FlowMistake):
    code = "flow-field-wrong"


class NodeTypeUnknown(FlowMistake):
    code = "flow-node-type-unknown"


class SchemaUnknown(FlowMistake):
    code = "flow-schema-unknown"


class NodeTwice(FlowMistake):
    code = "flow-node-twice"


class StepTwice(FlowMistake):
    code = "flow-step-twice"


class StartMissing(FlowMistake):
    code = "flow-start-missing"


class PersonMissing(FlowMistake):
    code = "flow-person-missing"


class TargetMissing(FlowMistake):
    code = "flow-target-missing"


class NodeUnreachable(FlowMistake):
    code = "flow-node-unreachable"


class NoWayOutOfSilence(FlowMistake):
    code = "flow-no-way-out-silence"


class NoWayOutOfWrongKey(FlowMistake):
    code = "flow-no-way-out-wrong-key"


class BranchWithoutOtherwise(FlowMistake):
    code = "flow-branch-without-otherwise"


class ConditionWrong(FlowMistake):
    code = "flow-condition-wrong"


class Circle(FlowMistake):
    code = "flow-circle"


class PathWithoutEnd(FlowMistake):
    code = "flow-path-without-end"


class PromptUnknown(FlowMistake):
    code = "flow-prompt-unknown"


class QueueUnknown(FlowMistake):
    code = "flow-queue-unknown"


class LookupUnknown(FlowMistake):
    code = "flow-lookup-unknown"


class FactUnknown(FlowMistake):
    code = "flow-fact-unknown"


class SubflowUnknown(FlowMistake):
    code = "flow-subflow-unknown"


class FlowCallsItself(FlowMistake):
    code = "flow-calls-itself"


class KeyNotAllowed(FlowMistake):
    code = "flow-key-not-allowed"


class KeyTaken(FlowMistake):
    code = "flow-key-taken"


class KeysEqual(FlowMistake):
    code = "flow-keys-equal"


class DigitsReversed(FlowMistake):
    code = "flow-digits-reversed"


class CallerUnknown(FlowMistake):
    code = "flow-caller-unknown"


class ShortPromptsMissing(FlowMistake):
    code = "flow-short-prompts-missing"


class DataBeforeMenu(FlowMistake):
    code = "law-data-before-menu"


class ComplaintMissing(FlowMistake):
    code = "law-complaint-missing"


class CancellationMissing(FlowMistake):
    code = "law-cancellation-missing"


class CancellationNotProved(FlowMistake):
    code = "law-cancellation-not-proved"


class PersonOutOfReach(FlowMistake):
    code = "law-person-out-of-reach"


class PersonAsksForData(FlowMistake):
    code = "law-person-asks-for-data"


class AdvertisingWhileWaiting(FlowMistake):
    code = "law-advertising-while-waiting"


class ProtocolMissing(FlowMistake):
    code = "law-protocol-missing"


class ProtocolInGreeting(FlowMistake):
    code = "law-protocol-in-greeting"
