"""Which tickets does an incident explain? Those that hang on what is down; in and out by hand; each with its line."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import outages, tickets, upsert
from ura.erp import Access as Place
from ura.erp import Contract as Line
from ura.erp import ContractStatus
from ura.errors import NotFound, Refused
from ura.models import (
    Access,
    Category,
    Contract,
    Explained,
    IncidentTicket,
    IncidentUpdate,
    Outage,
    OutageCall,
    OutageScope,
    Ticket,
    TicketEventKind,
    TicketStatus,
)
from ura.outages import OutageIsOver

BATCH = 500
BEFORE = timedelta(hours=24)  # the first reports come before anybody knows the cause; older ones are of something else
EXPLAINS = (Category.SUPPORT.value, "no_connection")
# Somebody has to speak with each of these people, whatever the network did.
NEVER = (Category.COMPLAINT.value, Category.CANCELLATION.value)
NAMES = UUID("c0b6e2f4-3d0a-4f0e-8f6b-7a4c1d9e5b21")
BY_ITSELF = "incidents"  # the actor where nobody in person did it


class NotItsTicket(NotFound):
    code = "not-a-ticket-of-this-incident"


class TicketNotExplained(Refused):
    code = "ticket-not-explained"


def line_id(*of: object) -> str:
    """Of a line in a history, or a message: the same for the same cause, so that nothing is told twice."""
    return uuid5(NAMES, ":".join(str(each) for each in of)).hex


# -- in and out


async def collect(session: AsyncSession, *, now: datetime, limit: int = BATCH) -> int:
    """Tie open tickets to the outages in progress that explain them: those of a contract that hangs on one, and those
    of a call, a contract or a number that was told of one. Returns how many; call until there are none."""
    in_progress = (Outage.closed_at.is_(None), Outage.started_at <= now)
    order = (Outage.ends_at.desc().nulls_last(), Outage.started_at)  # as callers hear them: ura.outages.find_for
    found = list((await session.scalars(select(Outage).where(*in_progress).order_by(*order))).all())
    if not found:
        return 0
    begun = {outage.id: outage.started_at - BEFORE for outage in found}
    rows = await session.execute(
        select(Ticket.id, Ticket.opened_at, Ticket.contract_ref).where(_free(), Ticket.opened_at >= min(begun.values()))
    )
    free = {ticket_id: (opened_at, ref) for ticket_id, opened_at, ref in rows}
    explained = await _by_calls(session, list(begun)) if free else set()
    explained |= await _by_place(session, list(begun), {ticket: ref for ticket, (_, ref) in free.items() if ref})
    explained -= await _taken_out(session, list(begun))
    left, joined = limit, 0
    for outage in found:
        mine = [each for each in free if (outage.id, each) in explained and free[each][0] >= begun[outage.id]]
        for ticket_id in mine:
            free.pop(ticket_id)
        if mine[:left]:
            joined += len(await _join(session, outage.id, sorted(mine[:left]), actor=BY_ITSELF, now=now))
            left -= len(mine[:left])
    return joined


async def put_in(session: AsyncSession, outage: Outage, ticket: Ticket, *, actor: str, now: datetime) -> None:
    """By hand, whatever it is about. Raises OutageIsOver, TicketNotExplained. Once more changes nothing."""
    if await _join(session, outage.id, [ticket.id], actor=actor, now=now, whatever=True):
        await session.refresh(ticket)
        return
    await session.refresh(outage)
    await session.refresh(ticket)
    if ticket.incident_id == outage.id:
        return
    if outage.closed_at is not None:
        raise OutageIsOver("This incident is over. Open a new one, or go on with the ticket by itself.")
    if ticket.category in NEVER:
        raise TicketNotExplained("A complaint or a cancellation is answered by itself, with the person.")
    if ticket.incident_id:
        raise TicketNotExplained("Another incident explains this ticket. Take it out there first.")
    raise TicketNotExplained("This ticket is closed. An incident explains tickets that are open.")


async def take_out(session: AsyncSession, outage: Outage, ticket: Ticket, *, actor: str, now: datetime) -> None:
    """It goes on by itself, and no incident collects it again. Raises NotItsTicket. Once more changes nothing."""
    known = await session.get(IncidentTicket, (outage.id, ticket.id), populate_existing=True)
    if known is not None and known.state is Explained.OUT:
        return
    out = (
        update(IncidentTicket)
        .where(
            IncidentTicket.incident_id == outage.id,
            IncidentTicket.ticket_id == ticket.id,
            IncidentTicket.state == Explained.IN,
        )
        .values(state=Explained.OUT, at=now, actor=actor)
        .returning(IncidentTicket.ticket_id)
        .execution_options(synchronize_session=False)
    )
    if await session.scalar(out) is None:
        raise NotItsTicket("This ticket does not hang on this incident (any more).")
    await change(session, [ticket.id], Ticket.incident_id == outage.id, incident_id=None)
    await write_lines(session, [ticket.id], "out", incident_id=outage.id, of=now.isoformat(), actor=actor, now=now)
    await session.refresh(ticket)


async def _join(
    session: AsyncSession,
    outage_id: str,
    ticket_ids: Sequence[str],
    *,
    actor: str,
    now: datetime,
    whatever: bool = False,
) -> Sequence[str]:
    """Those that belong to it now. The outage is held fast, so none comes in behind its end; a ticket that somebody is
    just changing waits for the next turn."""
    is_open = select(Outage.id).where(Outage.id == outage_id, Outage.closed_at.is_(None))
    if await session.scalar(is_open.with_for_update(read=True)) is None:
        return []
    free = (
        select(Ticket.id)
        .where(Ticket.id.in_(ticket_ids), _free(whatever=whatever), is_open.exists())
        .order_by(Ticket.id)
        .with_for_update(skip_locked=not whatever, of=Ticket)
        .cte("free")
    )
    ids = await change(session, select(free.c.id), Ticket.incident_id.is_(None), incident_id=outage_id)
    row = {"incident_id": outage_id, "state": Explained.IN, "at": now, "actor": actor}
    insert = upsert.insert(upsert.dialect(session), IncidentTicket)
    again = insert.on_conflict_do_update(
        index_elements=["incident_id", "ticket_id"],
        set_={name: insert.excluded[name] for name in ("state", "at", "actor")},
    )
    await upsert.execute(session, again, [{**row, "ticket_id": each} for each in ids])
    text = await newest_text(session, outage_id) if ids else ""
    moment = now.isoformat()
    await write_lines(session, ids, "in", incident_id=outage_id, of=moment, text=text, actor=actor, now=now)
    return ids


def _free(*, whatever: bool = False) -> ColumnElement[bool]:
    """Open, explained by nothing yet, and of what an incident can explain; `whatever`: a person says that it does."""
    about = Ticket.category.not_in(NEVER) if whatever else Ticket.category.in_(EXPLAINS)
    is_open = Ticket.status.in_((TicketStatus.OPEN, TicketStatus.WAITING))
    return is_open & Ticket.incident_id.is_(None) & about


async def _by_calls(session: AsyncSession, outage_ids: Sequence[str]) -> set[tuple[str, str]]:
    """(outage, ticket): the call that opened it, its contract or its number was told of the outage. A number speaks
    only for the tickets that name no contract."""
    told = OutageCall.outage_id.in_(outage_ids)
    same = (
        Ticket.call_id == OutageCall.call_id,
        (Ticket.contract_ref == OutageCall.contract_id) & (OutageCall.contract_id != ""),
        (Ticket.phone == OutageCall.phone) & (OutageCall.phone != "") & (Ticket.contract_ref == ""),
    )
    found = (select(OutageCall.outage_id, Ticket.id).join(Ticket, each).where(told, _free()) for each in same)
    return {(outage_id, ticket_id) for outage_id, ticket_id in await session.execute(union_all(*found))}


async def _by_place(session: AsyncSession, outage_ids: Sequence[str], refs: dict[str, str]) -> set[tuple[str, str]]:
    """(outage, ticket) by what the ticket's contract hangs on. Of contracts that are kept here: those of a provider's
    own system are known by the calls that were told."""
    scopes = select(OutageScope.key, OutageScope.outage_id).where(OutageScope.outage_id.in_(outage_ids))
    touched: dict[str, list[str]] = {}
    for key, outage_id in await session.execute(scopes):
        touched.setdefault(key, []).append(outage_id)
    hangs_on: dict[str, list[str]] = {}
    numbers = sorted({int(ref) for ref in refs.values() if ref.isdecimal() and len(ref) < 19})
    for start in range(0, len(numbers), BATCH):
        query = (
            select(
                Contract.id,
                Contract.subscriber_id,
                Contract.number,
                Contract.neighbourhood,
                Contract.city,
                Access.olt,
                Access.pon,
                Access.cto,
            )
            .outerjoin(Access, Access.contract_id == Contract.id)
            .where(Contract.id.in_(numbers[start : start + BATCH]))
        )
        for number, subscriber, name, neighbourhood, city, olt, pon, cto in await session.execute(query):
            place = Place(olt=olt or "", pon=pon or "", cto=cto or "")
            line = Line(
                str(number),
                str(subscriber),
                name,
                ContractStatus.ACTIVE,
                neighbourhood=neighbourhood,
                city=city,
                access=place,
            )
            keys = outages.scope_keys(line)
            hangs_on[str(number)] = [outage_id for key in keys for outage_id in touched.get(key, ())]
    return {(outage_id, ticket_id) for ticket_id, ref in refs.items() for outage_id in hangs_on.get(ref, ())}


async def _taken_out(session: AsyncSession, outage_ids: Sequence[str]) -> set[tuple[str, str]]:
    out = select(IncidentTicket.incident_id, IncidentTicket.ticket_id).where(
        IncidentTicket.incident_id.in_(outage_ids), IncidentTicket.state == Explained.OUT
    )
    return {(outage_id, ticket_id) for outage_id, ticket_id in await session.execute(out)}


async def newest_text(session: AsyncSession, outage_id: str) -> str:
    """ "" when nobody said anything."""
    query = select(IncidentUpdate.text).where(IncidentUpdate.incident_id == outage_id, IncidentUpdate.closes.is_(False))
    newest = query.order_by(IncidentUpdate.at.desc(), IncidentUpdate.id.desc()).limit(1)
    return await session.scalar(newest) or ""


# -- the rows


async def change(session: AsyncSession, which: Any, still: ColumnElement[bool], **values: Any) -> list[str]:
    """Those of `which` (ids, or a query of them) for which it still holds, in order."""
    change = (
        update(Ticket)
        .where(Ticket.id.in_(which), still)
        .values(**values, version=Ticket.version + 1)
        .returning(Ticket.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(await session.scalars(change))


async def write_lines(
    session: AsyncSession,
    ticket_ids: Iterable[str],
    what: str,
    *,
    incident_id: str,
    of: str,
    actor: str,
    now: datetime,
    kind: TicketEventKind = TicketEventKind.INCIDENT,
    text: str = "",
    **detail: Any,
) -> None:
    """One line each; `of`: what it is told of, so that it is told once. The words of `what` are the reader's."""
    rows = [
        {
            "id": line_id(incident_id, what, of, ticket_id),
            "ticket_id": ticket_id,
            "at": now,
            "actor": actor,
            "kind": kind,
            "text": text,
            "detail": {"incident_id": incident_id, "what": what, **detail},
            "internal": False,
        }
        for ticket_id in ticket_ids
    ]
    await tickets.add_events(session, rows)
