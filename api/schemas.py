"""What several routes of the API share: paging, and how a moment or a page looks in an answer."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Header, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

Item = TypeVar("Item")


class Answer(BaseModel):
    """Read from a row or a dataclass of the house."""

    model_config = ConfigDict(from_attributes=True)


class Listed(BaseModel, Generic[Item]):
    items: list[Item]
    next_cursor: str = Field(description="Send it as `cursor` for the next page; empty on the last one.")


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("text has no NUL")  # PostgreSQL takes none
    return text


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(rf"{_DAY.pattern}[Tt ]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d+)?)?([Zz]|[+-]\d{{2}}:\d{{2}})")


def _day(written: Any) -> Any:
    if not isinstance(written, date | str) or (isinstance(written, str) and not _DAY.fullmatch(written)):
        raise ValueError("write a day as 2026-11-22")
    return written


def _moment(written: Any) -> Any:
    if not isinstance(written, datetime | str) or (isinstance(written, str) and not _MOMENT.fullmatch(written)):
        raise ValueError("write a moment with its time zone, as 2026-11-22T08:00:00-03:00 or ended with Z")
    return written


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the year is out of reach") from error


# Of what is asked: RFC 3339, as JSON Schema's formats say. pydantic alone takes any number, for seconds since 1970.
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_utc)]
Words = Annotated[str, AfterValidator(_storable)]
Cursor = Annotated[str, Query(max_length=200, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Rows on a page.")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=100,
        description="Any text of your own, one for each thing you want done. Sent again, it is not done again.",
    ),
]
