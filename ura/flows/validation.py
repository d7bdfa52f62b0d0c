"""Can this document be published? `find_mistakes` lists what is wrong, each with flow, node and remedy."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ura import privacy
from ura.flows import law, mistakes
from ura.flows.caller_nodes import ErpTicket, HearOutage, Identify, Invoices, Outage
from ura.flows.engine.compiled import compile_flow
from ura.flows.facts import FIRST_FACTS
from ura.flows.graph import Edge, Graph
from ura.flows.mistakes import FlowInvalid, FlowMistake
from ura.flows.nodes import (
    KEYS,
    SCHEMA_VERSION,
    BaseNode,
    Branch,
    Callback,
    Collect,
    FactRef,
    Flow,
    Hours,
    LookupNode,
    Menu,
    Queue,
    Say,
    Slot,
    Steps,
    Subflow,
    Ticket,
    When,
)
from ura.privacy import Level

Json = Any
LOOKUPS = frozenset(
    {
        "cities",
        "neighbourhoods",
        "neighbourhoods_by_keys",
        "neighbourhood_by_cep",
        "neighbourhood",
        "plans",
        "opening",
        "recent_calls",
        "outage_for_caller",
        "standing",
        "arrival",
        "service_first",
        "open_ticket",
    }
)
FACTS_OF_KINDS: dict[str, tuple[str, ...]] = {
    "choose_neighbourhood": ("city", "neighbourhood"),
    "offer_plans": ("plan", "plan_ids"),
    "lead": ("lead_id", "lead_status"),
    "ticket": ("ticket",),
    "callback": ("callback",),
    "hours": ("opening",),
    "message": ("recording_id",),
    "steps": ("steps",),
    "queue": ("queue_left",),
    "menu": ("topic",),
    "identify": ("subscriber", "contract", "contracts"),
    "diagnose": ("diagnosis", "outage"),
    "invoices": ("invoices", "invoice"),
    "trust_unlock": ("unlock",),
    "promise": ("promise",),
    "erp_ticket": ("erp_ticket",),
    "dispute": ("ticket",),
}


@dataclass(frozen=True, slots=True)
class Known:
    """What this installation has. None: not checked."""

    prompts: Container[str] | None = None
    queues: Container[str] | None = None
    lookups: frozenset[str] = LOOKUPS


def parse(document: Mapping[str, Json]) -> Flow:
    """The flow in a document. Raises FlowInvalid with each field that is wrong; the flow's sense is not checked."""
    key = str(document.get("key", ""))
    if document.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        version = document["schema_version"]
        raise FlowInvalid([mistakes.SchemaUnknown(key, value=version, allowed=SCHEMA_VERSION)])
    try:
        return Flow.model_validate(document)
    except ValidationError as error:
        raise FlowInvalid([_field(document, key, detail) for detail in error.errors()]) from error


def check_document(
    document: Mapping[str, Json], *, known: Known, others: Mapping[str, Flow] | None = None
) -> list[FlowMistake]:
    """As `find_mistakes`, from the raw document."""
    try:
        flow = parse(document)
    except FlowInvalid as invalid:
        return invalid.mistakes
    return find_mistakes(flow, known=known, others=others)


def find_mistakes(flow: Flow, *, known: Known, others: Mapping[str, Flow] | None = None) -> list[FlowMistake]:
    """Everything that keeps a flow from being published, the legal check included. Empty: publish it."""
    others = others or {}
    found = [*_keys(flow), *_nodes(flow, known), *_subflows(flow, others)]
    if not any(isinstance(m, STOPPERS) for m in found):
        graph = Graph(compile_flow(flow, others))
        found += [*_facts(flow, graph), *_graph(flow, graph), *law.check(graph)]
    return found


STOPPERS = (
    mistakes.NodeTwice,
    mistakes.StartMissing,
    mistakes.PersonMissing,
    mistakes.SubflowUnknown,
    mistakes.FlowCallsItself,
)


# -- the form of the document


def _field(document: Mapping[str, Json], flow: str, detail: ErrorDetails) -> FlowMistake:
    node, field = _place(document, detail["loc"])
    where = mistakes.texts()["where-node" if node else "where-flow"].format(node=node)
    context = detail.get("ctx", {})
    kind = detail["type"]
    allowed = str(context.get("expected_tags") or context.get("expected") or _limits(context) or kind)
    if kind == "missing":
        return mistakes.FieldMissing(flow, node, where=where, field=field)
    if kind == "extra_forbidden":
        return mistakes.FieldUnknown(flow, node, where=where, field=field)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        value = context.get("tag", "")
        return mistakes.NodeTypeUnknown(flow, node, where=where, value=value, allowed=allowed)
    return mistakes.FieldWrong(flow, node, where=where, field=field, value=repr(detail["input"])[:80], allowed=allowed)


