"""By when is this ticket due, and why then? Its terms are those of where it is now; a pause stands in its history.

Nothing here writes: `ura.tickets` and `ura.ticket_moves` store what this module answers, in their own statements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import place, queues, rulebook, sla_clock, sla_policies
from ura.models import CountedBy, Ticket, TicketEvent, TicketEventKind, TicketStatus, Tier
from ura.queues import QueueNotFound
from ura.sla_clock import Calendar, Interval, Pause, Reading
from ura.sla_policies import LAW, Rule, Terms
from ura.upsert import Row

Json = Any
EVER = (date(2000, 1, 1), date(2200, 1, 1))  # the days that towns keep are few: all of them are read at once
ENDS_PAUSE = (TicketEventKind.RESUMED, TicketEventKind.CLOSED, TicketEventKind.REOPENED, TicketEventKind.MOVED)
BEGINS_ANEW = (TicketEventKind.MOVED, TicketEventKind.REOPENED)


class By(StrEnum):
    """Whose deadline it is: of the terms of this tier, or the law's, for the whole ticket."""

    POLICY = "policy"
    LAW = "law"


class DeadlineState(StrEnum):
    """As a list shows it. Of a ticket that is closed: how it was when it was."""

    NONE = "none"
    OK = "ok"
    NEAR = "near"
    MISSED = "missed"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One deadline and how it comes about. `policy`: the key of the one that it came from; "" for the law's."""

    by: By
    policy: str
    hours: float
    from_at: datetime
    due_at: datetime | None
    worked: timedelta
    left: timedelta
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """`due_at`: the first of `clocks`; None when there is none, or while the ticket waits. `warn_at`: of that."""

    due_at: datetime | None
    warn_at: datetime | None
    clocks: tuple[Clock, ...]


class Calendars:
    """Of one transaction: each is read once."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._rulebook = rulebook.of(session.info)
        self._place = place.of(session.info)
        self._read: dict[tuple[CountedBy, str], Calendar] = {}

    async def of(self, terms: Terms, queue: str) -> Calendar:
        name = {CountedBy.QUEUE: queue, CountedBy.TIMETABLE: terms.timetable}.get(terms.counted_by, "")
        key = (terms.counted_by, name)
        if key not in self._read:
            self._read[key] = await self._rulebook.read(("calendar", *key), partial(self._find, *key))
        return self._read[key]

    def always(self) -> Calendar:
        return Calendar(None, self._place.zone, lambda day: "")

    async def _find(self, counted_by: CountedBy, name: str) -> Calendar:
        """A ticket of no queue, or of one that is gone, is everybody's: then every hour counts."""
        first, last = EVER
        state_uf = self._place.state_uf
        if not name:
            return self.always()
        if counted_by is CountedBy.TIMETABLE:
            found = await queues.hours_of(self._session, name, first=first, last=last, state_uf=state_uf)
        else:
            try:
                found = await queues.timetable(self._session, name, first=first, last=last, state_uf=state_uf)
            except QueueNotFound:
                return self.always()
        return Calendar(found.spans, self._place.zone, found.holiday)


async def wound_up(session: AsyncSession, rows: Sequence[Row]) -> list[dict[str, Json]]:
    """Rows of new tickets, with what the clock adds: `terms`, `clock_from_at`, `due_at`, `warn_at`."""
    calendars, policies = Calendars(session), await sla_policies.rules(session)
    done = []
    for row in rows:
        about = {name: str(row[name]) for name in ("category", "segment", "queue")}
        opened_at = row["opened_at"]
        terms = _terms(policies, Tier(row["tier"]), about["category"], about["segment"])
        found = await _deadline(calendars, terms, about, opened_at, opened_at, [], opened_at)
        done.append({**row, **_begun(terms, opened_at, found)})
    return done


