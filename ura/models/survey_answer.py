from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Key, Uuid


class SurveyAnswer(Base):
    __tablename__ = "survey_answer"

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    call_id: Mapped[str] = mapped_column(Uuid, index=True)
    question: Mapped[str] = mapped_column(Key)
    value: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(Moment)
