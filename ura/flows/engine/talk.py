"""Nodes that speak, ask one thing, or only decide: say, protocol, menu, collect, survey, branch, subflow, end."""

from ura.flows.effects import EndCall, Play, Prompt
from ura.flows.engine.cursor import Cursor, Go, Handler, Move
from ura.flows.engine.lead import abandon_lead
from ura.flows.engine.state import Json
from ura.flows.events import ActDone, ActFailed, DigitsEntered, Event, NoInput, Played
from ura.flows.nodes import BaseNode, Branch, Collect, End, FactRef, Menu, Protocol, Say, Subflow, Survey, When


def spoken(c: Cursor, event: Event) -> bool:
    """Did a `Play` end? Keys that cut it (the universal ones are dealt with already) are kept for the next question."""
    match event:
        case Played(digits) | DigitsEntered(digits):
            c.type_ahead(digits)
            return True
        case NoInput():
            return True
    return False


def heard_out(event: Event) -> bool:
    """Did a `Play` end without a key that cut it?"""
    return event in (Played(""), NoInput())


def unexpected(c: Cursor, node: object, event: Event) -> Move | None:
    return None


def unheard_protocol(c: Cursor) -> tuple[Prompt, ...]:
    """The protocol sentence if the caller has not heard it yet: a net under flows whose author forgot."""
    return () if c.protocol_given or not c.facts.get("protocol") else c.say(c.flow.fallback.protocol)


def missing_protocol(c: Cursor) -> tuple[Prompt, ...]:
    """As `unheard_protocol`, where nothing can come in between: it counts as given."""
    prompts = unheard_protocol(c)
    c.protocol_given = c.protocol_given or bool(prompts)
    return prompts


# -- say, protocol


def put_say(c: Cursor, node: Say) -> Move:
    prompts = c.wording(node.prompts, node.short_prompts)
    return Play(prompts) if prompts else c.to(node.next)


def hear_say(c: Cursor, node: Say, event: Event) -> Move | None:
    if not spoken(c, event):
        return None
    if heard_out(event):
        for path, value in node.sets.items():
            c.learn(path, c.fact(value.fact) if isinstance(value, FactRef) else value)
    return c.to(node.next)


def put_protocol(c: Cursor, node: Protocol) -> Move:
    if (c.protocol_given and not node.again) or not c.facts.get("protocol"):
        return c.to(node.next)
    return Play(c.wording(node.prompts, node.short_prompts))


def hear_protocol(c: Cursor, node: Protocol, event: Event) -> Move | None:
    if not spoken(c, event):
        return None
    c.protocol_given = True
    return c.to(node.next)


# -- menu, collect, survey


def put_menu(c: Cursor, node: Menu) -> Move:
    return c.ask(node, c.wording(node.prompts, node.short_prompts))


def answer_menu(c: Cursor, node: Menu, entry: str) -> Move | None:
    choice = node.choices.get(entry)
    if choice is None:
        return None
    for path, value in choice.sets.items():
        c.learn(path, value)
    if choice.topic:
        c.facts["topic"] = choice.topic.value
    c.remember()
    return c.to(choice.next)


def put_collect(c: Cursor, node: Collect) -> Move:
    return c.ask(node, c.wording(node.prompts, node.short_prompts), digits=node.max_digits)


def answer_collect(c: Cursor, node: Collect, entry: str) -> Move | None:
    value = checked(node, entry)
    if value is None:
        return None
    c.learn(node.into, value)
    c.remember()
    return c.to(node.next)


def checked(node: Collect, entry: str) -> str | None:
    """The entry as it is kept, None when it is wrong."""
    if not (entry.isascii() and entry.isdigit() and node.min_digits <= len(entry) <= node.max_digits):
        return None
    if node.check in ("phone", "mobile"):
        return checked_phone(entry, mobile_only=node.check == "mobile")
    if node.check == "cep" and len(entry) != 8:
        return None
    return entry


def checked_phone(entry: str, *, mobile_only: bool = False) -> str | None:
    """With area code, as people key it → +55…"""
    area = entry.isascii() and entry.isdigit() and len(entry) in (10, 11) and "0" not in entry[:2]
    mobile = len(entry) == 11 and entry[2] == "9"
    right = area and (mobile or (not mobile_only and len(entry) == 10))
    return f"+55{entry}" if right else None


def put_survey(c: Cursor, node: Survey) -> Move:
    if c.phase == "save":
        return c.act("answer_survey", {"question": node.question, "value": c.data["value"]})
    return c.ask(node, c.say(node.prompts))


def answer_survey(c: Cursor, node: Survey, entry: str) -> Move | None:
    if entry not in node.values:
        return None
    c.turn("save")
    c.data["value"] = int(entry)
    return put_survey(c, node)


def hear_survey(c: Cursor, node: Survey, event: Event) -> Move | None:
    if c.phase == "save" and isinstance(event, ActDone | ActFailed):
        return c.to(node.next)
    return None


# -- branch, subflow, end


def put_branch(c: Cursor, node: Branch) -> Move:
    for case in node.cases:
        if holds(case.when, c.fact(case.when.fact)):
            return c.to(case.next)
    return c.to(node.otherwise)


def holds(when: When, value: Json) -> bool:
    if when.known is not None:
        return (value not in (None, "")) is when.known
    if when.in_ is not None:
        return value in when.in_
    if when.at_least is not None or when.at_most is not None:
        return (
            isinstance(value, int | float)
            and (when.at_least is None or value >= when.at_least)
            and (when.at_most is None or value <= when.at_most)
        )
    return bool(value == when.is_)


def put_subflow(c: Cursor, node: Subflow) -> Move:
    return Go(c.compiled.starts[c.node])


def put_end(c: Cursor, node: End) -> Move:
    if node.returns and "/" in c.node:
        c.node = c.node.rpartition("/")[0]  # the subflow node, in the flow that called
        called = c.compiled.nodes[c.node]
        assert isinstance(called, Subflow)
        return c.to(called.next)
    abandon_lead(c)
    if act := c.next_owed():
        return act
    c.phase = "goodbye"
    goodbye = unheard_protocol(c) + c.say(node.prompts)
    return Play(goodbye) if goodbye else EndCall(node.reason)


def hear_end(c: Cursor, node: End, event: Event) -> Move | None:
    if isinstance(event, ActDone | ActFailed) and not c.phase:
        return put_end(c, node)
    if c.phase and spoken(c, event):
        c.protocol_given = True
        return EndCall(node.reason)
    return None


HANDLERS: dict[type[BaseNode], Handler] = {
    Say: Handler(put_say, hear_say),
    Protocol: Handler(put_protocol, hear_protocol),
    Menu: Handler(put_menu, unexpected, answer_menu),
    Collect: Handler(put_collect, unexpected, answer_collect),
    Survey: Handler(put_survey, hear_survey, answer_survey),
    Branch: Handler(put_branch, unexpected),
    Subflow: Handler(put_subflow, unexpected),
    End: Handler(put_end, hear_end),
}
