from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Phone, RowId


class SubscriberPhone(Base):
    """A number of a subscriber. One number may be several subscribers': a family, an office. The key begins with the
    number, because that is what every call asks for."""

    __tablename__ = "subscriber_phone"

    phone: Mapped[str] = mapped_column(Phone, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("subscriber.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    place: Mapped[int] = mapped_column(default=0)  # order in which they were given: the first is asked for first
