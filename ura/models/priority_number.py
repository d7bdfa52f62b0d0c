from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Phone


class PriorityNumber(Base):
    """Whoever calls from here goes to the companies' queue and hears no menu. `note`: whose it is, for people."""

    __tablename__ = "priority_number"

    phone: Mapped[str] = mapped_column(Phone, primary_key=True)
    note: Mapped[str] = mapped_column(String(120), default="")
    added_by: Mapped[str] = mapped_column(String(120))
    added_at: Mapped[datetime] = mapped_column(Moment)
