from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Uuid


class NoticedOutage(Base):
    """An outage that the provider's system told of: its `reference` there, and a contract by which to ask for it.
    `seen_at`: when the system last told of it; None: not since we keep that."""

    __tablename__ = "noticed_outage"

    outage_id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(String(20))
    reference: Mapped[str] = mapped_column(String(200))
    subscriber_ref: Mapped[str] = mapped_column(Key)
    contract_ref: Mapped[str] = mapped_column(Key)
    seen_at: Mapped[datetime | None] = mapped_column(Moment)
