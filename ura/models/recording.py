from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Uuid


class Recording(Base):
    """A message that a caller left. `path` is relative to the recordings folder."""

    __tablename__ = "recording"

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    call_id: Mapped[str] = mapped_column(Uuid, index=True)
    path: Mapped[str] = mapped_column(String(255))
    seconds: Mapped[float]
    at: Mapped[datetime] = mapped_column(Moment)
