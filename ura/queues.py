"""Is somebody there, and how long does it take? Queues, their hours and waits, the days nobody works, and the calls we
promised to return."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import domain_events, paging, upsert
from ura.errors import BadInput, NotFound, Refused
from ura.models import Attendant, BusinessHours, Call, Callback, CallbackState, EventKind, Holiday, Queue
from ura.paging import Page
from ura.upsert import Row

LOOK_AHEAD_DAYS = 14
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1, 3600  # what an admin may allow; the dialplan ends every wait after four hours
TALKS_SINCE = timedelta(days=30)
FEWEST_TALKS, ENOUGH_TALKS, CALLS_LOOKED_AT = 3, 50, 2000
WAIT_STEPS_MIN = (1, 3, 5, 10)  # queue.wait.under_1 … queue.wait.over_10 in the catalogue


class QueueNotFound(NotFound):
    code = "queue-not-found"


class CallbackNotFound(NotFound):
    code = "callback-not-found"


class CallbackAlreadySettled(Refused):
    code = "callback-already-settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFilter:
    """`due_at`: only those that may be made at this moment; `due_after`: only those that wait for a later one."""

    due_at: datetime | None = None
    due_after: datetime | None = None
    state: CallbackState | None = None
    queue: str = ""
    phone: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Opening:
    """`opens_at` (local) is None while open, and when nobody comes within two weeks."""

    open: bool
    opens_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """`closes` 00:00 is the midnight that ends the day."""

    weekday: int
    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Timetable:
    """`spans` None: always. `town_days`: what only the town keeps, with its name, on the days that were asked about."""

    spans: tuple[Span, ...] | None
    town_days: Mapping[date, str]
    state_uf: str

    def is_holiday(self, day: date) -> bool:
        return bool(self.holiday(day))

    def holiday(self, day: date) -> str:
        """Its name; "" on any other day."""
        return self.town_days.get(day) or public_holidays(self.state_uf, day.year).get(day, "")


# One row a span; a queue without a timetable, or with one that has no spans, gives one row without a weekday.
_HOURS = (
    select(Queue.business_hours, Queue.state_uf, BusinessHours.weekday, BusinessHours.opens, BusinessHours.closes)
    .outerjoin(BusinessHours, BusinessHours.timetable == Queue.business_hours)
    .where(Queue.key == bindparam("queue"))
)
_TOWN_DAYS = select(Holiday.on_day, Holiday.name).where(
    Holiday.on_day.between(bindparam("first"), bindparam("last")), Holiday.timetable.in_(("", bindparam("timetable")))
)


async def opening(session: AsyncSession, queue: str, now: datetime, *, zone: ZoneInfo, state_uf: str) -> Opening:
    """Is the queue attended, and if not, when next?

    1. A queue without a timetable is always open.
    2. On a holiday (national, of the state, of the town) it is closed. A queue may have a state of its own, a timetable
       days of its own: a provider has branches in other towns.
    3. Otherwise the spans of the weekday count, `closes` not included.
    4. The next opening is sought two weeks ahead.
    """
    today = now.astimezone(zone).date()
    last = today + timedelta(days=LOOK_AHEAD_DAYS)
    found = await timetable(session, queue, first=today, last=last, state_uf=state_uf)
    if found.spans is None:
        return Opening(open=True)
    return opening_of(found.spans, now, zone=zone, is_holiday=found.is_holiday)


async def timetable(session: AsyncSession, queue: str, *, first: date, last: date, state_uf: str) -> Timetable:
    """When somebody answers for the queue, from `first` to `last`. `state_uf`: of a queue that names none. Raises
    QueueNotFound."""
    rows = (await session.execute(_HOURS, {"queue": queue})).all()
    if not rows:
        raise QueueNotFound(f"There is no queue '{queue}'.")
    state_uf = rows[0].state_uf or state_uf
    if not rows[0].business_hours:
        return Timetable(None, {}, state_uf)
    spans = tuple(Span(row.weekday, row.opens, row.closes) for row in rows if row.weekday is not None)
    return Timetable(spans, await _town_days(session, rows[0].business_hours, first, last), state_uf)


async def hours_of(session: AsyncSession, timetable: str, *, first: date, last: date, state_uf: str) -> Timetable:
    """The same of a timetable that no queue need keep; without spans it is never open."""
    rows = await session.scalars(select(BusinessHours).where(BusinessHours.timetable == timetable))
    spans = tuple(Span(row.weekday, row.opens, row.closes) for row in rows)
    return Timetable(spans, await _town_days(session, timetable, first, last), state_uf)


async def _town_days(session: AsyncSession, timetable: str, first: date, last: date) -> dict[date, str]:
    """One day may be kept by all and, under another name, by this one; either will do."""
    wanted = {"first": first, "last": last, "timetable": timetable}
    return {day: name for day, name in await session.execute(_TOWN_DAYS, wanted)}


def opening_of(spans: Iterable[Span], now: datetime, *, zone: ZoneInfo, is_holiday: Callable[[date], bool]) -> Opening:
    """The rule itself, without a database. Moments are compared in UTC: local clocks can be put back."""
    spans = list(spans)
    local = now.astimezone(zone)
    next_opening: datetime | None = None
    for day in _days(local.date()):
        if is_holiday(day):
            continue
        for span in spans:
            if span.weekday != day.weekday():
                continue
            opens, closes = moments(span, day, zone)
            if opens <= now < closes:
                return Opening(open=True)
            if now < opens and (next_opening is None or opens < next_opening):
                next_opening = opens
    return Opening(open=False, opens_at=next_opening.astimezone(zone) if next_opening else None)


def moments(span: Span, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When the span opens and closes on that day, in UTC."""
    last_day = day + timedelta(days=1) if span.closes == time(0) else day
    opens = datetime.combine(day, span.opens, zone)
    closes = datetime.combine(last_day, span.closes, zone)
    return opens.astimezone(UTC), closes.astimezone(UTC)


