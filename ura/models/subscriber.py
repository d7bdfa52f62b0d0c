"""Who has a contract with the provider, when our own tables are its system (ERP "local")."""

from datetime import datetime

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.crypto import INDEX_LENGTH, Sealed, SealedText
from ura.db import Base, Moment
from ura.erp import Kind
from ura.models.types import RowId, word


class Subscriber(Base):
    """The document is sealed; `document_hash` (keyed, ura.crypto) finds it. Phones: `subscriber_phone`."""

    __tablename__ = "subscriber"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    document: Mapped[Sealed] = mapped_column(SealedText)
    document_hash: Mapped[str] = mapped_column(String(INDEX_LENGTH), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[Kind] = mapped_column(word(Kind))
    birth_year: Mapped[int | None]
    emails: Mapped[list[str]] = mapped_column(JSON, default=list)
    updated_at: Mapped[datetime] = mapped_column(Moment)
