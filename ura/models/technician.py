from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Key


class Technician(Base):
    """Somebody who visits customers, in the hours of a timetable, cut into slots. `bookings` is counted up by whoever
    books: one at a time for each technician."""

    __tablename__ = "technician"

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), primary_key=True)
    timetable: Mapped[str] = mapped_column(Key)
    slot_min: Mapped[int] = mapped_column(default=120)
    active: Mapped[bool] = mapped_column(default=True)
    bookings: Mapped[int] = mapped_column(default=0)
