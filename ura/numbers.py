"""The numbers that callers dial, and what each is called."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.models import Did


async def list_dids(session: AsyncSession) -> Sequence[Did]:
    return (await session.scalars(select(Did).order_by(Did.number))).all()
