"""The lists as CSV for a spreadsheet: what the list shows, for whom it shows it, and the audit says who took it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api import csv, pages
from api.call_views import text_for
from api.csv import MEDIA_TYPE, Column
from api.deps import CallbackReader, CallReader, LeadReader, ReportReader, SessionDep, TicketReader, Wired, WiredDep
from api.errors import described
from api.routes.reports import FirstDay, LastDay, Version, period
from api.schemas import Moment
from ura import audit, calls, leads, queues, reports, summaries, ticket_rules, tickets
from ura.calls import CallFilter
from ura.leads import LeadFilter
from ura.models import Call, Callback, CallbackState, Lead, LeadStatus, Outcome, Ticket, TicketStatus, Tier
from ura.paging import LARGEST_PAGE, Page
from ura.queues import CallbackFilter
from ura.reports import NodeFigures
from ura.tickets import TicketFilter
from ura.users import Actor, Permission

router = APIRouter()  # before the nouns' own: their `/{id}` would take `export.csv` for one

From = Annotated[Moment | None, Query(alias="from", description="With a time zone; inclusive.")]
Before = Annotated[Moment | None, Query(alias="to", description="With a time zone; exclusive.")]
EXAMPLE = "Aberto em;Protocolo;Telefone\r\n23/11/2026 12:00;263 260 000 174;(11) 93333-0002\r\n"
A_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": EXAMPLE}},
        "description": "The whole list.",
    },
    **described(),
}
Fetch = Callable[[AsyncSession, str], Awaitable[Page[Any]]]


@dataclass(frozen=True, slots=True)
class LeadLine:
    lead: Lead
    wish: str


@router.get(
    "/calls/export.csv",
    tags=["calls"],
    summary="Calls as CSV",
    response_class=StreamingResponse,
    responses=A_FILE,
)
async def export_calls(
    actor: CallReader,
    session: SessionDep,
    things: WiredDep,
    outcome: Outcome | None = None,
    opened_from: From = None,
    opened_before: Before = None,
) -> StreamingResponse:
    wanted = CallFilter(outcome=outcome, opened_from=opened_from, opened_before=opened_before)
    see = _sees(actor)
    columns: list[Column[Call]] = [
        Column("opened_at", lambda call: call.opened_at),
        Column("protocol", lambda call: pages.protocol(call.protocol or "")),
        Column("caller", lambda call: _phone(call.caller, see)),
        Column("did", lambda call: _phone(f"+{call.did}", whole=True) if call.did else ""),
        Column("door", lambda call: call.door),
        Column("queue", lambda call: call.queue),
        Column("answered_at", lambda call: call.answered_at),
        Column("attendant", lambda call: call.attendant),
        Column("ended_at", lambda call: call.ended_at),
        Column(
            "seconds", lambda call: round((call.ended_at - call.opened_at).total_seconds()) if call.ended_at else None
        ),
        Column("outcome", lambda call: call.outcome),
        Column("last_node", lambda call: call.last_node),
        Column("id", lambda call: call.id),
    ]

    async def fetch(session: AsyncSession, cursor: str) -> Page[Call]:
        return await calls.list_calls(session, filters=wanted, cursor=cursor, limit=LARGEST_PAGE)

    return await _answer(actor, session, things, "calls", columns, fetch)


@router.get(
    "/tickets/export.csv",
    tags=["tickets"],
    summary="Tickets as CSV",
    response_class=StreamingResponse,
    responses=A_FILE,
)
async def export_tickets(
    actor: TicketReader,
    session: SessionDep,
    things: WiredDep,
    status: TicketStatus | None = None,
    tier: Tier | None = None,
    queue: Annotated[str, Query(max_length=64)] = "",
    opened_from: From = None,
    opened_before: Before = None,
) -> StreamingResponse:
    wanted = TicketFilter(
        status=status,
        tier=tier,
        queue=queue,
        opened_from=opened_from,
        opened_before=opened_before,
    )
    see = _sees(actor)
    columns: list[Column[Ticket]] = [
        Column("opened_at", lambda ticket: ticket.opened_at),
        Column("protocol", lambda ticket: pages.protocol(ticket.protocol)),
        Column("tier", lambda ticket: ticket.tier),
        Column("status", lambda ticket: ticket.status),
        Column("category", lambda ticket: csv.words()["values"].get(ticket.category, ticket.category)),
        Column("summary", lambda ticket: text_for(actor, summaries.told(ticket))),
        Column("phone", lambda ticket: "" if ticket_rules.is_network(actor) else _phone(ticket.phone, see)),
        Column("queue", lambda ticket: ticket.queue),
        Column("due_at", lambda ticket: ticket.due_at),
        Column("closed_at", lambda ticket: ticket.closed_at),
        Column("opened_by", lambda ticket: ticket.opened_by),
        Column("id", lambda ticket: ticket.id),
    ]

    async def fetch(session: AsyncSession, cursor: str) -> Page[Ticket]:
        return await tickets.list_tickets(session, filters=wanted, cursor=cursor, limit=LARGEST_PAGE)

    return await _answer(actor, session, things, "tickets", columns, fetch)


@router.get(
    "/leads/export.csv",
    tags=["leads"],
    summary="Leads as CSV",
    response_class=StreamingResponse,
    responses=A_FILE,
)
async def export_leads(
    actor: LeadReader,
    session: SessionDep,
    things: WiredDep,
    status: LeadStatus | None = None,
    created_from: From = None,
    created_before: Before = None,
) -> StreamingResponse:
    wanted = LeadFilter(status=status, created_from=created_from, created_before=created_before)
    see = _sees(actor)
    columns: list[Column[LeadLine]] = [
        Column("created_at", lambda one: one.lead.created_at),
        Column("status", lambda one: one.lead.status),
        Column("audience", lambda one: one.lead.audience),
        Column("wish", lambda one: one.wish),
        Column("phone", lambda one: _phone(one.lead.phone, see)),
        Column("owner", lambda one: one.lead.owner),
        Column("next_action_at", lambda one: one.lead.next_action_at),
        Column("source", lambda one: one.lead.source),
        Column("source_ref", lambda one: one.lead.source_ref),
        Column("lost_reason", lambda one: one.lead.lost_reason),
        Column("updated_at", lambda one: one.lead.updated_at),
        Column("id", lambda one: one.lead.id),
    ]

    async def fetch(session: AsyncSession, cursor: str) -> Page[LeadLine]:
        page = await leads.list_leads(session, filters=wanted, cursor=cursor, limit=LARGEST_PAGE)
        wishes = await leads.wishes(session, page.items)
        return Page([LeadLine(lead, wishes[lead.id]) for lead in page.items], page.next_cursor)

    return await _answer(actor, session, things, "leads", columns, fetch)


@router.get(
    "/callbacks/export.csv",
    tags=["callbacks"],
    summary="Calls to return as CSV",
    response_class=StreamingResponse,
    responses=A_FILE,
)
async def export_callbacks(
    actor: CallbackReader, session: SessionDep, things: WiredDep, state: CallbackState | None = None
) -> StreamingResponse:
    wanted = CallbackFilter(state=state)
    see = _sees(actor)
    columns: list[Column[Callback]] = [
        Column("created_at", lambda one: one.created_at),
        Column("phone", lambda one: _phone(one.phone, see)),
        Column("queue", lambda one: one.queue),
        Column("state", lambda one: one.state),
        Column("not_before_at", lambda one: one.not_before_at),
        Column("done_at", lambda one: one.done_at),
        Column("id", lambda one: one.id),
    ]

    async def fetch(session: AsyncSession, cursor: str) -> Page[Callback]:
        return await queues.list_callbacks(session, filters=wanted, cursor=cursor, limit=LARGEST_PAGE)

    return await _answer(actor, session, things, "callbacks", columns, fetch)


@router.get(
    "/reports/flow/export.csv",
    tags=["reports"],
    summary="Where callers go in a flow, as CSV",
    response_class=StreamingResponse,
    responses=A_FILE,
)
async def export_report(
    actor: ReportReader,
    session: SessionDep,
    things: WiredDep,
    flow_key: Annotated[str, Query(max_length=64)] = "provedor",
    version: Version = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> StreamingResponse:
    since, until = period(first, last, things.settings.zone)
    columns: list[Column[NodeFigures]] = [
        Column("node", lambda one: one.node),
        Column("calls", lambda one: one.calls),
        Column("hung_up", lambda one: one.hung_up),
        Column("silences", lambda one: one.silences),
        Column("failures", lambda one: one.failures),
        Column("seconds_to_key", lambda one: one.seconds_to_key),
        Column("keys", lambda one: ", ".join(f"{key}: {count}" for key, count in one.keys.items())),
    ]

    async def fetch(session: AsyncSession, _cursor: str) -> Page[NodeFigures]:
        found = await reports.flow_figures(session, flow_key=flow_key, version=version, since=since, until=until)
        return Page(found.nodes, "")

    return await _answer(actor, session, things, "flow", columns, fetch)


async def _answer(
    actor: Actor, session: AsyncSession, things: Wired, name: str, columns: Sequence[Column[Any]], fetch: Fetch
) -> StreamingResponse:
    detail = {"phones": _sees(actor)}
    now = datetime.now(UTC)
    await audit.record(session, actor=actor.name, action="list.exported", subject=name, detail=detail, at=now)
    day = now.astimezone(things.settings.zone).strftime("%Y-%m-%d")
    return await csv.answer(csv.pages(things.sessions, columns, fetch, things.settings.zone), f"{name}-{day}")


def _sees(actor: Actor) -> bool:
    return actor.may(Permission.PHONES_SEE)


def _phone(number: str, whole: bool) -> str:
    """As people write it: Excel would round "+5511933330002" as a figure. Empty when hidden."""
    return pages.phone(number, whole) if number else ""


def _seconds(call: Call) -> int | None:
    return round((call.ended_at - call.opened_at).total_seconds()) if call.ended_at else None
