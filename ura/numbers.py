"""The numbers that callers dial and the flows they lead to, by name."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.models import Did, Flow


async def list_dids(session: AsyncSession) -> Sequence[Did]:
    return (await session.scalars(select(Did).order_by(Did.number))).all()


async def list_flows(session: AsyncSession) -> Sequence[Flow]:
    return (await session.scalars(select(Flow).order_by(Flow.key))).all()
