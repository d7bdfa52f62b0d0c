"""What is unfinished between us and who calls, by the number alone, and how does that ticket stand?"""

import asyncio
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ura import ticket_calls, visit_calls, visits
from ura.caller_lookups.callers import Args, Callers, Json
from ura.caller_lookups.wishes import until
from ura.models import Category, Ticket, TicketStatus, Tier, Visit
from ura.ticket_rules import WaitFor
from ura.visit_calls import May

log = structlog.get_logger(__name__)

NAMED = (Category.SUPPORT, Category.BILLING, Category.SALES, Category.COMPLAINT)
WAITS = tuple(reason.value for reason in WaitFor)
STATES = (*(tier.value for tier in Tier), "visit", "incident", *WAITS, "waiting")
# What is named here and not in the flow; all of it is in the catalogue.
PROMPTS = frozenset(
    {
        *(f"ticket.open.{name}" for name in (*NAMED, "other")),
        *(f"ticket.{what}.{state}" for what in ("status", "next") for state in STATES),
        *(f"ticket.deadline.{how}" for how in ("is", "was", "late", "none", "stopped")),
        *(f"ticket.visit.{how}" for how in ("is", "was", "late")),
    }
)


async def unfinished(callers: Callers, caller: str, *, within_s: float) -> dict[str, Json]:
    """`ticket` (`id`, `prompt`: "you have a ticket …"), else `over`: the incident (`id`) whose end they may doubt; most
    of the time neither. Trouble is no reason to keep anybody from the menu: then there is nothing."""
    if not caller:
        return {}
    try:
        async with asyncio.timeout(within_s), callers.house.sessions() as session:
            if ticket := await ticket_calls.find_open(session, caller):
                return {"ticket": {"id": ticket.id, "prompt": _spoken(callers, _about(ticket), "ticket.open.other")}}
            over = await ticket_calls.find_over(session, caller, now=callers.now())
            return {"over": {"id": over}} if over else {}
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        log.warning("nobody can say what is unfinished; the caller hears the menu", error=type(error).__name__)
        return {}


async def open_ticket(callers: Callers, args: Args) -> dict[str, Json]:
    """`ticket`, None when it was closed meanwhile: its `protocol`, then prompts of how it stands (`status`) and what
    comes next (`next`), and the deadline, as it is: `deadline`, `due_at`, `late`; `visit` likewise."""
    now = callers.now()
    async with callers.house.sessions() as session:
        ticket = await ticket_calls.find_of_caller(session, str(args["ticket_id"]), str(args["caller"] or ""))
        if ticket is None:
            return {"ticket": None}
        visit = await visits.find_to_come(session, ticket.id)
        state = await _state(session, ticket, visit)
    told: dict[str, Json] = {"id": ticket.id, "protocol": ticket.protocol, "status": f"ticket.status.{state}"}
    told |= {"next": f"ticket.next.{state}"} | _deadline(callers, ticket, now)
    return {"ticket": told, "visit": _visit(callers, visit, now) if visit else None}


async def visit_slots(callers: Callers, args: Args) -> dict[str, Json]:
    """`state`: may the visit be put off (`visit_calls.May`)? `slots` only when it may; each has its moment `at`."""
    now, policy = callers.now(), callers.house.visit_policy
    async with callers.house.sessions() as session:
        ticket = await ticket_calls.find_of_caller(session, str(args["ticket_id"]), str(args["caller"] or ""))
        visit = await visits.find_to_come(session, ticket.id) if ticket else None
        may = visit_calls.may_put_off(visit, policy=policy, now=now)
        if visit is None or may is not May.FREE:
            return {"state": may.value}
        found = await visit_calls.list_choices(session, visit, policy=policy, now=now)
    slots = [
        {
            "at": callers.local(slot.starts_at),
            "starts_at": slot.starts_at.isoformat(),
            "technician_id": slot.technician_id,
        }
        for slot in found
    ]
    state = May.FREE if slots else May.NO_SLOTS
    return {"state": state.value, "slots": slots, "visit_id": visit.id, "changes": visit.customer_changes}


async def visit_moved(callers: Callers, args: Args) -> dict[str, Json]:
    """`state` "moved", "refused", or "queued": not yet, it goes on without the call."""

    async def look() -> dict[str, Json] | None:
        async with callers.house.sessions() as session:
            found = await visit_calls.find_outcome(session, str(args["event_id"]))
        return {"state": found} if found else None

    return await until(look, wait=callers.wait) or {"state": "queued"}


async def _state(session: AsyncSession, ticket: Ticket, visit: Visit | None) -> str:
    """What a caller would want to know first: that they are waited for; else a visit, an outage, who has it."""
    if reason := await ticket_calls.waits_for(session, ticket):
        return reason if reason in WAITS else "waiting"
    if visit:
        return "visit"
    return "incident" if ticket.incident_id else ticket.tier.value


def _deadline(callers: Callers, ticket: Ticket, now: datetime) -> dict[str, Json]:
    """What was promised aloud, else what we owe by our own rules. Late is told as late."""
    due_at = ticket.told_deadline_at or ticket.due_at
    if due_at is None:
        stopped = ticket.status is TicketStatus.WAITING
        return {"deadline": "ticket.deadline.stopped" if stopped else "ticket.deadline.none"}
    if due_at < now:
        return {"deadline": "ticket.deadline.was", "due_at": callers.local(due_at), "late": "ticket.deadline.late"}
    return {"deadline": "ticket.deadline.is", "due_at": callers.local(due_at)}


def _visit(callers: Callers, visit: Visit, now: datetime) -> dict[str, Json]:
    told: dict[str, Any] = {"id": visit.id, "at": callers.local(visit.starts_at)}
    if visit.ends_at < now:
        return told | {"prompt": "ticket.visit.was", "late": "ticket.visit.late"}
    return told | {"prompt": "ticket.visit.is"}


def _about(ticket: Ticket) -> str:
    named = next((each for each in NAMED if each == ticket.category), None)
    return f"ticket.open.{named.value}" if named else "ticket.open.other"


def _spoken(callers: Callers, prompt: str, otherwise: str) -> str:
    return prompt if callers.house.can_speak(prompt) else otherwise
