"""Lists by moment, page by page, newest first unless told otherwise. A cursor is the place of the last row seen; new
rows do not shift it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from ura.errors import BadInput

LARGEST_PAGE = 200
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


def equal(model: type[Row], wanted: object, names: Sequence[str]) -> list[ColumnElement[bool]]:
    """Conditions for the fields of a filter that are set; None and "" do not filter."""
    return [getattr(model, name) == value for name in names if (value := getattr(wanted, name))]


def _encode(at: datetime, key: str) -> str:
    return urlsafe_b64encode(f"{at.isoformat()} {key}".encode()).decode()


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        at, _, key = urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError
    except ValueError as error:
        raise BadCursor("This cursor is not one of ours. Use `next_cursor` of the page before, or none.") from error
    return moment, key
