from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ura.claims import Claimable
from ura.db import Base, Moment
from ura.models.types import Uuid, word


class DeliveryState(StrEnum):
    """`FAILED`: not tried again by itself; a person can."""

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookDelivery(Claimable, Base):
    """One event for one webhook. `event_key` is sent as `webhook-id`, the same at every try."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index(None, "state", "next_at"),
        Index(None, "webhook_id", "created_at", "id"),
        Index(None, "created_at"),
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    webhook_id: Mapped[str] = mapped_column(Uuid, ForeignKey("webhook.id"))
    event_key: Mapped[str] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)  # signed as it stands
    state: Mapped[DeliveryState] = mapped_column(word(DeliveryState), default=DeliveryState.QUEUED)
    status: Mapped[int | None]  # HTTP's, of the last answer
    created_at: Mapped[datetime] = mapped_column(Moment)
    delivered_at: Mapped[datetime | None] = mapped_column(Moment)
