from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Key


class Flow(Base):
    __tablename__ = "flow"

    key: Mapped[str] = mapped_column(Key, primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
