"""A ticket as whoever asks may see it.

Who may not ring customers sees numbers masked, in the texts too; who keeps the network sees none, and no address.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.call_views import phone_for, text_for
from api.schemas import Answer
from ura import summaries, ticket_categories, ticket_rules, tickets, users
from ura.models import Ticket, TicketEvent, TicketEventKind, TicketStatus, Tier
from ura.users import Actor

Json = Any


class TicketAnswer(Answer):
    id: str
    protocol: str
    erp_protocol: str
    call_id: str | None
    contract_ref: str
    segment: str
    tier: Tier
    status: TicketStatus
    category: str
    summary: str
    phone: str
    queue: str
    assignee: str = Field(default="", description="Whose it is, a user's e-mail; empty: nobody's yet.")
    incident_id: str | None
    opened_at: datetime
    opened_by: str
    told_deadline_at: datetime | None
    due_at: datetime | None
    breached_at: datetime | None
    priority: int
    closed_at: datetime | None
    version: int


class TicketEventAnswer(Answer):
    id: str
    at: datetime
    actor: str
    kind: TicketEventKind
    text: str
    detail: dict[str, Json]
    internal: bool


class TicketDetail(TicketAnswer):
    report: str
    form: dict[str, Json]
    events: list[TicketEventAnswer]


async def answers(session: AsyncSession, actor: Actor, found: Sequence[Ticket]) -> list[TicketAnswer]:
    emails = await users.emails_of(session, {each.assignee_id for each in found if each.assignee_id})
    return [_answer(actor, ticket, emails) for ticket in found]


async def detail(
    session: AsyncSession, actor: Actor, ticket: Ticket, lines: Sequence[TicketEvent] | None = None
) -> TicketDetail:
    """`lines`: its history, when it is at hand."""
    if lines is None:
        lines = await tickets.list_events(session, ticket)
    [answer] = await answers(session, actor, [ticket])
    return TicketDetail(
        **answer.model_dump(),
        report=text_for(actor, ticket.report),
        form=await _form(session, actor, ticket),
        events=[told(actor, ticket, event) for event in lines],
    )


def told(actor: Actor, ticket: Ticket, event: TicketEvent) -> TicketEventAnswer:
    """The first line of the history repeats the summary."""
    text = summaries.told(ticket, event.text) if event.kind is TicketEventKind.OPENED else event.text
    return TicketEventAnswer.model_validate(event).model_copy(update={"text": text_for(actor, text)})


def _answer(actor: Actor, ticket: Ticket, emails: Mapping[int, str]) -> TicketAnswer:
    shown = {
        "phone": "" if ticket_rules.is_network(actor) else phone_for(actor, ticket.phone),
        "summary": text_for(actor, summaries.told(ticket)),
        "assignee": emails.get(ticket.assignee_id or 0, ""),
    }
    return TicketAnswer.model_validate(ticket).model_copy(update=shown)


async def _form(session: AsyncSession, actor: Actor, ticket: Ticket) -> dict[str, Json]:
    personal: set[str] = set()
    if ticket_rules.is_network(actor):
        personal = {each.key for each in await ticket_categories.form_of(session, ticket.category) if each.personal}
    return {
        key: text_for(actor, answer) if isinstance(answer, str) else answer
        for key, answer in ticket.form.items()
        if key not in personal
    }