async def due_if_opened(
    session: AsyncSession, *, tier: Tier, category: str, segment: str, queue: str, now: datetime
) -> datetime | None:
    """When a ticket would be due that is opened there now."""
    row = {"tier": tier, "category": category, "segment": segment, "queue": queue, "opened_at": now}
    [wound] = await wound_up(session, [row])
    due_at: datetime | None = wound["due_at"]
    return due_at


async def after(
    session: AsyncSession, ticket: Ticket, kind: TicketEventKind, values: Mapping[str, Json], now: datetime
) -> dict[str, Json]:
    """What a move changes of the clock; `ticket` is as it was, `kind` the line that the move writes, `values` what it
    changes besides.

    1. To another tier, or reopened: the terms are those of there, and the clock begins anew. The law's goes on: it
       counts from when the ticket was opened, or reopened.
    2. Waiting: the clock stands, and there is no deadline but the law's, or one that is over. Resumed: it goes on.
    3. Closed: nobody need be warned. When it was due stays written down.
    """
    if kind is TicketEventKind.CLOSED:
        return {"warn_at": None}
    if kind not in (*BEGINS_ANEW, TicketEventKind.WAITING, TicketEventKind.RESUMED):
        return {}
    calendars, about = Calendars(session), _about(ticket)
    demanded_at = now if kind is TicketEventKind.REOPENED else await _demanded_at(session, ticket)
    if kind in BEGINS_ANEW:
        policies = await sla_policies.rules(session)
        terms = _terms(policies, values["tier"], ticket.category, ticket.segment)
        found = await _deadline(calendars, terms, about, now, demanded_at, [], now)
        changed = _begun(terms, now, found)
        if found.due_at is None or found.due_at > now:  # otherwise it was missed before, and nobody is told twice
            changed |= {"warned_at": None, "breached_at": None}
        return changed
    pauses = await _pauses(session, ticket)
    if kind is TicketEventKind.WAITING:
        pauses.append(Pause(now, None, ""))
    elif pauses and pauses[-1].to_at is None:
        pauses[-1] = Pause(pauses[-1].from_at, now, pauses[-1].reason)
    found = await _deadline(calendars, _own_terms(ticket), about, _from(ticket), demanded_at, pauses, now)
    return {"due_at": found.due_at, "warn_at": found.warn_at}


async def due_at_tier(session: AsyncSession, ticket: Ticket, tier: Tier, now: datetime) -> datetime | None:
    """When it would be due if it came to that tier now: what a customer may be told at most."""
    terms = _terms(await sla_policies.rules(session), tier, ticket.category, ticket.segment)
    demanded_at = await _demanded_at(session, ticket)
    return (await _deadline(Calendars(session), terms, _about(ticket), now, demanded_at, [], now)).due_at


async def explain(
    session: AsyncSession, ticket: Ticket, *, now: datetime, calendars: Calendars | None = None
) -> Deadline:
    """Every interval of its deadline, by the calendars as they are now: a holiday may have come since. Of a ticket that
    is closed: as it was then."""
    now = ticket.closed_at if ticket.status is TicketStatus.CLOSED and ticket.closed_at else now
    pauses, demanded_at = await _pauses(session, ticket), await _demanded_at(session, ticket)
    calendars = calendars or Calendars(session)
    return await _deadline(calendars, _own_terms(ticket), _about(ticket), _from(ticket), demanded_at, pauses, now)


def state_of(ticket: Ticket, now: datetime) -> DeadlineState:
    """By what is stored, without a look at any calendar."""
    at = ticket.closed_at if ticket.status is TicketStatus.CLOSED and ticket.closed_at else now
    if ticket.due_at is None:
        return DeadlineState.PAUSED if ticket.status is TicketStatus.WAITING else DeadlineState.NONE
    if ticket.due_at <= at:
        return DeadlineState.MISSED
    return DeadlineState.NEAR if ticket.warn_at and ticket.warn_at <= at else DeadlineState.OK


# -- inside -----------------------------------------------------------------------------------------------------------


def _terms(policies: Sequence[Rule], tier: Tier, category: str, segment: str) -> Terms | None:
    policy = sla_policies.pick(policies, tier=tier.value, category=category, segment=segment)
    return policy.terms if policy else None


