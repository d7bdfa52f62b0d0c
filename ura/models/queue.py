from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Key


class Queue(Base):
    """Where callers wait for a person. `business_hours` names a timetable; empty: open day and night. `state_uf` is the
    state whose holidays this branch keeps; empty: the provider's (PROSA_STATE_UF)."""

    __tablename__ = "queue"

    key: Mapped[str] = mapped_column(Key, primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    business_hours: Mapped[str] = mapped_column(Key, default="")
    max_wait_s: Mapped[int] = mapped_column(default=300)
    callers_per_attendant: Mapped[int] = mapped_column(default=5)  # waiting, for each attendant logged in; 0: no limit
    state_uf: Mapped[str] = mapped_column(String(2), default="")
