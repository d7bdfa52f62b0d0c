from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Uuid, word


class PromiseOutcome(StrEnum):
    """`ENDED`: the contract did, and nobody is asked for anything more."""

    KEPT = "kept"
    BROKEN = "broken"
    ENDED = "ended"


class PaymentPromise(Base):
    """ "I pay on that day", accepted by the ERP. `id` is that of the request. `outcome` None: its day is to come, or
    nobody knows yet."""

    __tablename__ = "payment_promise"
    __table_args__ = (Index(None, "source", "contract_ref"), Index(None, "outcome", "on_day"))

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(String(20))
    contract_ref: Mapped[str] = mapped_column(Key)
    on_day: Mapped[date]
    made_at: Mapped[datetime] = mapped_column(Moment)
    reference: Mapped[str] = mapped_column(String(40), default="")
    outcome: Mapped[PromiseOutcome | None] = mapped_column(word(PromiseOutcome))
    reminded_at: Mapped[datetime | None] = mapped_column(Moment)
    settled_at: Mapped[datetime | None] = mapped_column(Moment)
