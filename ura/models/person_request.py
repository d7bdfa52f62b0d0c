"""Somebody wants what we know of them, or wants it gone."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.claims import Claimable
from ura.crypto import INDEX_LENGTH, Sealed, SealedNote
from ura.db import Base, Moment
from ura.models.types import Json, Uuid, word


class PersonRequestKind(StrEnum):
    PACKAGE = "package"
    ERASE = "erase"


class PersonRequestState(StrEnum):
    """`QUEUED` after `answered_at`: an erasure that waits for what the law, or a hold, still keeps."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class PersonRequest(Claimable, Base):
    """`person` (ura.people.Person, sealed) is taken away with the last row that it finds; `about` is a keyed hash of
    what was asked by. `due_at`: the answer that the law wants."""

    __tablename__ = "person_request"
    __table_args__ = (Index(None, "state", "next_at"), Index(None, "asked_at", "id"))

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[PersonRequestKind] = mapped_column(word(PersonRequestKind))
    state: Mapped[PersonRequestState] = mapped_column(word(PersonRequestState), default=PersonRequestState.QUEUED)
    person: Mapped[Sealed | None] = mapped_column(SealedNote)
    about: Mapped[str] = mapped_column(String(INDEX_LENGTH), index=True)
    asked_by: Mapped[str] = mapped_column(String(120))
    asked_at: Mapped[datetime] = mapped_column(Moment)
    due_at: Mapped[datetime] = mapped_column(Moment)
    answered_at: Mapped[datetime | None] = mapped_column(Moment)
    # What was packed, or erased and kept: [{"what", "rows", "kept", "why", "until"}], without a word of the person.
    result: Mapped[list[Json]] = mapped_column(JSON, default=list)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    kept_until: Mapped[datetime | None] = mapped_column(Moment)  # of the package
