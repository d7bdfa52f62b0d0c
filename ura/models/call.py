"""One telephone call."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, NodePath, Phone, Uuid, word


class Door(StrEnum):
    FLOW = "flow"
    CORPORATE = "corporate"
    RESCUE = "rescue"


class Outcome(StrEnum):
    DONE = "done"
    ABANDONED = "abandoned"
    QUEUE = "queue"
    FAILED = "failed"
    DROPPED = "dropped"
    RESCUE = "rescue"


class Witness(StrEnum):
    """Who said how the call ended. The flow knows why; Asterisk only knows that the line is gone."""

    FLOW = "flow"
    ASTERISK = "asterisk"


class Call(Base):
    """Has no foreign keys and allows nearly everything to be missing: its records may arrive in any order."""

    __tablename__ = "call"
    __table_args__ = (
        Index(None, "opened_at", "id"),
        Index(None, "caller", "opened_at"),
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    uniqueid: Mapped[str] = mapped_column(Key, default="", index=True)
    linkedid: Mapped[str] = mapped_column(Key, default="")
    protocol: Mapped[str | None] = mapped_column(String(12), unique=True)
    caller: Mapped[str] = mapped_column(Phone, default="")
    did: Mapped[str] = mapped_column(Phone, default="")
    door: Mapped[Door] = mapped_column(word(Door), default=Door.FLOW)
    flow_key: Mapped[str] = mapped_column(Key, default="")
    flow_version: Mapped[int | None]
    opened_at: Mapped[datetime] = mapped_column(Moment)
    queue: Mapped[str] = mapped_column(Key, default="")
    queued_at: Mapped[datetime | None] = mapped_column(Moment)
    answered_at: Mapped[datetime | None] = mapped_column(Moment)
    attendant: Mapped[str] = mapped_column(String(80), default="")
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    outcome: Mapped[Outcome | None] = mapped_column(word(Outcome))
    outcome_at: Mapped[datetime | None] = mapped_column(Moment)
    outcome_by: Mapped[Witness | None] = mapped_column(word(Witness))
    last_node: Mapped[str] = mapped_column(NodePath, default="")


# The calls in progress: a handful among a million, so an index of their own.
Index("ix_call_live", Call.opened_at, sqlite_where=Call.ended_at.is_(None), postgresql_where=Call.ended_at.is_(None))
