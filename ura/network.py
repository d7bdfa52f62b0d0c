"""Why does this line not work? One `Diagnosis` from everybody who may know, within a second and a half."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID, uuid5

import structlog

from ura.erp import (
    Answer,
    Connection,
    Contract,
    ContractStatus,
    Optical,
    OutageNotice,
    Reply,
    SessionState,
    Unsupported,
)
from ura.errors import UraError

log = structlog.get_logger(__name__)

T = TypeVar("T")
NOTICES = UUID("5f0f7a52-0a3d-4a3e-8f0a-5d4d8e1c9b77")
SOURCE_DEADLINE_S = 1.2
STATUS_HOLDS = timedelta(minutes=2)  # a block that was so longer ago may have been paid for since
STALE = timedelta(hours=6)  # an optical level older than this says nothing about now


class Verdict(StrEnum):
    BLOCKED = "blocked"  # for debt
    SUSPENDED = "suspended"  # for another reason: a person has to look
    OUTAGE = "outage"
    LOS = "los"  # no light on the fibre: only a visit helps
    NO_SESSION = "no_session"  # there is light, and the router is not dialled in
    WEAK = "weak"  # dialled in over a bad fibre: for a technician
    GOOD = "good"  # up to the house all is well: the Wi-Fi, or the device
    UNKNOWN = "unknown"  # nobody who knows did answer


LOCKED = {ContractStatus.BLOCKED: Verdict.BLOCKED, ContractStatus.SUSPENDED: Verdict.SUSPENDED}


class Signal(StrEnum):
    """The traffic light of the received power."""

    GOOD = "good"
    WATCH = "watch"
    BAD = "bad"
    UNKNOWN = "unknown"


class Restart(StrEnum):
    """What can be restarted from here."""

    SESSION = "session"  # the router dials in anew, within seconds
    DEVICE = "device"  # it starts anew, in a minute or two
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class SignalLimits:
    """dBm. At `watch` and above all is well; below `bad` a technician has to come."""

    watch: float = -25.0
    bad: float = -27.0

    def light(self, rx_dbm: float | None) -> Signal:
        if rx_dbm is None:
            return Signal.UNKNOWN
        if rx_dbm >= self.watch:
            return Signal.GOOD
        return Signal.WATCH if rx_dbm >= self.bad else Signal.BAD


@dataclass(frozen=True, slots=True)
class OutageFacts:
    """What a caller is told. `cause` "" when nobody knows one; `ends_at` None when no estimate holds; `text`: what was
    said of it last, "" for nothing. `source`, `notice`: of one that only the ERP knows of."""

    id: str
    cause: str
    started_at: datetime | None
    ends_at: datetime | None
    source: str = ""
    notice: OutageNotice | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`sources`: who was asked → "answered", "unsupported", "unknown" or "failed"; for the ticket and the log.
    `restart`: what may be offered, whatever the verdict."""

    verdict: Verdict
    signal: Signal = Signal.UNKNOWN
    rx_dbm: float | None = None
    since: datetime | None = None
    outage: OutageFacts | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    restart: Restart = Restart.NOTHING


class KnowsOutages(Protocol):
    async def __call__(self, contract: Contract) -> OutageFacts | None: ...


class KnowsSession(Protocol):
    """Raises UraError when it cannot say."""

    @property
    def name(self) -> str: ...
    async def connection(self, contract: Contract) -> Reply[Connection]: ...


class KnowsSignal(Protocol):
    """Raises UraError when it cannot say."""

    @property
    def name(self) -> str: ...
    async def optical(self, contract: Contract) -> Reply[Optical]: ...


class KnowsNotices(Protocol):
    @property
    def name(self) -> str: ...
    async def outages(self, contract: Contract) -> Reply[tuple[OutageNotice, ...]]: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Who is asked. `signals` in the order of trust: the OLT or the ERP before the subscriber's own device."""

    own_outages: KnowsOutages
    notices: Sequence[KnowsNotices] = ()
    sessions: Sequence[KnowsSession] = ()
    signals: Sequence[KnowsSignal] = ()


