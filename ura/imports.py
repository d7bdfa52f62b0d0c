"""Neighbourhoods, plans and offers from a spreadsheet: CSV with `;` or `,`, UTF-8 or Latin-1, as people have it.

    preview = await imports.preview(session, ImportKind.PLANS, data, today=today)   # nothing is written
    keys = await ensure_names(settings, imports.names_of(preview))                  # seconds: no transaction open
    await imports.apply(session, preview, keys)                                     # the good rows, by name

Texts and accepted words are in imports.yaml.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.coverage import keypad, plain
from ura.models import Audience, City, Coverage, Neighbourhood, Plan, PlanOffer

MOST_ROWS = 50_000
LONGEST = {"conditions": 400}
LONGEST_NAME = 80
HIGHEST_PRICE = Decimal("99999.99")
Values = dict[str, Any]


class ImportKind(StrEnum):
    NEIGHBOURHOODS = "neighbourhoods"
    PLANS = "plans"
    OFFERS = "offers"


@dataclass(frozen=True, slots=True)
class RowError:
    """`line` as a text editor counts; `column` as the file names it, "" for the whole line. `message` is Portuguese."""

    line: int
    column: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportRow:
    line: int
    values: Values


@dataclass(slots=True)
class Preview:
    kind: ImportKind
    today: date
    rows: list[ImportRow] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)


class _Bad(Exception):
    """This cell or row will not do. `column` is our name of it."""

    def __init__(self, message: str, column: str = "", **slots: Any) -> None:
        self.message, self.column, self.slots = message, column, slots


async def preview(session: AsyncSession, kind: ImportKind, data: bytes | str, *, today: date) -> Preview:
    """Read everything, write nothing: the rows that would be saved and, for each bad one, what to do about it."""
    made = Preview(kind, today)
    check = await _known_offers(session) if kind is ImportKind.OFFERS else _nothing
    seen: dict[tuple[str, ...], int] = {}
    try:
        lines = _read(_decode(data))
        columns = _columns(kind, next(lines, (1, []))[1])
        for line, cells in lines:
            _take(made, line, cells, columns, seen=seen, check=check)
    except _Bad as bad:  # of the file as a whole
        made.rows.clear()
        made.errors[:] = [_error(1, bad, {})]
    return made


def names_of(preview: Preview) -> list[str]:
    """Every text that a caller will hear: to be rendered before `apply`."""
    spoken = ("city", "name", "conditions") if preview.kind is not ImportKind.OFFERS else ()
    texts = (row.values.get(column, "") for row in preview.rows for column in spoken)
    return list(dict.fromkeys(text for text in texts if text))


async def apply(session: AsyncSession, preview: Preview, prompt_keys: Mapping[str, str]) -> int:
    """Save the good rows: new ones are added, known ones (by name) brought up to date. Returns how many."""
    match preview.kind:
        case ImportKind.NEIGHBOURHOODS:
            await _apply_neighbourhoods(session, preview, prompt_keys)
        case ImportKind.PLANS:
            await _apply_plans(session, preview, prompt_keys)
        case ImportKind.OFFERS:
            for row in preview.rows:
                values = row.values
                await session.merge(PlanOffer(plan_id=values["plan_id"], neighbourhood_id=values["neighbourhood_id"]))
    await session.flush()
    return len(preview.rows)


# -- the file --------------------------------------------------------------------------------------------------------


def _decode(data: bytes | str) -> str:
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # Excel's "Unicode text"
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        raise _Bad("not_text")
    for encoding in ("utf-8-sig", "cp1252"):  # what Excel calls Latin-1 in Brazil
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _read(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every line that is not blank."""
    header = text.lstrip().partition("\n")[0]
    delimiter = max(";,\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    start, count = 1, 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                count += 1
                if count > MOST_ROWS + 1:
                    raise _Bad("too_large", limit=MOST_ROWS)
                yield start, [cell.strip() for cell in cells]
            start = reader.line_num + 1
    except csv.Error as error:
        raise _Bad("not_text") from error


def _columns(kind: ImportKind, header: list[str]) -> list[str]:
    """Our name for each column of the file, "" for one that we do not use."""
    if not header:
        raise _Bad("empty_file")
    known = {plain(name): column for column, spec in _texts()["columns"][kind].items() for name in spec["names"]}
    found = [known.get(plain(name), "") for name in header]
    for column, spec in _texts()["columns"][kind].items():
        if found.count(column) > 1:
            raise _Bad("doubled_column", column)
        if spec.get("required") and column not in found:
            raise _Bad("missing_column", column)
    return found


def _take(
    made: Preview,
    line: int,
    cells: list[str],
    columns: list[str],
    *,
    seen: dict[tuple[str, ...], int],
    check: Callable[[Values], None],
) -> None:
    given = {column: cell for column, cell in zip(columns, cells, strict=False) if column}
    errors: list[_Bad] = []
    values: Values = {}
    if any(cells[len(columns) :]):
        errors.append(_Bad("too_many_cells"))
    for column, spec in _texts()["columns"][made.kind].items():
        if column not in columns:  # what the file does not tell stays as it is
            continue
        try:
            values[column] = _value(column, given.get(column, ""), required=bool(spec.get("required")))
        except _Bad as bad:
            errors.append(bad)
    if not errors:
        try:
            _whole_row(made, values)
            check(values)
            _once(made.kind, values, line, seen)
        except _Bad as bad:
            errors.append(bad)
    if errors:
        made.errors.extend(_error(line, bad, given) for bad in errors)
    else:
        made.rows.append(ImportRow(line, values))


def _error(line: int, bad: _Bad, given: Mapping[str, str]) -> RowError:
    texts = _texts()
    shown = texts["shown"].get(bad.column, "")
    slots = {"column": shown, "value": given.get(bad.column, "")[:60], **bad.slots}
    return RowError(line, shown, texts["errors"][bad.message].format(**slots))


# -- one cell --------------------------------------------------------------------------------------------------------


def _value(column: str, text: str, *, required: bool) -> Any:
    if required and not text:
        raise _Bad("required", column)
    match column:
        case "status" | "audience":
            return _word(column, text)
        case "forecast_on" | "valid_from" | "valid_to":
            return _day(column, text) if text else None
        case "cep_first" | "cep_last":
            return _cep(column, text) if text else None
        case "speed_mbps":
            return _speed(text)
        case "price" | "setup_price":
            return _money(column, text) if text else Decimal(0)
        case "aliases":
            return [_name(column, alias) for alias in re.split(r"[|,/]", text) if alias.strip()]
        case _:
            return _name(column, text) if text else ""


def _name(column: str, text: str) -> str:
    text = " ".join(text.split(" "))
    limit = LONGEST.get(column, LONGEST_NAME)
    if len(text) > limit:
        raise _Bad("too_long", column, limit=limit)
    if not plain(text) or not text.isprintable():
        raise _Bad("unspeakable", column)
    return text.strip()


def _word(column: str, text: str) -> StrEnum:
    kinds: dict[str, type[StrEnum]] = {"status": Coverage, "audience": Audience}
    words: dict[str, list[str]] = _texts()["words"][column]
    for value, spellings in words.items():
        if plain(text) in spellings:
            return kinds[column](value)
    raise _Bad("unknown_word", column, words=", ".join(spellings[0] for spellings in words.values()))


def _day(column: str, text: str) -> date:
    for form in ("%d/%m/%Y", "%Y-%m-%d", "%d/%m/%y"):
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise _Bad("bad_date", column)


def _cep(column: str, text: str) -> str:
    found = re.fullmatch(r"(\d{2})\.?(\d{3})-?(\d{3})", text, re.ASCII)
    if not found:
        raise _Bad("bad_cep", column)
    return "".join(found.groups())


def _speed(text: str) -> int:
    found = re.fullmatch(r"(\d{1,5})\s*(?:mega|mb|mbps|m)?", text, re.ASCII | re.IGNORECASE)
    if not found or int(found[1]) == 0:
        raise _Bad("bad_speed", "speed_mbps")
    return int(found[1])


def _money(column: str, text: str) -> Decimal:
    """99,90 · 1.299,90 · R$ 99,90 · 99.90 · 99. Not 1.299: one cannot know which of the two it is."""
    amount = text.removeprefix("R$").strip()
    if re.fullmatch(r"(\d{1,3}(\.\d{3})+|\d+),\d{1,2}", amount, re.ASCII):
        amount = amount.replace(".", "").replace(",", ".")
    elif not re.fullmatch(r"\d+(\.\d{1,2})?", amount, re.ASCII):
        raise _Bad("bad_money", column)
    value = Decimal(amount)
    if value > HIGHEST_PRICE:
        raise _Bad("bad_money", column)
    return value.quantize(Decimal("0.01"))


# -- one row ---------------------------------------------------------------------------------------------------------


def _whole_row(made: Preview, values: Values) -> None:
    first, last = values.get("cep_first"), values.get("cep_last")
    if (first is None) != (last is None):
        raise _Bad("half_range", "cep_first")
    if first and first > last:
        raise _Bad("cep_order", "cep_first")
    if "valid_from" in values:
        values["valid_from"] = values["valid_from"] or made.today
    end = values.get("valid_to")
    if end and end < values.get("valid_from", made.today):
        raise _Bad("end_before_start", "valid_to")


def _once(kind: ImportKind, values: Values, line: int, seen: dict[tuple[str, ...], int]) -> None:
    columns = {
        ImportKind.NEIGHBOURHOODS: ("city", "name"),
        ImportKind.PLANS: ("audience", "name"),
        ImportKind.OFFERS: ("city", "neighbourhood", "audience", "plan"),
    }[kind]
    key = tuple(plain(str(values[column])) for column in columns)
    first = seen.setdefault(key, line)
    if first != line:
        raise _Bad("doubled_row", first=first)


def _nothing(values: Values) -> None:
    pass


async def _known_offers(session: AsyncSession) -> Callable[[Values], None]:
    """A check that also puts the ids into the row."""
    places = await session.execute(
        select(City.name, Neighbourhood.sort_name, Neighbourhood.id).join(City, City.id == Neighbourhood.city_id)
    )
    neighbourhoods = {(plain(city), name): neighbourhood_id for city, name, neighbourhood_id in places}
    rows = await session.execute(select(Plan.audience, Plan.name, Plan.id))
    plans = {(audience, plain(name)): plan_id for audience, name, plan_id in rows}

    def check(values: Values) -> None:
        neighbourhood_id = neighbourhoods.get((plain(values["city"]), plain(values["neighbourhood"])))
        if neighbourhood_id is None:
            raise _Bad("no_neighbourhood", "neighbourhood")
        plan_id = plans.get((values["audience"], plain(values["plan"])))
        if plan_id is None:
            raise _Bad("no_plan", "plan")
        values.update(neighbourhood_id=neighbourhood_id, plan_id=plan_id)

    return check


# -- saving: one query for what is there, one flush ------------------------------------------------------------------


async def _apply_neighbourhoods(session: AsyncSession, preview: Preview, prompt_keys: Mapping[str, str]) -> None:
    cities = {plain(city.name): city for city in await session.scalars(select(City))}
    for row in preview.rows:
        name = row.values["city"]
        if plain(name) not in cities:
            cities[plain(name)] = City(name=name, prompt_key=prompt_keys.get(name, ""))
            session.add(cities[plain(name)])
    await session.flush()
    there = {(each.city_id, each.sort_name): each for each in await session.scalars(select(Neighbourhood))}
    for row in preview.rows:
        values = {**row.values}
        city_id, sort_name = cities[plain(values.pop("city"))].id, plain(values["name"])
        found = there.get((city_id, sort_name)) or Neighbourhood(city_id=city_id, sort_name=sort_name, aliases=[])
        for column, value in values.items():
            setattr(found, column, value)
        found.t9 = keypad([found.name, *found.aliases])
        found.prompt_key = prompt_keys.get(found.name, "")
        session.add(found)


async def _apply_plans(session: AsyncSession, preview: Preview, prompt_keys: Mapping[str, str]) -> None:
    there = {(plan.audience, plain(plan.name)): plan for plan in await session.scalars(select(Plan))}
    for row in preview.rows:
        values = row.values
        plan = there.get((values["audience"], plain(values["name"]))) or _new_plan(preview)
        for column, value in values.items():
            setattr(plan, column, value)
        plan.prompt_key = prompt_keys.get(plan.name, "")
        plan.conditions_prompt_key = prompt_keys.get(plan.conditions, "")
        session.add(plan)


def _new_plan(preview: Preview) -> Plan:
    return Plan(setup_price=Decimal(0), conditions="", valid_from=preview.today)


@cache
def _texts() -> dict[str, Any]:
    texts: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return texts
