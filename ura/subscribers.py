"""Who is calling? By the caller's number, by what was keyed, by a second factor; and nobody finds it out by trying.

Rules (reliability.md R28, R29, T12, T13), in this order:
1. Ten misses of one caller in 24 hours, or too many of all callers in five minutes: nothing keyed is looked at.
   `locked` leads to a person, never away from one. Wrong factors are limited for each subscriber, too.
2. Every try is written down before it is looked at, so that thirty lines at once do not get thirty times as many.
3. "Malformed", "unknown" and "wrong" are one answer, and come after the same time; it grows with the misses.
4. The number that a call comes from is a hint: its digits are no second factor for it.
Documents and factors pass through; what is kept is a keyed hash.
"""

import asyncio
import hmac
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Self
from uuid import uuid4

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import ColumnElement, Select, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, documents
from ura.crypto import Keyring
from ura.db import Sessions
from ura.documents import Fault
from ura.erp import Answer, Contract, ContractStatus, Erp, Reply, Subscriber, Unsupported
from ura.models import AttemptKind, AuditEntry, IdentificationAttempt
from ura.settings import Settings

log = structlog.get_logger(__name__)

DAY = timedelta(hours=24)
BURST = timedelta(minutes=5)
KEPT = timedelta(days=90)
FACTOR_DIGITS = 4
LONGEST_CONTRACT = 15
# Of a process. SQLite lets one write at a time: were every connection of the pool to wait for that, the lookups of
# callers who identify nobody would wait for a connection.
WRITING_AT_ONCE = 3
ALARM = "identification.alarm"
LOCKED = "identification.locked"

# A "no" is not heard before this; so long an ERP may take without being heard through. After it, in steps of half a
# second: a document with wrong check digits, which nobody has to be asked about, takes as long as the last that was.
FIRST_NO_S = 1.5
GROWTH_S = (0.0, 0.0, 0.5, 1.0, 1.5, 2.5, 3.5, 4.5)
STEP_S = 0.5
LONGEST_NO_S = 7.5


@dataclass(frozen=True, slots=True)
class Limits:
    """Misses: of a caller in 24 h; of all that hide their number in 24 h; on one subscriber's factor in 24 h; of all
    callers in five minutes, first for an alarm, then for everybody. `people`: subscribers that one caller may be."""

    caller: int = 10
    hidden: int = 50
    factor: int = 5
    alarm: int = 30
    total: int = 100
    people: int = 10

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            caller=settings.identify_misses,
            alarm=settings.identify_alarm_misses,
            total=settings.identify_total_misses,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """`subscriber` None: nobody, for whatever reason. `locked`: nothing was looked at; a person has to help.
    `supported` False: this system cannot search by what was keyed. `as_of`: None when nobody was asked."""

    subscriber: Subscriber | None = None
    locked: bool = False
    supported: bool = True
    source: str = ""
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    right: bool
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Alarm:
    """Somebody seemed to try out documents. `misses`: of all callers in the five minutes before; nobody's data."""

    at: datetime
    misses: int


def utc_now() -> datetime:
    return datetime.now(UTC)


