"""A wish to the provider's system: written down durably, done by another process, and waited for a little.

Phases: wished (act) → waiting (lookup). What comes of it is `Settled`; without a word in time it stays a wish that is
written down, and the caller is told so.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from ura.flows.caller_nodes import AsksErp
from ura.flows.engine.cursor import Cursor, Move
from ura.flows.engine.knowing import about, erp_lookup
from ura.flows.engine.state import Json
from ura.flows.events import ActDone, ActFailed, Event, LookupDone, LookupFailed


@dataclass(frozen=True, slots=True)
class Settled:
    """`done`: the system has spoken, a refusal too. `queued`: not yet. `failed`: nobody will ask it again."""

    outcome: Literal["done", "queued", "failed", "unsupported"]
    result: dict[str, Json] = field(default_factory=dict)


def make_wish(c: Cursor, node: AsksErp, operation: str, **args: Json) -> Move:
    """`tell`: who does not hear the result in this call gets it by message."""
    c.turn("wished")
    c.seq += 1
    c.data |= {"wish": {"operation": operation, "args": about(c, tell=c.mobile(), **args)}}
    return put_wish(c, node)


def put_wish(c: Cursor, node: AsksErp) -> Move:
    """The effect of both phases."""
    if c.phase == "wished":
        return c.act("request_erp", c.data["wish"], filler=node.filler)
    return erp_lookup("erp_result", about(c, request_id=c.data["request_id"]), node)


def hear_wish(c: Cursor, node: AsksErp, event: Event) -> Move | Settled | None:
    match event:
        case ActDone("request_erp", result) if c.phase == "wished":
            c.turn("waiting")
            c.data["request_id"] = result.get("request_id")
            c.settled = True
            return put_wish(c, node)
        case ActFailed() if c.phase == "wished":
            return Settled("failed")
        case LookupDone("erp_result", result) if c.phase == "waiting":
            return _settled(result)
        case LookupFailed() if c.phase == "waiting":
            return Settled("queued")
    return None


def _settled(answer: dict[str, Any]) -> Settled:
    result = answer.get("result")
    match answer.get("state"):
        case "done" if isinstance(result, dict):
            return Settled("unsupported") if result.get("unsupported") else Settled("done", result)
        case "failed":
            return Settled("failed")
    return Settled("queued")
