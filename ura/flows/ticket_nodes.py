"""Node kinds for who calls about a ticket that is there. All speak of the fact `follow`, which the lookup `open_ticket`
leaves, or of `nearby.over`: an incident that is said to be over. None says anything itself; each is written down,
durably, before the flow goes on to `next`."""

from typing import Literal

from ura.flows.caller_nodes import PRESS, AsksErp
from ura.flows.parts import BaseNode, Declinable, NodeKey, Part, PromptKey, Wording


class ContinueTicket(BaseNode):
    """This call is about that ticket: its history says so, and the ticket's protocol is the call's from here on.
    Leaves the fact `protocol`."""

    type: Literal["continue_ticket"] = "continue_ticket"
    next: NodeKey
    failed: NodeKey


class TicketMessage(BaseNode):
    """Puts the recording that a `message` node before it has kept into that ticket's history."""

    type: Literal["ticket_message"] = "ticket_message"
    next: NodeKey
    failed: NodeKey


class TicketComplaint(BaseNode):
    """The caller says that it takes too long: one priority more, and an alarm for the supervisors."""

    type: Literal["ticket_complaint"] = "ticket_complaint"
    next: NodeKey
    failed: NodeKey


class StillDown(BaseNode):
    """The incident is said to be over, and the caller says that it is not: somebody calls back."""

    type: Literal["still_down"] = "still_down"
    next: NodeKey
    failed: NodeKey


class VisitWording(Wording):
    """Heard like: `intro` (moment) press.1 (moment) press.2 … `other`; then `moved` (moment)."""

    intro: PromptKey = "visit.slots"
    press: tuple[PromptKey, ...] = PRESS
    other: PromptKey = "visit.slots_none"  # "Para deixar como está, digite oito."
    moved: PromptKey = "visit.moved"


class VisitEdges(Part):
    moved: NodeKey
    declined: NodeKey
    refused: NodeKey  # somebody else has the slot, or changed the visit
    queued: NodeKey  # written down, and not done in time
    no_visit: NodeKey
    no_slots: NodeKey
    too_often: NodeKey
    too_late: NodeKey
    failed: NodeKey


class VisitMove(Declinable, AsksErp):
    """Puts the visit of that ticket off to a slot of a menu: the free ones that the provider's policy allows."""

    type: Literal["visit_move"] = "visit_move"
    wording: VisitWording = VisitWording()
    on: VisitEdges
