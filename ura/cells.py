"""One cell of a provider's spreadsheet → its value, or what to do about it. Texts and words are in imports.yaml."""

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from holidays.countries.brazil import BR

from ura import boleto, documents, phones, pix
from ura.coverage import plain
from ura.documents import BadDocument
from ura.erp import ContractStatus
from ura.errors import BadInput
from ura.models import Audience, Coverage, DidKind, InvoiceStatus
from ura.queues import LONGEST_WAIT_S, SHORTEST_WAIT_S
from ura.timetables import KEY

LONGEST = {"conditions": 400, "subscriber": 120}
LONGEST_TEXT = {"contract_number": 30, "invoice_number": 40, "house": 40, "login": 80, "link": 500}
LONGEST_PLACE = 40  # ONU, OLT, PON, CTO
MOST_PHONES = 10
FIRST_BIRTH_YEAR = 1900
LONGEST_NAME = 80
USUAL_WAIT_S = 300
USUAL_CALLERS, MOST_CALLERS = 5, 100
STATES = frozenset(state for state in BR.subdivisions if len(state) == 2)  # it knows a town, too
HIGHEST_PRICE = Decimal("99999.99")


class Bad(Exception):
    """This cell or row will not do. `column` is our name of it."""

    def __init__(self, message: str, column: str = "", **slots: Any) -> None:
        self.message, self.column, self.slots = message, column, slots


def read_cell(column: str, text: str, *, required: bool) -> Any:
    if required and not text:
        raise Bad("required", column)
    match column:
        case "status" | "audience" | "contract_status":
            return _word(column, text)
        case "segment":
            return _word(column, text) if text else Audience.HOME
        case "invoice_status":
            return _word(column, text) if text else InvoiceStatus.OPEN
        case "document":
            return _document(text)
        case "phones":
            return _phones(text)
        case "emails":
            return _emails(text)
        case "birth_year":
            return _birth_year(text) if text else None
        case "due_on" | "on_day":
            return _day(column, text)
        case "did_kind":
            return _word(column, text)
        case "weekday":
            return int(_spelt(column, text))
        case "active":
            return _spelt(column, text) == "yes" if text else True
        case "opens" | "closes":
            return _time(column, text)
        case "did":
            return _did(text)
        case "extension":
            return _extension(text)
        case "timetable" | "business_hours" | "queue" | "queue_key" | "flow_key":
            return _key(column, text) if text else ""
        case "queues":
            return list(dict.fromkeys(_key(column, each.strip()) for each in re.split(r"[|,/]", text) if each.strip()))
        case "max_wait_s":
            return _wait_s(text) if text else USUAL_WAIT_S
        case "callers_per_attendant":
            return _callers(text) if text else USUAL_CALLERS
        case "state_uf":
            return _state(text) if text else ""
        case "attendant" | "title" | "label" | "holiday":
            return _text(column, text, LONGEST_NAME)
        case "amount":
            return _money(column, text)
        case "line":
            return _line(text) if text else ""
        case "pix":
            return _pix(text) if text else ""
        case "onu" | "olt" | "pon" | "cto":
            return _text(column, text, LONGEST_PLACE)
        case "contract_number" | "contract" | "invoice_number" | "house" | "login" | "link":
            return _text(column, text, LONGEST_TEXT.get(column, LONGEST_TEXT["contract_number"]))
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
        raise Bad("too_long", column, limit=limit)
    if not plain(text) or not text.isprintable():
        raise Bad("unspeakable", column)
    return text.strip()


def _text(column: str, text: str, limit: int) -> str:
    """Written, not spoken: numbers, log-ins, addresses."""
    if len(text) > limit:
        raise Bad("too_long", column, limit=limit)
    if not text.isprintable():
        raise Bad("unreadable", column)
    return text


def _document(text: str) -> str:
    """A spreadsheet takes a CPF for a number and drops its zeros in front."""
    if text.isascii() and text.isdigit():
        text = text.zfill(documents.CPF_LENGTH if len(text) <= documents.CPF_LENGTH else documents.CNPJ_LENGTH)
    try:
        return documents.parse(text)
    except BadDocument as error:
        raise Bad("bad_document", "document") from error


def _phones(text: str) -> list[str]:
    found = [phones.to_e164(each) for each in re.split(r"[|,/]", text) if each.strip()]
    if not all(found):
        raise Bad("bad_phone", "phones")
    if len(found) > MOST_PHONES:
        raise Bad("too_many", "phones", limit=MOST_PHONES)
    return list(dict.fromkeys(found))


def _emails(text: str) -> list[str]:
    found = [each.strip() for each in re.split(r"[|,]", text) if each.strip()]
    if not all(re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,180}\.[^@\s]{2,60}", each) for each in found):
        raise Bad("bad_email", "emails")
    if len(found) > MOST_PHONES:
        raise Bad("too_many", "emails", limit=MOST_PHONES)
    return list(dict.fromkeys(found))


