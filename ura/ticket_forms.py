"""A category's own questions, and whether what was answered is an answer. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, assert_never

from ura.errors import BadInput

Json = Any
KEY = re.compile(r"[a-z0-9_]{1,64}")
LONGEST_TITLE, LONGEST_ANSWER, MOST_FIELDS, MOST_CHOICES = 80, 500, 40, 40
LARGEST_NUMBER = 10**15


class FormIncomplete(BadInput):
    code = "form-incomplete"


class FormNotUnderstood(BadInput):
    code = "form-not-understood"


class FieldKind(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    YES_NO = "yes_no"
    CHOICE = "choice"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Field:
    """One question. `title` is what people read, `choices` what a CHOICE is among. `personal`: never for L3."""

    key: str
    title: str
    kind: FieldKind
    required: bool = False
    choices: tuple[str, ...] = ()
    personal: bool = False


def checked(fields: Sequence[Field], given: Mapping[str, Json]) -> dict[str, Json]:
    """The answers as they are kept, without those that are empty. Raises FormNotUnderstood, naming every field that is
    unknown or not answered as it is asked."""
    known = {field.key: field for field in fields}
    if unknown := sorted(set(given) - set(known)):
        raise FormNotUnderstood(
            f"This category does not ask for {_list(unknown)}. It asks for {_list(known) or 'nothing'}."
        )
    answered = {key: answer for key, answer in given.items() if answer is not None and answer != ""}
    wrong = [key for key, answer in answered.items() if not _fits(known[key], answer)]
    if wrong:
        wanted = "; ".join(f"{key}: {_asked(known[key])}" for key in wrong)
        raise FormNotUnderstood(f"Correct these answers of the form. {wanted}.")
    return {key: answer.strip() if isinstance(answer, str) else answer for key, answer in answered.items()}


def check_complete(fields: Sequence[Field], answers: Mapping[str, Json]) -> None:
    """Raises FormIncomplete, naming every field that must be answered and is not."""
    if missing := [field.key for field in fields if field.required and field.key not in answers]:
        raise FormIncomplete(f"This category needs answers to {_list(missing)}: send them in `form`.")


def check_form(fields: Sequence[Field]) -> None:
    """Is this a form? Raises BadInput."""
    keys = [field.key for field in fields]
    if len(fields) > MOST_FIELDS or len(set(keys)) != len(keys) or not all(KEY.fullmatch(key) for key in keys):
        raise BadInput(
            f"A form has {MOST_FIELDS} fields at most, each with a key of its own: small letters, digits and _."
        )
    for field in fields:
        if not 0 < len(field.title.strip()) <= LONGEST_TITLE:
            raise BadInput(f"Give the field {field.key} a title of 1 to {LONGEST_TITLE} letters.")
        if not _has_its_choices(field):
            raise BadInput(
                f"The field {field.key}: a choice has choices, each once, {MOST_CHOICES} at most; others have none."
            )


def _has_its_choices(field: Field) -> bool:
    if field.kind is not FieldKind.CHOICE:
        return not field.choices
    once = len(set(field.choices)) == len(field.choices)
    return (
        once
        and 0 < len(field.choices) <= MOST_CHOICES
        and all(0 < len(each.strip()) <= LONGEST_TITLE for each in field.choices)
    )


def to_json(fields: Iterable[Field]) -> list[dict[str, Json]]:
    return [
        {
            "key": field.key,
            "title": field.title.strip(),
            "kind": field.kind.value,
            "required": field.required,
            "choices": list(field.choices),
            "personal": field.personal,
        }
        for field in fields
    ]


def from_json(form: Iterable[Mapping[str, Json]]) -> tuple[Field, ...]:
    return tuple(
        Field(
            key=str(each["key"]),
            title=str(each["title"]),
            kind=FieldKind(each["kind"]),
            required=bool(each.get("required")),
            choices=tuple(str(choice) for choice in each.get("choices") or ()),
            personal=bool(each.get("personal")),
        )
        for each in form
    )


def _fits(field: Field, answer: Json) -> bool:
    match field.kind:
        case FieldKind.TEXT:
            return isinstance(answer, str) and 0 < len(answer.strip()) <= LONGEST_ANSWER and "\0" not in answer
        case FieldKind.NUMBER:
            return isinstance(answer, int | float) and not isinstance(answer, bool) and abs(answer) <= LARGEST_NUMBER
        case FieldKind.YES_NO:
            return isinstance(answer, bool)
        case FieldKind.CHOICE:
            return answer in field.choices
        case FieldKind.DATE:
            return isinstance(answer, str) and _is_day(answer)
        case _:
            assert_never(field.kind)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _asked(field: Field) -> str:
    match field.kind:
        case FieldKind.TEXT:
            return f"text of {LONGEST_ANSWER} signs at most"
        case FieldKind.NUMBER:
            return "a number"
        case FieldKind.YES_NO:
            return "true or false"
        case FieldKind.CHOICE:
            return f"one of {_list(field.choices)}"
        case FieldKind.DATE:
            return "a day as 2026-11-23"
        case _:
            assert_never(field.kind)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
