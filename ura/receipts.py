"""What gateways tell about messages that they have: sent, delivered, read, failed.

Receipts come late, twice and in any order, and for messages that are not ours. So a receipt only ever moves a message
forward, and one that fits no message changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, assert_never

from sqlalchemy import ColumnElement, and_, func, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import outbox
from ura.models import OutboxMessage, OutboxState, Problem

S = OutboxState


# What becomes of a message that was sent.
Told = Literal[OutboxState.SENT, OutboxState.DELIVERED, OutboxState.READ, OutboxState.FAILED]


@dataclass(frozen=True, slots=True)
class Receipt:
    """`message_id`: our own id, when the gateway gives it back; `provider_id`: the gateway's."""

    provider: str
    state: Told
    provider_id: str = ""
    message_id: str = ""
    problem: Problem = Problem.UNDELIVERED  # of a failure
    detail: str = ""


async def apply(session: AsyncSession, receipt: Receipt, *, now: datetime) -> bool:
    """True when it told something new about a message of ours.

    Our own id in a receipt also settles a message whose sending had no clear end: it did arrive, and is not sent again.
    """
    whose = []
    if receipt.message_id:
        ours = OutboxMessage.id == receipt.message_id
        whose.append(ours & OutboxMessage.provider.in_(("", receipt.provider)))
    if receipt.provider_id:
        theirs = OutboxMessage.provider_id == receipt.provider_id
        whose.append(theirs & (OutboxMessage.provider == receipt.provider))
    if not whose:
        return False
    before, values = _change(receipt, now)
    change = (
        update(OutboxMessage)
        .where(or_(*whose), before)
        .values(**values, provider=receipt.provider)
        .returning(OutboxMessage)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if receipt.provider_id:
        known = func.nullif(OutboxMessage.provider_id, "")
        change = change.values(provider_id=func.coalesce(known, receipt.provider_id[:200]))
    moved = (await session.scalars(change)).all()
    if receipt.state is S.FAILED:
        for message in moved:
            await outbox.tell_failed(session, message, receipt.problem, now=now)
    return len(moved) > 0


def _change(receipt: Receipt, now: datetime) -> tuple[ColumnElement[bool], dict[str, Any]]:
    """Which messages it moves, and what is written then."""
    is_in = OutboxMessage.state.in_
    went: dict[str, Any] = {
        "sent_at": func.coalesce(OutboxMessage.sent_at, now),
        "confirmed_at": func.coalesce(OutboxMessage.confirmed_at, now),
        "problem": None,
        "last_error": "",
    }
    match receipt.state:
        case S.SENT:  # of one that was accepted, too: only now is it known that it went out
            accepted = and_(OutboxMessage.state == S.SENT, OutboxMessage.confirmed_at.is_(None))
            return or_(is_in((S.QUEUED, S.SENDING)), accepted), {**went, "state": S.SENT}
        case S.DELIVERED:  # also after a failure: of two copies of one message the other one came through
            before = is_in((S.QUEUED, S.SENDING, S.SENT, S.FAILED))
            return before, {**went, "state": S.DELIVERED, "delivered_at": now}
        case S.READ:
            delivered = func.coalesce(OutboxMessage.delivered_at, now)
            every = is_in((S.QUEUED, S.SENDING, S.SENT, S.DELIVERED, S.FAILED))
            return every, {**went, "state": S.READ, "delivered_at": delivered, "read_at": now}
        case S.FAILED:
            failed = {"state": S.FAILED, "problem": receipt.problem, "last_error": receipt.detail[:2000]}
            return is_in((S.SENDING, S.SENT)), failed
        case _:
            assert_never(receipt.state)
