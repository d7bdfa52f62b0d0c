"""One call through its flow: engine.step → perform the effect → event, until the call leaves us.

The phone, the simulator and the tests each bring a `Channel`. No database here: lookups read through an injected
function with a deadline, acts are durable when they return, steps go to the injected recorder (the journal).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, Protocol, assert_never, cast
from uuid import uuid4

import structlog

from ura import errors
from ura.flows.channel import Channel, ChannelLost
from ura.flows.early import EarlyQuestions
from ura.flows.effects import Act, Collect, Effect, EndCall, Lookup, Play, Prompt, Record, SendToQueue, Spoken
from ura.flows.engine import CompiledFlow, State, escape, step
from ura.flows.events import (
    ActDone,
    ActFailed,
    DigitsEntered,
    Event,
    HungUp,
    LookupDone,
    LookupFailed,
    NoInput,
    Played,
    Recorded,
    describe,
)

log = structlog.get_logger("ura.flows.conduct")

Json = Any
FILLER_AFTER_S = 1.0
FILLER_EVERY_S = 4.0
UNHEARD_S = 0.05  # an answer that comes at once is not kept waiting for somebody who listens
LISTEN_S = 0.04
EARLY_S = 0.1  # so long what is said waits for each thing that is asked early
# Who has been told to wait may be answered a quarter of a second later. At LISTEN_S, a hundred callers who wait for a
# system that stalls were 2,500 commands a second, and the callers beside them waited for the processor.
LISTEN_TOLD_S = 0.25
ACT_DEADLINE_S = 5.0


Lookups = Callable[[str, dict[str, Json]], Awaitable[dict[str, Json]]]


class Acts(Protocol):
    async def __call__(self, name: str, args: dict[str, Json], *, key: str) -> dict[str, Json]: ...


class Recorder(Protocol):
    """Where the call's path is written. Neither method waits for a disk or raises what the caller would feel."""

    def step(self, node: str, event: str, detail: dict[str, Json]) -> None: ...

    def close(self, outcome: str, last_node: str) -> None: ...


@dataclass(frozen=True, slots=True)
class CallContext:
    """The call to conduct. A new one: no state, `Started(facts)`. One taken over: its saved state and `Started()`.
    One that a queue gave back: its saved state and `QueueLeft(…)`."""

    call_id: str
    flow: CompiledFlow
    event: Event
    state: State = field(default_factory=State)


@dataclass(frozen=True, slots=True)
class CallResult:
    """Why the conductor let go. `move`: another process shall go on from the saved state."""

    kind: Literal["queue", "end", "move"]
    state: State
    queue: str = ""
    priority: int = 0
    reason: str = ""


def _forget(state: State) -> None:
    return None


def _never() -> bool:
    return False


async def conduct(
    call: CallContext,
    channel: Channel,
    *,
    lookups: Lookups,
    acts: Acts,
    recorder: Recorder,
    speak: Callable[[Spoken], Sequence[str]],
    save: Callable[[State], None] = _forget,
    draining: Callable[[], bool] = _never,
) -> CallResult:
    """Conduct `call` until it ends, goes to a queue or must move.

    A broken node costs one log line, and the caller finds a person. A hang-up is no error: what the flow owes is
    written, the record is closed, once. `save` is called before each prompt and before a queue.
    """
    return await _Conductor(call, channel, lookups, acts, recorder, speak, save, draining).run()


