"""What Asterisk does with a call when it is not with us: queued, answered, hung up. Events in, journal records out.

Asterisk keeps no events for a reader that was away, so after every connection its state is asked for and compared with
the calls that the database believes to be in progress. A record may be written twice; applying it twice changes
nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from ura import calls, phones
from ura.adapters.ami import (
    Ami,
    AmiEvent,
    AmiLink,
    CallerGone,
    CorporateCall,
    Headers,
    QueueAnswered,
    QueueEntered,
    header,
    is_caller,
)
from ura.call_ids import call_id
from ura.db import Sessions, database_is_away
from ura.errors import Unavailable
from ura.journal import Journal
from worker.schedules import every

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0
SETTLED_S = 5.0  # the journals of calls that ended meanwhile are in the database by then
NORMAL_END = 16
CONGESTION = 42  # pbx.c 22, increase_call_count: at maxcalls the caller gets 503 and the channel this cause
QUIET_AFTER = timedelta(minutes=1)
REMEMBERED = 5000
FORGET_S = 2.0  # a call that was with `agi` to its end has its position taken away there, and the file used again
BEAT_S = 1.0


class AmiEvents:
    def __init__(
        self,
        ami: Ami,
        journal: Journal,
        sessions: Sessions,
        live_dir: Path | None = None,
        alive: Callable[[], None] = lambda: None,
        forget_after_s: float = FORGET_S,
        draw_protocol: Callable[[], str] = lambda: "",
    ) -> None:
        """`alive` is called every second while Asterisk answers; `forget_after_s` after its end, a call that nobody
        took off `live_dir` is no longer there. `draw_protocol`: for calls that no flow gives one; it may raise
        Unavailable or OSError."""
        self._ami = ami
        self._journal = journal
        self._sessions = sessions
        self._live_dir = live_dir
        self._alive = alive
        self._forget_after_s = forget_after_s
        self._draw_protocol = draw_protocol
        self._protocols: dict[str, str] = {}  # of corporate calls, the oldest first: an event may be told twice
        self._answered: dict[str, None] = {}  # calls that reached a person, the oldest first
        self._turned_away_at: datetime | None = None

    async def run(self) -> None:
        """For ever. Connects again within seconds; says once that Asterisk is away, and once that it is back."""
        pause_s, away = FIRST_PAUSE_S, False
        while True:
            try:
                async with self._ami.connected() as link:
                    if away:
                        log.info("asterisk's manager is back; calls are followed again")
                    pause_s, away = FIRST_PAUSE_S, False
                    await self._follow(link)
            except Unavailable as error:
                if not away:
                    log.error("asterisk's manager is away; trying again until it is back", reason=error.message)
                away = True
            except Exception:
                log.exception("asterisk's events could not be read; connecting again")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _follow(self, link: AmiLink) -> None:
        """Until the connection ends. Events that come while the state is asked for wait, and so count after it."""
        await self.resynchronise(link)
        beside = [asyncio.create_task(self._again(link)), asyncio.create_task(every(BEAT_S, self._alive))]
        try:
            async for event in link.events():
                self.take(event)
        finally:
            for task in beside:
                task.cancel()

    async def _again(self, link: AmiLink) -> None:
        await asyncio.sleep(SETTLED_S)
        try:
            await self.resynchronise(link)
        except Unavailable as error:
            log.warning("asterisk's state could not be compared a second time", reason=error.message)

    # -- one event

    def take(self, event: AmiEvent) -> None:
        """Journal what happened. An event told twice, or late, does no harm."""
        identity = call_id(event.uniqueid)
        at = event.at.astimezone(UTC).isoformat(timespec="milliseconds")
        match event:
            case CorporateCall(uniqueid, caller, did):
                opened = _corporate(uniqueid, caller, did, at) | {"protocol": self._protocol(identity)}
                self._write("call_opened", identity, opened)
            case QueueEntered(_, queue):
                self._write("call_queued", identity, {"queue": queue, "at": at})
            case QueueAnswered(_, _, attendant):
                self._remember(identity)
                self._write("call_answered", identity, {"attendant": attendant, "at": at})
            case CallerGone(uniqueid, cause):
                if cause == CONGESTION:
                    self._alarm(event.at)
                self._close(identity, uniqueid, at, dropped=cause not in (0, NORMAL_END))

    def _alarm(self, at: datetime) -> None:
        """Once, however many are turned away; again when that had stopped for a minute."""
        if self._turned_away_at is None or at - self._turned_away_at > QUIET_AFTER:
            log.error("all lines are taken: callers are turned away with 503; more lines: PROSA_MAX_CALLS")
        self._turned_away_at = at

    def _close(self, identity: str, uniqueid: str, at: str, *, dropped: bool) -> None:
        answered = identity in self._answered
        self._answered.pop(identity, None)
        outcome = "done" if answered else "dropped" if dropped else "abandoned"
        self._write("call_closed", identity, {"outcome": outcome, "ended_at": at, "last_node": "", "by": "ami"})
        if self._live_dir is not None and uniqueid and "/" not in uniqueid:
            file = self._live_dir / f"{uniqueid}.json"
            asyncio.get_running_loop().call_later(self._forget_after_s, partial(file.unlink, missing_ok=True))

    def _protocol(self, identity: str) -> str:
        """One a call, for its card, its record and whoever asks for it later."""
        if identity not in self._protocols:
            try:
                self._protocols[identity] = self._draw_protocol()
            except (Unavailable, OSError) as error:
                log.error(
                    "no protocol number for a corporate call; it goes on without", call_id=identity, reason=str(error)
                )
                return ""
            if len(self._protocols) > REMEMBERED:
                del self._protocols[next(iter(self._protocols))]
        return self._protocols[identity]

    def _remember(self, identity: str) -> None:
        self._answered[identity] = None
        if len(self._answered) > REMEMBERED:
            del self._answered[next(iter(self._answered))]

    def _write(self, kind: str, identity: str, data: dict[str, Any]) -> None:
        try:
            self._journal.append(kind, identity, {"call_id": identity, **data})
        except Unavailable as error:
            log.error("event of a call not recorded", call_id=identity, kind=kind, reason=error.message)

    # -- the whole state

    async def resynchronise(self, link: AmiLink) -> None:
        """Close what Asterisk no longer has; note who waits and who speaks. Raises Unavailable when it does not say."""
        believed = await self._believed()  # asked first: a call that begins in between is in Asterisk's list
        channels = await link.ask("CoreShowChannels", many=True)
        waiting = await link.ask("QueueStatus", many=True)
        now = datetime.now(UTC)
        there = {call_id(header(channel, "Uniqueid")) for channel in channels}
        for identity, uniqueid in believed:  # by id: of a call whose begin went untold no uniqueid is known
            if identity not in there:
                self._close(identity, uniqueid, now.isoformat(timespec="milliseconds"), dropped=False)
        for entry in waiting:
            if header(entry, "Event") == "QueueEntry" and header(entry, "Uniqueid"):
                self.take(QueueEntered(header(entry, "Uniqueid"), header(entry, "Queue"), _since(entry, now)))
        for event in _conversations(channels, now):
            self.take(event)

    async def _believed(self) -> list[tuple[str, str]]:
        try:
            async with self._sessions() as session:
                live = await calls.list_live(session)
                self._answered.update({call.id: None for call in live if call.answered_at})
                return [(call.id, call.uniqueid) for call in live]
        except Exception as error:
            if not database_is_away(error):
                raise
            log.warning("database away: calls that ended unseen are closed later", error=type(error).__name__)
            return []


def _corporate(uniqueid: str, caller: str, did: str, at: str) -> dict[str, Any]:
    return {
        "uniqueid": uniqueid,
        "linkedid": uniqueid,
        "caller": phones.to_e164(caller),
        "did": did,
        "door": "corporate",
        "flow_key": "",
        "flow_version": None,
        "opened_at": at,
    }


def _since(entry: Headers, now: datetime) -> datetime:
    """When a waiting caller came: `Wait` is in seconds."""
    waited = header(entry, "Wait")
    return datetime.fromtimestamp(now.timestamp() - int(waited), UTC) if waited.isdecimal() else now


def _conversations(channels: Sequence[Headers], now: datetime) -> list[QueueAnswered]:
    """Callers who are in a bridge with somebody else's channel: PJSIP/ramal-101-0000002a is extension 101."""
    in_bridge: dict[str, list[Headers]] = {}
    for channel in channels:
        if bridge := header(channel, "BridgeId"):
            in_bridge.setdefault(bridge, []).append(channel)
    found = []
    for members in in_bridge.values():
        callers = [member for member in members if is_caller(member)]
        others = [member for member in members if not is_caller(member)]
        if callers and others:
            extension = header(others[0], "Channel").removeprefix("PJSIP/").removeprefix("ramal-").rpartition("-")[0]
            found.append(QueueAnswered(header(callers[0], "Uniqueid"), "", extension, now))
    return found
