"""A technician at a customer's door."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Uuid, word


class VisitKind(StrEnum):
    VISIT = "visit"
    RETRIEVAL = "retrieval"  # of equipment


class VisitStatus(StrEnum):
    BOOKED = "booked"
    CONFIRMED = "confirmed"  # by the customer
    DONE = "done"
    MISSED = "missed"
    CANCELLED = "cancelled"


TO_COME = (VisitStatus.BOOKED, VisitStatus.CONFIRMED)


class Visit(Base):
    """What the API calls an order. `customer_changes`: how often the customer has put it off. `outcome`: what was done,
    why it was missed or cancelled."""

    __tablename__ = "visit"
    __table_args__ = (Index(None, "starts_at", "id"), Index(None, "technician_id", "starts_at"))

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    ticket_id: Mapped[str] = mapped_column(Uuid, ForeignKey("ticket.id"), index=True)
    kind: Mapped[VisitKind] = mapped_column(word(VisitKind))
    status: Mapped[VisitStatus] = mapped_column(word(VisitStatus), default=VisitStatus.BOOKED)
    technician_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    starts_at: Mapped[datetime] = mapped_column(Moment)
    ends_at: Mapped[datetime] = mapped_column(Moment)
    address: Mapped[str] = mapped_column(String(200), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    outcome: Mapped[str] = mapped_column(Text, default="")
    customer_changes: Mapped[int] = mapped_column(default=0)
    booked_by: Mapped[str] = mapped_column(String(120))
    booked_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    erp_reference: Mapped[str] = mapped_column(Key, default="")
    version: Mapped[int] = mapped_column(default=1)


# A ticket has one visit to come, at the most.
_to_come = text("status IN ('booked', 'confirmed')")
Index("ix_visit_to_come", Visit.ticket_id, unique=True, sqlite_where=_to_come, postgresql_where=_to_come)
