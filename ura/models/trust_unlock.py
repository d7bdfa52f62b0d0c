from datetime import datetime
from enum import StrEnum

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Uuid, word


class UnlockState(StrEnum):
    CLAIMED = "claimed"  # asked for; nobody knows yet what became of it, and nobody else may ask
    GRANTED = "granted"


class TrustUnlock(Base):
    """One unlock in trust a contract and period: the key of the table is what keeps the promise.

    `source` and `contract_ref` are the ERP's name and its own id of the contract; `wish` is the key of the request.
    """

    __tablename__ = "trust_unlock"
    __table_args__ = (UniqueConstraint("source", "contract_ref", "period"),)

    wish: Mapped[str] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(String(20))
    contract_ref: Mapped[str] = mapped_column(Key)
    period: Mapped[str] = mapped_column(String(7))  # "2026-11", in the provider's zone
    state: Mapped[UnlockState] = mapped_column(word(UnlockState))
    claimed_at: Mapped[datetime] = mapped_column(Moment)
    until: Mapped[datetime | None] = mapped_column(Moment)
    protocol: Mapped[str] = mapped_column(String(40), default="")
