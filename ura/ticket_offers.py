"""What may this person do with this ticket now, and why not the rest? The rules are asked, never told again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from ura import ticket_moves, ticket_rules
from ura.errors import BadInput, Refused
from ura.models import Ticket, TicketStatus, Tier
from ura.ticket_rules import (
    Assign,
    BackToL1,
    BackToL2,
    Close,
    Contact,
    Move,
    Purpose,
    Reopen,
    Report,
    Resume,
    Take,
    ToL2,
    ToL3,
    Try,
    Wait,
    WaitFor,
)
from ura.users import Actor

WORDS = "…"  # whoever makes the move has some
A_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Offer:
    """`type`: of the move. `refused`: why it is not possible now; None: it is, with words and answers that fit."""

    type: str
    refused: Refused | None


async def offers(
    session: AsyncSession, ticket: Ticket, actor: Actor, *, now: datetime, reopen_within: timedelta
) -> Sequence[Offer]:
    """Of the moves that belong to where the ticket is, in the order in which they are made."""
    found = []
    for move in _moves(ticket, now):
        facts = await ticket_moves.facts(session, ticket, move, now, reopen_within)
        found.append(Offer(move.type, _refused(ticket, move, actor, facts)))
    return found


def _refused(ticket: Ticket, move: Move, actor: Actor, facts: ticket_rules.Facts) -> Refused | None:
    """Questions that are not answered yet are answered with the move."""
    try:
        ticket_rules.decide(ticket, move, actor, facts)
    except Refused as refused:
        return refused
    except BadInput:
        return None
    return None


def _moves(ticket: Ticket, now: datetime) -> Sequence[Move]:
    if ticket.status is TicketStatus.CLOSED:
        return [Reopen(reason=WORDS)]
    waits = ticket.status is TicketStatus.WAITING
    pause: Move = Resume() if waits else Wait(reason=WaitFor.ACCESS)
    anywhere: list[Move] = [Assign(assignee_id=None), pause, Close(text=WORDS)]
    contact = Contact(purpose=Purpose.SOLUTION, text=WORDS)
    match ticket.tier:
        case Tier.L1:
            return [Take(), Report(report=WORDS), ToL2(report=WORDS, told_deadline_at=now + A_MOMENT), *anywhere]
        case Tier.L2:
            return [Take(), Try(text=WORDS), contact, BackToL1(tell=WORDS), ToL3(reason=WORDS), *anywhere]
        case Tier.L3:
            return [Take(), BackToL2(finding=WORDS), *anywhere, contact]
