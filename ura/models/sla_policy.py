from enum import StrEnum

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Key, word


class CountedBy(StrEnum):
    """Which hours count: all of them, those of the ticket's own queue, or those of the timetable that is named."""

    ALWAYS = "always"
    QUEUE = "queue"
    TIMETABLE = "timetable"


class SlaPolicy(Base):
    """By when tickets of a tier, category and segment are due; "" is any. Tickets keep the terms that they got here
    (`Ticket.terms`), so a change holds from the next ticket or move on."""

    __tablename__ = "sla_policy"
    __table_args__ = (UniqueConstraint("tier", "category", "segment"),)

    key: Mapped[str] = mapped_column(Key, primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    tier: Mapped[str] = mapped_column(String(16), default="")
    category: Mapped[str] = mapped_column(Key, default="")
    segment: Mapped[str] = mapped_column(String(16), default="")
    hours: Mapped[float]  # that are worked; 0: at once
    counted_by: Mapped[CountedBy] = mapped_column(word(CountedBy))
    timetable: Mapped[str] = mapped_column(Key, default="")
    warn_hours: Mapped[float | None]  # before it is due; or
    warn_percent: Mapped[int | None]  # so much of `hours` before
    pausable: Mapped[bool] = mapped_column(default=True)  # it stands while the ticket waits
