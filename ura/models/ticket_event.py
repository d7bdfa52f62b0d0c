from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Uuid, word


class TicketEventKind(StrEnum):
    OPENED = "opened"
    COMMENTED = "commented"
    CLOSED = "closed"


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
