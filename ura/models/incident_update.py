from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Uuid


class IncidentUpdate(Base):
    """What was said of an incident: its first words, its news, and (`closes`) its last. Told a batch at a time, by
    whoever raises `batches`; `told_ticket` and `told_call` are the last of the batch before. `settled_at`: all are
    told, or closed."""

    __tablename__ = "incident_update"
    __table_args__ = (Index(None, "incident_id", "at", "id"),)

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    incident_id: Mapped[str] = mapped_column(Uuid, ForeignKey("outage.id"))
    text: Mapped[str] = mapped_column(String(500))
    ends_at: Mapped[datetime | None] = mapped_column(Moment)  # the estimate; None: none was given
    closes: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime] = mapped_column(Moment)
    actor: Mapped[str] = mapped_column(String(120))
    batches: Mapped[int] = mapped_column(default=0)
    told_ticket: Mapped[str] = mapped_column(Uuid, default="")
    told_call: Mapped[str] = mapped_column(Uuid, default="")
    settled_at: Mapped[datetime | None] = mapped_column(Moment)


# Those that somebody has not been told of yet: none, most of the time.
Index(
    "ix_incident_update_unsettled",
    IncidentUpdate.at,
    sqlite_where=IncidentUpdate.settled_at.is_(None),
    postgresql_where=IncidentUpdate.settled_at.is_(None),
)
