from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Uuid


class TrustUnlock(Base):
    """One unlock in trust a contract and period: the key of the table is what keeps the promise.

    `source` and `contract_ref` are the ERP's name and its own id of the contract; `wish` is the key of the request.
    Written before another system is asked, and struck out when that surely did not do it.
    """

    __tablename__ = "trust_unlock"
    __table_args__ = (UniqueConstraint("source", "contract_ref", "period"),)

    wish: Mapped[str] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(String(20))
    contract_ref: Mapped[str] = mapped_column(Key)
    period: Mapped[str] = mapped_column(String(7))  # "2026-11", in the provider's zone
    granted_at: Mapped[datetime] = mapped_column(Moment)
    until: Mapped[datetime] = mapped_column(Moment)
    protocol: Mapped[str] = mapped_column(String(40), default="")
