"""What goes when a person wants it gone, and what has to stay?

1. Nothing of somebody who is held goes, nor a ticket or recording that is held, nor the call of one.
2. The record of a call and of a ticket stays for two years after the solution, a recording for 90 days, or as long as
   its contract (Decree 11.034 art. 12; LGPD art. 16 I): by the law's time, not by the longer one of the settings.
3. Contract, invoices and who the subscriber is stay while a contract runs, and five years after the last change of it.
4. That somebody wants no messages stays, or they would get some.
5. Everything else goes at once: rows are deleted, and of a row that others count only its personal part.

What stays is told with its reason and, where that is known, until when. Asked again later, what has become free goes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import disposal, people, shelves
from ura.erp import ContractStatus
from ura.legal_holds import Held
from ura.models import (
    Access,
    Call,
    Callback,
    CallerBlock,
    Contract,
    Dispute,
    DroppedCall,
    IdentificationAttempt,
    Invoice,
    Lead,
    NoticedOutage,
    OutboxMessage,
    OutboxState,
    PaymentPromise,
    PriorityNumber,
    Recording,
    Subscriber,
    Ticket,
    TicketStatus,
    TrustUnlock,
    WaitingListEntry,
)
from ura.outbox import LEGAL_PROOFS
from ura.people import Person
from ura.retention import RECORDINGS_BY_LAW, RECORDS_BY_LAW, is_contracting, is_needed, is_over
from ura.shelves import OUR_TABLES, SHELVES, Keep

CONTRACTS_BY_LAW = timedelta(days=5 * 365 + 1)
AT_ONCE = 200
GOES = (Lead, Callback, WaitingListEntry, DroppedCall, IdentificationAttempt, CallerBlock, PriorityNumber)
HOLD, OPEN = "hold", "open"  # and the words of `Keep`


@dataclass(frozen=True, slots=True)
class Erased:
    """`what`: the table. `why` and `until` of those kept; until None: nobody knows yet."""

    what: str
    rows: int
    kept: int = 0
    why: str = ""
    until: datetime | None = None

    def told(self) -> dict[str, Any]:
        return asdict(self) | {"until": self.until.isoformat() if self.until else None}


async def erase(session: AsyncSession, person: Person, *, held: Held, folder: Path, now: datetime) -> Sequence[Erased]:
    """In the caller's transaction. Asked twice, the second time finds what the first left, if it is asked with
    `remembered`. `rows` counts what was there before and is not there now."""
    before = {shelf.name: await shelves.count(session, shelf.rows(person), shelf.model) for shelf in SHELVES}
    if held.holds(person):
        return [Erased(name, 0, rows, HOLD) for name, rows in before.items() if rows]
    await _drop_records(session, person, held, folder, now)
    await _drop_the_rest(session, person, held)
    await _drop_contracts(session, person, now)
    until = await _until(session, person, held, now)
    told = []
    for shelf in SHELVES:
        left = await shelves.count(session, shelf.rows(person), shelf.model)
        if not before[shelf.name]:
            continue
        why, end = until[shelf.keep] if left else ("", None)
        told.append(Erased(shelf.name, max(0, before[shelf.name] - left), left, why, end))
    return told


async def remembered(session: AsyncSession, person: Person) -> Person:
    """With the calls that only a row tells to be theirs which may go before them."""
    others = select(Call.id).where(people.is_call_of(person), Call.caller.not_in(person.phones)).order_by(Call.id)
    return replace(person, calls=tuple(await session.scalars(others)))


async def _drop_records(session: AsyncSession, person: Person, held: Held, folder: Path, now: datetime) -> None:
    calls = people.calls_of(person)
    old = Recording.at < now - RECORDINGS_BY_LAW
    contract_over = Recording.at < now - CONTRACTS_BY_LAW
    free = and_(or_(and_(old, ~is_contracting()), contract_over), ~held.is_recording)
    sounds = select(Recording).where(Recording.call_id.in_(calls), free).limit(AT_ONCE)
    while found := (await session.scalars(sounds)).all():
        await disposal.drop_recordings(session, found, folder)
    solved = and_(Ticket.status == TicketStatus.CLOSED, Ticket.closed_at < now - RECORDS_BY_LAW)
    tickets = select(Ticket.id).where(people.is_ticket_of(person), solved, ~held.is_ticket).limit(AT_ONCE)
    # Asked before the tickets go: one about their contract is what tells that a call was theirs.
    theirs = (await session.scalars(calls)).all()
    while ids := (await session.scalars(tickets)).all():
        await disposal.drop_tickets(session, ids)
    before = now - RECORDS_BY_LAW
    for start in range(0, len(theirs), AT_ONCE):
        part = theirs[start : start + AT_ONCE]
        due = select(Call.id).where(Call.id.in_(part), is_over(before), ~is_needed(), ~held.is_call)
        if ids := (await session.scalars(due)).all():
            await disposal.drop_calls(session, ids)
    for model, at in ((PaymentPromise, PaymentPromise.made_at), (TrustUnlock, TrustUnlock.granted_at)):
        await _delete(session, model, and_(_rows(model)(person), at < before))
    await _delete(session, Dispute, and_(_rows(Dispute)(person), Dispute.opened_at < before))


async def _drop_the_rest(session: AsyncSession, person: Person, held: Held) -> None:
    held_calls = select(Call.id).where(held.is_call)
    for model in GOES:
        rows = _rows(model)(person)
        if hasattr(model, "call_id") and model is not CallerBlock:
            rows = and_(rows, or_(model.call_id.is_(None), model.call_id.not_in(held_calls)))
        await _delete(session, model, rows)
    noticed = update(NoticedOutage).where(_rows(NoticedOutage)(person)).values(subscriber_ref="", contract_ref="")
    await session.execute(noticed.execution_options(synchronize_session=False))
    proof = and_(OutboxMessage.kind.in_(LEGAL_PROOFS), OutboxMessage.call_id.in_(select(Call.id)))
    sending = OutboxMessage.state == OutboxState.SENDING  # by a worker that has its words in hand
    await _delete(session, OutboxMessage, and_(_rows(OutboxMessage)(person), ~proof, ~sending))


async def _drop_contracts(session: AsyncSession, person: Person, now: datetime) -> None:
    """All of it or nothing: a contract that runs needs its subscriber."""
    if person.source != OUR_TABLES or await _contracts_end(session, person, now) != now:
        return
    for model in (Invoice, Access, Contract):
        await _delete(session, model, _rows(model)(person))
    await _delete(session, Subscriber, _rows(Subscriber)(person))  # and their numbers, by the foreign key


async def _contracts_end(session: AsyncSession, person: Person, now: datetime) -> datetime | None:
    """From when on nothing keeps them: `now` when that is past, None when a contract runs."""
    running = and_(_rows(Contract)(person), Contract.status != ContractStatus.CANCELLED)
    if await shelves.count(session, running, Contract):
        return None
    changed = [
        await session.scalar(select(func.max(column)).where(_rows(model)(person)))
        for model, column in ((Contract, Contract.updated_at), (Invoice, Invoice.updated_at))
    ]
    last = max((each for each in changed if each is not None), default=None)
    return max(now, last + CONTRACTS_BY_LAW) if last else now


async def _until(
    session: AsyncSession, person: Person, held: Held, now: datetime
) -> dict[Keep, tuple[str, datetime | None]]:
    """Why what is left is left, and when the last of it becomes free."""
    open_ones = await shelves.count(
        session, and_(people.is_ticket_of(person), Ticket.status != TicketStatus.CLOSED), Ticket
    )
    last_call = await session.scalar(
        select(func.max(func.coalesce(Call.ended_at, Call.opened_at))).where(people.is_call_of(person))
    )
    last_ticket = await session.scalar(select(func.max(Ticket.closed_at)).where(people.is_ticket_of(person)))
    record: tuple[str, datetime | None]
    rest: tuple[str, datetime | None]
    ends = [each + RECORDS_BY_LAW for each in (last_call, last_ticket) if each is not None]
    if await shelves.count(session, and_(people.is_call_of(person), held.is_call), Call):
        record = rest = (HOLD, None)
    else:
        record = (OPEN, None) if open_ones else (Keep.RECORD.value, max(ends, default=None))
        rest = (Keep.NOTHING.value, None)  # a worker is sending it just now: it goes at the next look
    contract_end = await _contracts_end(session, person, now) if person.source == OUR_TABLES else now
    return {
        Keep.RECORD: record,
        Keep.CONTRACT: (Keep.CONTRACT.value, contract_end),
        Keep.NOTHING: rest,
        Keep.WISH: (Keep.WISH.value, None),
    }


_ROWS = {shelf.model: shelf.rows for shelf in SHELVES}


def _rows(model: Any) -> shelves.Rows:
    return _ROWS[model]


async def _delete(session: AsyncSession, model: Any, rows: ColumnElement[bool]) -> None:
    await session.execute(delete(model).where(rows).execution_options(synchronize_session=False))
