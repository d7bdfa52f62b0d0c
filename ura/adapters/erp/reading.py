"""What another system's JSON says, read with suspicion: unreadable is ErpUnavailable, never a guess.

The same field comes as number or text, dates come in two orders, PHP says `[]` for "no object", and what there is not
is null, "" or 0000-00-00. Errors name the field, never what stood in it.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from ura.erp import ErpUnavailable, Kind
from ura.phones import to_e164

MOST_MONEY = Decimal(10_000_000)
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)|(\d\d)/(\d\d)/(\d{4})")
_TIME = re.compile(r"[ T](\d\d):(\d\d)(?::(\d\d))?")
_NO_DAY = {"1969-12-31", "1970-01-01", "31/12/1969", "01/01/1970"}  # an empty date that passed through a computer clock
_SMALL_WORDS = {"da", "das", "de", "do", "dos", "e"}
_DOCUMENT = re.compile(r"\d{11}|[0-9A-Z]{12}\d{2}")


def unreadable(what: str) -> ErpUnavailable:
    return ErpUnavailable(f"unreadable: {what}")


class Record:
    """One JSON object. Methods take one name, or several in the order in which versions of the system use them."""

    __slots__ = ("_fields",)

    def __init__(self, value: object) -> None:
        if not isinstance(value, Mapping):
            raise unreadable("no object")
        self._fields: Mapping[str, Any] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]  # Python's way to say that it has none

    def has(self, *names: str) -> bool:
        return any(self._fields.get(name) not in (None, "", [], {}) for name in names)

    def text(self, *names: str) -> str:
        """ "" when there is none; a number becomes text."""
        for name in names:
            match self._fields.get(name):
                case None | "":
                    continue
                case bool() as truth:
                    return "true" if truth else "false"
                case str() | int() | Decimal() as value:
                    return str(value).strip()
                case _:
                    raise unreadable(name)
        return ""

    def need(self, *names: str) -> str:
        """Text that has to be there."""
        found = self.text(*names)
        if not found:
            raise unreadable(names[0])
        return found

    def money(self, *names: str) -> Decimal:
        """89.9, "89.90", "1.289,90" → reais with two places."""
        raw = self.need(*names).removeprefix("R$").strip()
        if "," in raw:
            raw = raw.replace(".", "").replace(",", ".")
        try:
            amount = Decimal(raw)
            if not 0 <= amount < MOST_MONEY:
                raise unreadable(names[0])
            return amount.quantize(Decimal("0.01"))
        except InvalidOperation:
            raise unreadable(names[0]) from None

    def day(self, *names: str) -> date:
        found = read_day(self.need(*names))
        if found is None:
            raise unreadable(names[0])
        return found

    def moment(self, zone: ZoneInfo, *names: str) -> datetime | None:
        """None when there is none, or it cannot be read. `zone`: where the system's clock hangs."""
        return read_moment(self.text(*names), zone)

    def yes(self, *names: str) -> bool:
        """true, 1, "True", "S", "sim"; everything else is no."""
        return self.text(*names).casefold() in {"true", "1", "s", "sim", "on"}

    def rows(self, *names: str) -> tuple["Record", ...]:
        """A list of objects that has to be there, under the first of these names that is."""
        for name in names:
            if isinstance(found := self._fields.get(name), list):
                return tuple(Record(each) for each in found)
        raise unreadable(names[0])

    def rows_if_any(self, *names: str) -> tuple["Record", ...]:
        return self.rows(*names) if self.has(*names) else ()

    def part(self, name: str) -> "Record":
        """An object inside; empty when there is none."""
        return Record(self._fields.get(name) or {})

    def texts(self, name: str, inner: str = "") -> tuple[str, ...]:
        """A list of texts, or of objects with the text under `inner`."""
        found: Any = self._fields.get(name) or []
        if not isinstance(found, list):
            raise unreadable(name)
        each = [Record(one).text(inner) if isinstance(one, Mapping) else str(one).strip() for one in found if one]
        return tuple(text for text in each if text)


def read_day(text: str) -> date | None:
    found = _DAY.match(text)
    if not found:
        return None
    year, month, day = (found[1], found[2], found[3]) if found[1] else (found[6], found[5], found[4])
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def read_moment(text: str, zone: ZoneInfo) -> datetime | None:
    """ "2019-12-15 18:22:24-03", "15/12/2019 18:22:24"; a day alone is its midnight."""
    day = read_day(text)
    if day is None:
        return None
    time = _TIME.search(text)
    hour, minute, second = (int(part or 0) for part in time.groups()) if time else (0, 0, 0)
    try:
        return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None


def birth_year(text: str) -> int | None:
    day = read_day(text)
    return day.year if day and day.year >= 1900 and text[:10] not in _NO_DAY else None


def document(text: str) -> str:
    """As we keep it; "" when it is none. What is asked with one goes through here first."""
    bare = re.sub(r"[^0-9A-Za-z]", "", text).upper()
    return bare if _DOCUMENT.fullmatch(bare) else ""


def kind_of(bare: str) -> Kind:
    return Kind.PERSON if len(bare) == 11 else Kind.COMPANY


def written(bare: str) -> str:
    """A document with its points and strokes, as people type it into these systems."""
    if len(bare) == 11:
        return f"{bare[:3]}.{bare[3:6]}.{bare[6:9]}-{bare[9:]}"
    return f"{bare[:2]}.{bare[2:5]}.{bare[5:8]}/{bare[8:12]}-{bare[12:]}"


def phones(*raw: str) -> tuple[str, ...]:
    """E.164, each once, in the order given."""
    return tuple(dict.fromkeys(number for each in raw if (number := to_e164(each))))


def national(phone: str) -> str:
    """+5511987654321 → 11987654321; "" for what is no Brazilian number."""
    number = to_e164(phone)
    return number[3:] if number.startswith("+55") else ""


def written_numbers(phone: str) -> tuple[str, ...]:
    """As a provider's system may have this number: 11987654321, and 1187654321 from before the ninth digit. Empty for
    what is no Brazilian number."""
    number = national(phone)
    is_old_mobile = len(number) == 11 and number[3] in "6789"
    return tuple(each for each in (number, f"{number[:2]}{number[3:]}" if is_old_mobile else "") if each)


def digits(text: str, most: int = 20) -> str:
    """The text when it is nothing but digits, else "". Only that is ever put into a question."""
    return text if re.fullmatch(rf"[0-9]{{1,{most}}}", text) else ""


def readable(name: str) -> str:
    """RUA DAS FLORES → Rua das Flores: these systems shout, and the voice has prompts for names as they are written."""
    if not name.isupper():
        return name
    words = name.casefold().split()
    return " ".join(word if at and word in _SMALL_WORDS else word.capitalize() for at, word in enumerate(words))


def power(text: str) -> float | None:
    """Received light in dBm; None for what cannot be one ("", "N/A", 0 for never measured)."""
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        return None
    return found if -60 < found < 0 else None


def wall_text(moment: datetime, zone: ZoneInfo) -> str:
    """22/11/2026 14:30, as Brazilians write it."""
    return moment.astimezone(zone).strftime("%d/%m/%Y %H:%M")
