"""Whom do we spare our attendants for a while? A number that is blocked hears so, and still reaches complaint and
cancellation: the law leaves those open to everybody."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, paging, phones
from ura.errors import BadInput, NotFound
from ura.models import CallerBlock
from ura.paging import Page

USUAL = timedelta(minutes=30)
LONGEST = timedelta(hours=24)


class BlockNotFound(NotFound):
    code = "block-not-found"


class NobodyToBlock(BadInput):
    """Who hides the number shares "" with everybody else who does."""

    code = "nobody-to-block"


async def block(
    session: AsyncSession,
    phone: str,
    *,
    by: str,
    now: datetime,
    lasts: timedelta = USUAL,
    reason: str = "",
    call_id: str | None = None,
) -> CallerBlock:
    """`phone`: E.164. One that is blocked already gets the new end. Raises NobodyToBlock, BadInput."""
    if not phone:
        raise NobodyToBlock("This caller hides the number, and cannot be told from others who do.")
    if not timedelta(0) < lasts <= LONGEST:
        raise BadInput("A block lasts from one minute to 24 hours.")
    found = await find_current(session, phone, now=now)
    if found is None:
        found = CallerBlock(
            id=uuid4().hex, phone=phone, call_id=call_id, blocked_by=by, blocked_at=now, until_at=now + lasts
        )
        session.add(found)
    found.until_at, found.reason = now + lasts, reason or found.reason or ""
    await session.flush()
    detail = {"phone": phones.mask(phone), "minutes": round(lasts / timedelta(minutes=1)), "reason": reason}
    await audit.record(session, actor=by, action="caller.block", subject=found.id, detail=detail, at=now)
    return found


async def lift(session: AsyncSession, block_id: str, *, by: str, now: datetime) -> CallerBlock:
    """Twice is once. Raises BlockNotFound."""
    found = await session.get(CallerBlock, block_id)
    if found is None:
        raise BlockNotFound("There is no such block.")
    if found.lifted_at is None and found.until_at > now:
        found.lifted_at, found.lifted_by = now, by
        await session.flush()
        await audit.record(session, actor=by, action="caller.unblock", subject=found.id, detail={}, at=now)
    return found


async def find_current(session: AsyncSession, phone: str, *, now: datetime) -> CallerBlock | None:
    found: CallerBlock | None = await session.scalar(
        _CURRENT.where(CallerBlock.phone == phone, CallerBlock.until_at > now)
    )
    return found


async def list_current(session: AsyncSession, *, now: datetime) -> Sequence[CallerBlock]:
    """Those in force, the one that ends first in front."""
    query = _CURRENT.where(CallerBlock.until_at > now).order_by(CallerBlock.until_at, CallerBlock.id)
    return (await session.scalars(query)).all()


async def page_current(session: AsyncSession, *, now: datetime, cursor: str = "", limit: int = 50) -> Page[CallerBlock]:
    """The same, page by page."""
    return await paging.fetch(
        session,
        CallerBlock,
        [CallerBlock.lifted_at.is_(None), CallerBlock.until_at > now],
        by=(CallerBlock.until_at, CallerBlock.id),
        cursor=cursor,
        limit=limit,
        oldest_first=True,
    )


_CURRENT = select(CallerBlock).where(CallerBlock.lifted_at.is_(None))
