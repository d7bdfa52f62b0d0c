from datetime import time

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Key


class BusinessHours(Base):
    """One span of a timetable, in local time. `closes` 00:00 is the midnight that ends the day."""

    __tablename__ = "business_hours"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        Index(None, "timetable", "weekday"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    timetable: Mapped[str] = mapped_column(Key)
    weekday: Mapped[int]  # 0 is Monday
    opens: Mapped[time]
    closes: Mapped[time]