def _limits(context: Mapping[str, Any]) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "pattern": "", "min_length": ">=", "max_length": "<="}
    return " ".join(f"{signs[name]} {value}".strip() for name, value in context.items() if name in signs)


def _place(document: Mapping[str, Json], path: tuple[int | str, ...]) -> tuple[str, str]:
    """(key of the node or its number, field) of a pydantic location such as ("nodes", 3, "menu", "choices", "1")."""
    if len(path) >= 2 and path[0] == "nodes" and isinstance(path[1], int):
        node = document["nodes"][path[1]]
        key = node.get("key") if isinstance(node, Mapping) else None
        return str(key or path[1] + 1), ".".join(str(part) for part in path[3:])
    return "", ".".join(str(part) for part in path)


# -- node by node


def _keys(flow: Flow) -> Iterator[FlowMistake]:
    here = Counter(node.key for node in flow.nodes)
    yield from (mistakes.NodeTwice(flow.key, key) for key, times in here.items() if times > 1)
    if flow.start not in here:
        yield mistakes.StartMissing(flow.key, target=flow.start)
    if flow.person not in here:
        yield mistakes.PersonMissing(flow.key, target=flow.person)
    if len({flow.keys.repeat, flow.keys.back, flow.keys.person}) < 3:
        yield mistakes.KeysEqual(flow.key)
    for node in flow.nodes:
        for edge, target in node.edges():
            if target not in here:
                yield mistakes.TargetMissing(flow.key, node.key, edge=edge, target=target)


def _nodes(flow: Flow, known: Known) -> Iterator[FlowMistake]:
    for node in flow.nodes:
        yield from _node(flow, node, known)
        for prompt in _prompt_keys(node):
            if known.prompts is not None and prompt not in known.prompts:
                yield mistakes.PromptUnknown(flow.key, node.key, prompt=prompt)
    if known.prompts is not None:
        fallback = flow.fallback
        sets = (fallback.prompts, fallback.protocol, fallback.goodbye, fallback.no_input, fallback.invalid)
        for says in (says for prompts in sets for says in prompts):
            if isinstance(says, str) and says not in known.prompts:
                yield mistakes.PromptUnknown(flow.key, "fallback", prompt=says)
    if known.queues is not None and flow.fallback.queue not in known.queues:
        yield mistakes.QueueUnknown(flow.key, "fallback", queue=flow.fallback.queue)


def _prompt_keys(node: BaseNode) -> Iterator[str]:
    yield from (says for says in node.spoken() if isinstance(says, str))
    yield from node.fillers()


def _node(flow: Flow, node: BaseNode, known: Known) -> Iterator[FlowMistake]:
    match node:
        case Menu():
            yield from _way_out(flow, node)
            yield from _choices(flow, node)
        case Collect():
            yield from _way_out(flow, node)
            if node.min_digits > node.max_digits:
                yield mistakes.DigitsReversed(flow.key, node.key)
        case Branch():
            if node.otherwise is None:
                yield mistakes.BranchWithoutOtherwise(flow.key, node.key)
            for case in node.cases:
                if not _decides(case.when):
                    yield mistakes.ConditionWrong(flow.key, node.key, fact=case.when.fact)
        case Steps():
            twice = [key for key, times in Counter(step.key for step in node.steps).items() if times > 1]
            yield from (mistakes.StepTwice(flow.key, node.key, step=key) for key in twice)
        case LookupNode() if node.name not in known.lookups:
            allowed = ", ".join(sorted(known.lookups))
            yield mistakes.LookupUnknown(flow.key, node.key, lookup=node.name, allowed=allowed)
        case Queue() | Hours() | Ticket() | Callback():
            if known.queues is not None and node.queue not in known.queues:
                yield mistakes.QueueUnknown(flow.key, node.key, queue=node.queue)
        case ErpTicket():
            if known.queues is not None and node.hours_of not in known.queues:
                yield mistakes.QueueUnknown(flow.key, node.key, queue=node.hours_of)


def _way_out(flow: Flow, node: Menu | Collect) -> Iterator[FlowMistake]:
    if node.no_input is None:
        yield mistakes.NoWayOutOfSilence(flow.key, node.key)
    if node.invalid is None:
        yield mistakes.NoWayOutOfWrongKey(flow.key, node.key)


