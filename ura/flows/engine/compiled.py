"""A flow made ready to run: nodes by key, subflows laid in under `<subflow node>/<key>`."""

from collections.abc import Mapping
from dataclasses import dataclass

from ura.errors import BadInput
from ura.flows.nodes import BaseNode, Flow, Subflow


class SubflowLoop(BadInput):
    """A flow that calls itself, directly or through another."""

    code = "flow-calls-itself"


class SubflowMissing(BadInput):
    code = "subflow-missing"


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    """What `step` runs. `starts`: where each subflow node enters. `number`: the published version, 0 when none."""

    flow: Flow
    nodes: dict[str, BaseNode]
    starts: dict[str, str]
    number: int = 0


def compile_flow(flow: Flow, others: Mapping[str, Flow] | None = None, *, number: int = 0) -> CompiledFlow:
    """Lay the nodes out. `others` are the flows that `subflow` nodes may name, by key."""
    compiled = CompiledFlow(flow, {}, {}, number)
    _lay(compiled, flow, others or {}, "", (flow.key,))
    return compiled


def _lay(compiled: CompiledFlow, flow: Flow, others: Mapping[str, Flow], at: str, above: tuple[str, ...]) -> None:
    for node in flow.nodes:
        key = at + node.key
        compiled.nodes[key] = node
        if isinstance(node, Subflow):
            if node.flow in above:
                raise SubflowLoop(" -> ".join((*above, node.flow)))
            if node.flow not in others:
                raise SubflowMissing(f"{flow.key}.{node.key}: {node.flow}")
            inner = others[node.flow]
            compiled.starts[key] = f"{key}/{inner.start}"
            _lay(compiled, inner, others, f"{key}/", (*above, node.flow))
