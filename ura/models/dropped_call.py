from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Phone, Uuid, word


class Recovery(StrEnum):
    """What was done about a call whose line failed. The last three: nothing, and why."""

    MESSAGE = "message"
    CALLBACK = "callback"
    CONCLUDED = "concluded"  # there was nothing left to conclude
    CALLED_AGAIN = "called_again"
    CAPPED = "capped"  # this number, or nobody we could reach, today


class DroppedCall(Base):
    """Asterisk says that the line failed, not that somebody hung up. Open while `recovery` is None."""

    __tablename__ = "dropped_call"
    __table_args__ = (Index(None, "phone", "settled_at"),)

    call_id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    phone: Mapped[str] = mapped_column(Phone, default="")  # once it is settled
    recovery: Mapped[Recovery | None] = mapped_column(word(Recovery))
    settled_at: Mapped[datetime | None] = mapped_column(Moment)


# Those to look after: a handful among all there ever were, so an index of their own.
Index(
    "ix_dropped_call_open",
    DroppedCall.at,
    sqlite_where=DroppedCall.recovery.is_(None),
    postgresql_where=DroppedCall.recovery.is_(None),
)
