"""Who may do what with a ticket, and why not: the three tiers as code. Pure: no database, no clock.

1. L1 takes the report. Nothing comes to L2 without a report and a deadline that the customer was told.
2. L2 works at a distance first and writes down what it tried; it contacts the customer only with a solution or to book
   a visit.
3. L3 keeps the network. It has no contact with customers, closes nothing, and all that it writes is internal.
4. A ticket goes one tier at a time, with words for whoever gets it: L1 ⇄ L2 ⇄ L3.
5. Whoever acts may act on the tier where the ticket is. A ticket that waits is resumed before it goes anywhere.
6. L1 or L2 closes it, complaints and cancellations only L1: somebody has to speak with the person. L1 reopens it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, assert_never

from ura import ticket_forms
from ura.models import Category, Ticket, TicketEventKind, TicketStatus, Tier
from ura.ticket_forms import Field
from ura.ticket_refusals import (
    DeadlineIsPast,
    DeadlineNotTold,
    DeadlineTooLate,
    L3ClosesNothing,
    NobodyToTakeIt,
    NoContactHere,
    NothingTriedYet,
    OfAnotherTier,
    OnlyL1Closes,
    ReopenedTooLate,
    ReportMissing,
    TicketAlreadyClosed,
    TicketIsNotWaiting,
    TicketIsOpen,
    TicketIsWaiting,
    UnfitAssignee,
    VisitStillBooked,
    WordsMissing,
)
from ura.users import Actor, Permission

Json = Any
OF_TIER = {Tier.L1: Permission.TICKETS_L1, Tier.L2: Permission.TICKETS_L2, Tier.L3: Permission.TICKETS_L3}
CLOSED_BY_L1 = (Category.COMPLAINT, Category.CANCELLATION)


class WaitFor(StrEnum):
    CUSTOMER = "customer"
    WEATHER = "weather"
    ACCESS = "access"
    PARTS = "parts"


class Purpose(StrEnum):
    """What L2 may speak with a customer for."""

    SOLUTION = "solution"
    VISIT = "visit"


# -- the moves --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """L1 writes down what it found out. Answers of the form are added to those that are there."""

    type: ClassVar = "report"
    report: str
    form: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToL2:
    """`report`, `told_deadline_at`: "" and None for what the ticket says already."""

    type: ClassVar = "to_l2"
    report: str = ""
    told_deadline_at: datetime | None = None
    form: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToL3:
    type: ClassVar = "to_l3"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackToL2:
    type: ClassVar = "back_to_l2"
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackToL1:
    type: ClassVar = "back_to_l1"
    tell: str  # the customer


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    type: ClassVar = "take"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """`assignee_id` None: nobody's again."""

    type: ClassVar = "assign"
    assignee_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """L2 writes down what it tried at a distance, and what came of it."""

    type: ClassVar = "try"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    type: ClassVar = "contact"
    purpose: Purpose
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    type: ClassVar = "wait"
    reason: WaitFor
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    type: ClassVar = "resume"
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    type: ClassVar = "close"
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    type: ClassVar = "reopen"
    reason: str


Move = Report | ToL2 | ToL3 | BackToL2 | BackToL1 | Take | Assign | Try | Contact | Wait | Resume | Close | Reopen


# -- the rule ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rule has to know besides the ticket. `fields`: of its category's form. `tried`: by L2, since the ticket
    came there. `has_visit`: one that is booked. `assignee`: as whom the assignee would act; None: there is no such
    user, or one who no longer works here. `due_at_l2`: when it is due if it comes to L2 now; None: nothing says so."""

    now: datetime
    reopen_within: timedelta
    fields: Sequence[Field] = ()
    tried: bool = False
    has_visit: bool = False
    assignee: Actor | None = None
    due_at_l2: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of the ticket, and its line in the history."""

    kind: TicketEventKind
    text: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    internal: bool = False


def is_internal(tier: Tier, actor: Actor) -> bool:
    """Is what this actor writes on a ticket of that tier for colleagues only? All that L3 writes is."""
    return tier is Tier.L3 or is_network(actor)


def is_network(actor: Actor) -> bool:
    """L3 and nothing else: somebody who is not to know a customer's number or address."""
    return actor.may(OF_TIER[Tier.L3]) and not any(
        actor.may(each) for each in (OF_TIER[Tier.L1], OF_TIER[Tier.L2], Permission.PHONES_SEE)
    )


