from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ura.crypto import INDEX_LENGTH
from ura.db import Base, Moment


class AnsweredRequest(Base):
    """A POST that was sent with an `Idempotency-Key`, and what it was answered (ura.answered). `answer` is sealed: it
    may hold a telephone number, or a token that is shown once. `body`: a keyed hash."""

    __tablename__ = "answered_request"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    actor: Mapped[str] = mapped_column(String(120))
    route: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(String(INDEX_LENGTH))
    status: Mapped[int]
    answer: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
