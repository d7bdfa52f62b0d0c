"""Column types that several tables share."""

from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Enum, Integer, Numeric, String

Word = TypeVar("Word", bound=StrEnum)

Uuid = String(32)  # uuid4 as hex, made by whoever wrote the record first
Key = String(64)
RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only an INTEGER primary key by itself
NodePath = String(200)  # "node", or "flow/node" inside subflows
Phone = String(20)  # E.164, "" when the caller hid it
Money = Numeric(10, 2)
Json = Any


def word(kind: type[Word]) -> Enum:
    """A StrEnum kept as its text: readable in the database and the same on both engines."""
    return Enum(kind, native_enum=False, length=16, values_callable=lambda words: [each.value for each in words])
