"""A compiled flow as a graph: which node can follow which, and where the caller has acted in between."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ura.flows.caller_nodes import (
    Identify,
    Invoices,
    Outage,
    Promise,
    ReadLine,
    SendInvoice,
    SessionReset,
    TrustUnlock,
)
from ura.flows.engine.compiled import CompiledFlow
from ura.flows.nodes import (
    Asking,
    BaseNode,
    Branch,
    ChooseNeighbourhood,
    Collect,
    End,
    Menu,
    Message,
    OfferPlans,
    Queue,
    Steps,
    Subflow,
)
from ura.flows.ticket_nodes import VisitMove

ACTED: dict[type[BaseNode], Callable[[str], bool]] = {
    Menu: lambda edge: edge.startswith("choices."),
    Collect: lambda edge: edge == "next",
    ChooseNeighbourhood: lambda edge: edge in ("on.covered", "on.planned", "on.none"),
    OfferPlans: lambda edge: edge in ("on.sent", "on.number", "on.sales", "on.done"),
    Steps: lambda edge: edge.startswith("on."),
    Message: lambda edge: edge == "next",
    Queue: lambda edge: edge == "on.key",
    Identify: lambda edge: edge == "on.missed",
    Outage: lambda edge: edge == "on.subscribed",
    SessionReset: lambda edge: edge in ("on.online", "on.offline"),
    Invoices: lambda edge: edge in ("on.send", "on.read", "on.verify", "on.dispute", "on.done"),
    SendInvoice: lambda edge: edge in ("on.sent", "on.queued"),
    ReadLine: lambda edge: edge == "on.send",
    TrustUnlock: lambda edge: edge == "on.queued",
    Promise: lambda edge: edge in ("on.promised", "on.refused", "on.queued"),
    VisitMove: lambda edge: edge in ("on.moved", "on.refused", "on.queued"),
}


def _never(edge: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Edge:
    """`acted`: the caller pressed or said something to get here; silence does not lead this way."""

    name: str
    to: str
    acted: bool


class Graph:
    """Nodes by absolute key (`subflow/node`). Edges to nodes that do not exist are left out."""

    def __init__(self, compiled: CompiledFlow) -> None:
        self.flow = compiled.flow
        self.nodes = compiled.nodes
        self._compiled = compiled
        self.edges = {key: self._known(key, node) for key, node in self.nodes.items()}

    def _known(self, key: str, node: BaseNode) -> list[Edge]:
        return [edge for edge in self._edges(key, node) if edge.to in self.nodes]

    def _edges(self, key: str, node: BaseNode) -> Iterator[Edge]:
        acted = ACTED.get(type(node), _never)
        for name, to in self._leading(key, node):
            yield Edge(name, to, acted(name) or name == "invalid")

    def _leading(self, key: str, node: BaseNode) -> Iterator[tuple[str, str]]:
        """(name of the edge, absolute key of its target), as the engine goes."""
        above = key.rpartition("/")[0]
        if isinstance(node, Subflow):
            yield "flow", self._compiled.starts[key]
        elif isinstance(node, End) and node.returns and above:
            caller = self.nodes[above]
            assert isinstance(caller, Subflow)
            yield "returns", _beside(above, caller.next)
        else:
            yield from ((name, _beside(key, target)) for name, target in node.edges())
        if isinstance(node, Branch) and node.otherwise is None:
            yield "otherwise", self.flow.person
        if isinstance(node, Asking):
            if node.no_input is None or node.no_input.next is None:
                after = node.on_silence().next
                yield "no_input", _beside(key, after) if after else self.flow.person
            if node.invalid is None or node.invalid.next is None:
                after = node.on_wrong_key().next
                yield "invalid", _beside(key, after) if after else self.flow.person

    def walk(
        self,
        starts: Iterable[str],
        *,
        past: Callable[[BaseNode], bool] = lambda _: True,
        along: Callable[[BaseNode, Edge], bool] = lambda _, __: True,
    ) -> set[str]:
        """Every node that can be reached from `starts`; a node for which `past` is false is reached, not passed; of
        its edges only those that go `along`."""
        seen: set[str] = set()
        todo = [key for key in starts if key in self.nodes]
        while todo:
            key = todo.pop()
            if key in seen:
                continue
            seen.add(key)
            if past(self.nodes[key]):
                todo += [edge.to for edge in self.edges[key] if along(self.nodes[key], edge)]
        return seen

    def reaching(self, goals: Iterable[str]) -> set[str]:
        """Every node from which one of `goals` can be reached."""
        before: dict[str, list[str]] = {key: [] for key in self.nodes}
        for key, edges in self.edges.items():
            for edge in edges:
                before[edge.to].append(key)
        seen: set[str] = set()
        todo = list(goals)
        while todo:
            key = todo.pop()
            if key not in seen:
                seen.add(key)
                todo += before[key]
        return seen

    def silent_circles(self) -> Iterator[list[str]]:
        """Circles in which the caller never acts, each once."""
        done: set[str] = set()
        for root in self.nodes:
            if root in done:
                continue
            path, trail = [root], [self._silent(root)]
            while trail:
                to = next(trail[-1], None)
                if to is None:
                    trail.pop()
                    done.add(path.pop())
                elif to in path:
                    yield path[path.index(to) :]
                elif to not in done:
                    path.append(to)
                    trail.append(self._silent(to))

    def _silent(self, key: str) -> Iterator[str]:
        return iter([edge.to for edge in self.edges[key] if not edge.acted])


def _beside(key: str, target: str) -> str:
    """A target is written relative to the flow its node stands in."""
    above = key.rpartition("/")[0]
    return f"{above}/{target}" if above else target
