from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Uuid


class Dispute(Base):
    """ "I do not owe this": nobody is reminded of the invoice until the complaint about it, `ticket_id`, is closed."""

    __tablename__ = "dispute"
    __table_args__ = (Index(None, "source", "contract_ref"), Index(None, "source", "invoice_ref"))

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(String(20))
    contract_ref: Mapped[str] = mapped_column(Key)
    invoice_ref: Mapped[str] = mapped_column(Key)
    ticket_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    opened_at: Mapped[datetime] = mapped_column(Moment)
