from datetime import datetime

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.crypto import Sealed, SealedText
from ura.db import Base, Moment
from ura.models.types import Uuid


class Webhook(Base):
    """Where another program hears our events. The secret signs what is sent (Standard Webhooks)."""

    __tablename__ = "webhook"

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    url: Mapped[str] = mapped_column(String(500))
    kinds: Mapped[list[str]] = mapped_column(JSON, default=list)
    description: Mapped[str] = mapped_column(String(200), default="")
    active: Mapped[bool] = mapped_column(default=True)
    secret: Mapped[Sealed] = mapped_column(SealedText)
    created_by: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(Moment, index=True)
    updated_at: Mapped[datetime] = mapped_column(Moment)
