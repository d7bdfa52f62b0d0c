from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Phone, Uuid


class OutageCall(Base):
    """Somebody rang and was told of an outage. `wants_news`: tell me when it is over; `told_at`: that was done.

    Has no foreign keys: its records may arrive before the call's, and after the outage was closed.
    """

    __tablename__ = "outage_call"

    outage_id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    call_id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    contract_id: Mapped[str] = mapped_column(String(64), default="")
    phone: Mapped[str] = mapped_column(Phone, default="")
    wants_news: Mapped[bool] = mapped_column(default=False)
    told_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)


Index(
    "ix_outage_call_waiting",
    OutageCall.outage_id,
    sqlite_where=OutageCall.wants_news.is_(True) & OutageCall.told_at.is_(None),
    postgresql_where=OutageCall.wants_news.is_(True) & OutageCall.told_at.is_(None),
)
