"""What several routes of the API share: paging, and how a moment or a page looks in an answer."""

from typing import Annotated, Generic, TypeVar

from fastapi import Header, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
