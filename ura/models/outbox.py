"""Messages that must leave the house once each."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.claims import Claimable
from ura.db import Base, Moment
from ura.models.types import Json, Uuid, word


class OutboxState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class OutboxMessage(Claimable, Base):
    """Written in the transaction of whatever caused it."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "state", "next_at"),)

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    to: Mapped[str] = mapped_column(String(120))
    payload: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)
    state: Mapped[OutboxState] = mapped_column(word(OutboxState), default=OutboxState.QUEUED)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    call_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
