"""A ticket as its page shows it: its history with the messages that went out, its deadline, and what may be done."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api import ticket_views
from api.deps import Wired
from api.routes import orders
from ura import (
    aftermath,
    sla_policies,
    technicians,
    ticket_categories,
    ticket_clock,
    ticket_offers,
    ticket_rules,
    users,
    visits,
)
from ura.errors import Refused
from ura.models import OutboxMessage, Ticket, TicketEventKind, Tier, VisitKind
from ura.ticket_refusals import OfAnotherTier
from ura.ticket_rules import WaitFor
from ura.users import Actor, Permission
from ura.visits import VisitFilter

MOST_VISITS = 20
MOST_SLOTS = 60  # of a week: enough to agree on one


@dataclass(frozen=True, slots=True)
class Line:
    """Of the history: something that was done with the ticket, or a message of its call."""

    at: datetime
    event: ticket_views.TicketEventAnswer | None = None
    message: OutboxMessage | None = None
    assignee: str = ""


async def live_part(session: AsyncSession, actor: Actor, ticket: Ticket, now: datetime) -> dict[str, Any]:
    """What is read again when the ticket changes."""
    shown = await ticket_views.detail(session, actor, ticket)
    fields = await ticket_categories.form_of(session, ticket.category)
    found = await visits.list_visits(session, filters=VisitFilter(ticket_id=ticket.id), limit=MOST_VISITS)
    return {
        "ticket": shown,
        "state": ticket_clock.state_of(ticket, now).value,
        "category": (await ticket_categories.titles(session, [ticket.category]))[ticket.category],
        "form": [(field.title, shown.form[field.key]) for field in fields if field.key in shown.form],
        "lines": await _lines(session, actor, ticket, shown),
        "visits": await orders.answers(session, actor, list(found.items)),
        "is_network": ticket_rules.is_network(actor),
    }


async def acts(session: AsyncSession, things: Wired, actor: Actor, ticket: Ticket, now: datetime) -> dict[str, Any]:
    """What this person may do, and why not the rest."""
    within = timedelta(days=things.settings.ticket_reopen_days)
    may_write = actor.may(Permission.TICKETS_WRITE)
    found = await ticket_offers.offers(session, ticket, actor, now=now, reopen_within=within) if may_write else []
    offered = [each.type for each in found if each.refused is None]
    refused = [(each.type, each.refused.code) for each in found if each.refused]
    due_at_l2 = await ticket_clock.due_at_tier(session, ticket, Tier.L2, now) if "to_l2" in offered else None
    return {
        "may_write": may_write,
        "offered": offered,
        "refused": refused,
        "elsewhere": bool(found) and all(isinstance(each.refused, OfAnotherTier) for each in found),
        "due_at_l2": due_at_l2 if due_at_l2 and due_at_l2 > now else None,
        "fields": await ticket_categories.form_of(session, ticket.category) if ticket.tier is Tier.L1 else (),
        "waits_for": [each for each in WaitFor if ticket.tier is not Tier.L3 or each is not WaitFor.CUSTOMER],
        "people": await _people(session, ticket) if "assign" in offered else [],
        **await _bookable(session, things, actor, ticket, now),
    }


async def explained(session: AsyncSession, ticket: Ticket, now: datetime) -> dict[str, Any]:
    titles = {policy.key: policy.title for policy in await sla_policies.list_policies(session)}
    return {"explained": await ticket_clock.explain(session, ticket, now=now), "policies": titles}


async def _bookable(
    session: AsyncSession, things: Wired, actor: Actor, ticket: Ticket, now: datetime
) -> dict[str, Any]:
    """What may be booked, and when somebody could come; nothing while a visit is to come."""
    kinds = (
        [kind for kind in VisitKind if _may_book(ticket, kind, actor)] if actor.may(Permission.TICKETS_WRITE) else []
    )
    if not kinds or await visits.find_to_come(session, ticket.id):
        return {"bookable": [], "slots": [], "technicians": {}}
    slots = await technicians.list_slots(session, now=now, where=orders.calendar(things))
    shown = slots[:MOST_SLOTS]
    emails = await users.emails_of(session, {slot.technician_id for slot in shown})
    return {"bookable": kinds, "slots": shown, "technicians": emails}


def _may_book(ticket: Ticket, kind: VisitKind, actor: Actor) -> bool:
    with suppress(Refused):
        visits.check_may_book(ticket, kind, actor)
        return True
    return False


async def _people(session: AsyncSession, ticket: Ticket) -> Sequence[str]:
    needed = ticket_rules.OF_TIER[ticket.tier]
    roles = {role for role, granted in users.GRANTS.items() if needed in granted}
    return await users.list_emails(session, roles=roles)


async def _lines(
    session: AsyncSession, actor: Actor, ticket: Ticket, shown: ticket_views.TicketDetail
) -> Sequence[Line]:
    """The newest first."""
    ids = {int(each.detail["assignee_id"]) for each in shown.events if _assigns(each)}
    emails = await users.emails_of(session, ids)
    lines = [
        Line(each.at, event=each, assignee=emails.get(each.detail.get("assignee_id") or 0, "")) for each in shown.events
    ]
    if ticket.call_id and actor.may(Permission.MESSAGES_READ):
        left = await aftermath.of_call(session, ticket.call_id)
        lines += [Line(each.created_at, message=each) for each in left.messages]
    return sorted(reversed(lines), key=lambda line: line.at, reverse=True)


def _assigns(event: ticket_views.TicketEventAnswer) -> bool:
    return event.kind is TicketEventKind.ASSIGNED and bool(event.detail.get("assignee_id"))
