from datetime import datetime

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Json, NodePath, Uuid


class CallStep(Base):
    """One thing that happened in a call. `detail` never holds the digits of a document."""

    __tablename__ = "call_step"
    # The most written table: on SQLite the primary key is the table, not a second tree beside it.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - as SQLAlchemy wants it

    call_id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(NodePath)
    event: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)
    at: Mapped[datetime] = mapped_column(Moment)