@lru_cache(maxsize=64)
def public_holidays(state_uf: str, year: int) -> dict[date, str]:
    """National and state holidays. Carnival and Corpus Christi are not: enter them as municipal ones if you close."""
    return dict(holidays.country_holidays("BR", subdiv=state_uf, years=year, language="pt_BR"))


async def list_queues(session: AsyncSession) -> Sequence[Queue]:
    return (await session.scalars(select(Queue).order_by(Queue.key))).all()


async def get_queue(session: AsyncSession, key: str) -> Queue:
    """As it is now, whatever this transaction read before. Raises QueueNotFound."""
    queue = await session.get(Queue, key, populate_existing=True)
    if queue is None:
        raise QueueNotFound(f"There is no queue '{key}'.")
    return queue


async def change_wait_limits(session: AsyncSession, key: str, limits: "WaitLimits") -> Queue:
    """They hold from the next call on. Raises QueueNotFound, BadInput."""
    if not SHORTEST_WAIT_S <= limits.max_wait_s <= LONGEST_WAIT_S:
        raise BadInput(f"Choose a longest wait from {SHORTEST_WAIT_S} to {LONGEST_WAIT_S} seconds.")
    if limits.callers_per_attendant < 0:
        raise BadInput("Choose how many may wait for each attendant: 0 is any number.")
    queue = await get_queue(session, key)
    queue.max_wait_s, queue.callers_per_attendant = limits.max_wait_s, limits.callers_per_attendant
    await session.flush()
    return queue


async def list_attendants(session: AsyncSession, *, queue: str = "") -> Sequence[Attendant]:
    """Active ones, by name; of one queue or of all."""
    rows = await session.scalars(select(Attendant).where(Attendant.active).order_by(Attendant.name))
    return [attendant for attendant in rows if not queue or queue in attendant.queues]


