"""What a call does with us: `/inbound` begins it, `/resume` goes on after another process, `/queue-left` after a queue.
`/max-wait` is no conversation: a call that no flow conducts asks how long it may wait. `/emergency`: a phone of ours.

Each ends with one MSet of URA_* variables, URA_RESULT last; without it the dialplan knows that we failed.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog

from agi import emergency, waiting
from agi.channel import PhoneChannel
from agi.live import LivePositions, Position
from agi.record import CallRecord, resumed, utc_now
from agi.session import NotPlayed, Session
from agi.sounds import Sounds
from agi.variables import CallStart, encode_result
from ura import phones, speech
from ura.acts import Acts
from ura.call_ids import call_id
from ura.errors import HungUp, Unavailable, UraError
from ura.flows.conduct import CallContext, CallResult, Lookups, conduct
from ura.flows.effects import Spoken
from ura.flows.engine import CompiledFlow, State
from ura.flows.events import Event, QueueLeft, Started
from ura.flows.facts import FirstFacts
from ura.journal import Journal
from ura.protocol import Protocols

log = structlog.get_logger("agi.routes")

Json = Any
MAX_CALL_S = 3600
DURABLE_WITHIN_S = 1.0  # so long a caller waits for a disk that hangs; then the call goes on without a protocol
REPEAT_WITHIN_S = 0.3  # longer than this the greeting does not wait to know whether the caller rang before
QUEUE_REASONS = {"timeout", "empty", "full", "key", "failed"}


class Number(Protocol):
    @property
    def kind(self) -> str: ...


class Flows(Protocol):
    """ura.flows.published.PublishedFlows, as far as calls need it."""

    def get(self, did: str) -> CompiledFlow: ...

    def find(self, flow_key: str, number: int, /) -> CompiledFlow | None: ...

    def find_number(self, did: str) -> Number | None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What calls need, made once a process by agi/main.py."""

    flows: Flows
    lookups: Lookups
    journal: Journal
    protocols: Protocols
    sounds: Sounds
    live: LivePositions
    recordings: Path
    zone: ZoneInfo
    area_code: str = ""
    queue_max_callers: int = 30
    speak_half: bool = False  # 6 as half a dozen (ura.speech.digits)
    emergency_desk: emergency.Desk | None = None
    draining: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class LiveCall:
    """One call as it is kept in var/live; everything here is JSON."""

    call_id: str
    protocol: str
    caller: str = field(repr=False)
    flow_key: str
    flow_version: int
    seq: int
    state: dict[str, Json] = field(repr=False)
    queue: str = ""


class Routes:
    """An `agi.server.Answer`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def __call__(self, session: Session, start: CallStart) -> None:
        if start.route == "max-wait":
            values = await waiting.limit(self._tools.lookups, start.query.get("queue", ""))
            return await _tell(session, "told", values)
        if start.route == "emergency":
            return await self._emergency(session, start)
        # The dialplan's guard against a server that takes the call and never speaks ends here.
        await session.run(session.set_variable, "TIMEOUT(absolute)", str(MAX_CALL_S))
        found = self._find(start) if start.route in ("resume", "queue-left") else None
        if found is None:
            call = await self._begin(session, start)
        else:
            call = self._go_on(start, *found)
        await call.conduct(session)

    async def _emergency(self, session: Session, start: CallStart) -> None:
        tools = self._tools
        if tools.emergency_desk is not None:
            channel = PhoneChannel(session, tools.sounds, tools.recordings)
            with suppress(HungUp):
                await emergency.conduct(channel, tools.emergency_desk, by=f"ramal-{start.caller}")

    def _find(self, start: CallStart) -> "tuple[LiveCall, CompiledFlow, State] | None":
        """Where the call was. None: nobody knows any more, and it begins anew."""
        position = self._tools.live.find(start.uniqueid)
        try:
            live = LiveCall(**position) if position else None
            if live and (flow := self._tools.flows.find(live.flow_key, live.flow_version)):
                return live, flow, State.from_json(live.state)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("position cannot be read; the call begins anew", uniqueid=start.uniqueid, reason=repr(error))
            return None
        log.warning("position of the call is lost; it begins anew", uniqueid=start.uniqueid)
        return None

    def _go_on(self, start: CallStart, live: LiveCall, flow: CompiledFlow, state: State) -> "OneCall":
        event: Event = Started()
        if start.route == "queue-left":
            reason = start.query.get("reason", "")
            event = QueueLeft(live.queue, reason if reason in QUEUE_REASONS else "failed")
        record = CallRecord(self._tools.journal, live.call_id, seq=resumed(live.seq))
        context = CallContext(live.call_id, flow, event, state)
        return OneCall(self._tools, start.uniqueid, live.protocol, live.caller, context, record)

    async def _begin(self, session: Session, start: CallStart) -> "OneCall":
        """Make the call's record durable, and meanwhile find out what the flow wants to know."""
        tools = self._tools
        caller = phones.to_e164(start.caller, tools.area_code)
        flow = tools.flows.get(start.did)
        identity = call_id(start.uniqueid)
        now = datetime.now(tools.zone)
        record = CallRecord(tools.journal, identity)
        ends = asyncio.get_running_loop().time() + DURABLE_WITHIN_S
        repeat = asyncio.ensure_future(self._is_repeat(caller))
        try:
            protocol = await self._protocol(start, now, ends)
            kept = await self._open(record, start, caller, protocol, flow, ends)
            if not kept:
                # The dialplan leaves word in the CDR. Who has gone meanwhile is met by the next command, with a record.
                with suppress(HungUp, NotPlayed):
                    await session.run(session.set_variable, "URA_UNRECORDED", "yes")
            await asyncio.wait({repeat}, timeout=REPEAT_WITHIN_S)
        finally:
            repeat.cancel()
        number = tools.flows.find_number(start.did)
        facts = FirstFacts(
            call_id=identity,
            caller=caller,
            caller_kind=phones.kind(caller).value,
            did=start.did,
            number_kind=number.kind if number else "",
            now=now.isoformat(timespec="seconds"),
            protocol=protocol if kept else "",  # never spoken unless it is on disk
            repeat_call=repeat.done() and not repeat.cancelled() and repeat.result(),
        )
        begun = Started(facts.as_dict())
        return OneCall(tools, start.uniqueid, protocol, caller, CallContext(identity, flow, begun), record)

    async def _protocol(self, start: CallStart, now: datetime, ends: float) -> str:
        try:
            async with asyncio.timeout_at(ends):
                await self._tools.protocols.ready(now.date())
            return self._tools.protocols.next(now.date())
        except (OSError, ValueError, UraError) as error:  # TimeoutError is an OSError
            reason = str(error) or "the disk hangs"
            log.error("no protocol number for the call; it goes on without", uniqueid=start.uniqueid, reason=reason)
            return ""

    async def _open(
        self, record: CallRecord, start: CallStart, caller: str, protocol: str, flow: CompiledFlow, ends: float
    ) -> bool:
        """True when the call's record is on disk. By `ends`, on the loop's clock, at the latest."""
        try:
            record.opened(
                uniqueid=start.uniqueid,
                linkedid=start.uniqueid,
                protocol=protocol,
                caller=caller,
                did=start.did,
                door="flow",
                flow_key=flow.flow.key,
                flow_version=flow.number,
                opened_at=utc_now(),
            )
            async with asyncio.timeout_at(ends):
                await self._tools.journal.sync()
        except (Unavailable, TimeoutError) as error:
            reason = str(error) or "the disk hangs"
            log.error("call not recorded; it goes on without a protocol", uniqueid=start.uniqueid, reason=reason)
            return False
        return True

    async def _is_repeat(self, caller: str) -> bool:
        if not caller:
            return False
        try:
            return bool((await self._tools.lookups("recent_calls", {"caller": caller}))["count"])
        except Unavailable:
            return False


