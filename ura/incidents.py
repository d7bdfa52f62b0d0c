"""One cause, many tickets. An incident is an outage and has its id: what callers hear is decided in ura.outages alone;
here is what people are told of it, what becomes of the tickets that it explains, and who says that it goes on.

1. Opened: its callers hear it at once, and the open tickets that it explains hang on it (ura.incident_tickets).
2. An update (text, new estimate) is a line on each of them and a message to each who asked for news.
3. Closed: its tickets close, who asked is told. What is more than a batch is told by the worker, which also goes on
   where somebody was interrupted.
4. Who says within COMPLAINED_WITHIN that it still does not work is called back; the ticket is open again, or a new one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import (
    domain_events,
    incident_news,
    incident_tickets,
    outages,
    queues,
    summaries,
    ticket_moves,
    tickets,
    upsert,
)
from ura.erp import SendChannel
from ura.errors import BadInput, Refused
from ura.incident_tickets import BY_ITSELF, line_id, write_lines
from ura.models import (
    Callback,
    CallbackState,
    Category,
    Cause,
    EventKind,
    Explained,
    IncidentComplaint,
    IncidentTicket,
    IncidentUpdate,
    Outage,
    OutageCall,
    Ticket,
    TicketEventKind,
)
from ura.outages import NOBODY, Scope
from ura.ticket_refusals import TicketIsOpen
from ura.ticket_rules import Reopen

COMPLAINED_WITHIN = timedelta(hours=72)


class IncidentIsOn(Refused):
    code = "incident-is-on"


class ComplainedTooLate(Refused):
    code = "complained-too-late"


class NotOfThisIncident(Refused):
    code = "not-of-this-incident"


class NoNumberToRing(BadInput):
    code = "no-number-to-ring"


@dataclass(frozen=True, slots=True)
class Counts:
    """Tickets that hang on it now, that it closed, that came back afterwards; calls that were told of it, people who
    wait for news, people who said that it still does not work. `untold`: updates that the worker still tells."""

    tickets: int = 0
    closed: int = 0
    back: int = 0
    calls: int = 0
    waiting: int = 0
    complaints: int = 0
    untold: int = 0


async def open_incident(
    session: AsyncSession,
    *,
    cause: Cause,
    scopes: Iterable[Scope],
    started_at: datetime,
    ends_at: datetime | None,
    opened_by: str,
    now: datetime,
    text: str = "",
    note: str = "",
    incident_id: str = "",
) -> Outage:
    """`text`: what people are told of it; it is on each ticket that hangs on it. By its id: asked twice, the first
    stays and is given back."""
    if incident_id and (known := await session.get(Outage, incident_id)) is not None:
        return known
    outage = await outages.open_outage(
        session,
        cause=cause,
        scopes=scopes,
        started_at=started_at,
        ends_at=ends_at,
        opened_by=opened_by,
        now=now,
        note=note,
        outage_id=incident_id,
    )
    if text.strip():
        await _say(session, outage, text, line_id(outage.id, "first"), actor=opened_by, now=now, settled=True)
    await incident_tickets.collect(session, now=now)
    await _record(session, EventKind.INCIDENT_OPENED, outage, now=now, once="")
    return outage


async def tell(
    session: AsyncSession,
    outage: Outage,
    *,
    text: str,
    ends_at: datetime | None,
    actor: str,
    now: datetime,
    by: SendChannel = SendChannel.SMS,
    update_id: str = "",
) -> IncidentUpdate:
    """News for all: callers hear the new estimate (None: there is none) from now on. By its id: asked twice, it is
    told once. Raises OutageIsOver, BadInput."""
    if update_id and (known := await session.get(IncidentUpdate, update_id)) is not None:
        return known
    if not text.strip():
        raise BadInput("an update needs words")
    if ends_at is not None and ends_at <= now:
        raise BadInput("an estimate lies in the future; null when there is none")
    # Held until we commit, so that it does not end meanwhile; on SQLite the first to write is alone from then on.
    mine = update(Outage).where(Outage.id == outage.id, Outage.closed_at.is_(None)).values(ends_at=ends_at)
    await session.execute(mine.execution_options(synchronize_session=False))
    if update_id and (known := await session.get(IncidentUpdate, update_id)) is not None:
        return known
    await session.refresh(outage)
    await outages.change_outage(session, outage, cause=outage.cause, ends_at=ends_at, note=outage.note, now=now)
    said = await _say(session, outage, text, update_id or line_id(outage.id, now, text), actor=actor, now=now)
    await _record(session, EventKind.INCIDENT_UPDATED, outage, now=now, once=said.id)
    await incident_news.settle(session, now=now, by=by)
    await session.refresh(said)
    return said


async def close_incident(
    session: AsyncSession,
    outage: Outage,
    *,
    text: str,
    actor: str,
    now: datetime,
    by: SendChannel = SendChannel.SMS,
) -> int:
    """It is over: its tickets are closed with `text`, who asked is told. Returns how many people that were. Closing
    again changes nothing."""
    if await outages.end_outage(session, outage, closed_by=actor, now=now):
        said = await _say(session, outage, text, line_id(outage.id, "closed", now), actor=actor, now=now, closes=True)
        # Before its tickets are closed: how many there are to close, also where the worker closes most of them.
        await _record(session, EventKind.INCIDENT_CLOSED, outage, now=now, once=said.id)
        await incident_news.settle(session, now=now, by=by)
    return await outages.tell_who_waits(session, now=now, by=by)


async def list_updates(session: AsyncSession, outage_id: str, *, limit: int = 100) -> Sequence[IncidentUpdate]:
    """What was said, newest first."""
    query = select(IncidentUpdate).where(IncidentUpdate.incident_id == outage_id)
    newest = query.order_by(IncidentUpdate.at.desc(), IncidentUpdate.id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


async def count(session: AsyncSession, outage_ids: Iterable[str]) -> dict[str, Counts]:
    ids = list(outage_ids)
    by_state: dict[tuple[str, Explained], int] = {}
    mine = (IncidentTicket.incident_id, IncidentTicket.state)
    states = select(*mine, func.count()).where(IncidentTicket.incident_id.in_(ids)).group_by(*mine)
    for outage_id, state, many in await session.execute(states):
        by_state[outage_id, state] = many
    complaint, news = IncidentComplaint.incident_id, IncidentUpdate.incident_id
    complaints = select(complaint, func.count()).where(complaint.in_(ids)).group_by(complaint)
    untold = select(news, func.count()).where(news.in_(ids), IncidentUpdate.settled_at.is_(None)).group_by(news)
    complained = {outage_id: many for outage_id, many in await session.execute(complaints)}
    unsettled = {outage_id: many for outage_id, many in await session.execute(untold)}
    heard = await outages.count_calls(session, ids)
    return {
        each: Counts(
            tickets=by_state.get((each, Explained.IN), 0),
            closed=by_state.get((each, Explained.CLOSED), 0),
            back=by_state.get((each, Explained.BACK), 0),
            calls=heard.get(each, (0, 0))[0],
            waiting=heard.get(each, (0, 0))[1],
            complaints=complained.get(each, 0),
            untold=unsettled.get(each, 0),
        )
        for each in ids
    }


# -- "it still does not work"


async def find_recent(
    session: AsyncSession, phone: str, *, now: datetime, within: timedelta = COMPLAINED_WITHIN
) -> Outage | None:
    """The incident closed last of which this number was told, or whose ticket has it; of an end that somebody saw."""
    if not phone:
        return None
    told = exists().where(OutageCall.outage_id == Outage.id, OutageCall.phone == phone)
    has = (
        exists()
        .where(IncidentTicket.incident_id == Outage.id, IncidentTicket.ticket_id == Ticket.id, Ticket.phone == phone)
        .where(IncidentTicket.state != Explained.OUT)
    )
    over = (Outage.closed_at >= now - within, Outage.closed_by != NOBODY)
    query = select(Outage).where(*over, or_(told, has)).order_by(Outage.closed_at.desc(), Outage.id).limit(1)
    return await session.scalar(query)


async def still_not_working(
    session: AsyncSession,
    incident_id: str,
    *,
    protocol: str,
    now: datetime,
    phone: str = "",
    call_id: str | None = None,
    ticket_id: str = "",
    text: str = "",
    actor: str = BY_ITSELF,
    within: timedelta = COMPLAINED_WITHIN,
) -> IncidentComplaint:
    """Whoever was told that it is over, and sees that it is not, is called back; the ticket is open again, at L1, or a
    new one is opened under `protocol` (of the call). `phone`: E.164, the number to ring, "" for the ticket's own. Of
    `ticket_id`, `call_id` and `phone` one must belong to the incident. Said again while a call back waits, it is the
    same complaint.

    Raises IncidentIsOn, ComplainedTooLate, NotOfThisIncident, NoNumberToRing.
    """
    outage = await outages.get_outage(session, incident_id)
    if outage.closed_at is None:
        raise IncidentIsOn("This incident is not over. The customer is told when it is.")
    if now - outage.closed_at > within:
        raise ComplainedTooLate("This incident is over for too long. Open a ticket: something else is broken.")
    ticket = await _ticket_of(session, outage.id, phone=phone, call_id=call_id, ticket_id=ticket_id)
    told = await _told(session, outage.id, phone=phone, call_id=call_id)
    if ticket is None and (told is None or ticket_id):
        raise NotOfThisIncident("Neither this ticket nor this number belongs to the incident. Open a ticket.")
    number = phone or (ticket.phone if ticket else "") or (told.phone if told else "")
    if not number:
        raise NoNumberToRing("Send `phone`: nobody knows which number to ring.")
    complaint_id = await _complaint_id(session, outage, number)
    if (known := await session.get(IncidentComplaint, complaint_id)) is not None:
        return known
    row = {
        "id": complaint_id,
        "incident_id": outage.id,
        "ticket_id": ticket.id if ticket else complaint_id,
        "call_id": call_id,
        "phone": number,
        "at": now,
        "actor": actor,
    }
    callback = {"id": complaint_id, "call_id": call_id, "phone": number, "queue": outages.CALLBACK_QUEUE}
    await queues.request_callbacks(session, [{**callback, "not_before_at": now, "created_at": now}])
    words = text.strip() or summaries.still_down()
    if ticket is None:
        contract_ref = told.contract_id if told else ""
        new = {"id": complaint_id, "protocol": protocol, "call_id": call_id, "contract_ref": contract_ref}
        about = {"category": Category.SUPPORT, "summary": words[:500], "phone": number, "incident_id": outage.id}
        by = {"queue": outages.CALLBACK_QUEUE, "opened_by": actor, "opened_at": now}
        await tickets.open_tickets(session, [{**new, **about, **by}])
    else:
        await _reopen(session, outage, ticket, words, of=complaint_id, actor=actor, now=now)
    await _is_back(session, outage.id, str(row["ticket_id"]), actor=actor, now=now)
    await upsert.add_new(session, IncidentComplaint, [row])
    return await session.get_one(IncidentComplaint, complaint_id)


async def _ticket_of(
    session: AsyncSession, outage_id: str, *, phone: str, call_id: str | None, ticket_id: str
) -> Ticket | None:
    """The one named, or the newest of this call or number."""
    query = select(Ticket).join(IncidentTicket, IncidentTicket.ticket_id == Ticket.id)
    query = query.where(IncidentTicket.incident_id == outage_id, IncidentTicket.state != Explained.OUT)
    if ticket_id:
        return await session.scalar(query.where(Ticket.id == ticket_id))
    theirs = (Ticket.call_id == call_id) if call_id else (Ticket.phone == phone)
    if call_id and phone:
        theirs |= Ticket.phone == phone
    elif not phone and not call_id:
        return None
    return await session.scalar(query.where(theirs).order_by(Ticket.opened_at.desc(), Ticket.id).limit(1))


async def _told(session: AsyncSession, outage_id: str, *, phone: str, call_id: str | None) -> OutageCall | None:
    """The newest call of this number, or this call, that was told of it."""
    theirs = (OutageCall.phone == phone) & (OutageCall.phone != "")
    if call_id:
        theirs |= OutageCall.call_id == call_id
    query = select(OutageCall).where(OutageCall.outage_id == outage_id, theirs)
    return await session.scalar(query.order_by(OutageCall.created_at.desc(), OutageCall.call_id).limit(1))


async def _complaint_id(session: AsyncSession, outage: Outage, number: str) -> str:
    """The next one begins when the call back of the last one was made."""
    made = (
        select(func.count())
        .select_from(IncidentComplaint)
        .join(Callback, Callback.id == IncidentComplaint.id)
        .where(IncidentComplaint.incident_id == outage.id, IncidentComplaint.phone == number)
        .where(Callback.state != CallbackState.WAITING)
    )
    return line_id(outage.id, "complaint", number, await session.scalar(made) or 0)


async def _reopen(
    session: AsyncSession, outage: Outage, ticket: Ticket, text: str, *, of: str, actor: str, now: datetime
) -> None:
    """One that is open already gets the line alone."""
    await session.refresh(ticket)
    try:
        house = ticket_moves.the_house(actor)
        await ticket_moves.move(session, ticket, Reopen(reason=text), actor=house, now=now, event_id=of)
    except TicketIsOpen:
        back = TicketEventKind.REPORTED
        await write_lines(
            session, [ticket.id], "back", kind=back, incident_id=outage.id, of=of, text=text, actor=actor, now=now
        )


async def _is_back(session: AsyncSession, outage_id: str, ticket_id: str, *, actor: str, now: datetime) -> None:
    row = {"incident_id": outage_id, "ticket_id": ticket_id, "state": Explained.BACK, "at": now, "actor": actor}
    insert = upsert.insert(upsert.dialect(session), IncidentTicket)
    new = {name: insert.excluded[name] for name in ("state", "at", "actor")}
    back = insert.on_conflict_do_update(index_elements=["incident_id", "ticket_id"], set_=new)
    await upsert.execute(session, back, [row])


# -- the rows


async def _record(session: AsyncSession, kind: EventKind, outage: Outage, *, now: datetime, once: str) -> None:
    """For other programs: never its words, which may name somebody. `tickets`: how many hang on it now."""
    counts = await count(session, [outage.id])
    data: dict[str, str | int | None] = {"cause": outage.cause.value, "tickets": counts[outage.id].tickets}
    if kind is not EventKind.INCIDENT_CLOSED:
        data["ends_at"] = outage.ends_at.isoformat() if outage.ends_at else None
    await domain_events.record(session, kind, outage.id, data, now=now, once=once)


async def _say(
    session: AsyncSession,
    outage: Outage,
    text: str,
    update_id: str,
    *,
    actor: str,
    now: datetime,
    closes: bool = False,
    settled: bool = False,
) -> IncidentUpdate:
    row = {
        "id": update_id,
        "incident_id": outage.id,
        "text": text.strip(),
        "ends_at": None if closes else outage.ends_at,
        "closes": closes,
        "at": now,
        "actor": actor,
        "batches": 0,
        "told_ticket": "",
        "told_call": "",
        "settled_at": now if settled else None,
    }
    await upsert.add_new(session, IncidentUpdate, [row])
    return await session.get_one(IncidentUpdate, update_id)
