"""Where a contract's line is in the network, and how it is as far as this table knows."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.erp import SessionState
from ura.models.types import RowId, word


class Access(Base):
    """ "" for a place that nobody wrote down. The line's state is None where nothing keeps it up to date: RADIUS or the
    OLT then say how it is, and this table only where to look."""

    __tablename__ = "access"
    __table_args__ = (Index(None, "olt", "pon"),)

    contract_id: Mapped[int] = mapped_column(RowId, ForeignKey("contract.id", ondelete="CASCADE"), primary_key=True)
    login: Mapped[str] = mapped_column(String(80), default="", index=True)
    onu: Mapped[str] = mapped_column(String(40), default="")
    olt: Mapped[str] = mapped_column(String(40), default="")
    pon: Mapped[str] = mapped_column(String(40), default="")
    cto: Mapped[str] = mapped_column(String(40), default="", index=True)
    session_state: Mapped[SessionState | None] = mapped_column(word(SessionState))
    session_since: Mapped[datetime | None] = mapped_column(Moment)
    rx_dbm: Mapped[float | None]
    los: Mapped[bool | None]
