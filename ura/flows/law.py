"""The legal check of a flow: Decree 11.034/2022 as far as a flow can break it.

1. Nobody is asked for data before the first menu, nor on the way to a person (art. 4 §4).
2. The first menu offers complaint and cancellation (art. 5).
3. A person is one key away from every node (the engine's own), and that way leads to a queue.
4. No advertising while waiting (art. 4 §§5-6): prompts under `advert.` are not for queues, fillers, or the way there.
5. The protocol is given before the first point where the call can end, and not in the greeting of a first menu.
6. A cancellation is followed by its proof, before the caller is asked anything or the call can leave us (art. 14).
"""

from collections.abc import Iterator

from ura.flows.caller_nodes import Identify
from ura.flows.graph import Graph
from ura.flows.mistakes import (
    AdvertisingWhileWaiting,
    CancellationMissing,
    CancellationNotProved,
    ComplaintMissing,
    DataBeforeMenu,
    FlowMistake,
    PersonAsksForData,
    PersonOutOfReach,
    ProtocolInGreeting,
    ProtocolMissing,
    ShortPromptsMissing,
)
from ura.flows.nodes import (
    Asking,
    BaseNode,
    ChooseNeighbourhood,
    Collect,
    End,
    Menu,
    Proof,
    Protocol,
    Queue,
    Ticket,
    Topic,
)

ADVERTS = "advert."


def check(graph: Graph) -> Iterator[FlowMistake]:
    """Every breach, of the whole flow with its subflows."""
    yield from _first_menus(graph)
    yield from _person(graph)
    yield from _advertising(graph)
    yield from _protocol(graph)
    yield from _proof(graph)


def _quiet(node: BaseNode) -> bool:
    """The caller is not asked anything here."""
    return not node.asks and not node.ends


def _first_menus(graph: Graph) -> Iterator[FlowMistake]:
    for key in sorted(graph.walk([graph.flow.start], past=_quiet)):
        node = graph.nodes[key]
        if isinstance(node, Menu):
            topics = {choice.topic for choice in node.choices.values()}
            if Topic.COMPLAINT not in topics:
                yield ComplaintMissing(graph.flow.key, key)
            if Topic.CANCELLATION not in topics:
                yield CancellationMissing(graph.flow.key, key)
            if not node.short_prompts:
                yield ShortPromptsMissing(graph.flow.key, key)
        elif isinstance(node, Asking):
            yield DataBeforeMenu(graph.flow.key, key)


def _asks_for_data(node: BaseNode) -> bool:
    return isinstance(node, Collect | ChooseNeighbourhood | Identify)


def _person(graph: Graph) -> Iterator[FlowMistake]:
    person = graph.flow.person
    reached = graph.walk([person], past=lambda node: not _asks_for_data(node))
    if not any(isinstance(graph.nodes[key], Queue) for key in reached):
        yield PersonOutOfReach(graph.flow.key, person)
    for key in sorted(graph.walk([person], past=_quiet)):
        if _asks_for_data(graph.nodes[key]):
            yield PersonAsksForData(graph.flow.key, key)


def _advertising(graph: Graph) -> Iterator[FlowMistake]:
    waiting = graph.walk([graph.flow.person], past=_quiet)
    for key, node in graph.nodes.items():
        heard = list(node.spoken()) if key in waiting or isinstance(node, Queue) else []
        for prompt in [*heard, *node.fillers()]:
            if isinstance(prompt, str) and prompt.startswith(ADVERTS):
                yield AdvertisingWhileWaiting(graph.flow.key, key, prompt=prompt)


def _protocol(graph: Graph) -> Iterator[FlowMistake]:
    flow = graph.flow
    for key in sorted(graph.walk([flow.start], past=_quiet)):
        asked = (graph.nodes[each].asks for each in graph.walk([key], past=_quiet))
        if isinstance(graph.nodes[key], Protocol) and any(asked):  # who is asked nothing goes on to a person with it
            yield ProtocolInGreeting(flow.key, key)
    untold = graph.walk([flow.start, flow.person], past=lambda node: not isinstance(node, Protocol))
    for key in sorted(untold):
        node = graph.nodes[key]
        if node.ends and not (isinstance(node, End) and graph.edges[key]):
            yield ProtocolMissing(flow.key, key)


def _proof(graph: Graph) -> Iterator[FlowMistake]:
    for key, node in graph.nodes.items():
        if isinstance(node, Ticket) and node.category == "cancellation":
            after = [edge.to for edge in graph.edges[key] if edge.name == "next"]
            reached = graph.walk(after, past=lambda each: _quiet(each) and not isinstance(each, Proof))
            if not all(_quiet(graph.nodes[each]) for each in reached):
                yield CancellationNotProved(graph.flow.key, key)
