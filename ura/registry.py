"""Subscribers, contracts and invoices of our own tables: written many at a time, as a file or the demo brings them.

Rows are mappings; all rows of one call have the same columns. What a row does not tell stays as it is. Known ones are
found by document, contract number and invoice number. A hundred thousand rows take seconds: everything is done in
chunks, nothing row by row. Nothing commits here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Table, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import documents, upsert
from ura.crypto import Keyring
from ura.db import Base
from ura.erp import Kind
from ura.models import Access, Audience, Contract, Invoice, InvoiceStatus, Subscriber, SubscriberPhone

Json = Any
Row = Mapping[str, Json]
T = TypeVar("T")
CHUNK = 500  # values in one IN (…); SQLite takes 32766
PLACE = ("login", "onu", "olt", "pon", "cto")
LINE = ("session_state", "session_since", "rx_dbm", "los")


def keys_of(number: str) -> str:
    """A contract's number as a caller keys it: its digits, without zeros in front."""
    return "".join(sign for sign in number if sign.isascii() and sign.isdigit()).lstrip("0")


async def save_subscribers(session: AsyncSession, keyring: Keyring, rows: Sequence[Row], *, now: datetime) -> None:
    """Columns: `document` (as documents.parse gives it), `name`; perhaps `birth_year`, `phones`, `emails`."""
    await _renew_old(session, keyring, [row["document"] for row in rows])
    ids: dict[str, int] = {}
    for chunk in _chunks(rows):
        values = [
            {
                "document": keyring.seal(row["document"]),
                "document_hash": keyring.index(row["document"]),
                "kind": Kind.COMPANY if documents.is_company(row["document"]) else Kind.PERSON,
                "updated_at": now,
                **{name: row[name] for name in ("name", "birth_year", "emails") if name in row},
            }
            for row in chunk
        ]
        await _upsert(session, Subscriber, values, key="document_hash", new={"birth_year": None, "emails": []})
        ids |= await _ids(session, Subscriber.id, Subscriber.document_hash, [each["document_hash"] for each in values])
    if rows and "phones" in rows[0]:
        await _replace_phones(session, {ids[keyring.index(row["document"])]: row["phones"] for row in rows})


async def save_contracts(session: AsyncSession, keyring: Keyring, rows: Sequence[Row], *, now: datetime) -> None:
    """Columns: `number`, `document` (of a subscriber that is there), `status`; perhaps `street`, `house`,
    `neighbourhood`, `city`, `plan`, `segment`, and of the line PLACE and LINE. Raises KeyError for an unknown one."""
    owners = await known_documents(session, keyring, [row["document"] for row in rows])
    own = ("status", "street", "house", "neighbourhood", "city", "plan", "segment")
    blank: dict[str, Json] = dict.fromkeys(own[1:-1], "") | {"segment": Audience.HOME}
    for chunk in _chunks(rows):
        values = [
            {
                "number": row["number"],
                "keys": keys_of(row["number"]),
                "subscriber_id": owners[row["document"]],
                "updated_at": now,
                **{name: row[name] for name in own if name in row},
            }
            for row in chunk
        ]
        await _upsert(session, Contract, values, key="number", new=blank)
        lines = [name for name in (*PLACE, *LINE) if name in chunk[0]]
        if lines:
            ids = await known_contracts(session, [row["number"] for row in chunk])
            places = [{"contract_id": ids[row["number"]], **{name: row[name] for name in lines}} for row in chunk]
            await _upsert(
                session, Access, places, key="contract_id", new=dict.fromkeys(PLACE, "") | dict.fromkeys(LINE, None)
            )


async def save_invoices(session: AsyncSession, rows: Sequence[Row], *, now: datetime) -> None:
    """Columns: `number`, `contract` (the number of one that is there), `due_on`, `amount`; perhaps `status`, `line`,
    `pix`, `link`. Raises KeyError for an unknown contract."""
    own = ("due_on", "amount", "status", "line", "pix", "link")
    blank = {"status": InvoiceStatus.OPEN, "line": "", "pix": "", "link": ""}
    for chunk in _chunks(rows):
        ids = await known_contracts(session, [row["contract"] for row in chunk])
        values = [
            {
                "number": row["number"],
                "contract_id": ids[row["contract"]],
                "updated_at": now,
                **{name: row[name] for name in own if name in row},
            }
            for row in chunk
        ]
        await _upsert(session, Invoice, values, key="number", new=blank)