class IdentificationMetrics:
    """`outcome`: hit, miss, refused (after the lock: nothing was looked at)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.tries = Counter("ura_identification_tries", "What callers keyed.", ("outcome",), registry=registry)
        self.alarms = Counter("ura_identification_alarms", "Somebody tries out documents.", registry=registry)


class Identification:
    """One a process: it remembers how long the ERP takes. Raises ErpUnavailable and SQLAlchemy's errors: whoever could
    not be counted is not let through."""

    def __init__(
        self,
        erp: Erp,
        sessions: Sessions,
        keyring: Keyring,
        limits: Limits,
        *,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = monotonic,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
        metrics: IdentificationMetrics | None = None,
    ) -> None:
        self._metrics = metrics or IdentificationMetrics()
        self._erp = erp
        self._sessions = sessions
        self._keyring = keyring
        self._limits = limits
        self._now = now
        self._clock = clock
        self._wait = wait
        self._usual_s = 0.0
        self._writing = asyncio.Semaphore(WRITING_AT_ONCE)

    async def by_number(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        """Everybody with this number; nobody for a hidden one. Not counted: nothing was keyed."""
        if not phone:
            return Answer((), self._erp.name, self._now())
        return await self._erp.find_by_phone(phone)

    async def by_keys(self, kind: AttemptKind, digits: str, *, caller: str) -> Found:
        """`kind`: DOCUMENT (11 digits are a CPF, 14 a CNPJ) or CONTRACT. `caller`: E.164, "" when hidden."""
        started = self._clock()
        attempt = await self._begin(kind, subject=self._keyring.index(digits), caller=caller)
        if attempt is None:
            self._count("refused")
            return Found(locked=True)
        try:
            reply = await self._look_up(kind, digits)
        except BaseException:  # also when the caller hangs up: nobody has heard whether it was right
            await asyncio.shield(self._take_back(attempt))
            raise
        found = _found(reply)
        if found.subscriber:
            self._count("hit")
            await self._hit(attempt, subject=self._subject(found))
            await self._wait_until(started, attempt.growth_s)
        elif not found.supported:
            await self._take_back(attempt)
        else:
            self._count("miss")
            await self._wait_for_no(started, attempt)
        return found

    async def check_factor(self, subscriber: Subscriber, digits: str, *, source: str, caller: str) -> Checked:
        """Four digits: the year of birth, or the end of a registered number other than the one that calls.
        `source`: of the answer that `subscriber` came with."""
        started = self._clock()
        subject = self._keyring.index(f"{source}:{subscriber.id}")
        attempt = await self._begin(AttemptKind.FACTOR, subject=subject, caller=caller)
        if attempt is None:
            self._count("refused")
            return Checked(right=False, locked=True)
        right = False
        for factor in _factors(subscriber, caller):  # all of them, however early one fits
            right |= hmac.compare_digest(factor.encode(), digits.encode())
        self._count("hit" if right else "miss")
        if right:
            await self._hit(attempt, subject=subject)
            await self._wait_until(started, attempt.growth_s)
        else:
            await self._wait_for_no(started, attempt)
        return Checked(right)

    # -- asking the ERP

    async def _look_up(self, kind: AttemptKind, digits: str) -> Reply[Subscriber | None] | None:
        """None: nobody had to be asked, since it can be no document."""
        if kind is AttemptKind.CONTRACT:
            if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_CONTRACT):
                return None
            return await self._timed(self._erp.find_by_contract(digits))
        if isinstance(documents.keyed(digits), Fault):
            return None
        return await self._timed(self._erp.find_by_document(digits))

    async def _timed(self, asking: Awaitable[Reply[Subscriber | None]]) -> Reply[Subscriber | None]:
        started = self._clock()
        reply = await asking
        self._usual_s = self._clock() - started
        return reply

    def _subject(self, found: Found) -> str:
        assert found.subscriber
        return self._keyring.index(f"{found.source}:{found.subscriber.id}")

    def _count(self, outcome: str) -> None:
        self._metrics.tries.labels(outcome).inc()

    # -- time

    async def _wait_for_no(self, started: float, attempt: "_Attempt") -> None:
        first = FIRST_NO_S + attempt.growth_s
        took = max(self._clock() - started, self._usual_s)
        steps = max(0, math.ceil((took - first) / STEP_S))
        await self._wait_until(started, min(first + steps * STEP_S, LONGEST_NO_S))

    async def _wait_until(self, started: float, after_s: float) -> None:
        rest = started + after_s - self._clock()
        if rest > 0:
            await self._wait(rest)

    # -- counting

    async def _begin(self, kind: AttemptKind, *, subject: str, caller: str) -> "_Attempt | None":
        """Write the try down as a miss; None when there have been too many: then it is kept as refused, and counts for
        nothing, or whoever goes on would lock everybody out."""
        now = self._now()
        attempt_id = uuid4().hex
        row = IdentificationAttempt(id=attempt_id, caller=caller, at=now, kind=kind, hit=False, subject=subject)
        async with self._writing, self._sessions.begin() as session:
            await _one_after_the_other(session, caller)
            session.add(row)
            await session.flush()  # SQLite: the writer's lock from here on, so that what is counted is all there is
            seen = await _count(session, subject=subject, caller=caller, now=now)
            if self._too_many(kind, seen, caller=caller):
                row.kind = AttemptKind.REFUSED
                return None
            await self._tell(session, attempt_id, seen, caller=caller, now=now)
        return _Attempt(attempt_id, GROWTH_S[min(seen.of_caller - 1, len(GROWTH_S) - 1)])

    def _too_many(self, kind: AttemptKind, seen: "_Seen", *, caller: str) -> bool:
        if seen.of_caller > self._of_one(caller) or seen.in_burst > self._limits.total:
            return True
        if kind is AttemptKind.FACTOR:
            return seen.on_subject > self._limits.factor
        return seen.people >= (self._limits.people if caller else self._limits.hidden)

    def _of_one(self, caller: str) -> int:
        """Those who hide their number are one caller to us, and many in truth."""
        return self._limits.caller if caller else self._limits.hidden

    async def _tell(self, session: AsyncSession, attempt_id: str, seen: "_Seen", *, caller: str, now: datetime) -> None:
        """Of the last miss before the lock, and of a burst: once, in log and audit."""
        if seen.of_caller == self._of_one(caller):
            log.warning("a caller may not try more documents today and is sent to a person", attempt_id=attempt_id)
            await _audit(session, LOCKED, attempt_id, misses=seen.of_caller, now=now)
        if seen.in_burst > self._limits.alarm and not await _told_since(session, now - BURST):
            self._metrics.alarms.inc()
            log.error("somebody seems to try out documents", misses=seen.in_burst, minutes=BURST.seconds // 60)
            await _audit(session, ALARM, attempt_id, misses=seen.in_burst, now=now)

    async def _hit(self, attempt: "_Attempt", *, subject: str) -> None:
        row = update(IdentificationAttempt).where(IdentificationAttempt.id == attempt.id)
        async with self._writing, self._sessions.begin() as session:
            await session.execute(row.values(hit=True, subject=subject))

    async def _take_back(self, attempt: "_Attempt") -> None:
        async with self._writing, self._sessions.begin() as session:
            await session.execute(delete(IdentificationAttempt).where(IdentificationAttempt.id == attempt.id))


@dataclass(frozen=True, slots=True)
class _Seen:
    """Misses, this try among them: of the caller in 24 h, of everybody in five minutes, on what was keyed in 24 h. And
    how many people the caller has been in 24 h."""

    of_caller: int
    in_burst: int
    on_subject: int
    people: int


@dataclass(frozen=True, slots=True)
class _Attempt:
    id: str
    growth_s: float


def can_verify(subscriber: Subscriber, *, caller: str) -> bool:
    """Is there a second factor that this caller could know? Without one, asking would only cost misses."""
    return any(_factors(subscriber, caller))


def current_contracts(contracts: tuple[Contract, ...]) -> tuple[Contract, ...]:
    """Those that a call can be about; the cancelled ones only where there is no other."""
    living = tuple(each for each in contracts if each.status is not ContractStatus.CANCELLED)
    return living or contracts


async def forget_old_attempts(session: AsyncSession, *, now: datetime) -> None:
    """Older than KEPT: nobody counts them any more."""
    await session.execute(delete(IdentificationAttempt).where(IdentificationAttempt.at < now - KEPT))


async def list_alarms(session: AsyncSession, *, now: datetime, limit: int = 10) -> list[Alarm]:
    """The last ones, newest first, of as many days as tries are kept."""
    query = (
        select(AuditEntry.at, AuditEntry.detail)
        .where(AuditEntry.at > now - KEPT, AuditEntry.action == ALARM)
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        .limit(limit)
    )
    return [Alarm(at, int(detail["misses"])) for at, detail in await session.execute(query)]


def _found(reply: Reply[Subscriber | None] | None) -> Found:
    match reply:
        case None:
            return Found()
        case Unsupported(source=source):
            return Found(supported=False, source=source)
        case Answer(value=value, source=source, as_of=as_of):
            return Found(value, source=source, as_of=as_of)


def _factors(subscriber: Subscriber, caller: str) -> list[str]:
    years = [f"{subscriber.birth_year:04d}"] if subscriber.birth_year else []
    return years + [phone[-FACTOR_DIGITS:] for phone in subscriber.phones if phone != caller]


async def _one_after_the_other(session: AsyncSession, caller: str) -> None:
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:caller, 7715403))"), {"caller": caller}
        )


async def _count(session: AsyncSession, *, subject: str, caller: str, now: datetime) -> _Seen:
    """All in one statement: on SQLite nobody else may write meanwhile."""
    day, theirs = IdentificationAttempt.at > now - DAY, IdentificationAttempt.caller == caller
    counts = (
        _misses(day, theirs),
        _misses(IdentificationAttempt.at > now - BURST),
        _misses(day, IdentificationAttempt.subject == subject),
        select(func.count(IdentificationAttempt.subject.distinct())).where(
            theirs, day, IdentificationAttempt.hit.is_(True)
        ),
    )
    found = await session.execute(select(*(count.scalar_subquery() for count in counts)))
    return _Seen(*found.one())


def _misses(*of: ColumnElement[bool]) -> Select[int]:
    is_miss = (IdentificationAttempt.hit.is_(False), IdentificationAttempt.kind != AttemptKind.REFUSED)
    return select(func.count()).select_from(IdentificationAttempt).where(*is_miss, *of)


async def _told_since(session: AsyncSession, since: datetime) -> bool:
    query = select(AuditEntry.id).where(AuditEntry.action == ALARM, AuditEntry.at > since).limit(1)
    return await session.scalar(query) is not None


async def _audit(session: AsyncSession, action: str, attempt_id: str, *, misses: int, now: datetime) -> None:
    subject = f"attempt {attempt_id}"
    await audit.record(
        session, actor="identification", action=action, subject=subject, detail={"misses": misses}, at=now
    )
