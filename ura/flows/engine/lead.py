"""What becomes of the sales contact. A flow says how far the sale came; the engine leaves no lead open.

`new` and `interested` belong to a sale that is going on. Whichever way a call ends or leaves us, such a lead becomes
`forwarded` (a person has it: queue, callback, message, ticket) or `abandoned`.
"""

from ura.flows.effects import Act
from ura.flows.engine.cursor import Cursor
from ura.flows.engine.state import Json
from ura.flows.nodes import Lead, Topic

OPEN = ("new", "interested")
SETTLED = ("informed", "proposal", "waiting")  # the caller got what was wanted: a later hang-up is no abandonment
FORWARDABLE = (*OPEN, *SETTLED, "not_covered")


def lead_args(c: Cursor, node: Lead) -> dict[str, Json]:
    c.facts["lead_wants_message"] = node.wants_message
    return all_of_lead(c, node.status)


def all_of_lead(c: Cursor, status: str) -> dict[str, Json]:
    """Everything known each time: the record keeps the last word, not a sum."""
    args: dict[str, Json] = {
        "phone": c.phone(),
        "audience": c.fact("audience"),
        "city_id": c.fact("city.id"),
        "neighbourhood_id": c.fact("neighbourhood.id"),
        "plan_id": c.fact("plan.id"),
        "status": status,
        "wants_message": bool(c.facts.get("lead_wants_message")),
    }
    if lead_id := c.facts.get("lead_id"):
        args["lead_id"] = lead_id
    return args


def lead_saved(c: Cursor, node: Lead, result: dict[str, Json]) -> None:
    c.facts["lead_id"] = result.get("lead_id")
    c.facts["lead_status"] = node.status
    c.settled = c.settled or node.status in SETTLED


def abandon_lead(c: Cursor) -> None:
    """The call is over, and the sale had not come to an end."""
    if _lead_in(c, OPEN):
        c.facts["lead_status"] = "abandoned"
        c.owe("save_lead", all_of_lead(c, "abandoned"))


def forward_lead(c: Cursor) -> None:
    """A person will see to it: a callback, a message or a ticket about the sale is written down."""
    if _about_sales(c) and _lead_in(c, FORWARDABLE):
        c.facts["lead_status"] = "forwarded"
        c.owe("save_lead", all_of_lead(c, "forwarded"))


def lead_at_queue(c: Cursor) -> Act | None:
    """What becomes of the lead when the call leaves us for a queue. The facts keep what it was: a queue may give the
    caller back, and who hangs up then has abandoned."""
    if _about_sales(c) and _lead_in(c, FORWARDABLE):
        return c.act("save_lead", all_of_lead(c, "forwarded"))
    return c.act("save_lead", all_of_lead(c, "abandoned")) if _lead_in(c, OPEN) else None


def _lead_in(c: Cursor, statuses: tuple[str, ...]) -> bool:
    return bool(c.facts.get("lead_id")) and c.facts.get("lead_status") in statuses


def _about_sales(c: Cursor) -> bool:
    """Who went on to another subject has left the sale. A flow that names no subjects knows none other."""
    return c.facts.get("topic") in (None, Topic.SALES)
