from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import NodePath, Uuid


class Emergency(Base):
    """Something is wrong that every caller should hear of first. Over at `until_at`, or when ended."""

    __tablename__ = "emergency"

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    text: Mapped[str] = mapped_column(String(400), default="")  # as typed; "" for the sentence that is shipped
    prompt_key: Mapped[str] = mapped_column(NodePath)
    to_person: Mapped[bool] = mapped_column(default=False)  # after it to a person; else the menu
    began_by: Mapped[str] = mapped_column(String(120))
    began_at: Mapped[datetime] = mapped_column(Moment)
    until_at: Mapped[datetime] = mapped_column(Moment, index=True)
    ended_by: Mapped[str] = mapped_column(String(120), default="")
    ended_at: Mapped[datetime | None] = mapped_column(Moment)


class EmergencyPin(Base):
    """What is keyed on a telephone of ours to begin or end it: one row, or none. `tries`: wrong ones in a row."""

    __tablename__ = "emergency_pin"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hashed: Mapped[str] = mapped_column(String(200))
    set_by: Mapped[str] = mapped_column(String(120))
    set_at: Mapped[datetime] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(Moment)
