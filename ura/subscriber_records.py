"""What do we keep about a subscriber? Their record, when our own tables are the provider's system (ERP "local")."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import paging
from ura.crypto import Keyring
from ura.erp import Kind
from ura.errors import NotFound
from ura.models import Contract, Subscriber, SubscriberPhone
from ura.paging import Page


class SubscriberNotFound(NotFound):
    code = "subscriber-not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberFilter:
    """What is empty does not filter. `document` as `documents.parse` gives it, `phone` E.164; `name`: its beginning."""

    document: str = ""
    phone: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """In the clear: whoever shows it masks it (api/routes/subscribers.py)."""

    id: int
    name: str
    kind: Kind
    document: str
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    contracts: tuple[Contract, ...] = field(default=())


async def list_records(
    session: AsyncSession, keyring: Keyring, *, filters: SubscriberFilter, cursor: str = "", limit: int = 50
) -> Page[Record]:
    """The oldest first. Raises CannotOpen."""
    conditions: list[ColumnElement[bool]] = []
    if filters.document:
        conditions.append(Subscriber.document_hash.in_(keyring.indexes(filters.document)))
    if filters.phone:
        theirs = select(SubscriberPhone.subscriber_id).where(SubscriberPhone.phone == filters.phone)
        conditions.append(Subscriber.id.in_(theirs))
    if filters.name:
        conditions.append(func.lower(Subscriber.name).startswith(filters.name.lower(), autoescape=True))
    page = await paging.fetch_by(session, Subscriber, conditions, by=Subscriber.id, cursor=cursor, limit=limit)
    return Page(await _records(session, keyring, page.items), page.next_cursor)


async def get_record(session: AsyncSession, keyring: Keyring, subscriber_id: int) -> Record:
    """Raises SubscriberNotFound, CannotOpen."""
    row = await session.get(Subscriber, subscriber_id)
    if row is None:
        raise SubscriberNotFound("There is no such subscriber.")
    [record] = await _records(session, keyring, [row])
    return record


async def _records(session: AsyncSession, keyring: Keyring, rows: Sequence[Subscriber]) -> list[Record]:
    """With their numbers and contracts, in two more queries however many they are."""
    ids = [row.id for row in rows]
    phones: dict[int, list[str]] = defaultdict(list)
    contracts: dict[int, list[Contract]] = defaultdict(list)
    if ids:
        numbers = select(SubscriberPhone).where(SubscriberPhone.subscriber_id.in_(ids))
        for phone in await session.scalars(numbers.order_by(SubscriberPhone.place, SubscriberPhone.phone)):
            phones[phone.subscriber_id].append(phone.phone)
        theirs = select(Contract).where(Contract.subscriber_id.in_(ids)).order_by(Contract.id)
        for contract in await session.scalars(theirs):
            contracts[contract.subscriber_id].append(contract)
    return [
        Record(
            id=row.id,
            name=row.name,
            kind=row.kind,
            document=keyring.open(row.document),
            phones=tuple(phones[row.id]),
            emails=tuple(row.emails),
            contracts=tuple(contracts[row.id]),
        )
        for row in rows
    ]
