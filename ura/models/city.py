from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base


class City(Base):
    __tablename__ = "city"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    prompt_key: Mapped[str] = mapped_column(String(80), default="")