def _own_terms(ticket: Ticket) -> Terms | None:
    return Terms.from_json(ticket.terms) if ticket.terms else None


def _about(ticket: Ticket) -> dict[str, str]:
    return {"category": ticket.category, "segment": ticket.segment, "queue": ticket.queue}


def _from(ticket: Ticket) -> datetime:
    return ticket.clock_from_at or ticket.opened_at


def _begun(terms: Terms | None, now: datetime, found: Deadline) -> dict[str, Json]:
    return {
        "terms": terms.to_json() if terms else {},
        "clock_from_at": now,
        "due_at": found.due_at,
        "warn_at": found.warn_at,
    }


async def _deadline(
    calendars: Calendars,
    terms: Terms | None,
    about: Mapping[str, str],
    from_at: datetime,
    demanded_at: datetime,
    pauses: Sequence[Pause],
    now: datetime,
) -> Deadline:
    clocks, warnings = [], []
    if terms:
        calendar, budget = await calendars.of(terms, about["queue"]), timedelta(hours=terms.hours)
        held_up = list(pauses) if terms.pausable else []
        clocks.append(_clock(By.POLICY, terms, from_at, sla_clock.read(calendar, from_at, budget, held_up, now=now)))
        if terms.warn_hours is not None:
            ahead = timedelta(hours=terms.warn_hours)
            warnings.append(sla_clock.due(calendar, from_at, budget - ahead, held_up))
    if law := LAW.get(about["category"]):
        reading = sla_clock.read(calendars.always(), demanded_at, law.within, [], now=now)
        hours = law.within / timedelta(hours=1)
        legal = Terms(policy="", hours=hours, counted_by=CountedBy.ALWAYS)
        clocks.append(_clock(By.LAW, legal, demanded_at, reading))
        warnings.append(demanded_at.astimezone(UTC) + law.within - law.warn_before)
    return Deadline(due_at=_first(clock.due_at for clock in clocks), warn_at=_first(warnings), clocks=tuple(clocks))


def _clock(by: By, terms: Terms, from_at: datetime, reading: Reading) -> Clock:
    return Clock(
        by=by,
        policy=terms.policy,
        hours=terms.hours,
        from_at=from_at,
        due_at=reading.due_at,
        worked=reading.worked,
        left=reading.left,
        intervals=reading.intervals,
    )


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)


async def _demanded_at(session: AsyncSession, ticket: Ticket) -> datetime:
    """From when the law counts: asked only where it does."""
    if ticket.category not in LAW:
        return ticket.opened_at
    reopened = select(TicketEvent.at).where(
        TicketEvent.ticket_id == ticket.id, TicketEvent.kind == TicketEventKind.REOPENED
    )
    return await session.scalar(reopened.order_by(TicketEvent.at.desc()).limit(1)) or ticket.opened_at


async def _pauses(session: AsyncSession, ticket: Ticket) -> list[Pause]:
    """From its history, oldest first; only the last one may go on, and does as long as the ticket waits."""
    lines = await session.execute(
        select(TicketEvent.at, TicketEvent.kind, TicketEvent.detail)
        .where(TicketEvent.ticket_id == ticket.id, TicketEvent.kind.in_((TicketEventKind.WAITING, *ENDS_PAUSE)))
        .order_by(TicketEvent.at, TicketEvent.id)
    )
    found: list[Pause] = []
    for at, kind, detail in lines:
        if kind is TicketEventKind.WAITING:
            found.append(Pause(at, None, str(detail.get("reason", ""))))
        elif found and found[-1].to_at is None:
            found[-1] = Pause(found[-1].from_at, at, found[-1].reason)
    still = ticket.status is TicketStatus.WAITING
    if found and found[-1].to_at is None and not still:  # both lines at one moment, read in the other order
        found.pop()
    return [pause for pause in found[:-1] if pause.to_at] + found[-1:]
