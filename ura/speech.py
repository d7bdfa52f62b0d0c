"""How does a value sound in Portuguese? Values in, prompt keys out; the keys are those of prompts/pieces.yaml.

Pure, and on the ground floor: it knows nothing of flows, files or engines.
"""

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from ura.errors import BadInput

BREATH = "pause.short"
LARGEST = 999_999_999
WHOLE_CENTS = frozenset({*range(10, 100, 10), 99})
"""Cents that have a piece of their own ("e noventa centavos"): those that prices really end in."""
WHOLE_YEARS = range(2025, 2036)


class Value(Protocol):
    """What a flow wants spoken: `ura.flows.effects.Spoken`, seen from the floor below."""

    @property
    def kind(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def feminine(self) -> bool: ...


def prompt_keys(spoken: Value, *, today: dt.date, half: bool = False) -> list[str]:
    """The prompt keys of one spoken value. Raises BadInput when the value is not one of its kind."""
    return render(spoken.kind, spoken.value, spoken.feminine, today=today, half=half)


def render(
    kind: str, value: Any, feminine: bool = False, *, today: dt.date | None = None, half: bool = False
) -> list[str]:
    """One value of `kind` (see `ura.flows.effects.Spoken`) as prompt keys; `half` as in `digits`. Raises BadInput."""
    try:
        match kind:
            case "money":
                return money(Decimal(str(value)))
            case "date":
                return date(dt.date.fromisoformat(str(value)), today=today)
            case "time":
                return time(dt.time.fromisoformat(str(value)))
            case "moment":
                return moment(dt.datetime.fromisoformat(str(value)), today=today)
            case "count":
                return count(int(value), feminine)
            case "digits":
                return digits(str(value), half=half)
            case "protocol":
                return protocol(str(value), half=half)
            case "speed":
                return speed(int(value))
            case "name":
                return [str(value)] if value else []
            case "list":
                return listing([str(key) for key in value])
    except (ValueError, TypeError, InvalidOperation) as error:
        raise BadInput(f"{value!r} cannot be spoken as {kind}: {error}") from error
    raise BadInput(f"There is no way to speak the kind {kind!r}.")


def count(n: int, feminine: bool = False) -> list[str]:
    """A cardinal: 2 → "dois" or "duas", 1101 → "mil cento e um"."""
    if not 0 <= n <= LARGEST:
        raise BadInput(f"{n} is outside 0…{LARGEST}.")
    millions, rest = divmod(n, 1_000_000)
    thousands, units = divmod(rest, 1000)
    keys: list[str] = []
    if millions:
        keys += ["million.one"] if millions == 1 else [*_below_thousand(millions), "million.many"]
        if rest and (not units or not thousands) and _takes_and(thousands or units):
            keys.append("and")
    if thousands:
        if thousands > 1:
            keys += _below_thousand(thousands, feminine)
        keys.append("thousand.and" if units and _takes_and(units) else "thousand")
    if units or not n:
        keys += _below_thousand(units, feminine)
    return keys


def _takes_and(n: int) -> bool:
    """Portuguese says "e" before the last part when it is below a hundred or a round hundred."""
    return n < 100 or n % 100 == 0


def _below_thousand(n: int, feminine: bool = False) -> list[str]:
    hundreds, rest = n // 100 * 100, n % 100
    if n <= 100:
        return [_below_hundred(n, feminine)]
    if feminine and hundreds > 100:
        return [f"hundred.f.{hundreds}", *(["and", _below_hundred(rest, True)] if rest else [])]
    if not rest:
        return [f"hundred.{hundreds}"]
    return [f"hundred.and.{hundreds}", _below_hundred(rest, feminine)]


def _below_hundred(n: int, feminine: bool) -> str:
    return f"number.f.{n}" if feminine and n % 10 in (1, 2) and n not in (11, 12) else f"number.{n}"


def money(amount: Decimal) -> list[str]:
    """An amount in reais, exact to the cent: "mil reais e um centavo", "um milhão de reais", "zero reais"."""
    cents_in_all = amount * 100
    if not amount.is_finite() or amount < 0 or cents_in_all != cents_in_all.to_integral_value():
        raise BadInput(f"{amount} is not an amount in whole cents, zero or more.")
    reais, cents = divmod(int(cents_in_all), 100)
    keys = _reais(reais) if reais or not cents else []
    if not cents:
        return keys
    if keys and cents in WHOLE_CENTS:
        return [*keys, f"cents.{cents}"]
    unit = "currency.centavo" if cents == 1 else "currency.centavos"
    return [*keys, *(["and"] if keys else []), f"number.{cents}", unit]


def _reais(n: int) -> list[str]:
    """Whole reais. The last part, up to 99, carries its unit in one piece ("vinte e nove reais")."""
    keys, last = count(n), n % 100
    if last:
        return [*keys[:-1], "currency.one_real" if n == 1 else f"reais.{last}"]
    round_million = n >= 1_000_000 and n % 1_000_000 == 0
    return [*keys, "currency.de_reais" if round_million else "currency.reais"]


def date(day: dt.date, *, today: dt.date | None = None) -> list[str]:
    """ "primeiro de janeiro"; the year is spoken unless it is this year."""
    keys = ["day.first" if day.day == 1 else f"number.{day.day}", f"month.{day.month}"]
    if today and today.year == day.year:
        return keys
    return [*keys, *([f"year.{day.year}"] if day.year in WHOLE_YEARS else ["of", *count(day.year)])]


def time(at: dt.time) -> list[str]:
    """ "oito horas", "oito e trinta", "uma hora", "meio-dia", "meia-noite e quinze". Seconds are not spoken."""
    if at.hour in (0, 12):
        keys = ["hour.midnight" if at.hour == 0 else "hour.noon"]
    elif not at.minute:
        return [f"hour.{at.hour}"]
    else:
        keys = [_below_hundred(at.hour, True)]
    return [*keys, *_minutes(at.minute)]


def _minutes(minute: int) -> list[str]:
    if not minute:
        return []
    return [f"minutes.{minute}"] if minute in (15, 30, 45) else ["and", f"number.{minute}"]


def moment(at: dt.datetime, *, today: dt.date | None = None) -> list[str]:
    """When something happens, local time: "amanhã, às oito horas", "na segunda-feira, ao meio-dia",
    "no dia primeiro de março, à uma hora e quinze". Without `today` always the date."""
    return [*_on(at.date(), today), BREATH, f"hour.at.{at.hour}", *_minutes(at.minute)]


def _on(day: dt.date, today: dt.date | None) -> list[str]:
    days = (day - today).days if today else -1
    if days == 0:
        return ["day.today"]
    if days == 1:
        return ["day.tomorrow"]
    if 1 < days < 7:
        return [f"weekday.on.{day.weekday()}"]
    return ["day.on", *date(day, today=today)]


def digits(text: str, *, half: bool = False) -> list[str]:
    """Digits one by one, in groups with a breath between; the text's own spaces and marks are kept as groups.
    `half` says "meia" for 6, as people do with telephone numbers."""
    parts = [part for part in re.split(r"[\s().,/+-]+", text.strip()) if part]
    if not parts or not all(part.isdecimal() and part.isascii() for part in parts):
        raise BadInput(f"{text!r} is not made of digits.")
    groups = parts if len(parts) > 1 else _groups(parts[0])
    return _spoken_groups(groups, half=half)


def protocol(text: str, *, half: bool = False) -> list[str]:
    """A protocol number, three digits in a breath, so that it can be written down. `half` as in `digits`."""
    if not (text.isdecimal() and text.isascii()):
        raise BadInput(f"{text!r} is not a protocol number.")
    return _spoken_groups([text[i : i + 3] for i in range(0, len(text), 3)], half=half)


def _groups(run: str) -> list[str]:
    """Threes; no digit is left alone at the end (four stay together, ten are 3-3-4)."""
    if len(run) <= 4:
        return [run]
    cut = [run[i : i + 3] for i in range(0, len(run), 3)]
    return cut if len(cut[-1]) > 1 else [*cut[:-2], cut[-2] + cut[-1]]


def _spoken_groups(groups: Sequence[str], *, half: bool) -> list[str]:
    keys: list[str] = []
    for group in groups:
        if keys:
            keys.append(BREATH)
        keys += [f"digit.{d}" for d in group[:-1]] + [f"digit.end.{group[-1]}"]
    return [key.replace("6", "half") for key in keys] if half else keys


def listing(keys: Sequence[str]) -> list[str]:
    """ "a", "a e b", "a, b e c"."""
    if len(keys) < 2:
        return list(keys)
    spoken: list[str] = [keys[0]]
    for key in keys[1:-1]:
        spoken += [BREATH, key]
    return [*spoken, "and", keys[-1]]


def speed(mbps: int) -> list[str]:
    """ "trezentos mega", "um giga", "dois giga e meio"."""
    if mbps < 1:
        raise BadInput(f"{mbps} Mbit/s is not a speed.")
    gigas, rest = divmod(mbps, 1000)
    if gigas and rest in (0, 500):
        return [*count(gigas), "speed.giga", *(["speed.and_half"] if rest else [])]
    return [*count(mbps), "speed.mega"]
