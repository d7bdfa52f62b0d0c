from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Json

LONGEST_NAME = 40


class SavedFilter(Base):
    """A filter of the list of tickets that somebody wants again. `wanted`: field of the filter → its value; what was
    searched for, which may be somebody's number, is not kept."""

    __tablename__ = "saved_filter"

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME), primary_key=True)
    wanted: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)
    saved_at: Mapped[datetime] = mapped_column(Moment)
