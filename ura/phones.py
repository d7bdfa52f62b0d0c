"""Telephone numbers as carriers and people write them in Brazil → E.164, or "" when it is none.

Known shapes: +55 11 98765-4321 · 5511987654321 · 011987654321 · 0 15 11 987654321 (carrier) · 9090 11 … (collect) ·
(11) 8765-4321 (a mobile from before the ninth digit) · 0800 · abroad with + or 00. Without an area code `area_code`
is put in front. Short codes (190, 10315), hidden and spoiled numbers give "": nobody can be rung back there.
"""

import re
from enum import StrEnum
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

LONGEST = 40
_WRITTEN = re.compile(r"\+?[0-9 ().\-/]{3,}", re.ASCII)
_CARRIER = re.compile(r"(?:90)?0?(?:\d\d)?(\d{10,11})")
_COUNTRY = "55"


class PhoneKind(StrEnum):
    MOBILE = "mobile"
    LANDLINE = "landline"
    OTHER = "other"
    HIDDEN = "hidden"


@lru_cache(maxsize=1024)
def to_e164(raw: str, area_code: str = "") -> str:
    """`raw` as the carrier sent it, or as a caller typed it → "+5511987654321", or ""."""
    text = raw.strip().removeprefix("tel:").removeprefix("sip:").partition("@")[0]
    if len(text) > LONGEST or not _WRITTEN.fullmatch(text):
        return ""
    digits = re.sub(r"\D", "", text)
    if text.startswith("+"):
        return _brazilian(digits.removeprefix(_COUNTRY)) if digits.startswith(_COUNTRY) else _valid("+" + digits)
    if digits.startswith("00"):
        rest = digits[2:]
        return _brazilian(rest.removeprefix(_COUNTRY)) if rest.startswith(_COUNTRY) else _valid("+" + rest)
    if digits.startswith(_COUNTRY) and len(digits) in (12, 13) and (found := _brazilian(digits[2:])):
        return found
    if len(digits) in (8, 9):
        return _brazilian(area_code + digits) if area_code else ""
    return _brazilian(digits)


def kind(phone: str) -> PhoneKind:
    """What sort of line an E.164 number is; a message can be sent to a mobile only."""
    if not phone:
        return PhoneKind.HIDDEN
    try:
        found = phonenumbers.number_type(_parsed(phone))
    except NumberParseException:
        return PhoneKind.OTHER
    if found in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE):
        return PhoneKind.MOBILE
    return PhoneKind.LANDLINE if found == PhoneNumberType.FIXED_LINE else PhoneKind.OTHER


def mask(phone: str) -> str:
    """For logs: "+5511*****4321". Enough to tell two callers apart, not enough to ring one."""
    if not phone:
        return "hidden"
    if len(phone) < 10:
        return "*" * len(phone)
    return phone[:5] + "*" * (len(phone) - 9) + phone[-4:]


def _brazilian(national: str) -> str:
    """Area code and number, perhaps with 0 and a carrier's code before."""
    if found := _valid(f"+{_COUNTRY}{national}"):
        return found
    for area_and_number in (national, _without_carrier(national)):
        # Mobiles got a ninth digit, a 9 in front, between 2012 and 2016; old contacts and some exchanges lack it.
        if len(area_and_number) == 10 and area_and_number[2] in "6789":
            area_and_number = f"{area_and_number[:2]}9{area_and_number[2:]}"
        if found := _valid(f"+{_COUNTRY}{area_and_number}"):
            return found
    return _valid(national, region="BR") if national.startswith(("0800", "0300", "0500")) else ""


def _without_carrier(national: str) -> str:
    if not national.startswith(("0", "90")):
        return ""
    found = _CARRIER.fullmatch(national.lstrip("0") if national.startswith("0") else national)
    return found[1] if found else ""


@lru_cache(maxsize=1024)
def _parsed(text: str, region: str | None = None) -> phonenumbers.PhoneNumber:
    """Remembered: a call asks again and again about one number, and what comes is not to be changed."""
    return phonenumbers.parse(text, region)


def _valid(text: str, region: str | None = None) -> str:
    try:
        number = _parsed(text, region)
    except NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
