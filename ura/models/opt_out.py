from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.erp import SendChannel
from ura.models.types import Uuid, word


class OptOut(Base):
    """Somebody wants no more messages there. `by`: who said so, the person's own reply or a user of ours. `id`: so that
    no address has to stand in a link or in the place where a page ended."""

    __tablename__ = "message_opt_out"

    channel: Mapped[SendChannel] = mapped_column(word(SendChannel), primary_key=True)
    target: Mapped[str] = mapped_column(String(120), primary_key=True)  # as in outbox.to; e-mail in small letters
    id: Mapped[str] = mapped_column(Uuid, unique=True)
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(Moment)
