from datetime import date, datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Uuid


class PaymentPromise(Base):
    """ "I pay on that day", accepted by the ERP. `id` is the key of the request."""

    __tablename__ = "payment_promise"
    __table_args__ = (Index(None, "source", "contract_ref"),)

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(String(20))
    contract_ref: Mapped[str] = mapped_column(Key)
    on_day: Mapped[date]
    made_at: Mapped[datetime] = mapped_column(Moment)
    reference: Mapped[str] = mapped_column(String(40), default="")