def decide(ticket: Ticket, move: Move, actor: Actor, facts: Facts) -> Change:
    """Raises Refused, or BadInput for answers that the form does not take; changes nothing itself."""
    change = _decide(ticket, move, actor, facts)
    return replace(change, internal=change.internal or is_internal(ticket.tier, actor))


def _decide(ticket: Ticket, move: Move, actor: Actor, facts: Facts) -> Change:
    if isinstance(move, Reopen):
        return _reopen(ticket, move, actor, facts)
    if ticket.status is TicketStatus.CLOSED:
        raise TicketAlreadyClosed("This ticket is closed. Comment on it, reopen it, or open a new one.")
    if not actor.may(OF_TIER[ticket.tier]):
        raise OfAnotherTier(
            f"This ticket is at {ticket.tier.upper()}: that takes the permission {OF_TIER[ticket.tier]}. "
            "Comment on it, and whoever works there acts."
        )
    match move:
        case Report(report=report, form=form):
            _at(ticket, Tier.L1)
            values = {"report": _words(report, "report"), "form": _answers(ticket, form, facts)}
            return Change(kind=TicketEventKind.COMMENTED, text=report.strip(), detail=_detail(move), values=values)
        case ToL2():
            return _to_l2(ticket, move, facts)
        case ToL3(reason=reason):
            return _to_tier(ticket, move, Tier.L2, Tier.L3, _words(reason, "reason"), internal=True)
        case BackToL2(finding=finding):
            return _to_tier(ticket, move, Tier.L3, Tier.L2, _words(finding, "finding"))
        case BackToL1(tell=tell):
            return _to_tier(ticket, move, Tier.L2, Tier.L1, _words(tell, "tell"))
        case Take():
            if actor.user_id is None:
                raise NobodyToTakeIt("A program takes no ticket. Assign it to a user.")
            return _assign(ticket, move, actor.user_id)
        case Assign(assignee_id=assignee_id):
            if assignee_id is not None and (facts.assignee is None or not facts.assignee.may(OF_TIER[ticket.tier])):
                raise UnfitAssignee(f"A ticket at {ticket.tier.upper()} is assigned to an active user of that tier.")
            return _assign(ticket, move, assignee_id)
        case Try(text=text):
            _at(ticket, Tier.L2)
            return Change(kind=TicketEventKind.TRIED, text=_words(text, "text"), detail=_detail(move))
        case Contact():
            return _contact(ticket, move, facts)
        case Wait():
            return _wait(ticket, move)
        case Resume(text=text):
            if ticket.status is not TicketStatus.WAITING:
                raise TicketIsNotWaiting("This ticket does not wait: there is nothing to resume.")
            return Change(
                kind=TicketEventKind.RESUMED,
                text=text.strip(),
                detail=_detail(move),
                values={"status": TicketStatus.OPEN},
            )
        case Close():
            return _close(ticket, move, facts)
        case _:
            assert_never(move)


def check_promise(report: str, told_deadline_at: datetime | None, *, due_at: datetime | None, now: datetime) -> None:
    """What L2 gets a ticket with. Raises ReportMissing, DeadlineNotTold, DeadlineIsPast, DeadlineTooLate."""
    if not report.strip():
        raise ReportMissing("L2 gets no ticket without a report. Write down what the customer said, and what you saw.")
    if told_deadline_at is None:
        raise DeadlineNotTold("L2 gets no ticket without a deadline. Tell it to the customer, and send it.")
    if told_deadline_at <= now:
        raise DeadlineIsPast(
            "The deadline that the customer was told is over. Tell the customer a new one, and send it."
        )
    if due_at is not None and now < due_at < told_deadline_at:
        raise DeadlineTooLate(f"The ticket is due at {due_at.isoformat()}. Tell the customer a deadline before that.")


def _to_l2(ticket: Ticket, move: ToL2, facts: Facts) -> Change:
    _at(ticket, Tier.L1)
    report = move.report.strip() or ticket.report
    told = move.told_deadline_at or ticket.told_deadline_at
    form = _answers(ticket, move.form, facts)
    check_promise(report, told, due_at=facts.due_at_l2, now=facts.now)
    ticket_forms.check_complete(facts.fields, form)
    assert told
    moved = _to_tier(ticket, move, Tier.L1, Tier.L2, report)
    values = {**moved.values, "report": report, "told_deadline_at": told, "form": form}
    return replace(moved, values=values, detail={**moved.detail, "told_deadline_at": told.isoformat()})