# -- waits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """How long a caller waits at most, 1 to 3600 seconds; and how many may wait for each attendant who is logged in, 0:
    any number."""

    max_wait_s: int
    callers_per_attendant: int


async def wait_limits(session: AsyncSession, queue: str) -> WaitLimits:
    """Raises QueueNotFound."""
    wanted = select(Queue.max_wait_s, Queue.callers_per_attendant).where(Queue.key == queue)
    found = (await session.execute(wanted)).one_or_none()
    if found is None:
        raise QueueNotFound(f"There is no queue '{queue}'.")
    return WaitLimits(min(max(found[0], SHORTEST_WAIT_S), LONGEST_WAIT_S), max(found[1], 0))


def is_overfull(*, ahead: int, ready: int, attendants: int, per_attendant: int) -> bool:
    """Should one more caller be offered something better than this wait?

    1. Not when somebody is free, nor when nobody is logged in: then the queue itself knows.
    2. Otherwise when, with this caller, more wait for each attendant than the queue allows.
    """
    if ready > ahead or attendants < 1 or per_attendant < 1:
        return False
    return ahead + 1 > attendants * per_attendant


async def mean_talk_s(session: AsyncSession, queue: str, now: datetime) -> float | None:
    """How long a conversation takes here, from the last 50 among the last 2000 calls; None below three."""
    newest = (
        select(Call.opened_at, Call.queue, Call.answered_at, Call.ended_at)
        .where(Call.opened_at >= now - TALKS_SINCE)
        .order_by(Call.opened_at.desc(), Call.id.desc())
        .limit(CALLS_LOOKED_AT)
        .subquery()
    )
    talks = (
        select(newest.c.answered_at, newest.c.ended_at)
        .where(newest.c.queue == queue, newest.c.answered_at.is_not(None), newest.c.ended_at.is_not(None))
        .order_by(newest.c.opened_at.desc())
        .limit(ENOUGH_TALKS)
    )
    rows = (await session.execute(talks)).all()
    if len(rows) < FEWEST_TALKS:
        return None
    lengths: list[float] = [max(0.0, (ended - answered).total_seconds()) for answered, ended in rows]
    return sum(lengths) / len(lengths)


def expected_wait_s(*, ahead: int, ready: int, attendants: int, talk_s: float) -> float:
    """How long a caller with `ahead` others before them waits, in seconds.

    1. With more attendants ready than callers ahead: no wait.
    2. Otherwise all are busy, and one of them is done every `talk_s / attendants`; the caller's turn is the one after
       those ahead.
    """
    if ready > ahead or attendants < 1:
        return 0.0
    return (ahead - ready + 1) * talk_s / attendants


def wait_prompt(seconds: float) -> str:
    """The sentence that tells a wait as a range: nobody knows it to the minute, and a broken promise is worse."""
    for minutes in WAIT_STEPS_MIN:
        if seconds < minutes * 60:
            return f"queue.wait.under_{minutes}"
    return f"queue.wait.over_{WAIT_STEPS_MIN[-1]}"


# -- callbacks -------------------------------------------------------------------------------------------------------


async def request_callbacks(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id`, `call_id`, `phone`, `queue`, `not_before_at`, `created_at`. One that is there stays as it is."""
    await upsert.add_new(session, Callback, [{"state": CallbackState.WAITING, **row} for row in rows])
    told = [
        domain_events.row(
            EventKind.CALLBACK_REQUESTED,
            row["id"],
            {"queue": row["queue"], "call_id": row["call_id"]},
            now=row["created_at"],
            once="",
        )
        for row in rows
    ]
    await domain_events.record_rows(session, told)


async def list_callbacks(
    session: AsyncSession, *, filters: CallbackFilter | None = None, cursor: str = "", limit: int = 100
) -> Page[Callback]:
    """By the moment from which they may be made: of those that wait the earliest first, of all the latest first."""
    wanted = filters or CallbackFilter()
    conditions = paging.equal(Callback, wanted, ("state", "queue", "phone", "call_id"))
    if wanted.due_at:
        conditions.append(Callback.not_before_at <= wanted.due_at)
    if wanted.due_after:
        conditions.append(Callback.not_before_at > wanted.due_after)
    oldest_first = bool(wanted.due_at or wanted.due_after)
    if oldest_first:
        conditions.append(Callback.state == CallbackState.WAITING)
    by = (Callback.not_before_at, Callback.id)
    return await paging.fetch(
        session, Callback, conditions, by=by, cursor=cursor, limit=limit, oldest_first=oldest_first
    )


async def get_callback(session: AsyncSession, callback_id: str) -> Callback:
    callback = await session.get(Callback, callback_id)
    if callback is None:
        raise CallbackNotFound("There is no such callback.")
    return callback


async def settle_callback(session: AsyncSession, callback_id: str, *, state: CallbackState, now: datetime) -> bool:
    """It needs no more calls. False: it was settled so before, and nothing changes. Raises CallbackAlreadySettled when
    it was settled otherwise, also when somebody else was faster by a moment."""
    callback = await get_callback(session, callback_id)
    change = (
        update(Callback)
        .where(Callback.id == callback_id, Callback.state == CallbackState.WAITING)
        .values(state=state, done_at=now)
        .returning(Callback.id)
        .execution_options(synchronize_session=False)
    )
    settled = await session.scalar(change)
    await session.refresh(callback)
    if callback.state is not state:
        raise CallbackAlreadySettled("Somebody has said already what came of this call.")
    if settled is not None:
        data = {"state": state, "queue": callback.queue}
        await domain_events.record(session, EventKind.CALLBACK_SETTLED, callback_id, data, now=now)
    return settled is not None


# -- inside ----------------------------------------------------------------------------------------------------------


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=ahead) for ahead in range(LOOK_AHEAD_DAYS + 1))
