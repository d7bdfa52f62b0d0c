from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.erp import ContractStatus
from ura.models.plan import Audience
from ura.models.types import RowId, word


class Contract(Base):
    """`status` is never UNLOCKED here: that is BLOCKED with an unlock that still runs (`trust_unlock`).

    `keys`: the digits of `number` without zeros in front, as a caller keys it.
    """

    __tablename__ = "contract"
    __table_args__ = (Index(None, "city", "neighbourhood"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(RowId, ForeignKey("subscriber.id"), index=True)
    number: Mapped[str] = mapped_column(String(30), unique=True)
    keys: Mapped[str] = mapped_column(String(30), index=True)
    status: Mapped[ContractStatus] = mapped_column(word(ContractStatus))
    street: Mapped[str] = mapped_column(String(80), default="")
    house: Mapped[str] = mapped_column(String(40), default="")
    neighbourhood: Mapped[str] = mapped_column(String(80), default="")
    city: Mapped[str] = mapped_column(String(80), default="")
    plan: Mapped[str] = mapped_column(String(80), default="")
    segment: Mapped[Audience] = mapped_column(word(Audience), default=Audience.HOME)
    updated_at: Mapped[datetime] = mapped_column(Moment)
