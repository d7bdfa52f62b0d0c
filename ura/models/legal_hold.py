from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.crypto import Sealed, SealedNote
from ura.db import Base, Moment
from ura.models.types import Key, Uuid, word


class HoldKind(StrEnum):
    PERSON = "person"
    TICKET = "ticket"
    RECORDING = "recording"


class LegalHold(Base):
    """Not to be erased or purged until it is lifted: a complaint, a lawsuit. `subject`: the ticket's or recording's id,
    or a keyed hash of what the person was named by; `person` then is who that is, sealed."""

    __tablename__ = "legal_hold"
    __table_args__ = (Index(None, "set_at", "id"), Index(None, "kind", "subject"))

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[HoldKind] = mapped_column(word(HoldKind))
    subject: Mapped[str] = mapped_column(Key)
    person: Mapped[Sealed | None] = mapped_column(SealedNote)
    reason: Mapped[str] = mapped_column(String(500))
    set_by: Mapped[str] = mapped_column(String(120))
    set_at: Mapped[datetime] = mapped_column(Moment)
    lifted_by: Mapped[str] = mapped_column(String(120), default="")
    lifted_at: Mapped[datetime | None] = mapped_column(Moment)
