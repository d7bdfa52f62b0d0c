"""The panel's list of tickets: what there is to do, how many where, and the filters that somebody wants again."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages, ticket_views
from api.deps import SessionDep, TicketReader, WiredDep
from ura import phones, saved_filters, ticket_alarms, ticket_categories, ticket_clock, ticket_counts, tickets
from ura.errors import BadInput
from ura.models import TicketStatus, Tier
from ura.models.saved_filter import LONGEST_NAME
from ura.ticket_counts import Counts
from ura.tickets import WHOLE_PROTOCOL, TicketFilter
from ura.users import Actor, Permission

router = APIRouter(prefix="/panel/tickets", include_in_schema=False, default_response_class=HTMLResponse)

HERE = "/panel/tickets"
ON_A_PAGE = 50
SOON = timedelta(hours=24)
NOBODY = -1
SHORTEST_SEARCH = 5  # digits of a protocol: the day


class Chosen(BaseModel):
    """The filter form. An empty field does not filter. `q` is searched for and never kept; an incident passes."""

    tier: Tier | None = None
    status: TicketStatus | None = None
    category: str = Field(default="", max_length=64)
    due: Literal["", "missed", "soon"] = ""
    mine: Literal["", "1"] = ""
    incident: str = Field(default="", max_length=32)
    q: str = Field(default="", max_length=20)
    cursor: str = Field(default="", max_length=200)

    def kept(self) -> dict[str, str]:
        """What a saved filter is made of."""
        given = self.model_dump(mode="json", exclude={"q", "incident", "cursor"}, exclude_none=True)
        return {name: value for name, value in given.items() if value}

    def given(self) -> dict[str, str]:
        passing = {"incident": self.incident, "q": self.q}
        return {**self.kept(), **{name: value for name, value in passing.items() if value}}


def _chosen(request: Request) -> Chosen:
    return _read(dict(request.query_params))


ChosenDep = Annotated[Chosen, Depends(_chosen)]


class Program(BadInput):
    code = "programs-save-no-filters"


@router.get("")
async def show_tickets(
    request: Request, session: SessionDep, things: WiredDep, actor: TicketReader, chosen: ChosenDep
) -> Response:
    position = await things.broadcaster.position()  # before reading: what comes after it will be told
    given = chosen.given()
    return pages.page(
        request,
        "tickets.html",
        here="tickets",
        position=position,
        categories=await ticket_categories.list_all(session),
        saved=await saved_filters.list_of(session, actor.user_id) if actor.user_id else [],
        chosen={**dict.fromkeys(("tier", "status", "category", "due", "mine", "incident", "q"), ""), **given},
        kept=chosen.kept(),
        query=urlencode({**given, "cursor": chosen.cursor} if chosen.cursor else given),
        **await _rows(session, actor, chosen),
    )


@router.get("/list")
async def read_list(request: Request, session: SessionDep, actor: TicketReader, chosen: ChosenDep) -> Response:
    """The rows and figures anew, for a page that was told that tickets changed."""
    return pages.page(request, "_tickets_changed.html", **await _rows(session, actor, chosen))


@router.post("/filters")
async def save_filter(
    session: SessionDep,
    actor: TicketReader,
    name: Annotated[str, Form(max_length=LONGEST_NAME)] = "",
    tier: Annotated[str, Form(max_length=16)] = "",
    status: Annotated[str, Form(max_length=16)] = "",
    category: Annotated[str, Form(max_length=64)] = "",
    due: Annotated[str, Form(max_length=16)] = "",
    mine: Annotated[str, Form(max_length=1)] = "",
) -> Response:
    wanted = _read({"tier": tier, "status": status, "category": category, "due": due, "mine": mine}).kept()
    await saved_filters.save(session, _owner(actor), name=name, wanted=wanted, now=datetime.now(UTC))
    return RedirectResponse(f"{HERE}?{urlencode(wanted)}", status_code=303)


@router.post("/filters/remove")
async def remove_filter(
    session: SessionDep, actor: TicketReader, name: Annotated[str, Form(max_length=LONGEST_NAME)] = ""
) -> Response:
    await saved_filters.remove(session, _owner(actor), name=name)
    return RedirectResponse(HERE, status_code=303)


async def _rows(session: AsyncSession, actor: Actor, chosen: Chosen) -> dict[str, Any]:
    now = datetime.now(UTC)
    wanted = _filter(chosen, actor, now)
    page = await tickets.list_tickets(session, filters=wanted, cursor=chosen.cursor, limit=ON_A_PAGE)
    shown = await ticket_views.answers(session, actor, page.items)
    given = chosen.given()
    return {
        "rows": [
            (answer, ticket_clock.state_of(ticket, now).value) for ticket, answer in zip(page.items, shown, strict=True)
        ],
        "titles": await ticket_categories.titles(session, {ticket.category for ticket in page.items}),
        "figures": _figures(await ticket_counts.count(session, now=now, user_id=actor.user_id)),
        "delays": await ticket_alarms.list_delays(session, now=now) if actor.may(Permission.REPORTS_READ) else [],
        "filtered": bool(given),
        "next_page": f"{HERE}?{urlencode({**given, 'cursor': page.next_cursor})}" if page.next_cursor else "",
    }


def _figures(counts: Counts) -> list[dict[str, Any]]:
    """Each leads to those that it counts."""
    by_tier = [
        {"tier": tier.value, "status": status.value, "many": many} for (tier, status), many in counts.by_tier.items()
    ]
    figures = [{**each, "query": urlencode({"tier": each["tier"], "status": each["status"]})} for each in by_tier]
    return [
        *figures,
        {"tier": "", "status": "missed", "many": counts.missed, "query": "due=missed"},
        {"tier": "", "status": "mine", "many": counts.mine, "query": "mine=1&status=open"},
    ]


def _filter(chosen: Chosen, actor: Actor, now: datetime) -> TicketFilter:
    """A program has no user: nothing is its own, and NOBODY finds nothing."""
    phone, protocol = _searched(chosen.q, actor)
    return TicketFilter(
        tier=chosen.tier,
        status=chosen.status,
        category=chosen.category,
        incident_id=chosen.incident,
        assignee_id=(actor.user_id or NOBODY) if chosen.mine else None,
        due_before={"missed": now, "soon": now + SOON}.get(chosen.due),
        phone=phone,
        protocol=protocol,
    )


def _searched(text: str, actor: Actor) -> tuple[str, str]:
    """A telephone number, or how a protocol begins. Whoever may not see numbers may not find one out by asking."""
    if not text.strip():
        return "", ""
    digits = "".join(character for character in text if character.isascii() and character.isdigit())
    if actor.may(Permission.PHONES_SEE) and len(digits) != WHOLE_PROTOCOL and (phone := phones.to_e164(text)):
        return phone, ""
    if not SHORTEST_SEARCH <= len(digits) <= WHOLE_PROTOCOL:
        raise BadInput(f"Search by {SHORTEST_SEARCH} to {WHOLE_PROTOCOL} digits of a protocol.")
    return "", digits


def _read(given: dict[str, str]) -> Chosen:
    """Forms send empty fields; they mean nothing."""
    try:
        return Chosen.model_validate({name: value for name, value in given.items() if value})
    except ValueError as error:
        raise BadInput("One of the filters has a value that does not exist.") from error


def _owner(actor: Actor) -> int:
    if actor.user_id is None:
        raise Program("A program keeps its own filters. Log in to save one for yourself.")
    return actor.user_id