def _birth_year(text: str) -> int:
    """The year, or the whole date: only the year is kept, since nothing else is asked for."""
    year = int(text) if re.fullmatch(r"\d{4}", text, re.ASCII) else _day("birth_year", text).year
    if not FIRST_BIRTH_YEAR <= year <= datetime.now(UTC).year:
        raise Bad("bad_year", "birth_year")
    return year


def _line(text: str) -> str:
    try:
        return boleto.parse(text, today=datetime.now(UTC).date()).line
    except BadInput as error:
        raise Bad("bad_line", "line") from error


def _pix(text: str) -> str:
    try:
        return pix.parse(text).text
    except BadInput as error:
        raise Bad("bad_pix", "pix") from error


def _key(column: str, text: str) -> str:
    """As flows and Asterisk's dialplan write it."""
    if not KEY.fullmatch(text):
        raise Bad("bad_key", column)
    return text


def _time(column: str, text: str) -> time:
    found = re.fullmatch(r"(\d{1,2})(?:[:h](\d{2})?)?", text, re.ASCII | re.IGNORECASE)
    hour, minute = (int(found[1]), int(found[2] or 0)) if found else (99, 0)
    if (hour, minute) == (24, 0) and column == "closes":
        hour = 0  # the midnight that ends the day
    if hour > 23 or minute > 59:
        raise Bad("bad_time", column)
    return time(hour, minute)


def _did(text: str) -> str:
    """E.164 without the plus, as it is compared with what the carrier sends."""
    found = phones.to_e164(text)
    if not found:
        raise Bad("bad_did", "did")
    return found.removeprefix("+")


def _extension(text: str) -> str:
    if not re.fullmatch(r"\d{2,6}", text, re.ASCII):
        raise Bad("bad_extension", "extension")
    return text


def _wait_s(text: str) -> int:
    found = re.fullmatch(r"(\d{1,4})\s*s?", text, re.ASCII)
    if not found or not SHORTEST_WAIT_S <= int(found[1]) <= LONGEST_WAIT_S:
        raise Bad("bad_wait", "max_wait_s", first=SHORTEST_WAIT_S, last=LONGEST_WAIT_S)
    return int(found[1])


def _callers(text: str) -> int:
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or int(text) > MOST_CALLERS:
        raise Bad("bad_count", "callers_per_attendant", last=MOST_CALLERS)
    return int(text)


def _state(text: str) -> str:
    if text.upper() not in STATES:
        raise Bad("bad_state", "state_uf")
    return text.upper()


def _spelt(column: str, text: str) -> str:
    """Which of our words was meant."""
    words: dict[str, list[str]] = texts()["words"][column]
    for value, spellings in words.items():
        if plain(text) in spellings:
            return value
    raise Bad("unknown_word", column, words=", ".join(spellings[0] for spellings in words.values()))


def _word(column: str, text: str) -> StrEnum:
    kinds: dict[str, type[StrEnum]] = {
        "status": Coverage,
        "audience": Audience,
        "segment": Audience,
        "contract_status": ContractStatus,
        "invoice_status": InvoiceStatus,
        "did_kind": DidKind,
    }
    return kinds[column](_spelt(column, text))


def _day(column: str, text: str) -> date:
    for form in ("%d/%m/%Y", "%Y-%m-%d", "%d/%m/%y"):
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise Bad("bad_date", column)


def _cep(column: str, text: str) -> str:
    found = re.fullmatch(r"(\d{2})\.?(\d{3})-?(\d{3})", text, re.ASCII)
    if not found:
        raise Bad("bad_cep", column)
    return "".join(found.groups())


def _speed(text: str) -> int:
    found = re.fullmatch(r"(\d{1,5})\s*(?:mega|mb|mbps|m)?", text, re.ASCII | re.IGNORECASE)
    if not found or int(found[1]) == 0:
        raise Bad("bad_speed", "speed_mbps")
    return int(found[1])


def _money(column: str, text: str) -> Decimal:
    """99,90 · 1.299,90 · R$ 99,90 · 99.90 · 99. Not 1.299: one cannot know which of the two it is."""
    amount = text.removeprefix("R$").strip()
    if re.fullmatch(r"(\d{1,3}(\.\d{3})+|\d+),\d{1,2}", amount, re.ASCII):
        amount = amount.replace(".", "").replace(",", ".")
    elif not re.fullmatch(r"\d+(\.\d{1,2})?", amount, re.ASCII):
        raise Bad("bad_money", column)
    value = Decimal(amount)
    if value > HIGHEST_PRICE:
        raise Bad("bad_money", column)
    return value.quantize(Decimal("0.01"))


@cache
def texts() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("imports.yaml").read_text(encoding="utf-8"))
    return document
