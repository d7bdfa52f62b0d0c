"""Guided first aid: one thing to try after the other, and after each "is it working again?"."""

from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.talk import unexpected
from ura.flows.nodes import BaseNode, Steps

ANSWERS = {"1": "done", "2": "not_done", "3": "skipped"}


def put(c: Cursor, node: Steps) -> Move:
    if c.phase == "check":
        return c.ask(node, c.say(node.solved_prompts))
    step = node.steps[c.data.get("at", 0)]
    return c.ask(node, c.say(step.prompts) + c.wording(node.keys_prompts, node.short_keys()))


def answer(c: Cursor, node: Steps, entry: str) -> Move | None:
    if c.phase == "check":
        return _checked(c, node, entry)
    if entry not in ANSWERS:
        return None
    at = c.data.get("at", 0)
    step = node.steps[at]
    c.data["answers"] = c.data.get("answers", {}) | {step.key: ANSWERS[entry]}
    c.remember()
    if entry == "1" and (step.then_ask or at + 1 == len(node.steps)):
        c.turn("check")
        return put(c, node)
    return _further(c, node)


def _checked(c: Cursor, node: Steps, entry: str) -> Move | None:
    if entry == "1":
        c.settled = True
        return c.to(node.on.solved)
    return _further(c, node) if entry == "2" else None


def _further(c: Cursor, node: Steps) -> Move:
    c.turn("")
    at = c.data["at"] = c.data.get("at", 0) + 1
    return put(c, node) if at < len(node.steps) else c.to(node.on.not_solved)


def back(c: Cursor, node: Steps) -> Move | None:
    """From the check to its step, from a step to the one before."""
    at = c.data.get("at", 0)
    if c.phase == "check":
        c.turn("")
        return put(c, node)
    if at == 0:
        return None
    c.turn("")
    c.data["at"] = at - 1
    return put(c, node)


HANDLERS: dict[type[BaseNode], Handler] = {Steps: Handler(put, unexpected, answer, back)}
