"""A flow as it was at one moment. A published version never changes."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Json, Key, word


class FlowState(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


class FlowVersion(Base):
    __tablename__ = "flow_version"
    __table_args__ = (UniqueConstraint("flow_key", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    flow_key: Mapped[str] = mapped_column(Key, ForeignKey("flow.key"))
    number: Mapped[int]
    state: Mapped[FlowState] = mapped_column(word(FlowState))
    document: Mapped[dict[str, Json]] = mapped_column(JSON)
    checksum: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Moment)
    published_at: Mapped[datetime | None] = mapped_column(Moment)
    author: Mapped[str] = mapped_column(String(120), default="")
