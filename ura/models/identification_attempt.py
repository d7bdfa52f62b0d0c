from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.crypto import INDEX_LENGTH
from ura.db import Base, Moment
from ura.models.types import Phone, Uuid, word


class AttemptKind(StrEnum):
    DOCUMENT = "document"
    CONTRACT = "contract"
    FACTOR = "factor"
    REFUSED = "refused"  # after the lock: not looked at, and no miss


class IdentificationAttempt(Base):
    """Somebody keyed something to be recognised by. `subject`: a keyed hash of what was keyed, or of whose factor it
    was to be; never the thing itself."""

    __tablename__ = "identification_attempt"
    __table_args__ = (Index(None, "caller", "at"), Index(None, "subject", "at"))

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    caller: Mapped[str] = mapped_column(Phone)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    kind: Mapped[AttemptKind] = mapped_column(word(AttemptKind))
    hit: Mapped[bool]
    subject: Mapped[str] = mapped_column(String(INDEX_LENGTH), default="")
