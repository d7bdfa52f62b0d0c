from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base


class Attendant(Base):
    __tablename__ = "attendant"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    extension: Mapped[str] = mapped_column(String(20), unique=True)
    queues: Mapped[list[str]] = mapped_column(JSON, default=list)
    active: Mapped[bool] = mapped_column(default=True)
