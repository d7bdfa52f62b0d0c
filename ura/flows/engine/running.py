"""One step: what the event means here, the ways out that hold everywhere, the budget."""

from typing import Any

from ura.flows.effects import Act, Effect, EndCall, Play, SendToQueue
from ura.flows.engine import acts, choose, debt, follow, guide, identify, invoices, line, offer, talk
from ura.flows.engine.compiled import CompiledFlow
from ura.flows.engine.cursor import MOST_CALLS_AT_THE_END, MOST_REPEATS, Bail, Cursor, Entered, Go, Handler, Move
from ura.flows.engine.lead import abandon_lead, lead_at_queue
from ura.flows.engine.state import Mode, State
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
    Started,
)
from ura.flows.nodes import BaseNode, End, Menu, Protocol

HANDLERS: dict[type[BaseNode], Handler] = {
    **talk.HANDLERS,
    **acts.HANDLERS,
    **choose.HANDLERS,
    **offer.HANDLERS,
    **guide.HANDLERS,
    **identify.HANDLERS,
    **line.HANDLERS,
    **invoices.HANDLERS,
    **debt.HANDLERS,
    **follow.HANDLERS,
}
MOST_STRAYS = 3


def step(compiled: CompiledFlow, state: State, event: Event) -> tuple[State, Effect]:
    """What the call shall do next. Total: any event in any state has a defined, finite continuation.

    `Started` begins a call; in a call that is already going on it puts the present question again (another process
    took the call over). `HungUp` writes down what is owed, then ends.
    """
    c = Cursor(compiled, state)
    effect = _react(c, event)
    c.spent += 1
    return c.frozen(), effect


def escape(compiled: CompiledFlow, state: State) -> tuple[State, Effect]:
    """A node or its effect broke. First the person node; next time the fallback queue, without a word; then the end."""
    c = Cursor(compiled, state)
    c.escapes += 1
    if c.mode is Mode.LIVE and isinstance(c.compiled.nodes.get(c.node), End) and c.phase:
        c.mode, c.reason = Mode.CLOSING, _reason(c)  # all is done; what cannot be said any more is goodbye
    if c.mode in (Mode.CLOSING, Mode.OVER):
        effect = _close(c)
    elif c.mode is not Mode.FALLBACK and c.escapes == 1:
        c.mode = Mode.LIVE
        effect = _run(c, Go(c.flow.person))
    else:
        if c.mode is not Mode.FALLBACK:
            _leave(c)
            c.mode = Mode.FALLBACK
            c.turn("", clear=True)
        c.phase = c.phase or "queue"
        effect = _fall_back(c)
    c.spent += 1
    return c.frozen(), effect


def _react(c: Cursor, event: Event) -> Effect:
    if isinstance(event, HungUp) and c.mode not in (Mode.CLOSING, Mode.OVER):
        _hang_up(c)
    if c.mode in (Mode.CLOSING, Mode.OVER):
        return _close(c)
    if c.mode is Mode.FALLBACK:
        return _fall_back(c, event)
    if c.mode is Mode.NEW:
        c.mode = Mode.LIVE
        if isinstance(event, Started):
            c.facts.update(event.facts)
        return _run(c, Go(c.flow.start))
    return _run(c, _hear(c, event))


def _run(c: Cursor, move: Move) -> Effect:
    """Follow moves until there is something to do in the world."""
    while True:
        if c.spent >= c.flow.limits.steps and not isinstance(move, EndCall | SendToQueue):
            move = Bail()
        match move:
            case Go(to):
                move = _arrive(c, to)
            case Entered(digits):
                move = _entry(c, digits)
            case Bail():
                return _bail(c)
            case EndCall(reason):
                c.mode, c.reason = Mode.OVER, reason
                return move
            case _:
                return move


def _arrive(c: Cursor, to: str) -> Move:
    c.spent += 1
    _leave(c)
    node = c.compiled.nodes.get(to)
    if node is None:  # validation refuses such a flow; a call that meets it all the same finds a person
        return Bail() if to == c.flow.person else Go(c.flow.person)
    c.arrive(to)
    return HANDLERS[type(node)].put(c, node)


def _leave(c: Cursor) -> None:
    """Answers of a guided list are kept whichever way the caller leaves it."""
    if answers := c.data.pop("answers", None):
        c.learn(f"steps.{c.node.rpartition('/')[2]}", answers)
        c.owe("save_steps", {"node": c.node, "answers": answers})


# -- hearing


def _hear(c: Cursor, event: Event) -> Move:
    node = c.compiled.nodes.get(c.node)
    if node is None:
        return Go(c.flow.person)
    handler = HANDLERS[type(node)]
    while_waiting = event.digits if isinstance(event, LookupDone | LookupFailed | ActDone | ActFailed) else ""
    c.type_ahead(while_waiting)
    match event:
        case Started():
            return handler.put(c, node)
        case DigitsEntered(digits) if c.want:
            return _entry(c, digits)
        case Played(digits) if c.want and digits:
            return _entry(c, digits)
        case NoInput() if c.want:
            return _entry(c, "")
        case Played(digits) | DigitsEntered(digits) if not c.want and digits and (cut := _cut(c, node, digits[0])):
            return cut
        case Recorded(_, _, digits) if digits:
            if digits == c.flow.keys.person:
                acts.keep_said(c, event)
            if cut := _cut(c, node, digits):
                return cut
    move = handler.hear(c, node, event)
    if c.flow.keys.person in while_waiting and not isinstance(move, Act | EndCall | SendToQueue):
        return c.person()  # what was waited for is known to the flow; what it leads to is not what the caller wants
    return _stray(c, node) if move is None else move