@dataclass(slots=True)
class OneCall:
    """A call on its way through a flow. Also what `ura.acts` wants to know of it."""

    tools: Tools
    uniqueid: str
    protocol: str
    caller: str = field(repr=False)
    context: CallContext
    record: CallRecord
    position: Position | None = None

    @property
    def call_id(self) -> str:
        return self.context.call_id

    async def conduct(self, session: Session) -> None:
        if self.uniqueid:
            self.position = self.tools.live.writer(self.uniqueid)
        try:
            await self._conduct(session)
        finally:
            if self.position is not None:
                self.position.close()

    async def _conduct(self, session: Session) -> None:
        tools = self.tools
        channel = PhoneChannel(session, tools.sounds, tools.recordings)
        result = await conduct(
            self.context,
            channel,
            lookups=tools.lookups,
            acts=Acts(tools.journal, self, zone=tools.zone),
            recorder=self.record,
            speak=self._speak,
            save=self._save,
            draining=tools.draining,
        )
        if result.kind == "queue":
            self._save(result.state, result.queue)
            self.record.close_quietly("queue", result.state.node)
        elif result.kind == "end" and self.position is not None:
            self.position.end()
        if not session.hung_up:
            await self._let_go(session, channel, result)

    async def _let_go(self, session: Session, channel: PhoneChannel, result: CallResult) -> None:
        values = {"URA_CALL_ID": self.call_id, "URA_PROTOCOL": self.protocol}
        if self.record.refused:
            values["URA_UNRECORDED"] = "yes"
        if result.kind == "queue":
            values |= {"URA_QUEUE": result.queue, "URA_PRIORITY": str(result.priority)}
            try:
                tools = self.tools
                values |= await waiting.prepare(
                    session, channel, tools.lookups, result.queue, most=tools.queue_max_callers
                )
            except HungUp:
                return
        await _tell(session, result.kind, values)

    def _speak(self, spoken: Spoken) -> list[str]:
        tools = self.tools
        return speech.prompt_keys(spoken, today=datetime.now(tools.zone).date(), half=tools.speak_half)

    def _save(self, state: State, queue: str = "") -> None:
        if self.position is not None:
            flow = self.context.flow
            self.position.save(
                {
                    "call_id": self.call_id,
                    "protocol": self.protocol,
                    "caller": self.caller,
                    "flow_key": flow.flow.key,
                    "flow_version": flow.number,
                    "seq": self.record.seq,
                    "state": state.to_json(),
                    "queue": queue,
                },
            )


async def _tell(session: Session, result: str, values: dict[str, str]) -> None:
    try:
        await session.run(session.appexec, "MSet", encode_result(result, values))
    except (HungUp, NotPlayed):
        return
