"""What a provider has in spreadsheets: neighbourhoods, plans, offers, subscribers, contracts, invoices, and how the
house is set up (house_imports.py). CSV with `;` or `,`, UTF-8 or Latin-1, as people have it.

    preview = await imports.preview(session, ImportKind.PLANS, data, today=today)   # nothing is written
    keys = await ensure_names(settings, imports.names_of(preview))                  # seconds: no transaction open
    await imports.apply(session, preview, keys)                                     # the good rows, by name

Subscribers and contracts need the keyring that documents are sealed with. Texts and accepted words are in imports.yaml.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import house_imports, registry, timetables, waiting_list
from ura.cells import Bad, read_cell, texts
from ura.coverage import keypad, plain
from ura.crypto import Keyring
from ura.models import City, Neighbourhood, Plan, PlanOffer

MOST_ROWS = 200_000
ROWS_A_TRANSACTION = 2000
Values = dict[str, Any]


class ImportKind(StrEnum):
    NEIGHBOURHOODS = "neighbourhoods"
    PLANS = "plans"
    OFFERS = "offers"
    SUBSCRIBERS = "subscribers"
    CONTRACTS = "contracts"
    INVOICES = "invoices"
    HOURS = "hours"
    HOLIDAYS = "holidays"
    QUEUES = "queues"
    NUMBERS = "numbers"
    ATTENDANTS = "attendants"


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


async def preview(
    session: AsyncSession, kind: ImportKind, data: bytes | str, *, today: date, keyring: Keyring | None = None
) -> Preview:
    """Read everything, write nothing: the rows that would be saved and, for each bad one, what to do about it."""
    made = Preview(kind, today)
    check = await _check_of(session, kind)
    seen: dict[tuple[str, ...], int] = {}
    try:
        lines = _read(_decode(data))
        columns = _columns(kind, next(lines, (1, []))[1])
        for line, cells in lines:
            _take(made, line, cells, columns, seen=seen, check=check)
    except Bad as bad:  # of the file as a whole
        made.rows.clear()
        made.errors[:] = [_error(1, bad, {})]
    await _refer(session, made, keyring)
    return made


def names_of(preview: Preview) -> list[str]:
    """Every text that a caller will hear: to be rendered before `apply`."""
    spoken = _SPOKEN.get(preview.kind, ())
    heard = (row.values.get(column, "") for row in preview.rows for column in spoken)
    return list(dict.fromkeys(text for text in heard if text))


def parts(preview: Preview) -> Iterator[Preview]:
    """Subscribers, contracts and invoices in parts, a transaction each: SQLite has one writer, and calls write, too.
    Breaking off and repeating does no harm. What has few rows stays whole."""
    if preview.kind not in (ImportKind.SUBSCRIBERS, ImportKind.CONTRACTS, ImportKind.INVOICES):
        yield preview
        return
    for start in range(0, len(preview.rows), ROWS_A_TRANSACTION):
        yield replace(preview, rows=preview.rows[start : start + ROWS_A_TRANSACTION])


async def apply(
    session: AsyncSession, preview: Preview, prompt_keys: Mapping[str, str], *, keyring: Keyring | None = None
) -> int:
    """Save the good rows: new ones are added, known ones (by name, document or number) brought up to date. Returns how
    many. Whoever waited for a neighbourhood that is covered now is called back."""
    now = datetime.now(UTC)
    rows = [row.values for row in preview.rows]
    match preview.kind:
        case ImportKind.NEIGHBOURHOODS:
            await _apply_neighbourhoods(session, preview, prompt_keys)
            await session.flush()
            await waiting_list.call_back(session, now=now)
        case ImportKind.PLANS:
            await _apply_plans(session, preview, prompt_keys)
        case ImportKind.OFFERS:
            for row in preview.rows:
                values = row.values
                await session.merge(PlanOffer(plan_id=values["plan_id"], neighbourhood_id=values["neighbourhood_id"]))
        case ImportKind.SUBSCRIBERS:
            await registry.save_subscribers(session, _needed(keyring), _named(rows), now=now)
        case ImportKind.CONTRACTS:
            await registry.save_contracts(session, _needed(keyring), _named(rows), now=now)
        case ImportKind.INVOICES:
            await registry.save_invoices(session, _named(rows), now=now)
        case ImportKind.HOURS:
            await timetables.save_hours(session, rows)
        case ImportKind.HOLIDAYS:
            await house_imports.save_holidays(session, rows)
        case ImportKind.QUEUES:
            await house_imports.save_queues(session, rows)
        case ImportKind.NUMBERS:
            await house_imports.save_numbers(session, rows)
        case ImportKind.ATTENDANTS:
            await house_imports.save_attendants(session, rows)
    await session.flush()
    return len(preview.rows)


# What callers hear of a file: rendered before it is saved.
_SPOKEN = {
    ImportKind.NEIGHBOURHOODS: ("city", "name"),
    ImportKind.PLANS: ("name", "conditions"),
    ImportKind.CONTRACTS: ("street", "neighbourhood", "city"),
}
# How the tables call a column that one word would not do for in a file.
_STORED = {
    "subscriber": "name",
    "contract_number": "number",
    "contract_status": "status",
    "invoice_number": "number",
    "invoice_status": "status",
}


def _named(rows: list[Values]) -> list[Values]:
    return [{_STORED.get(column, column): value for column, value in row.items()} for row in rows]


def _needed(keyring: Keyring | None) -> Keyring:
    if keyring is None:
        raise ValueError("subscribers and contracts are imported with a keyring")
    return keyring


# -- the file --------------------------------------------------------------------------------------------------------


def _decode(data: bytes | str) -> str:
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # Excel's "Unicode text"
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        raise Bad("not_text")
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
                    raise Bad("too_large", limit=MOST_ROWS)
                yield start, [cell.strip() for cell in cells]
            start = reader.line_num + 1
    except csv.Error as error:
        raise Bad("not_text") from error


def _columns(kind: ImportKind, header: list[str]) -> list[str]:
    """Our name for each column of the file, "" for one that we do not use."""
    if not header:
        raise Bad("empty_file")
    known = {plain(name): column for column, spec in texts()["columns"][kind].items() for name in spec["names"]}
    found = [known.get(plain(name), "") for name in header]
    for column, spec in texts()["columns"][kind].items():
        if found.count(column) > 1:
            raise Bad("doubled_column", column)
        if spec.get("required") and column not in found:
            raise Bad("missing_column", column)
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
    errors: list[Bad] = []
    values: Values = {}
    if any(cells[len(columns) :]):
        errors.append(Bad("too_many_cells"))
    for column, spec in texts()["columns"][made.kind].items():
        if column not in columns:  # what the file does not tell stays as it is
            continue
        try:
            values[column] = read_cell(column, given.get(column, ""), required=bool(spec.get("required")))
        except Bad as bad:
            errors.append(bad)
    if not errors:
        try:
            _whole_row(made, values)
            check(values)
            _once(made.kind, values, line, seen)
        except Bad as bad:
            errors.append(bad)
    if errors:
        made.errors.extend(_error(line, bad, given) for bad in errors)
    else:
        made.rows.append(ImportRow(line, values))


def _error(line: int, bad: Bad, given: Mapping[str, str]) -> RowError:
    words = texts()
    shown = words["shown"].get(bad.column, "")
    slots = {"column": shown, "value": given.get(bad.column, "")[:60], **bad.slots}
    return RowError(line, shown, words["errors"][bad.message].format(**slots))


# -- one row ---------------------------------------------------------------------------------------------------------


def _whole_row(made: Preview, values: Values) -> None:
    first, last = values.get("cep_first"), values.get("cep_last")
    if (first is None) != (last is None):
        raise Bad("half_range", "cep_first")
    if first and first > last:
        raise Bad("cep_order", "cep_first")
    if "valid_from" in values:
        values["valid_from"] = values["valid_from"] or made.today
    end = values.get("valid_to")
    if end and end < values.get("valid_from", made.today):
        raise Bad("end_before_start", "valid_to")


def _once(kind: ImportKind, values: Values, line: int, seen: dict[tuple[str, ...], int]) -> None:
    columns = {
        ImportKind.NEIGHBOURHOODS: ("city", "name"),
        ImportKind.PLANS: ("audience", "name"),
        ImportKind.OFFERS: ("city", "neighbourhood", "audience", "plan"),
        ImportKind.SUBSCRIBERS: ("document",),
        ImportKind.CONTRACTS: ("contract_number",),
        ImportKind.INVOICES: ("invoice_number",),
        ImportKind.HOURS: ("timetable", "weekday", "opens"),
        ImportKind.HOLIDAYS: ("on_day", "timetable"),
        ImportKind.QUEUES: ("queue_key",),
        ImportKind.NUMBERS: ("did",),
        ImportKind.ATTENDANTS: ("extension",),
    }[kind]
    key = tuple(plain(str(values.get(column, ""))) for column in columns)
    first = seen.setdefault(key, line)
    if first != line:
        raise Bad("doubled_row", first=first)


def _nothing(values: Values) -> None:
    pass


async def _check_of(session: AsyncSession, kind: ImportKind) -> Callable[[Values], None]:
    """What a row has to be beside the others and beside what is stored."""
    match kind:
        case ImportKind.OFFERS:
            return await _known_offers(session)
        case ImportKind.HOURS:
            return house_imports.check_hours()
        case ImportKind.HOLIDAYS:
            return await house_imports.check_holidays(session)
        case ImportKind.QUEUES:
            return await house_imports.check_queues(session)
        case ImportKind.NUMBERS:
            return await house_imports.check_numbers(session)
        case ImportKind.ATTENDANTS:
            return await house_imports.check_attendants(session)
        case _:
            return _nothing


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
            raise Bad("no_neighbourhood", "neighbourhood")
        plan_id = plans.get((values["audience"], plain(values["plan"])))
        if plan_id is None:
            raise Bad("no_plan", "plan")
        values.update(neighbourhood_id=neighbourhood_id, plan_id=plan_id)

    return check


async def _refer(session: AsyncSession, made: Preview, keyring: Keyring | None) -> None:
    """A contract belongs to a subscriber that is there, an invoice to a contract: asked for all rows together."""
    known: Mapping[str, int]
    match made.kind:
        case ImportKind.CONTRACTS:
            column, message = "document", "no_subscriber"
            known = await registry.known_documents(
                session, _needed(keyring), [row.values["document"] for row in made.rows]
            )
        case ImportKind.INVOICES:
            column, message = "contract", "no_contract"
            known = await registry.known_contracts(session, [row.values["contract"] for row in made.rows])
        case _:
            return
    for row in made.rows:
        if row.values[column] not in known:
            shown = {} if column == "document" else {column: row.values[column]}
            made.errors.append(_error(row.line, Bad(message, column), shown))
    made.rows[:] = [row for row in made.rows if row.values[column] in known]
    made.errors.sort(key=lambda error: error.line)


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
