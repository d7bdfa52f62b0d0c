from datetime import date

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Key


class Holiday(Base):
    """A day that only a town keeps; national and state holidays come from the `holidays` library. `timetable` names the
    branch that keeps it; empty: all of them do."""

    __tablename__ = "holiday"

    on_day: Mapped[date] = mapped_column(primary_key=True)
    timetable: Mapped[str] = mapped_column(Key, primary_key=True, default="")
    name: Mapped[str] = mapped_column(String(80))
