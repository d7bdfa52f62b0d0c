"""Telling what was said of an incident, to all: a line on its tickets, a message to who asked, the end of its tickets.

Thousands at a time: a batch is one transaction, and whoever finds an update half told goes on with it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import events, outbox, phones, ticket_moves
from ura.erp import SendChannel
from ura.incident_tickets import BATCH, line_id, write_lines
from ura.models import (
    Explained,
    IncidentTicket,
    IncidentUpdate,
    Outage,
    OutageCall,
    TicketEventKind,
)
from ura.phones import PhoneKind

MOST_BELLS = 20  # tickets named in a bell: panels look again all the same


async def settle(
    session: AsyncSession, *, now: datetime, by: SendChannel = SendChannel.SMS, limit: int = BATCH
) -> bool:
    """One batch of the oldest update that is not told to the end: its line on tickets and its message to who asked; of
    the last one the tickets' end. False: nothing was left to do. Commit, and call again."""
    waiting = select(IncidentUpdate).where(IncidentUpdate.settled_at.is_(None))
    found = await session.scalar(
        waiting.order_by(IncidentUpdate.at, IncidentUpdate.id).limit(1).execution_options(populate_existing=True)
    )
    if found is None:
        return False
    mine = (
        update(IncidentUpdate)
        .where(IncidentUpdate.id == found.id, IncidentUpdate.batches == found.batches)
        .where(IncidentUpdate.settled_at.is_(None))
        .values(batches=IncidentUpdate.batches + 1)
        .returning(IncidentUpdate.batches)
        .execution_options(synchronize_session=False)
    )
    if await session.scalar(mine) is None:  # somebody else was faster; if not, nobody is at it until we commit
        return True
    if found.closes:
        tickets = await _close(session, found, now=now, limit=limit)
        progress: dict[str, Any] = {"settled_at": now} if len(tickets) < limit else {}
    else:
        tickets = await _tell_tickets(session, found, now=now, limit=limit)
        people = await _tell_people(session, found, now=now, by=by, limit=limit)
        progress = {
            "told_ticket": tickets[-1] if tickets else found.told_ticket,
            "told_call": people[-1] if people else found.told_call,
        }
        if len(tickets) < limit and len(people) < limit:
            progress = {"told_ticket": "", "told_call": "", "settled_at": now}
    here = update(IncidentUpdate).where(IncidentUpdate.id == found.id).execution_options(synchronize_session=False)
    if progress:
        await session.execute(here.values(**progress))
    await session.refresh(found)
    bells = {"outages": {"ids": [found.incident_id]}, "tickets": {"ids": list(tickets[:MOST_BELLS])}}
    await events.ring(session, bells, now=now)
    return True


async def _close(session: AsyncSession, last: IncidentUpdate, *, now: datetime, limit: int) -> Sequence[str]:
    """Those of this batch. A ticket that somebody closed meanwhile stays as that person closed it; one for which a
    visit is booked stays open, as ura.ticket_rules says: somebody cancels the visit, and closes."""
    theirs = (IncidentTicket.incident_id == last.incident_id, IncidentTicket.state == Explained.IN)
    some = select(IncidentTicket.ticket_id).where(*theirs).order_by(IncidentTicket.ticket_id).limit(limit).cte("some")
    done = (
        update(IncidentTicket)
        .where(*theirs, IncidentTicket.ticket_id.in_(select(some.c.ticket_id)))
        .values(state=Explained.CLOSED, at=now, actor=last.actor)
        .returning(IncidentTicket.ticket_id)
        .execution_options(synchronize_session=False)
    )
    ids = sorted(await session.scalars(done))
    closed = await ticket_moves.close_many(session, ids, now=now)
    await write_lines(
        session,
        closed,
        "closed",
        kind=TicketEventKind.CLOSED,
        incident_id=last.incident_id,
        of=last.id,
        text=last.text,
        actor=last.actor,
        now=now,
    )
    return ids


async def _tell_tickets(session: AsyncSession, news: IncidentUpdate, *, now: datetime, limit: int) -> Sequence[str]:
    """In the order of their ids, from where the batch before ended."""
    theirs = select(IncidentTicket.ticket_id).where(
        IncidentTicket.incident_id == news.incident_id,
        IncidentTicket.state == Explained.IN,
        IncidentTicket.at <= news.at,  # who came in later has it in the first line
        IncidentTicket.ticket_id > news.told_ticket,
    )
    ids = (await session.scalars(theirs.order_by(IncidentTicket.ticket_id).limit(limit))).all()
    ends_at = news.ends_at.isoformat() if news.ends_at else None
    await write_lines(
        session,
        ids,
        "update",
        incident_id=news.incident_id,
        of=news.id,
        text=news.text,
        actor=news.actor,
        now=now,
        ends_at=ends_at,
    )
    return ids


async def _tell_people(
    session: AsyncSession, news: IncidentUpdate, *, now: datetime, by: SendChannel, limit: int
) -> Sequence[str]:
    """Who wants news of it, call by call; a number that rang twice has one message. No message reaches a landline: it
    hears the estimate when it rings, and is rung when it is over."""
    if not await is_newest(session, news):
        return []
    wants = (OutageCall.wants_news.is_(True), OutageCall.told_at.is_(None), OutageCall.call_id > news.told_call)
    query = select(OutageCall.call_id, OutageCall.phone).where(OutageCall.outage_id == news.incident_id, *wants)
    calls = (await session.execute(query.order_by(OutageCall.call_id).limit(limit))).all()
    numbers = {phone for _, phone in calls if phones.kind(phone) is PhoneKind.MOBILE}
    rows = [
        {
            "id": line_id(news.id, phone),
            "kind": "incident_update",
            "to": phone,
            "payload": {"update_id": news.id},
            "call_id": None,
            "channel": by,
            "created_at": now,
        }
        for phone in sorted(numbers)
    ]
    await outbox.enqueue_rows(session, rows)
    return [call_id for call_id, _ in calls]


async def is_newest(session: AsyncSession, news: IncidentUpdate) -> bool:
    """Is this what is so now? Not when something newer was said, or when it is over."""
    newer = exists().where(
        IncidentUpdate.incident_id == news.incident_id,
        (IncidentUpdate.at > news.at) | ((IncidentUpdate.at == news.at) & (IncidentUpdate.id > news.id)),
    )
    is_on = select(Outage.id).where(Outage.id == news.incident_id, Outage.closed_at.is_(None), ~newer)
    return await session.scalar(is_on) is not None
