"""A piece of work that somebody was promised."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Json, Key, Phone, Uuid, word


class Tier(StrEnum):
    L1 = "l1"
    L2 = "l2"
    L3 = "l3"


class TicketStatus(StrEnum):
    """`WAITING`: for the customer, or for the weather; its clock stands (ura.sla)."""

    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


class Category(StrEnum):
    """Those that the telephone opens. A provider may add others of its own: `TicketCategory`."""

    COMPLAINT = "complaint"
    CANCELLATION = "cancellation"
    SUPPORT = "support"
    BILLING = "billing"
    SALES = "sales"
    FALLBACK = "fallback"
    MESSAGE = "message"


class Ticket(Base):
    """The protocol is the call's; several tickets of one call share it. `version` counts its changes."""

    __tablename__ = "ticket"
    # Lists are newest first, whatever they are filtered by: a page is read off the end of an index.
    __table_args__ = (
        Index(None, "opened_at", "id"),
        Index(None, "status", "due_at"),
        Index(None, "status", "warn_at"),
        Index(None, "status", "opened_at", "id"),
        Index(None, "tier", "status", "opened_at", "id"),
        Index(None, "category", "opened_at", "id"),
        Index(None, "queue", "opened_at", "id"),
        Index(None, "assignee_id", "opened_at", "id"),
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    protocol: Mapped[str] = mapped_column(String(12), index=True)
    call_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    tier: Mapped[Tier] = mapped_column(word(Tier), default=Tier.L1)
    status: Mapped[TicketStatus] = mapped_column(word(TicketStatus), default=TicketStatus.OPEN)
    category: Mapped[str] = mapped_column(Key)
    summary: Mapped[str] = mapped_column(String(500), default="")
    phone: Mapped[str] = mapped_column(Phone, default="", index=True)
    queue: Mapped[str] = mapped_column(Key, default="")
    contract_ref: Mapped[str] = mapped_column(Key, default="", index=True)  # the ERP's own id, "" while unknown
    opened_at: Mapped[datetime] = mapped_column(Moment)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)
    opened_by: Mapped[str] = mapped_column(String(120), default="")
    segment: Mapped[str] = mapped_column(String(16), default="")  # of the contract, as its ERP calls it; "" unknown
    report: Mapped[str] = mapped_column(Text, default="")  # what L1 found out: no way to L2 without it
    form: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)  # the category's own questions, answered
    told_deadline_at: Mapped[datetime | None] = mapped_column(Moment)  # what the caller was told aloud
    due_at: Mapped[datetime | None] = mapped_column(Moment)  # by the SLA of where it is now
    warned_at: Mapped[datetime | None] = mapped_column(Moment)
    breached_at: Mapped[datetime | None] = mapped_column(Moment)
    warn_at: Mapped[datetime | None] = mapped_column(Moment)  # before that; None: no longer, or never
    terms: Mapped[dict[str, Json]] = mapped_column(
        JSON, default=dict
    )  # ura.sla_policies.Terms, {} where there are none
    clock_from_at: Mapped[datetime | None] = mapped_column(Moment)  # since when those count; None: since it was opened
    priority: Mapped[int] = mapped_column(default=0)  # one more with each deadline that was missed
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    incident_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    erp_protocol: Mapped[str] = mapped_column(Key, default="")  # the provider's system's own, "" where it has none
    version: Mapped[int] = mapped_column(default=1)