async def diagnose(
    contract: Contract,
    sources: Sources,
    *,
    now: datetime,
    limits: SignalLimits = SignalLimits(),
    deadline_s: float = SOURCE_DEADLINE_S,
    as_of: datetime | None = None,
) -> Diagnosis:
    """The first of these that holds:

    1. The contract is blocked for debt, or suspended; `as_of` (None: now) says when that was so.
    2. An outage in progress touches it: ours, or one that the ERP tells of (`in_force`).
    3. No light on the fibre.
    4. The router is not dialled in.
    5. It is, and the received power is below the limit.
    6. It is, and nothing speaks against the line.

    All sources are asked at once, each with its own deadline. One that is slow or gone leaves a gap, never a guess: a
    session of which nobody is sure is unknown, and so is then the verdict. So is a line without a session that was
    blocked when its system was heard last: which of the two it is, nobody knows.
    """
    locked = LOCKED.get(contract.status)
    if locked and (as_of is None or now - as_of <= STATUS_HOLDS):
        return Diagnosis(locked)
    heard = _Heard(deadline_s)
    async with asyncio.TaskGroup() as asking:
        own = asking.create_task(heard.ask("outages", partial(sources.own_outages, contract)))
        notices = [
            asking.create_task(heard.ask_system(f"outages:{one.name}", partial(one.outages, contract)))
            for one in sources.notices
        ]
        sessions = [
            asking.create_task(heard.ask_system(f"session:{one.name}", partial(one.connection, contract)))
            for one in sources.sessions
        ]
        signals = [
            asking.create_task(heard.ask_system(f"signal:{one.name}", partial(one.optical, contract)))
            for one in sources.signals
        ]
    session = _newest([task.result() for task in sessions])
    online = session.state is SessionState.ONLINE
    outage = own.result() or _noticed([task.result() for task in notices], online=online, now=now)
    optical = _first([task.result() for task in signals], now)
    found = _verdict(outage, session, optical, limits, heard.sources)
    return replace(found, verdict=Verdict.UNKNOWN) if locked and found.verdict is Verdict.NO_SESSION else found


def _verdict(
    outage: OutageFacts | None,
    session: Connection,
    optical: Optical,
    limits: SignalLimits,
    sources: Mapping[str, str],
) -> Diagnosis:
    signal = limits.light(optical.rx_dbm)
    if outage is not None:
        verdict = Verdict.OUTAGE
    elif session.state is SessionState.ONLINE:  # data flows, so there is light, whatever was measured before
        verdict = Verdict.WEAK if signal is Signal.BAD else Verdict.GOOD
    elif optical.los:
        verdict = Verdict.LOS
    elif session.state is SessionState.OFFLINE:
        verdict = Verdict.NO_SESSION
    else:
        verdict = Verdict.WEAK if signal is Signal.BAD else Verdict.UNKNOWN
    return Diagnosis(verdict, signal, optical.rx_dbm, session.since, outage, dict(sources))


def notice_id(source: str, reference: str) -> str:
    """The id of the outage that this notice tells of: the same whoever hears of it, and whenever."""
    return uuid5(NOTICES, f"{source}:{reference}").hex


def in_force(notices: Sequence[OutageNotice], *, online: bool, now: datetime) -> OutageNotice | None:
    """The one that explains a line. ERPs leave notices "active" for ever (erp.md 4.2, SGP) and keep other warnings
    among them (HubSoft): one whose end has passed is none, and one without an end is none for a line that is up."""
    for notice in notices:
        if notice.ends_at > now if notice.ends_at is not None else not online:
            return notice
    return None


def _noticed(
    answers: Sequence[Answer[tuple[OutageNotice, ...]] | None], *, online: bool, now: datetime
) -> OutageFacts | None:
    for answer in answers:
        notice = in_force(answer.value, online=online, now=now) if answer is not None else None
        if answer is not None and notice is not None:
            known = notice_id(answer.source, notice.reference)
            return OutageFacts(known, "", None, notice.ends_at, answer.source, notice)
    return None


def _newest(answers: Sequence[Answer[Connection] | None]) -> Connection:
    """What is known most recently; two that differ are no news, time is."""
    sure = [answer for answer in answers if answer is not None and answer.value.state is not SessionState.UNKNOWN]
    if not sure:
        return Connection(SessionState.UNKNOWN)
    return max(sure, key=lambda answer: answer.as_of).value


def _first(answers: Sequence[Answer[Optical] | None], now: datetime) -> Optical:
    for answer in answers:
        if answer is not None and now - answer.as_of < STALE and answer.value != Optical():
            return answer.value
    return Optical()


class _Heard:
    """Asks with a deadline, and keeps who said anything."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self.sources: dict[str, str] = {}

    async def ask(self, name: str, question: Callable[[], Awaitable[T]]) -> T | None:
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await question()
        except (UraError, TimeoutError, OSError) as error:
            self.sources[name] = "failed"
            log.warning("a source of the diagnosis did not answer", source=name, error=type(error).__name__)
            return None
        except Exception:
            self.sources[name] = "failed"
            log.exception("a source of the diagnosis broke", source=name)
            return None
        self.sources[name] = "answered"
        return answer

    async def ask_system(self, name: str, question: Callable[[], Awaitable[Reply[T]]]) -> Answer[T] | None:
        reply = await self.ask(name, question)
        if isinstance(reply, Unsupported):
            self.sources[name] = "unsupported"
            return None
        return reply
