from datetime import date

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base


class Holiday(Base):
    """A day that only this town keeps; national and state holidays come from the `holidays` library."""

    __tablename__ = "holiday"

    on_day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    scope: Mapped[str] = mapped_column(String(16), default="municipal")