def _entry(c: Cursor, digits: str) -> Move:
    """An entry to the question put: universal keys first, then the node's own."""
    node: Any = c.compiled.nodes[c.node]
    handler = HANDLERS[type(node)]
    entry = _take(c, digits)
    if not entry:
        own = handler.silence and handler.silence(c, node)
        return own or c.silence(node) or handler.put(c, node)
    c.speechless = False
    keys = c.flow.keys
    if entry == keys.person:
        return c.person()
    if entry == keys.repeat:
        return _repeat(c, node)
    if entry == keys.back or (keys.back == "*" and "*" in entry):
        return _back(c, node)
    assert handler.answer is not None  # `want` is set by asking nodes only
    move = handler.answer(c, node, entry)
    if move is None:
        move = c.mistake(node, entry) or handler.put(c, node)
    return move


def _take(c: Cursor, typed: str) -> str:
    """The keys of this entry; what was typed beyond it is kept for the next question."""
    if c.want == 1:
        entry, rest = typed[:1], typed[1:]
    else:
        body, _, rest = typed.partition("#")
        entry, rest = body[: c.want], body[c.want :] + rest
    c.ahead = rest + c.ahead
    return entry


def _cut(c: Cursor, node: BaseNode, first: str) -> Move | None:
    """A key during something that is only spoken: universal keys act at once. Who asks for a person again and again in
    the goodbye, and got what there was to get, is let go."""
    if isinstance(node, End) and c.settled and c.person_calls >= MOST_CALLS_AT_THE_END:
        return None
    keys = c.flow.keys
    if first == keys.person:
        if isinstance(node, Protocol) and c.person_calls:  # whoever cuts it twice does not want it a third time
            c.protocol_given = True
        return c.person()
    if first == keys.repeat:
        return _repeat(c, node)
    if first == keys.back:
        return c.go_back() or _repeat(c, node)
    return None


def _repeat(c: Cursor, node: BaseNode) -> Move:
    c.repeats += 1
    if c.repeats >= MOST_REPEATS:
        c.facts["frustrated"] = True
        return c.person()
    c.full = True
    return HANDLERS[type(node)].put(c, node)


def _back(c: Cursor, node: BaseNode) -> Move:
    inner = HANDLERS[type(node)].back
    return (inner and inner(c, node)) or c.go_back() or _repeat(c, node)


def _stray(c: Cursor, node: BaseNode) -> Move:
    """An event that means nothing here: do again what was being done, not for ever."""
    c.strays += 1
    if c.strays > MOST_STRAYS:
        return c.give_up(None)
    return HANDLERS[type(node)].put(c, node)


# -- ways out


def _hang_up(c: Cursor) -> None:
    _leave(c)
    c.mode, c.reason = Mode.CLOSING, _reason(c)
    abandon_lead(c)


def _reason(c: Cursor) -> str:
    """What the call has come to, if it is over now."""
    node = c.compiled.nodes.get(c.node)
    if isinstance(node, End):
        return node.reason
    told_so = isinstance(node, Menu) and node.may_hang_up
    return "done" if c.settled or told_so else "abandoned"


def _close(c: Cursor) -> Effect:
    if c.mode is Mode.CLOSING and (act := c.next_owed()):
        return act
    c.mode = Mode.OVER
    return EndCall(c.reason)


def _bail(c: Cursor) -> Effect:
    _leave(c)
    c.mode = Mode.FALLBACK
    c.turn("", clear=True)
    return _fall_back(c)


def _fall_back(c: Cursor, event: Event | None = None) -> Effect:
    """What is owed, the protocol and a word, the fallback queue, goodbye: one further each time, whatever happens. Who
    asks for a person in the goodbye gets the queue once more."""
    if act := c.next_owed():
        return act
    fallback = c.flow.fallback
    if c.phase == "":
        c.phase = "queue"
        prompts = talk.missing_protocol(c) + c.say(fallback.prompts)
        if prompts:
            return Play(prompts)
    if c.phase == "queue":
        c.phase = "leaving"
        if act := lead_at_queue(c):
            return act
    if c.phase == "leaving":
        c.phase = "end"
        return SendToQueue(fallback.queue, priority=1)
    if c.phase == "end" and fallback.goodbye:
        c.phase = "goodbye"
        return Play(c.say(fallback.goodbye))
    if c.phase == "goodbye" and isinstance(event, Played) and c.flow.keys.person in event.digits:
        c.phase = "once more"
        return SendToQueue(fallback.queue, priority=1)
    said = c.say(fallback.goodbye) if c.phase == "once more" else ()
    c.mode, c.reason = Mode.OVER, "failed"
    return EndCall(c.reason, said)
