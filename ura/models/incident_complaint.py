from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Phone, Uuid


class IncidentComplaint(Base):
    """ "It still does not work", after the incident was closed: once for each number, or ticket where there is none.
    Its return call has the same id."""

    __tablename__ = "incident_complaint"

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    incident_id: Mapped[str] = mapped_column(Uuid, ForeignKey("outage.id"), index=True)
    ticket_id: Mapped[str] = mapped_column(Uuid, ForeignKey("ticket.id"), index=True)
    call_id: Mapped[str | None] = mapped_column(Uuid)
    phone: Mapped[str] = mapped_column(Phone, default="")
    at: Mapped[datetime] = mapped_column(Moment)
    actor: Mapped[str] = mapped_column(String(120))
