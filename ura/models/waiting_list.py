from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Phone, Uuid


class WaitingListEntry(Base):
    """Wants to be told when the neighbourhood is covered."""

    __tablename__ = "waiting_list"

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    call_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    phone: Mapped[str] = mapped_column(Phone)
    neighbourhood_id: Mapped[int] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    settled_at: Mapped[datetime | None] = mapped_column(Moment)  # their call was put on the list of those to make
