from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Phone, Uuid, word


class CallbackState(StrEnum):
    WAITING = "waiting"
    DONE = "done"
    UNREACHABLE = "unreachable"  # nobody answered, and it is not tried again
    CANCELLED = "cancelled"


class Callback(Base):
    """We ring back: not before the moment that the caller was told."""

    __tablename__ = "callback"
    __table_args__ = (Index(None, "state", "not_before_at"),)

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    call_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    phone: Mapped[str] = mapped_column(Phone)
    queue: Mapped[str] = mapped_column(Key)
    state: Mapped[CallbackState] = mapped_column(word(CallbackState), default=CallbackState.WAITING)
    not_before_at: Mapped[datetime] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    done_at: Mapped[datetime | None] = mapped_column(Moment)
