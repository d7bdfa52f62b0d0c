"""A piece of work that somebody was promised."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Phone, Uuid, word


class Tier(StrEnum):
    L1 = "l1"
    L2 = "l2"
    L3 = "l3"


class TicketStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class Category(StrEnum):
    COMPLAINT = "complaint"
    CANCELLATION = "cancellation"
    SUPPORT = "support"
    BILLING = "billing"
    SALES = "sales"
    FALLBACK = "fallback"
    MESSAGE = "message"


class Ticket(Base):
    """The protocol is the call's; several tickets of one call share it."""

    __tablename__ = "ticket"
    __table_args__ = (Index(None, "opened_at", "id"),)

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    protocol: Mapped[str] = mapped_column(String(12), index=True)
    call_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    tier: Mapped[Tier] = mapped_column(word(Tier), default=Tier.L1)
    status: Mapped[TicketStatus] = mapped_column(word(TicketStatus), default=TicketStatus.OPEN)
    category: Mapped[Category] = mapped_column(word(Category))
    summary: Mapped[str] = mapped_column(String(500), default="")
    phone: Mapped[str] = mapped_column(Phone, default="", index=True)
    queue: Mapped[str] = mapped_column(Key, default="")
    contract_ref: Mapped[str] = mapped_column(Key, default="", index=True)  # the ERP's own id, "" while unknown
    opened_at: Mapped[datetime] = mapped_column(Moment)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)
    opened_by: Mapped[str] = mapped_column(String(120), default="")
