"""What callers answered."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import upsert
from ura.models import SurveyAnswer
from ura.upsert import Row


async def add_answers(session: AsyncSession, rows: Sequence[Row]) -> None:
    await upsert.add_new(session, SurveyAnswer, rows)


async def count_answers(session: AsyncSession, *, question: str, since: datetime) -> dict[str, int]:
    """How often each value was given."""
    query = (
        select(SurveyAnswer.value, func.count())
        .where(SurveyAnswer.question == question, SurveyAnswer.at >= since)
        .group_by(SurveyAnswer.value)
        .order_by(SurveyAnswer.value)
    )
    return {value: count for value, count in await session.execute(query)}
