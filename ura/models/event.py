from datetime import datetime

from sqlalchemy import JSON, BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Json


class Event(Base):
    """Something changed: look again. The id only grows, also after old rows are deleted."""

    __tablename__ = "event"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - as SQLAlchemy wants it

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)
    at: Mapped[datetime] = mapped_column(Moment)
