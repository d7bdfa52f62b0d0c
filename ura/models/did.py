"""The numbers that callers dial."""

from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Key, Phone, word


class DidKind(StrEnum):
    LANDLINE = "landline"
    MOBILE = "mobile"
    CORPORATE = "corporate"


class Did(Base):
    """Goes into a flow, or straight to a queue. The flow is named, not referenced: it may be only on disk."""

    __tablename__ = "did"

    number: Mapped[str] = mapped_column(Phone, primary_key=True)
    label: Mapped[str] = mapped_column(String(80))
    kind: Mapped[DidKind] = mapped_column(word(DidKind))
    flow_key: Mapped[str | None] = mapped_column(Key)
    queue: Mapped[str | None] = mapped_column(Key, ForeignKey("queue.key"))
