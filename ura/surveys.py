"""What callers answered."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from ura import upsert
from ura.models import SurveyAnswer
from ura.upsert import Row


async def add_answers(session: AsyncSession, rows: Sequence[Row]) -> None:
    await upsert.add_new(session, SurveyAnswer, rows)