def _to_tier(ticket: Ticket, move: Move, origin: Tier, to: Tier, text: str, *, internal: bool = False) -> Change:
    """Nobody's there yet."""
    _at(ticket, origin)
    if ticket.status is TicketStatus.WAITING:
        raise TicketIsWaiting("This ticket waits. Resume it before it goes to another tier.")
    return Change(
        kind=TicketEventKind.MOVED,
        text=text,
        detail=_detail(move, **{"from": origin.value, "to": to.value}),
        values={"tier": to, "assignee_id": None},
        internal=internal,
    )


def _assign(ticket: Ticket, move: Take | Assign, assignee_id: int | None) -> Change:
    return Change(
        kind=TicketEventKind.ASSIGNED,
        detail=_detail(move, assignee_id=assignee_id),
        values={"assignee_id": assignee_id},
    )


def _contact(ticket: Ticket, move: Contact, facts: Facts) -> Change:
    if ticket.tier is not Tier.L2:
        where = "L1 speaks with customers as it likes: comment." if ticket.tier is Tier.L1 else "Give it back to L2."
        raise NoContactHere(f"A contact is L2's, with a solution or to book a visit. {where}")
    if not facts.tried:
        raise NothingTriedYet(
            "Work at a distance first, and write down what you tried (`try`); then contact the customer."
        )
    detail = _detail(move, purpose=move.purpose.value)
    return Change(kind=TicketEventKind.CONTACTED, text=_words(move.text, "text"), detail=detail)


def _wait(ticket: Ticket, move: Wait) -> Change:
    if ticket.status is TicketStatus.WAITING:
        raise TicketIsWaiting("This ticket waits already. Resume it first, then say what else it waits for.")
    if ticket.tier is Tier.L3 and move.reason is WaitFor.CUSTOMER:
        raise NoContactHere("L3 waits for no customer. Give the ticket back to L2, and say what is to be asked.")
    return Change(
        kind=TicketEventKind.WAITING,
        text=move.text.strip(),
        detail=_detail(move, reason=move.reason.value),
        values={"status": TicketStatus.WAITING},
    )


def _close(ticket: Ticket, move: Close, facts: Facts) -> Change:
    if ticket.tier is Tier.L3:
        raise L3ClosesNothing("L3 closes no ticket. Give it back to L2 with what you found (`back_to_l2`).")
    if ticket.tier is not Tier.L1 and ticket.category in CLOSED_BY_L1:
        raise OnlyL1Closes(
            "A complaint or a cancellation is closed by L1, who speaks with the person. Give it back, and say what the "
            "customer shall be told (`back_to_l1`)."
        )
    if facts.has_visit:
        raise VisitStillBooked("A visit is booked for this ticket. Say what came of it, or cancel it; then close.")
    values = {"status": TicketStatus.CLOSED, "closed_at": facts.now}
    return Change(kind=TicketEventKind.CLOSED, text=move.text.strip(), detail=_detail(move), values=values)


def _reopen(ticket: Ticket, move: Reopen, actor: Actor, facts: Facts) -> Change:
    """It begins anew at L1: whoever comes back has something to tell, and is told a new deadline."""
    if ticket.status is not TicketStatus.CLOSED:
        raise TicketIsOpen("This ticket is not closed: there is nothing to reopen.")
    if not actor.may(OF_TIER[Tier.L1]):
        raise OfAnotherTier(f"L1 reopens tickets: that takes the permission {OF_TIER[Tier.L1]}.")
    if ticket.closed_at is not None and facts.now - ticket.closed_at > facts.reopen_within:
        raise ReopenedTooLate(
            f"This ticket was closed more than {facts.reopen_within.days} days ago. Open a new one that names it."
        )
    values = {
        "status": TicketStatus.OPEN,
        "tier": Tier.L1,
        "closed_at": None,
        "assignee_id": None,
        "told_deadline_at": None,
    }
    detail = _detail(move, **{"from": ticket.tier.value, "to": Tier.L1.value})
    return Change(kind=TicketEventKind.REOPENED, text=_words(move.reason, "reason"), detail=detail, values=values)


def _at(ticket: Ticket, tier: Tier) -> None:
    if ticket.tier is not tier:
        raise OfAnotherTier(f"This is done at {tier.upper()}; the ticket is at {ticket.tier.upper()}.")


def _words(text: str, name: str) -> str:
    if not text.strip():
        raise WordsMissing(f"`{name}` is empty. Whoever reads it next needs words.")
    return text.strip()


def _answers(ticket: Ticket, given: Mapping[str, Json], facts: Facts) -> dict[str, Json]:
    return {**ticket.form, **ticket_forms.checked(facts.fields, given)}


def _detail(move: Move, **more: Json) -> dict[str, Json]:
    return {"move": move.type, **more}
