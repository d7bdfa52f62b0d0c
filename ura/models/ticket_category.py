from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.ticket import Tier
from ura.models.types import Json, Key, word


class TicketCategory(Base):
    """What tickets are about, and what must be known of each. `form`: `ura.tickets.Field` as JSON, in this order. One
    that is no longer `active` opens no more tickets; those it has keep it."""

    __tablename__ = "ticket_category"

    key: Mapped[str] = mapped_column(Key, primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    first_tier: Mapped[Tier] = mapped_column(word(Tier), default=Tier.L1)
    queue: Mapped[str] = mapped_column(Key, default="")
    form: Mapped[list[Json]] = mapped_column(JSON, default=list)
    active: Mapped[bool] = mapped_column(default=True)
