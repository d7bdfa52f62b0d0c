"""How long is what kept? Each class has its time, from the moment that it is over; then it goes, a few rows at a time,
with a line in the purge log (ura.purges) in the same transaction. What is held (ura.legal_holds) stays.

The law's least: a recording 90 days, the record of a call or ticket two years after its solution (Decree 11.034 art.
12), who looked at what six months (Law 12.965 art. 15). Settings may keep longer, never shorter.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import disposal
from ura.legal_holds import Held
from ura.models import (
    Call,
    Callback,
    CallerBlock,
    Lead,
    LeadStatus,
    OutboxMessage,
    PersonRequest,
    Recording,
    Ticket,
    TicketStatus,
    WaitingListEntry,
)
from ura.settings import Settings

AT_ONCE = 200  # rows of a transaction: calls write to the same file
RECORDS_BY_LAW = timedelta(days=2 * 365 + 1)
RECORDINGS_BY_LAW = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Times:
    """From the end of a thing on. `contracting`: a recording of a call that led to a contract."""

    recordings: timedelta
    contracting: timedelta
    records: timedelta
    leads: timedelta
    requests: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Times":
        return cls(
            recordings=timedelta(days=settings.recording_days),
            contracting=timedelta(days=settings.contract_recording_days),
            records=timedelta(days=settings.record_days),
            leads=timedelta(days=settings.lead_days),
            requests=timedelta(days=settings.record_days),
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """What one transaction works with."""

    session: AsyncSession
    held: Held
    times: Times
    now: datetime
    recordings_dir: Path
    at_once: int = AT_ONCE


Purging = Callable[[Turn], Awaitable[int]]


async def recordings(turn: Turn) -> int:
    """Returns how many went; call until it is 0. All of these do so."""
    old = and_(Recording.at < turn.now - turn.times.recordings, ~is_contracting())
    older = and_(Recording.at < turn.now - turn.times.contracting, is_contracting())
    query = select(Recording).where(or_(old, older), ~turn.held.is_recording).order_by(Recording.at).limit(turn.at_once)
    found = (await turn.session.scalars(query)).all()
    await disposal.drop_recordings(turn.session, found, turn.recordings_dir)
    return len(found)


async def tickets(turn: Turn) -> int:
    over = and_(Ticket.status == TicketStatus.CLOSED, Ticket.closed_at < turn.now - turn.times.records)
    query = select(Ticket.id).where(over, ~turn.held.is_ticket).order_by(Ticket.closed_at).limit(turn.at_once)
    ids = (await turn.session.scalars(query)).all()
    if ids:
        await disposal.drop_tickets(turn.session, ids)
    return len(ids)


async def calls(turn: Turn) -> int:
    """With all that only they explain. One with a ticket or a recording goes after these."""
    before = turn.now - turn.times.records
    query = (
        select(Call.id)
        .where(Call.opened_at < before, is_over(before), ~is_needed(), ~turn.held.is_call)
        .order_by(Call.opened_at)
        .limit(turn.at_once)
    )
    ids = (await turn.session.scalars(query)).all()
    if ids:
        await disposal.drop_calls(turn.session, ids)
    return len(ids)


async def leads(turn: Turn) -> int:
    """Sales that came to nothing. A contract's lead is part of the contract, and goes with the records."""
    before = turn.now - turn.times.leads
    sold = and_(Lead.status == LeadStatus.CONTRACT, Lead.updated_at < turn.now - turn.times.records)
    unsold = and_(Lead.status != LeadStatus.CONTRACT, Lead.updated_at < before, ~_has_a_date(turn.now))
    return await _drop(turn, Lead, or_(sold, unsold), ~turn.held.is_number(Lead.phone))


async def caller_blocks(turn: Turn) -> int:
    """Over long ago."""
    over = CallerBlock.until_at < turn.now - turn.times.leads
    return await _drop(turn, CallerBlock, over, ~turn.held.is_number(CallerBlock.phone))


async def waiting_list(turn: Turn) -> int:
    """Whose neighbourhood was covered, and who was rung."""
    over = WaitingListEntry.settled_at < turn.now - turn.times.leads
    return await _drop(turn, WaitingListEntry, over, ~turn.held.is_number(WaitingListEntry.phone))


async def messages(turn: Turn) -> int:
    """That there was one, to whom and when; what it said went long before (ura.outbox.forget)."""
    over = and_(OutboxMessage.created_at < turn.now - turn.times.records, OutboxMessage.forgotten_at.is_not(None))
    alone = ~exists().where(Call.id == OutboxMessage.call_id)
    return await _drop(turn, OutboxMessage, over, alone, ~turn.held.is_number(OutboxMessage.to))


async def callbacks(turn: Turn) -> int:
    """Those that no call explains: of an outage, of the waiting list."""
    over = Callback.done_at < turn.now - turn.times.leads
    alone = ~exists().where(Call.id == Callback.call_id)
    return await _drop(turn, Callback, over, alone, ~turn.held.is_number(Callback.phone))


async def person_requests(turn: Turn) -> int:
    """That somebody asked, and was answered."""
    over = and_(PersonRequest.person.is_(None), PersonRequest.answered_at < turn.now - turn.times.requests)
    return await _drop(turn, PersonRequest, over)


async def _drop(turn: Turn, model: Any, *conditions: ColumnElement[bool]) -> int:
    """Rows with an `id` that nothing else leans on."""
    ids = (await turn.session.scalars(select(model.id).where(*conditions).limit(turn.at_once))).all()
    if ids:
        await turn.session.execute(delete(model.__table__).where(model.id.in_(ids)))
    return len(ids)


# In this order: a call waits for its ticket and its recording.
CLASSES: dict[str, Purging] = {
    "recordings": recordings,
    "tickets": tickets,
    "calls": calls,
    "leads": leads,
    "caller_blocks": caller_blocks,
    "waiting_list": waiting_list,
    "messages": messages,
    "callbacks": callbacks,
    "person_requests": person_requests,
}


def is_over(before: datetime) -> ColumnElement[bool]:
    """The call ended before that moment; of one whose end nobody told its beginning counts."""
    return func.coalesce(Call.ended_at, Call.opened_at) < before


def is_needed() -> ColumnElement[bool]:
    """Something is there that the call explains."""
    return or_(exists().where(Ticket.call_id == Call.id), exists().where(Recording.call_id == Call.id))


def is_contracting() -> ColumnElement[bool]:
    """The recording is of a call that led to a contract: itself, or as part of a sale that other calls went on with."""
    sale = select(Lead.id).where(Lead.call_id == Recording.call_id)
    sold = Lead.status == LeadStatus.CONTRACT
    whole = select(Lead.merged_into_id).where(Lead.call_id == Recording.call_id, Lead.merged_into_id.is_not(None))
    return or_(sale.where(sold).exists(), select(Lead.id).where(sold, Lead.id.in_(whole)).exists())


def _has_a_date(now: datetime) -> ColumnElement[bool]:
    """Somebody means to ring them."""
    return func.coalesce(Lead.next_action_at > now, False)
