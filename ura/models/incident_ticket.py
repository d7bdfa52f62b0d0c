from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Uuid, word


class Explained(StrEnum):
    """How a ticket stands to an incident. `OUT`: a person took it out, and there it stays. `BACK`: it was closed with
    it, and the customer said that it still does not work."""

    IN = "in"
    OUT = "out"
    CLOSED = "closed"
    BACK = "back"


class IncidentTicket(Base):
    """A ticket that an incident explains, or explained. The incident is the outage of that id."""

    __tablename__ = "incident_ticket"
    __table_args__ = (Index(None, "incident_id", "state"),)

    incident_id: Mapped[str] = mapped_column(Uuid, ForeignKey("outage.id"), primary_key=True)
    ticket_id: Mapped[str] = mapped_column(Uuid, ForeignKey("ticket.id"), primary_key=True, index=True)
    state: Mapped[Explained] = mapped_column(word(Explained), default=Explained.IN)
    at: Mapped[datetime] = mapped_column(Moment)  # since when it stands so
    actor: Mapped[str] = mapped_column(String(120))
