from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Phone, Uuid


class CallerBlock(Base):
    """For a while this number reaches nothing but complaint and cancellation. Over at `until_at`, or when lifted."""

    __tablename__ = "caller_block"
    __table_args__ = (Index(None, "phone", "until_at"),)

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    phone: Mapped[str] = mapped_column(Phone)
    reason: Mapped[str] = mapped_column(String(200), default="")  # for people; never spoken
    call_id: Mapped[str | None] = mapped_column(Uuid)
    blocked_by: Mapped[str] = mapped_column(String(120))
    blocked_at: Mapped[datetime] = mapped_column(Moment)
    until_at: Mapped[datetime] = mapped_column(Moment, index=True)
    lifted_by: Mapped[str] = mapped_column(String(120), default="")
    lifted_at: Mapped[datetime | None] = mapped_column(Moment)
