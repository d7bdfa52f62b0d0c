"""Lists page by page: by moment, newest first unless told otherwise, or by something that each row has of its own. A
cursor is the place of the last row seen; new rows do not shift it."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from ura.errors import BadInput

LARGEST_PAGE = 200
NO_CURSOR = "This cursor is not one of ours. Use `next_cursor` of the page before, or none."
Row = TypeVar("Row")


class BadCursor(BadInput):
    code = "bad-cursor"


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    items: Sequence[Row]
    next_cursor: str  # "" on the last page


async def fetch(
    session: AsyncSession,
    model: type[Row],
    conditions: Sequence[ColumnElement[bool]],
    *,
    by: tuple[InstrumentedAttribute[datetime], InstrumentedAttribute[str]],
    cursor: str,
    limit: int,
    oldest_first: bool = False,
) -> Page[Row]:
    """One page of the rows that meet all conditions. `by` is the moment and the id that the table is indexed on."""
    limit = max(1, min(limit, LARGEST_PAGE))
    moment, key = by
    query = select(model).where(*conditions)
    if cursor:
        place, seen = tuple_(moment, key), tuple_(*_decode(cursor))
        query = query.where(place > seen if oldest_first else place < seen)
    order = (moment, key) if oldest_first else (moment.desc(), key.desc())
    rows = (await session.scalars(query.order_by(*order).limit(limit + 1))).all()
    if len(rows) <= limit:
        return Page(rows, "")
    last = rows[limit - 1]
    return Page(rows[:limit], _encode(getattr(last, moment.key), getattr(last, key.key)))


async def fetch_by(
    session: AsyncSession,
    model: type[Row],
    conditions: Sequence[ColumnElement[bool]],
    *,
    by: InstrumentedAttribute[int] | InstrumentedAttribute[str],
    cursor: str,
    limit: int,
    newest_first: bool = False,
) -> Page[Row]:
    """One page in the order of a column that no two rows share: a number that only grows, a key, an e-mail."""
    limit = max(1, min(limit, LARGEST_PAGE))
    query = select(model).where(*conditions).order_by(by.desc() if newest_first else by.asc()).limit(limit + 1)
    if cursor:
        seen = _decode_one(cursor, by.type.python_type)
        query = query.where(by < seen if newest_first else by > seen)
    rows = (await session.scalars(query)).all()
    if len(rows) <= limit:
        return Page(rows, "")
    return Page(rows[:limit], urlsafe_b64encode(json.dumps(getattr(rows[limit - 1], by.key)).encode()).decode())


def equal(model: type[Row], wanted: object, names: Sequence[str]) -> list[ColumnElement[bool]]:
    """Conditions for the fields of a filter that are set; None and "" do not filter."""
    return [getattr(model, name) == value for name in names if (value := getattr(wanted, name))]


def _encode(at: datetime, key: str) -> str:
    return urlsafe_b64encode(f"{at.isoformat()} {key}".encode()).decode()


def _decode_one(cursor: str, kind: type) -> Any:
    try:
        seen = json.loads(urlsafe_b64decode(cursor.encode()))
    except ValueError as error:
        raise BadCursor(NO_CURSOR) from error
    match seen:
        case str() if kind is str and "\x00" not in seen:
            return seen
        case int() if kind is int and not isinstance(seen, bool) and 0 <= seen < 2**63:
            return seen
    raise BadCursor(NO_CURSOR)


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        at, _, key = urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError
    except ValueError as error:
        raise BadCursor(NO_CURSOR) from error
    return moment, key
