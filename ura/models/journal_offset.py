from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base


class JournalOffset(Base):
    """How far a journal file has been applied; written in the transaction that applied it."""

    __tablename__ = "journal_offset"

    file: Mapped[str] = mapped_column(String(255), primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger)
