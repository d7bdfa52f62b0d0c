"""Part of the network is down, for everybody who hangs on it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Uuid, word


class Cause(StrEnum):
    FIBRE_CUT = "fibre_cut"
    POWER = "power"
    EQUIPMENT = "equipment"
    MAINTENANCE = "maintenance"
    UPSTREAM = "upstream"
    OTHER = "other"


class Outage(Base):
    """`ends_at`: the estimate that callers hear; None: none is given. Over when `closed_at` is set."""

    __tablename__ = "outage"

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    cause: Mapped[Cause] = mapped_column(word(Cause))
    note: Mapped[str] = mapped_column(String(500), default="")  # for attendants; never spoken
    started_at: Mapped[datetime] = mapped_column(Moment)
    ends_at: Mapped[datetime | None] = mapped_column(Moment)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)
    opened_by: Mapped[str] = mapped_column(String(120))
    closed_by: Mapped[str] = mapped_column(String(120), default="")
    created_at: Mapped[datetime] = mapped_column(Moment)


class OutageScope(Base):
    """What is touched: a place or a part of the fibre, as `ura.outages.Scope` writes it."""

    __tablename__ = "outage_scope"

    outage_id: Mapped[str] = mapped_column(Uuid, ForeignKey("outage.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True, index=True)
    name: Mapped[str] = mapped_column(String(200))  # as people write it


# The outages in progress: a handful among all there ever were, so an index of their own.
Index(
    "ix_outage_open",
    Outage.started_at,
    sqlite_where=Outage.closed_at.is_(None),
    postgresql_where=Outage.closed_at.is_(None),
)
