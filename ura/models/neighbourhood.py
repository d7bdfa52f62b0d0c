"""Where the provider is, will be, and is not."""

from datetime import date
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import word


class Coverage(StrEnum):
    COVERED = "covered"
    PLANNED = "planned"
    NONE = "none"


class Neighbourhood(Base):
    """`sort_name` and `t9` are made from name and aliases by ura.coverage: save through it, not directly.

    `t9` holds the keypad digits of each word, each after a space: " 527346 727637727".
    """

    __tablename__ = "neighbourhood"
    __table_args__ = (
        UniqueConstraint("city_id", "sort_name"),
        Index(None, "cep_first", "cep_last"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    city_id: Mapped[int] = mapped_column(ForeignKey("city.id"))
    name: Mapped[str] = mapped_column(String(80))
    aliases: Mapped[list[str]] = mapped_column(JSON, default=list)
    status: Mapped[Coverage] = mapped_column(word(Coverage))
    forecast_on: Mapped[date | None]
    cep_first: Mapped[str | None] = mapped_column(String(8))
    cep_last: Mapped[str | None] = mapped_column(String(8))
    sort_name: Mapped[str] = mapped_column(String(80))
    t9: Mapped[str] = mapped_column(Text)
    prompt_key: Mapped[str] = mapped_column(String(80), default="")
