"""What keeps a flow from being published: one test a mistake, each from a flow that is right but for it."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.ura.flows.making import GOODBYE, WAYS_OUT, document, menu, say
from ura.flows import mistakes as m
from ura.flows.mistakes import FlowInvalid, FlowMistake
from ura.flows.nodes import Flow
from ura.flows.validation import Known, check_document, parse

Doc = dict[str, Any]
TOPICS = {"4": "complaint", "5": "cancellation"}


def right() -> Doc:
    """A small flow with nothing wrong in it."""
    main = menu("main", k1="tell", k4="tell", k5="tell") | {"short_prompts": ["short"]}
    for digit, topic in TOPICS.items():
        main["choices"][digit]["topic"] = topic
    tell = {"key": "tell", "type": "protocol", "next": "ask"}
    ask = {"key": "ask", "type": "collect", "prompts": ["p"], "into": "n", "max_digits": 4, "next": "hours"} | WAYS_OUT
    edges = {"open": "person", "closed": "goodbye", "failed": "person"}
    hours = {"key": "hours", "type": "hours", "queue": "l1", "on": edges}
    person = {"key": "person", "type": "protocol", "next": "queue"}
    queue = {"key": "queue", "type": "queue", "queue": "l1", "on": {}}
    queue["on"] = dict.fromkeys(("timeout", "empty", "full", "key", "failed"), "goodbye")
    return document(say("hello", "main"), main, tell, ask, hours, person, queue, GOODBYE)


def node(doc: Doc, key: str) -> Doc:
    found: Doc = next(node for node in doc["nodes"] if node["key"] == key)
    return found


def mistakes(doc: Doc, known: Known | None = None, others: dict[str, Flow] | None = None) -> list[FlowMistake]:
    return check_document(doc, known=known or Known(), others=others)


def test_a_right_flow_has_no_mistake() -> None:
    assert mistakes(right()) == []


def test_a_cancellation_with_its_proof_has_no_mistake() -> None:
    doc = right()
    cancellation(doc, say("noted", "proof"), proof())
    assert mistakes(doc) == []


def test_who_was_asked_for_enough_may_be_spoken_to_about_a_debt() -> None:
    doc = right()
    owing(doc, level="verified")
    assert mistakes(doc) == []


def two_of(doc: Doc) -> None:
    doc["nodes"].append(deepcopy(node(doc, "goodbye")))


def circle(doc: Doc) -> None:
    node(doc, "queue")["on"]["timeout"] = "queue"


def endless(doc: Doc) -> None:
    doc["nodes"] += [menu("a", k1="b"), menu("b", k1="a")]
    for key in ("a", "b"):
        node(doc, key)["no_input"] = {"next": "c"}
        node(doc, key)["invalid"] = {"next": "c"}
    doc["nodes"].append(menu("c", k1="a") | {"no_input": {"next": "c2"}, "invalid": {"next": "a"}})
    doc["nodes"].append(say("c2", "a"))
    node(doc, "main")["choices"]["2"] = {"label": "x", "next": "a"}


def steps(doc: Doc) -> None:
    once = {"key": "a", "prompts": ["p"]}
    doc["nodes"].append(
        {"key": "aid", "type": "steps", "steps": [once, once], "on": {"solved": "tell", "not_solved": "tell"}}
    )
    node(doc, "main")["choices"]["2"] = {"label": "x", "next": "aid"}


def branch(doc: Doc, **fields: Any) -> None:
    cases = fields.pop("cases", [{"when": {"fact": "caller", "known": True}, "next": "tell"}])
    doc["nodes"].append({"key": "b", "type": "branch", "cases": cases, "otherwise": "tell"} | fields)
    node(doc, "main")["choices"]["2"] = {"label": "x", "next": "b"}


def lookup(doc: Doc, **fields: Any) -> None:
    found = {"key": "look", "type": "lookup", "name": "recent_calls", "into": "x", "next": "tell", "failed": "tell"}
    doc["nodes"].append(found | fields)
    node(doc, "main")["choices"]["2"] = {"label": "x", "next": "look"}


def subflow(doc: Doc, flow: str) -> None:
    doc["nodes"].append({"key": "sub", "type": "subflow", "flow": flow, "next": "tell"})
    node(doc, "main")["choices"]["2"] = {"label": "x", "next": "sub"}


def cancellation(doc: Doc, *after: Doc) -> None:
    """Key 5 registers a cancellation; `after` are the nodes on its way to `tell`."""
    ticket = {"key": "stop", "type": "ticket", "category": "cancellation", "summary": "x", "queue": "l1"}
    doc["nodes"] += [ticket | {"next": after[0]["key"] if after else "tell", "failed": "person"}, *after]
    node(doc, "main")["choices"]["5"]["next"] = "stop"


def proof() -> Doc:
    return {"key": "proof", "type": "proof", "on": dict.fromkeys(("queued", "no_mobile", "failed"), "tell")}


def owing(doc: Doc, *, level: str = "document", past: str = "who") -> None:
    """Key 2 asks who is calling; whoever is identified may promise. `past`: where key 3 leads."""
    edges = {"identified": "promise", "declined": "tell", "missed": "tell", "failed": "tell"}
    who = {"key": "who", "type": "identify", "level": level, "on": edges}
    promise = {"key": "promise", "type": "promise"}
    promise["on"] = dict.fromkeys(("promised", "refused", "declined", "queued", "failed"), "tell")
    doc["nodes"] += [who, promise]
    for digit, target in (("2", "who"), ("3", past)):
        node(doc, "main")["choices"][digit] = {"label": "x", "next": target}


def outage(doc: Doc) -> None:
    doc["nodes"].append(
        {"key": "down", "type": "outage", "on": dict.fromkeys(("subscribed", "declined", "failed"), "tell")}
    )
    node(doc, "main")["choices"]["2"] = {"label": "x", "next": "down"}


def put(key: str, **fields: Any) -> Callable[[Doc], None]:
    return lambda doc: node(doc, key).update(fields)


def drop(key: str, *fields: str) -> Callable[[Doc], None]:
    def change(doc: Doc) -> None:
        for field in fields:
            del node(doc, key)[field]

    return change


CASES: list[tuple[type[FlowMistake], str, Callable[[Doc], object]]] = [
    (m.NodeTwice, "goodbye", two_of),
    (m.StartMissing, "", lambda doc: doc.update(start="nowhere")),
    (m.PersonMissing, "", lambda doc: doc.update(person="nowhere")),
    (m.TargetMissing, "hello", put("hello", next="nowhere")),
    (m.NodeUnreachable, "alone", lambda doc: doc["nodes"].append(say("alone", "main"))),
    (m.NoWayOutOfSilence, "main", drop("main", "no_input")),
    (m.NoWayOutOfWrongKey, "ask", drop("ask", "invalid")),
    (m.BranchWithoutOtherwise, "b", lambda doc: branch(doc, otherwise=None)),
    (m.ConditionWrong, "b", lambda doc: branch(doc, cases=[{"when": {"fact": "caller"}, "next": "tell"}])),
    (m.Circle, "queue", circle),
    (m.PathWithoutEnd, "a", endless),
    (m.StepTwice, "aid", steps),
    (m.LookupUnknown, "look", lambda doc: lookup(doc, name="horoscope")),
    (m.FactUnknown, "look", lambda doc: lookup(doc, args={"a": {"fact": "horoscope.sign"}, "b": 1})),
    (m.FactUnknown, "b", lambda doc: branch(doc, cases=[{"when": {"fact": "moon", "is": "full"}, "next": "tell"}])),
    (m.FactUnknown, "hello", put("hello", prompts=[{"say": "money", "of": "debt"}])),
    (m.FactUnknown, "down", outage),
    (m.CallerUnknown, "promise", lambda doc: owing(doc, level="number")),
    (m.CallerUnknown, "promise", lambda doc: owing(doc, past="promise")),
    (m.DataBeforeMenu, "who", lambda doc: (owing(doc), put("hello", next="who")(doc))),
    (m.PersonAsksForData, "who", lambda doc: (owing(doc), put("person", next="who")(doc))),
    (m.AdvertisingWhileWaiting, "who", lambda doc: (owing(doc), put("who", still="advert.tv")(doc))),
    (m.SubflowUnknown, "sub", lambda doc: subflow(doc, "missing")),
    (m.FlowCallsItself, "sub", lambda doc: subflow(doc, "test")),
    (m.KeysEqual, "", lambda doc: doc.update(keys={"repeat": "0", "back": "0", "person": "9"})),
    (m.DigitsReversed, "ask", put("ask", min_digits=9)),
    (m.FieldMissing, "hello", drop("hello", "next")),
    (m.FieldMissing, "", lambda doc: doc.pop("title")),
    (m.FieldUnknown, "hello", put("hello", colour="red")),
    (m.FieldUnknown, "", lambda doc: doc.update(colour="red")),
    (m.FieldWrong, "ask", put("ask", max_digits=99)),
    (m.FieldWrong, "ask", put("ask", check="iris")),
    (m.FieldWrong, "main", put("main", no_input=3)),
    (m.FieldWrong, "", lambda doc: doc.update(nodes=7)),
    (m.NodeTypeUnknown, "hello", put("hello", type="dance")),
    (m.NodeTypeUnknown, "hello", drop("hello", "type")),
    (m.SchemaUnknown, "", lambda doc: doc.update(schema_version=9)),
    (m.ComplaintMissing, "main", lambda doc: node(doc, "main")["choices"].pop("4")),
    (m.CancellationMissing, "main", lambda doc: node(doc, "main")["choices"].pop("5")),
    (m.CancellationNotProved, "stop", cancellation),
    (m.CancellationNotProved, "stop", lambda doc: cancellation(doc, menu("sure", k1="proof"), proof())),
    (m.ShortPromptsMissing, "main", drop("main", "short_prompts")),
    (m.DataBeforeMenu, "ask", put("hello", next="ask")),
    (m.PersonOutOfReach, "person", put("person", next="goodbye")),
    (m.PersonAsksForData, "ask", put("person", next="ask")),
    (m.AdvertisingWhileWaiting, "queue", put("queue", prompts=["advert.tv"])),
    (m.AdvertisingWhileWaiting, "look", lambda doc: lookup(doc, filler="advert.tv")),
    (m.ProtocolMissing, "queue", put("person", type="say", prompts=["x"])),
    (m.ProtocolInGreeting, "tell", put("hello", next="tell")),
]


@pytest.mark.parametrize(("mistake", "where", "spoil"), CASES, ids=[f"{c.__name__}-{w}" for c, w, _ in CASES])
def test_each_mistake_is_named_with_its_place(
    mistake: type[FlowMistake], where: str, spoil: Callable[[Doc], object]
) -> None:
    doc = right()
    spoil(doc)
    found = [each for each in mistakes(doc) if type(each) is mistake]
    assert found, [each.code for each in mistakes(doc)]
    named = next(each for each in found if each.node == where)
    assert named.flow == "test"
    assert "'test'" in named.message
    assert where in named.message


@pytest.mark.parametrize(("digit", "mistake"), [("A", m.KeyNotAllowed), ("12", m.KeyNotAllowed), ("9", m.KeyTaken)])
def test_a_key_must_be_free(digit: str, mistake: type[FlowMistake]) -> None:
    doc = right()
    node(doc, "main")["choices"][digit] = {"label": "x", "next": "tell"}
    assert [type(each) for each in mistakes(doc)] == [mistake]


def test_prompts_and_queues_must_exist() -> None:
    known = Known(prompts={"say.hello", "ask.main", "short", "protocol.intro", "p", "system.goodbye"}, queues={"l1"})
    missing = {each.message.split("'")[5] for each in mistakes(right(), known)}
    assert missing == {"system.transferring", "system.no_input", "system.invalid"}
    doc = right()
    doc["fallback"] = {"queue": "nobody"}
    node(doc, "hours")["queue"] = "nobody"
    found = [each for each in mistakes(doc, Known(queues={"l1"})) if isinstance(each, m.QueueUnknown)]
    assert {each.node for each in found} == {"fallback", "hours"}
    doc = right()
    lookup(doc, filler="no.such")
    found_prompts = [each for each in mistakes(doc, Known(prompts=set())) if each.node == "look"]
    assert "no.such" in found_prompts[0].message


def test_a_subflow_is_checked_as_part_of_the_flow() -> None:
    back = {"key": "back", "type": "end", "returns": True}
    inner = Flow.model_validate(document(menu("in", k1="back"), back, key="inner"))
    doc = right()
    doc["nodes"].append({"key": "sub", "type": "subflow", "flow": "inner", "next": "ask"})
    node(doc, "tell")["next"] = "sub"
    assert mistakes(doc, others={"inner": inner}) == []
    subflow(doc, "inner")
    node(doc, "tell")["next"] = "ask"
    doc["nodes"].pop(-2)
    codes = {(each.code, each.node) for each in mistakes(doc, others={"inner": inner})}
    assert codes == {("law-protocol-missing", "sub/person"), ("law-protocol-missing", "sub/goodbye")}


def test_flows_that_call_each_other_are_found() -> None:
    doc = document({"key": "sub", "type": "subflow", "flow": "test", "next": "goodbye"}, key="inner")
    inner = Flow.model_validate(doc)
    outer = right()
    subflow(outer, "inner")
    found = mistakes(outer, others={"inner": inner})
    assert [type(each) for each in found] == [m.FlowCallsItself]
    assert "test → inner → test" in found[0].message


def test_a_way_out_of_a_guided_list_or_a_survey_may_be_left_to_the_engine() -> None:
    doc = right()
    doc["nodes"].append({"key": "rate", "type": "survey", "question": "nps", "prompts": ["p"], "next": "tell"})
    node(doc, "main")["choices"]["2"] = {"label": "x", "next": "rate"}
    node(doc, "main")["no_input"] = {"tries": 1}
    assert mistakes(doc) == []


def test_all_mistakes_come_at_once() -> None:
    doc = right()
    node(doc, "hello").pop("next")
    node(doc, "ask").pop("into")
    with pytest.raises(FlowInvalid) as caught:
        parse(doc)
    assert len(caught.value.mistakes) == 2
    assert caught.value.message.count("\n") == 1


def test_a_node_without_a_key_is_named_by_its_number() -> None:
    doc = right()
    del doc["nodes"][1]["key"]
    assert mistakes(doc)[0].node == "2"
    doc["nodes"][1] = 7
    assert mistakes(doc)[0].node == "2"


def test_every_mistake_has_its_text_and_every_text_its_mistake() -> None:
    texts = json.loads((Path(m.__file__).parent / "messages.json").read_text())
    codes = {c.code for c in vars(m).values() if isinstance(c, type) and issubclass(c, FlowMistake)} - {"bad-input"}
    assert set(texts) - {"where-node", "where-flow"} == codes
    tested = {c.code for c, _, _ in CASES} | {m.KeyNotAllowed.code, m.KeyTaken.code}
    assert codes - tested == {m.PromptUnknown.code, m.QueueUnknown.code}
