from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import word


class RecordKind(StrEnum):
    SUBSCRIBER = "subscriber"
    TICKET = "ticket"
    CALL = "call"
    RECORDING = "recording"


class AccessHow(StrEnum):
    OPENED = "opened"
    REVEALED = "revealed"  # what is masked elsewhere was shown
    HEARD = "heard"


class RecordAccess(Base):
    """Somebody looked at one record of a person. Never what they saw."""

    __tablename__ = "record_access"
    __table_args__ = (
        Index(None, "actor", "at"),
        Index(None, "kind", "record_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    actor: Mapped[str] = mapped_column(String(120))
    kind: Mapped[RecordKind] = mapped_column(word(RecordKind))
    record_id: Mapped[str] = mapped_column(String(64))
    how: Mapped[AccessHow] = mapped_column(word(AccessHow))
