"""Where is what we have of a person? One shelf a table: which of its rows are theirs, and why they may have to stay.

The package (ura/person_package.py) copies every shelf; an erasure (ura/erasure.py) clears it.
tests/ura/test_shelves.py fails for a table with personal columns that is on no shelf.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, String, cast, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import people
from ura.db import Base
from ura.models import (
    Access,
    Call,
    Callback,
    CallerBlock,
    CallStep,
    Contract,
    Dispute,
    DroppedCall,
    ErpRequest,
    IdentificationAttempt,
    IncidentComplaint,
    Invoice,
    Lead,
    NoticedOutage,
    OptOut,
    OutageCall,
    OutboxMessage,
    PaymentPromise,
    PriorityNumber,
    Recording,
    StepAnswer,
    Subscriber,
    SubscriberPhone,
    SurveyAnswer,
    Ticket,
    TicketEvent,
    TrustUnlock,
    Visit,
    WaitingListEntry,
)
from ura.people import Person
from ura.personal_data import COLUMNS, Held

OUR_TABLES = "local"  # the ERP whose subscribers are in our own tables


class Keep(StrEnum):
    """Why a row may have to stay though its person wants it gone."""

    NOTHING = "nothing"
    RECORD = "record"  # Decree 11.034 art. 12: two years after the solution; a recording 90 days
    CONTRACT = "contract"  # contracts and what was charged: five years after the last (LGPD art. 16 I, CDC art. 27)
    WISH = "wish"  # who wants no messages is written down to get none


Rows = Callable[[Person], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Shelf:
    model: type[Base]
    rows: Rows
    keep: Keep = Keep.NOTHING

    @property
    def name(self) -> str:
        return str(self.model.__tablename__)


def _in_calls(model: Any) -> Rows:
    return lambda person: model.call_id.in_(people.calls_of(person))


def _by_phone_or_call(model: Any) -> Rows:
    return lambda person: or_(model.phone.in_(person.phones), model.call_id.in_(people.calls_of(person)))


def _of_contract(model: Any) -> Rows:
    return lambda person: (model.source == person.source) & model.contract_ref.in_(person.contracts)


def _promise(person: Person) -> ColumnElement[bool]:
    asked = select(ErpRequest.id).where(ErpRequest.call_id.in_(people.calls_of(person)))
    return or_(_of_contract(PaymentPromise)(person), PaymentPromise.id.in_(asked))


def _unlock(person: Person) -> ColumnElement[bool]:
    asked = select(ErpRequest.id).where(ErpRequest.call_id.in_(people.calls_of(person)))
    return or_(_of_contract(TrustUnlock)(person), TrustUnlock.wish.in_(asked))


def _dispute(person: Person) -> ColumnElement[bool]:
    theirs = select(Ticket.id).where(people.is_ticket_of(person))
    return or_(_of_contract(Dispute)(person), Dispute.ticket_id.in_(theirs))


def _outage_call(person: Person) -> ColumnElement[bool]:
    return or_(_by_phone_or_call(OutageCall)(person), OutageCall.contract_id.in_(person.contracts))


def _message(person: Person) -> ColumnElement[bool]:
    return or_(OutboxMessage.to.in_(person.targets), OutboxMessage.call_id.in_(people.calls_of(person)))


def _block(person: Person) -> ColumnElement[bool]:
    return CallerBlock.phone.in_(person.phones)


def _event(person: Person) -> ColumnElement[bool]:
    return TicketEvent.ticket_id.in_(select(Ticket.id).where(people.is_ticket_of(person)))


def _visit(person: Person) -> ColumnElement[bool]:
    return Visit.ticket_id.in_(select(Ticket.id).where(people.is_ticket_of(person)))


def _complaint(person: Person) -> ColumnElement[bool]:
    return IncidentComplaint.ticket_id.in_(select(Ticket.id).where(people.is_ticket_of(person)))


def _subscriber(person: Person) -> ColumnElement[bool]:
    return cast(Subscriber.id, String) == person.subscriber if person.source == OUR_TABLES else false()


def _subscriber_phone(person: Person) -> ColumnElement[bool]:
    return SubscriberPhone.subscriber_id.in_(select(Subscriber.id).where(_subscriber(person)))


def _contract(person: Person) -> ColumnElement[bool]:
    return Contract.subscriber_id.in_(select(Subscriber.id).where(_subscriber(person)))


def _contracts(person: Person) -> Any:
    return select(Contract.id).where(_contract(person))


# What leans on another row comes before it.
SHELVES: tuple[Shelf, ...] = (
    Shelf(CallStep, _in_calls(CallStep), Keep.RECORD),
    Shelf(StepAnswer, _in_calls(StepAnswer), Keep.RECORD),
    Shelf(SurveyAnswer, _in_calls(SurveyAnswer), Keep.RECORD),
    Shelf(Recording, _in_calls(Recording), Keep.RECORD),
    Shelf(TicketEvent, _event, Keep.RECORD),
    Shelf(Visit, _visit, Keep.RECORD),
    Shelf(Dispute, _dispute, Keep.RECORD),
    Shelf(IncidentComplaint, _complaint, Keep.RECORD),
    Shelf(Ticket, people.is_ticket_of, Keep.RECORD),
    Shelf(PaymentPromise, _promise, Keep.RECORD),
    Shelf(TrustUnlock, _unlock, Keep.RECORD),
    Shelf(ErpRequest, _in_calls(ErpRequest), Keep.RECORD),
    Shelf(OutboxMessage, _message, Keep.RECORD),  # a proof of cancellation; the others go at once
    Shelf(Lead, _by_phone_or_call(Lead)),
    Shelf(Callback, _by_phone_or_call(Callback)),
    Shelf(WaitingListEntry, _by_phone_or_call(WaitingListEntry)),
    Shelf(OutageCall, _outage_call, Keep.RECORD),
    Shelf(NoticedOutage, _of_contract(NoticedOutage)),
    Shelf(DroppedCall, _by_phone_or_call(DroppedCall)),
    Shelf(Call, people.is_call_of, Keep.RECORD),
    Shelf(IdentificationAttempt, lambda person: IdentificationAttempt.caller.in_(person.phones)),
    Shelf(CallerBlock, _block),
    Shelf(PriorityNumber, lambda person: PriorityNumber.phone.in_(person.phones)),
    Shelf(OptOut, lambda person: OptOut.target.in_(person.targets), Keep.WISH),
    Shelf(Invoice, lambda person: Invoice.contract_id.in_(_contracts(person)), Keep.CONTRACT),
    Shelf(Access, lambda person: Access.contract_id.in_(_contracts(person)), Keep.CONTRACT),
    Shelf(Contract, _contract, Keep.CONTRACT),
    Shelf(SubscriberPhone, _subscriber_phone, Keep.CONTRACT),
    Shelf(Subscriber, _subscriber, Keep.CONTRACT),
)
# Tables that tell of a person, and are this noun's own.
ITS_OWN = frozenset({"person_request", "legal_hold"})


async def copy(session: AsyncSession, shelf: Shelf, person: Person) -> list[dict[str, Any]]:
    """What stands there of the person, in the table's order, without what is only our people's or for searching."""
    table = shelf.model.__table__
    told = COLUMNS.get(shelf.name, {})
    hidden = {name for name, held in told.items() if held is Held.STAFF} | _FOR_SEARCHING
    columns = [column for column in table.columns if column.name not in hidden]
    query = select(*columns).where(shelf.rows(person)).order_by(*table.primary_key.columns)  # type: ignore[attr-defined]  # __table__ is typed as any FROM clause
    return [dict(row) for row in (await session.execute(query)).mappings()]


_FOR_SEARCHING = frozenset(
    {"document_hash", "keys", "claimed_by", "claimed_at", "attempts", "next_at", "subject", "last_error"}
)


async def count(session: AsyncSession, rows: ColumnElement[bool], model: type[Base]) -> int:
    return await session.scalar(select(func.count()).select_from(model).where(rows)) or 0