def _choices(flow: Flow, menu: Menu) -> Iterator[FlowMistake]:
    taken = {flow.keys.repeat, flow.keys.back, flow.keys.person}
    for digit in menu.choices:
        if len(digit) != 1 or digit not in KEYS:
            yield mistakes.KeyNotAllowed(flow.key, menu.key, digit=digit)
        elif digit in taken:
            yield mistakes.KeyTaken(flow.key, menu.key, digit=digit)


def _decides(when: When) -> bool:
    bounds = when.at_least is not None or when.at_most is not None
    return sum((when.is_ is not None, when.in_ is not None, when.known is not None, bounds)) == 1


# -- the flow as a whole


def _subflows(flow: Flow, others: Mapping[str, Flow], above: tuple[str, ...] = ()) -> Iterator[FlowMistake]:
    path = (*above, flow.key)
    for node in flow.nodes:
        if not isinstance(node, Subflow):
            continue
        if node.flow in path:
            yield mistakes.FlowCallsItself(flow.key, node.key, target=" → ".join((*path, node.flow)))
        elif node.flow not in others:
            yield mistakes.SubflowUnknown(flow.key, node.key, target=node.flow)
        else:
            yield from _subflows(others[node.flow], others, path)


def _facts(flow: Flow, graph: Graph) -> Iterator[FlowMistake]:
    made = {root for node in graph.nodes.values() for root in _made(node)}
    made |= FIRST_FACTS | {"frustrated", "person_calls", "topic"}
    for node in flow.nodes:
        for path in _used(node):
            if path.split(".")[0] not in made:
                yield mistakes.FactUnknown(flow.key, node.key, fact=path)


def _made(node: BaseNode) -> Iterator[str]:
    yield from FACTS_OF_KINDS.get(node.type, ())
    if isinstance(node, Collect | LookupNode):
        yield node.into.split(".")[0]
    if isinstance(node, Menu):
        yield from (path.split(".")[0] for choice in node.choices.values() for path in choice.sets)
    if isinstance(node, Say):
        yield from (path.split(".")[0] for path in node.sets)


def _used(node: BaseNode) -> Iterator[str]:
    yield from (says.of for says in node.spoken() if isinstance(says, Slot))
    if isinstance(node, Branch):
        yield from (case.when.fact for case in node.cases)
    if isinstance(node, LookupNode):
        yield from (arg.fact for arg in node.args.values() if isinstance(arg, FactRef))
    if isinstance(node, Say):
        yield from (value.fact for value in node.sets.values() if isinstance(value, FactRef))
    if isinstance(node, HearOutage):
        yield node.of
    if isinstance(node, Outage):
        yield "outage"


def _graph(flow: Flow, graph: Graph) -> Iterator[FlowMistake]:
    reached = graph.walk([flow.start, flow.person])
    yield from (mistakes.NodeUnreachable(flow.key, node.key) for node in flow.nodes if node.key not in reached)
    yield from _known_callers(flow, graph)
    ends = [key for key, node in graph.nodes.items() if node.ends and not _returns(graph, key)]
    ending = graph.reaching(ends)
    yield from (mistakes.PathWithoutEnd(flow.key, key) for key in _in_order(graph, reached - ending))
    for circle in graph.silent_circles():
        yield mistakes.Circle(flow.key, circle[0], nodes=" → ".join((*circle, circle[0])))


def _known_callers(flow: Flow, graph: Graph) -> Iterator[FlowMistake]:
    """What speaks of a contract comes after an `identify` that asks for enough, whichever way one gets there."""
    nodes = {key: node for key, node in graph.nodes.items() if node.wish}
    for needed in {privacy.level_needed(node.wish) for node in nodes.values() if node.wish}:
        unknown = graph.walk([flow.start, flow.person], along=partial(_tells_too_little, needed))
        for key in _in_order(graph, unknown & nodes.keys()):
            wish = nodes[key].wish
            if wish and privacy.level_needed(wish) is needed:
                yield mistakes.CallerUnknown(flow.key, key, level=needed.value)


def _tells_too_little(needed: Level, node: BaseNode, edge: Edge) -> bool:
    """Is it not known after this edge, as surely as `needed`, who is calling?"""
    if isinstance(node, Invoices):  # goes there with the verified only
        return edge.name not in ("on.read", "on.dispute")
    levels = list(Level)
    asks = isinstance(node, Identify) and levels.index(Level(node.level)) >= levels.index(needed)
    return not (asks and edge.name == "on.identified")


def _returns(graph: Graph, key: str) -> bool:
    """An `end` that only goes back to the flow that called."""
    return any(edge.name == "returns" for edge in graph.edges[key])


def _in_order(graph: Graph, keys: Iterable[str]) -> list[str]:
    wanted = set(keys)
    return [key for key in graph.nodes if key in wanted]
