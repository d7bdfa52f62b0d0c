from datetime import date, datetime

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key


class Purge(Base):
    """So many rows of a class were deleted, whose time had come. Only ever added to; `hash` covers the line and the
    `previous` one's, which no two lines share: one that is changed or missing breaks the chain."""

    __tablename__ = "purge"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    on_day: Mapped[date]  # the provider's own
    kind: Mapped[str] = mapped_column(Key)
    rows: Mapped[int]
    previous: Mapped[str] = mapped_column(String(64), unique=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