async def known_documents(session: AsyncSession, keyring: Keyring, wanted: Collection[str]) -> dict[str, int]:
    """Which of these documents are subscribers → their ids."""
    found: dict[str, int] = {}
    for chunk in _chunks(list(dict.fromkeys(wanted))):
        of_hash = {index: document for document in chunk for index in keyring.indexes(document)}
        for index, subscriber_id in (await _ids(session, Subscriber.id, Subscriber.document_hash, of_hash)).items():
            found[of_hash[index]] = subscriber_id
    return found


async def known_contracts(session: AsyncSession, numbers: Collection[str]) -> dict[str, int]:
    """Which of these numbers are contracts → their ids."""
    found: dict[str, int] = {}
    for chunk in _chunks(list(dict.fromkeys(numbers))):
        found |= await _ids(session, Contract.id, Contract.number, chunk)
    return found


async def reseal(session: AsyncSession, keyring: Keyring, *, after: int = 0, limit: int = 2000) -> tuple[int, int]:
    """Seal documents anew that a former secret sealed: one stretch of the table, from id `after` on. Returns the last
    id looked at (0: the end is reached) and how many were changed."""
    query = select(Subscriber.id, Subscriber.document).where(Subscriber.id > after).order_by(Subscriber.id).limit(limit)
    rows = (await session.execute(query)).all()
    old = {row.id: keyring.open(row.document) for row in rows if not keyring.is_current(row.document)}
    await _renew(session, keyring, old)
    return (rows[-1].id if rows else 0), len(old)


async def _renew_old(session: AsyncSession, keyring: Keyring, wanted: Collection[str]) -> None:
    """Somebody known under a former secret is the same subscriber, not a second one."""
    for chunk in _chunks(list(wanted)):
        former = {index: document for document in chunk for index in keyring.indexes(document)[1:]}
        if former:
            ids = await _ids(session, Subscriber.id, Subscriber.document_hash, former)
            await _renew(session, keyring, {ids[index]: former[index] for index in ids})


async def _renew(session: AsyncSession, keyring: Keyring, documents_of: Mapping[int, str]) -> None:
    if not documents_of:
        return
    table = Subscriber.__table__
    assert isinstance(table, Table)
    statement = update(table).where(table.c.id == bindparam("row"))
    statement = statement.values(document=bindparam("sealed"), document_hash=bindparam("hash"))
    values = [
        {"row": row, "sealed": keyring.seal(document), "hash": keyring.index(document)}
        for row, document in documents_of.items()
    ]
    await (await session.connection()).execute(statement, values)


async def _replace_phones(session: AsyncSession, phones_of: Mapping[int, Sequence[str]]) -> None:
    for chunk in _chunks(list(phones_of)):
        await session.execute(delete(SubscriberPhone).where(SubscriberPhone.subscriber_id.in_(chunk)))
        rows = [
            {"subscriber_id": subscriber_id, "phone": phone, "place": place}
            for subscriber_id in chunk
            for place, phone in enumerate(dict.fromkeys(phones_of[subscriber_id]))
        ]
        if rows:
            await session.execute(insert(SubscriberPhone), rows)


async def _upsert(
    session: AsyncSession, model: type[Base], rows: Sequence[Row], *, key: str, new: Mapping[str, Json]
) -> None:
    """Insert or bring up to date by `key`; `new`: what columns begin with that the rows do not tell."""
    statement = upsert.insert(upsert.dialect(session), model)
    told = [name for name in rows[0] if name != key]
    statement = statement.on_conflict_do_update(
        index_elements=[key], set_={name: statement.excluded[name] for name in told}
    )
    await upsert.execute(session, statement, [{**new, **row} for row in rows])


async def _ids(session: AsyncSession, id_column: Any, column: Any, values: Collection[str]) -> dict[str, int]:
    rows = await session.execute(select(column, id_column).where(column.in_(list(values))))
    return {value: row_id for value, row_id in rows}


def _chunks(rows: Sequence[T]) -> Iterator[list[T]]:
    left = iter(rows)
    while chunk := list(islice(left, CHUNK)):
        yield chunk
