from datetime import date
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Money, word


class Audience(StrEnum):
    HOME = "home"
    BUSINESS = "business"


class Plan(Base):
    """Offered from `valid_from` up to and including `valid_to`; no `valid_to`: until somebody ends it."""

    __tablename__ = "plan"
    __table_args__ = (UniqueConstraint("audience", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    audience: Mapped[Audience] = mapped_column(word(Audience))
    name: Mapped[str] = mapped_column(String(80))
    speed_mbps: Mapped[int]
    price: Mapped[Decimal] = mapped_column(Money)
    setup_price: Mapped[Decimal] = mapped_column(Money)
    conditions: Mapped[str] = mapped_column(String(400), default="")
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    prompt_key: Mapped[str] = mapped_column(String(80), default="")
    conditions_prompt_key: Mapped[str] = mapped_column(String(80), default="")
