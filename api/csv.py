"""Lists as CSV that opens in a Brazilian Excel as it is meant: `;` between cells, decimal comma, local times as
dd/mm/aaaa hh:mm, UTF-8 with its mark, and no cell that a spreadsheet would take for a formula or a figure to round.

Written while it is read, a page at a time, each in a transaction of its own: a million rows take no memory, and a slow
reader holds nobody up.
"""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

import yaml
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from ura.db import Sessions
from ura.paging import Page

MEDIA_TYPE = "text/csv"
MARK = "\ufeff"  # without it Excel takes UTF-8 for Windows-1252
# What begins a formula; the wide forms are the same key on some keyboards. A line break or tab before it does not help.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """`name`: its heading in csv.yaml."""

    name: str
    of: Callable[[Row], Any]


@cache
def words() -> dict[str, dict[str, str]]:
    told: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return told


def cell(value: Any, zone: ZoneInfo) -> str:
    """One value as a spreadsheet in Brazil shows it."""
    match value:
        case None:
            return ""
        case bool():
            return words()["values"]["true" if value else "false"]
        case datetime():
            return value.astimezone(zone).strftime("%d/%m/%Y %H:%M")
        case date():
            return value.strftime("%d/%m/%Y")
        case Decimal():
            return f"{value:f}".replace(".", ",")
        case float():
            return str(value).replace(".", ",")
        case int():
            return str(value)
        case StrEnum():
            return words()["values"].get(value.value, value.value)
    return defused(str(value))


def defused(text: str) -> str:
    """A spreadsheet reads it as text, whatever it begins with."""
    text = text.replace("\0", "")
    return f"'{text}" if text.lstrip(" \u00a0\ufeff").startswith(_FORMULA) else text


def line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerow(list(cells))
    return out.getvalue()


def table(columns: Sequence[Column[Row]], rows: Iterable[Row], zone: ZoneInfo) -> str:
    return "".join(line(cell(column.of(row), zone) for column in columns) for row in rows)


def heading(columns: Sequence[Column[Any]]) -> str:
    return MARK + line(words()["columns"][column.name] for column in columns)


async def pages(
    sessions: Sessions,
    columns: Sequence[Column[Row]],
    fetch: Callable[[AsyncSession, str], Awaitable[Page[Row]]],
    zone: ZoneInfo,
) -> AsyncIterator[str]:
    """The heading, then page after page of `fetch(session, cursor)`."""
    yield heading(columns)
    cursor = ""
    while True:
        async with sessions() as session:
            page = await fetch(session, cursor)
        yield table(columns, page.items, zone)
        cursor = page.next_cursor
        if not cursor:
            return


async def answer(parts: AsyncIterator[str], name: str) -> StreamingResponse:
    """The first part is made before the answer begins: what is wrong is told as a problem, not as half a file."""
    begun = await anext(parts)
    second = await anext(parts, "")

    async def all_of_it() -> AsyncIterator[str]:
        yield begun + second
        async for part in parts:
            yield part

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(all_of_it(), media_type=MEDIA_TYPE, headers=headers)
