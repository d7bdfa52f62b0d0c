"""Who calls about a ticket that is there: it goes on under its own protocol, and what is said of it is written down."""

from ura.flows.effects import Lookup, Play, Prompt, Spoken
from ura.flows.engine.acts import acting, settle
from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.knowing import erp_lookup
from ura.flows.engine.lead import forward_lead
from ura.flows.engine.state import Json
from ura.flows.engine.talk import spoken
from ura.flows.events import ActDone, ActFailed, Event, LookupDone, LookupFailed
from ura.flows.parts import BaseNode
from ura.flows.ticket_nodes import ContinueTicket, StillDown, TicketComplaint, TicketMessage, VisitMove

NONE_OF_THESE = "8"
MAY_NOT = ("no_visit", "no_slots", "too_often", "too_late")


def called_args(c: Cursor, node: ContinueTicket) -> dict[str, Json]:
    return {"said": "called", "ticket_id": c.fact("follow.ticket.id")}


def continued(c: Cursor, node: ContinueTicket, result: dict[str, Json]) -> None:
    c.facts["protocol"] = c.facts["continues"] = c.fact("follow.ticket.protocol")


def message_args(c: Cursor, node: TicketMessage) -> dict[str, Json]:
    return {"said": "message", "ticket_id": c.fact("follow.ticket.id"), "recording_id": c.fact("recording_id")}


def complaint_args(c: Cursor, node: TicketComplaint) -> dict[str, Json]:
    return {"said": "delay", "ticket_id": c.fact("follow.ticket.id")}


def still_down_args(c: Cursor, node: StillDown) -> dict[str, Json]:
    return {"incident_id": c.fact("nearby.over.id"), "phone": c.phone()}


def called_back(c: Cursor, node: StillDown, result: dict[str, Json]) -> None:
    c.settled = True
    forward_lead(c)


# -- visit: "" (which slots?) → slot → wished → waiting → told


def put_visit(c: Cursor, node: VisitMove) -> Move:
    words = node.wording
    match c.phase:
        case "slot":
            said: list[Prompt] = [words.intro]
            for slot, press in zip(c.data["slots"], words.press, strict=False):
                said += [Spoken("moment", slot["at"]), press]
            return c.ask(node, (*said, words.other))
        case "wished":
            return c.act("move_visit", c.data["wish"], filler=node.filler)
        case "waiting":
            return erp_lookup("visit_moved", {"event_id": c.data["event_id"]}, node)
        case "told":
            return Play((words.moved, Spoken("moment", c.data["at"])))
    args = {"ticket_id": c.fact("follow.ticket.id"), "caller": c.fact("caller")}
    return Lookup("visit_slots", args, node.filler)


def answer_visit(c: Cursor, node: VisitMove, entry: str) -> Move | None:
    slots = c.data["slots"]
    if entry == NONE_OF_THESE:
        return c.to(node.on.declined)
    if entry not in "12345"[: len(slots)]:
        return None
    slot = slots[int(entry) - 1]
    wish = {name: slot[name] for name in ("starts_at", "technician_id")}
    wish |= {name: c.data[name] for name in ("visit_id", "changes")}
    c.turn("wished")
    c.data |= {"wish": wish, "at": slot["at"]}
    return put_visit(c, node)


def hear_visit(c: Cursor, node: VisitMove, event: Event) -> Move | None:
    if c.phase == "told" and spoken(c, event):
        return c.to(node.on.moved)
    match event:
        case LookupDone("visit_slots", found) if not c.phase:
            return _offer(c, node, found)
        case ActDone("move_visit", result) if c.phase == "wished":
            c.turn("waiting")
            c.data["event_id"] = result.get("event_id")
            c.settled = True
            return put_visit(c, node)
        case LookupDone("visit_moved", found) if c.phase == "waiting":
            return _tell(c, node, str(found.get("state")))
        case LookupFailed() if c.phase == "waiting":  # it is written down, and nobody knows more
            return c.to(node.on.queued)
        case LookupFailed() | ActFailed():
            return c.to(node.on.failed)
    return None


def _offer(c: Cursor, node: VisitMove, found: dict[str, Json]) -> Move:
    state = found.get("state")
    if state in MAY_NOT:
        return c.to(getattr(node.on, str(state)))
    if state != "free" or not found.get("slots"):
        return c.to(node.on.failed)
    c.turn("slot")
    c.data = {name: found[name] for name in ("slots", "visit_id", "changes")}
    return put_visit(c, node)


def _tell(c: Cursor, node: VisitMove, state: str) -> Move:
    if state == "moved":
        c.turn("told")
        return put_visit(c, node)
    return c.to(node.on.refused if state == "refused" else node.on.queued)


HANDLERS: dict[type[BaseNode], Handler] = {
    ContinueTicket: acting("report_ticket", called_args, continued),
    TicketMessage: acting("report_ticket", message_args, settle),
    TicketComplaint: acting("report_ticket", complaint_args, settle),
    StillDown: acting("still_down", still_down_args, called_back),
    VisitMove: Handler(put_visit, hear_visit, answer_visit),
}
