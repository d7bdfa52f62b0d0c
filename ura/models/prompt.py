from enum import StrEnum

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base
from ura.models.types import Key, word


class PromptKind(StrEnum):
    FIXED = "fixed"
    NAME = "name"


class Prompt(Base):
    """A text that somebody typed and that is spoken."""

    __tablename__ = "prompt"

    key: Mapped[str] = mapped_column(Key, primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    kind: Mapped[PromptKind] = mapped_column(word(PromptKind))
