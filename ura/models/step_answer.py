from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, NodePath, Uuid, word


class StepResult(StrEnum):
    DONE = "done"
    NOT_DONE = "not_done"
    SKIPPED = "skipped"


class StepAnswer(Base):
    """What the caller said about one step of a first-aid list."""

    __tablename__ = "step_answer"

    call_id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    node: Mapped[str] = mapped_column(NodePath, primary_key=True)
    step: Mapped[str] = mapped_column(Key, primary_key=True)
    answer: Mapped[StepResult] = mapped_column(word(StepResult))
    at: Mapped[datetime] = mapped_column(Moment)
