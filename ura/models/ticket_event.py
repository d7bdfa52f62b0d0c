from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Json, Uuid, word


class TicketEventKind(StrEnum):
    OPENED = "opened"
    COMMENTED = "commented"
    MOVED = "moved"  # to another tier
    ASSIGNED = "assigned"
    TRIED = "tried"  # by L2, at a distance
    CONTACTED = "contacted"  # the customer, by L2: with a solution, or to book a visit
    VISIT_BOOKED = "visit_booked"
    VISIT_CHANGED = "visit_changed"
    VISIT_ENDED = "visit_ended"
    WAITING = "waiting"
    RESUMED = "resumed"
    WARNED = "warned"
    BREACHED = "breached"
    INCIDENT = "incident"  # tied to one, or told of its news
    REPORTED = "reported"  # by the caller, on the telephone, about this ticket
    CLOSED = "closed"
    REOPENED = "reopened"


class TicketEvent(Base):
    """One line of a ticket's history; never changed. The opening line has the ticket's own id."""

    __tablename__ = "ticket_event"
    __table_args__ = (Index(None, "ticket_id", "at"),)

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    ticket_id: Mapped[str] = mapped_column(Uuid, ForeignKey("ticket.id"))
    at: Mapped[datetime] = mapped_column(Moment)
    actor: Mapped[str] = mapped_column(String(120))
    kind: Mapped[TicketEventKind] = mapped_column(word(TicketEventKind))
    text: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)  # of a move: from, to, and by which rule
    internal: Mapped[bool] = mapped_column(default=False)  # never for the customer: all that L3 writes
