from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Money, RowId, word


class InvoiceStatus(StrEnum):
    OPEN = "open"
    PAID = "paid"
    CANCELLED = "cancelled"


class Invoice(Base):
    """`line` and `pix` as the bank gave them: checked when they are spoken or sent, not here."""

    __tablename__ = "invoice"
    __table_args__ = (Index(None, "contract_id", "status", "due_on"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    contract_id: Mapped[int] = mapped_column(RowId, ForeignKey("contract.id"))
    number: Mapped[str] = mapped_column(String(40), unique=True)
    due_on: Mapped[date]
    amount: Mapped[Decimal] = mapped_column(Money)
    status: Mapped[InvoiceStatus] = mapped_column(word(InvoiceStatus), default=InvoiceStatus.OPEN)
    line: Mapped[str] = mapped_column(String(48), default="")
    pix: Mapped[str] = mapped_column(Text, default="")
    link: Mapped[str] = mapped_column(String(500), default="")
    updated_at: Mapped[datetime] = mapped_column(Moment)
