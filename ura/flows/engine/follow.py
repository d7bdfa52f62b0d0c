"""Who calls about a ticket that is there: it goes on under its own protocol, and what is said of it is written down."""

from ura.flows.engine.acts import acting, settle
from ura.flows.engine.cursor import Cursor, Handler
from ura.flows.engine.lead import forward_lead
from ura.flows.engine.state import Json
from ura.flows.parts import BaseNode
from ura.flows.ticket_nodes import ContinueTicket, StillDown, TicketComplaint, TicketMessage


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


HANDLERS: dict[type[BaseNode], Handler] = {
    ContinueTicket: acting("report_ticket", called_args, continued),
    TicketMessage: acting("report_ticket", message_args, settle),
    TicketComplaint: acting("report_ticket", complaint_args, settle),
    StillDown: acting("still_down", still_down_args, called_back),
}