@dataclass(slots=True)
class _Conductor:
    call: CallContext
    channel: Channel
    lookups: Lookups
    acts: Acts
    recorder: Recorder
    speak: Callable[[Spoken], Sequence[str]]
    save: Callable[[State], None]
    draining: Callable[[], bool]
    state: State = field(default_factory=State)
    early: EarlyQuestions = field(init=False)

    def __post_init__(self) -> None:
        self.early = EarlyQuestions(self._ask)

    async def run(self) -> CallResult:
        try:
            return await self._run()
        finally:
            self.early.forget()

    async def _run(self) -> CallResult:
        self.state, effect = self._step(self.call.state, self.call.event)
        while True:
            match effect:
                case SendToQueue(queue, priority):
                    self._save(self.state)
                    return CallResult("queue", self.state, queue=queue, priority=priority)
                case EndCall():
                    return await self._end(self.state, effect)
                case Play():  # what was just done or said (a protocol) must not be done anew by who takes the call over
                    self._save(self.state)
                case Collect():
                    self._save(self.state)
                    if self.draining():
                        return CallResult("move", self.state)
            try:
                event = await self._perform(effect)
            except errors.HungUp:
                event = HungUp()
            except ChannelLost:
                raise
            except Exception as error:
                self._broke(self.state, error)
                self.state, effect = self._escape(self.state)
                continue
            self.state, effect = self._step(self.state, event)

    def _step(self, state: State, event: Event) -> tuple[State, Effect]:
        try:
            new, effect = step(self.call.flow, state, event)
        except Exception as error:
            self._broke(state, error)
            new, effect = self._escape(state)
        self._record(state, new.node, event)
        return new, effect

    def _escape(self, state: State) -> tuple[State, Effect]:
        try:
            return escape(self.call.flow, state)
        except Exception as error:
            self._broke(state, error)
            return state, SendToQueue(self.call.flow.flow.fallback.queue)

    def _broke(self, state: State, error: Exception) -> None:
        log.error(
            "node broke; the caller is taken to a person",
            call_id=self.call.call_id,
            flow=self.call.flow.flow.key,
            version=self.call.flow.number,
            node=state.node,
            reason=f"{type(error).__name__}: {error}",
            exc_info=error,
        )

    async def _end(self, state: State, effect: EndCall) -> CallResult:
        try:
            await self._play(effect.prompts)
        except errors.HungUp:
            pass
        except ChannelLost:
            raise
        except Exception as error:
            self._broke(state, error)
        self._quietly(self.recorder.close, effect.reason, state.node)
        return CallResult("end", state, reason=effect.reason)

    # -- effects

    async def _perform(self, effect: Effect) -> Event:
        if not isinstance(effect, Lookup):
            self.early.forget()
        match effect:
            case Play():
                return await self._play_on(effect)
            case Collect(prompts, max_digits, timeout_s, given):
                keys = self._keys(prompts)
                digits = given + await self.channel.collect(keys, max_digits=max_digits, timeout_s=timeout_s)
                return DigitsEntered(digits) if digits else NoInput()
            case Lookup():
                return await self._lookup(effect)
            case Act():
                return await self._act(effect)
            case Record(prompts, max_s, tone, ends):
                recording_id, said, tone_keys = uuid4().hex, self._keys(prompts), self._keys(tone)
                recording = await self.channel.record(
                    said, tone=tone_keys, recording_id=recording_id, max_s=max_s, ends=ends
                )
                return Recorded(recording_id, *recording)
            case SendToQueue() | EndCall():
                _refuse(effect)
            case _:
                assert_never(effect)

    async def _play_on(self, effect: Play) -> Event:
        """What is said before a question and the question are one breath, so that no key is lost between them; in the
        record and in what is saved they stay two."""
        found = await self._question_after()
        if found is None:
            return Played(await self._play(effect.prompts))
        way, collect = found
        asking = way[-1][1]

        def heard() -> None:
            for event, then in way:
                self._record(self.state, then.node, event)
                self.state = then
            self._save(asking)

        keys = await self.channel.play_on(
            self._keys(effect.prompts), self._keys(collect.prompts), timeout_s=collect.timeout_s, heard=heard
        )
        if self.state is not asking:
            return Played(keys)
        return DigitsEntered(keys) if keys else NoInput()

    async def _question_after(self) -> tuple[list[tuple[Event, State]], Collect] | None:
        """What comes when the present `Play` is heard out, and the way there, if that is a question for one key. (A
        number's first key must not be one of those that act at once while something is only spoken.)"""
        if self.draining():
            return None
        way: list[tuple[Event, State]] = []
        state, event = self.state, cast(Event, Played())
        while True:
            try:
                state, effect = step(self.call.flow, state, event)
            except Exception:  # met again, and told, when it is its turn
                return None
            way.append((event, state))
            match effect:
                case Collect(_, 1, _, ""):
                    return way, effect
                case Lookup(early=True) if not self.early.full:
                    asking = self.early.ask(effect)
                    await asyncio.wait({asking}, timeout=EARLY_S)
                    if not asking.done() or asking.exception():
                        self._ask_behind(state, effect)
                        return None
                    event = LookupDone(effect.name, asking.result())
                case _:
                    return None

    def _ask_behind(self, state: State, slow: Lookup) -> None:
        """What is asked once `slow` is given up: too late for one breath, but both may be given up while we speak."""
        with suppress(Exception):  # met again, and told, when it is its turn
            _, behind = step(self.call.flow, state, LookupFailed(slow.name, ""))
            if isinstance(behind, Lookup) and behind.early and not self.early.full:
                self.early.ask(behind)

    async def _play(self, prompts: Sequence[Prompt]) -> str:
        keys = self._keys(prompts)
        return await self.channel.play(keys) if keys else ""

    def _keys(self, prompts: Sequence[Prompt]) -> list[str]:
        """Prompt keys. A value that cannot be spoken is left out: the rest of the sentence still helps."""
        keys: list[str] = []
        for prompt in prompts:
            if isinstance(prompt, str):
                keys.append(prompt)
                continue
            try:
                keys += self.speak(prompt)
            except Exception as error:
                log.warning(
                    "cannot be spoken; left out", call_id=self.call.call_id, kind=prompt.kind, reason=str(error)
                )
        return keys

    async def _lookup(self, effect: Lookup) -> Event:
        """Ask with a deadline. Raises HungUp, ChannelLost."""
        asking = self.early.take(effect) or self._ask(effect)
        digits = ""
        try:
            person = self.call.flow.flow.keys.person
            digits = await self._bridge(asking, effect.deadline_s, (effect.filler, effect.still), until=person)
            if not asking.done():
                return self._unanswered(effect.name, f"not waited for after {effect.deadline_s:g} s or a key", digits)
            return LookupDone(effect.name, asking.result(), digits)
        except errors.Unavailable as error:
            return self._unanswered(effect.name, error.message, digits)
        except (errors.HungUp, ChannelLost):
            raise
        except Exception as error:
            return self._unanswered(effect.name, f"{type(error).__name__}: {error}", digits)
        finally:
            asking.cancel()

    def _ask(self, effect: Lookup) -> "asyncio.Future[dict[str, Json]]":
        asking = asyncio.ensure_future(self.lookups(effect.name, effect.args))
        asking.add_done_callback(_seen)
        return asking

    def _unanswered(self, name: str, reason: str, digits: str) -> LookupFailed:
        log.warning("lookup failed; the caller hears so", call_id=self.call.call_id, lookup=name, reason=reason)
        return LookupFailed(name, reason, digits)

    async def _act(self, effect: Act) -> Event:
        acting = asyncio.ensure_future(self.acts(effect.name, effect.args, key=effect.key))
        acting.add_done_callback(_seen)
        digits = ""
        try:
            digits = await self._bridge(acting, ACT_DEADLINE_S, (effect.filler, effect.filler))
            if acting.done():
                return ActDone(effect.name, acting.result(), digits)
            reason = f"not done in {ACT_DEADLINE_S:g} s"
        except errors.UraError as error:
            reason = error.message
        except (errors.HungUp, ChannelLost):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        finally:
            acting.cancel()
        log.error("act failed; the caller hears so", call_id=self.call.call_id, act=effect.name, reason=reason)
        return ActFailed(effect.name, reason, digits)

    async def _bridge(
        self, waited_for: "asyncio.Future[Any]", deadline_s: float, fillers: tuple[str, str], *, until: str = ""
    ) -> str:
        """Wait, and let the caller hear in time, and again and again, that somebody is there. The keys pressed
        meanwhile; once the caller has heard so, the key `until` ends the waiting (before, it is one typed ahead).
        For keys we must listen: what is pressed between two commands, Asterisk throws away (res_agi.c 22, run_agi)."""
        now = asyncio.get_running_loop().time
        digits, told, (filler, still) = "", False, fillers
        ends, due = now() + deadline_s, now() + (FILLER_AFTER_S if filler else deadline_s)
        await asyncio.wait({waited_for}, timeout=min(UNHEARD_S, ends - now(), due - now()))
        while True:
            left_s = min(ends, due) - now()
            if waited_for.done() or now() >= ends:
                return digits
            if left_s > 0:
                keys = await self.channel.listen(min(LISTEN_TOLD_S if told else LISTEN_S, left_s))
            else:
                told, due = True, now() + FILLER_EVERY_S
                keys = await self.channel.play([filler])
                filler = still or filler
            digits += keys
            if told and until and until in keys:
                return digits

    # -- the record

    def _record(self, at: State, to: str, event: Event) -> None:
        name, detail = describe(event, single_key=at.want == 1)
        self._quietly(self.recorder.step, at.node or to, name, detail | {"to": to})

    def _save(self, state: State) -> None:
        self._quietly(self.save, state)

    def _quietly(self, write: Callable[..., None], *args: Any) -> None:
        try:
            write(*args)
        except Exception as error:
            log.error("not recorded; the call goes on", call_id=self.call.call_id, reason=f"{error}")


def _seen(asking: asyncio.Future[dict[str, Json]]) -> None:
    """An answer that nobody waits for any more is no news: keeps asyncio from logging it."""
    if not asking.cancelled():
        asking.exception()


def _refuse(effect: Effect) -> NoReturn:
    raise AssertionError(f"{type(effect).__name__} ends the loop and is never performed")
