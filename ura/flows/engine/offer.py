"""Offering plans: three in a breath, with price, set-up and conditions; one key sends one to the caller's mobile."""

from decimal import Decimal, InvalidOperation

from ura.flows.effects import Lookup, Prompt, Spoken
from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.state import Json
from ura.flows.events import ActDone, ActFailed, Event, LookupDone, LookupFailed
from ura.flows.nodes import BaseNode, OfferPlans

BREATH = 3
MORE, SALES, DONE = "4", "5", "6"


def put(c: Cursor, node: OfferPlans) -> Move:
    if c.phase == "send":
        return c.act("send_plans", {"plan_ids": [c.fact("plan.id")], "to": c.phone()})
    if c.phase != "offer":
        args = {"neighbourhood_id": c.fact("neighbourhood.id"), "audience": c.fact("audience")}
        return Lookup("plans", args, node.filler)
    return c.ask(node, _sentence(c, node))


def _sentence(c: Cursor, node: OfferPlans) -> tuple[Prompt, ...]:
    say: list[Prompt] = [] if c.data["at"] else [node.wording.intro]
    for number, plan in enumerate(_breath(c)):
        say += [node.wording.option[number], *_plan(node, plan)]
    keys = ("send", "more", "sales", "done") if _has_more(c) else ("send", "sales", "done")
    return (*say, *(c.word(node.wording, key) for key in keys))


def _plan(node: OfferPlans, plan: dict[str, Json]) -> list[Prompt]:
    words = node.wording
    said: list[Prompt] = [Spoken("name", plan.get("prompt")), words.price, Spoken("money", plan.get("price"))]
    said.append(words.per_month)
    if _is_free(plan.get("setup_price")):
        said.append(words.setup_free)
    else:
        said += [words.setup, Spoken("money", plan.get("setup_price"))]
    if conditions := plan.get("conditions_prompt"):
        said.append(Spoken("name", conditions))
    return said


def _is_free(price: Json) -> bool:
    try:
        return not Decimal(str(price or 0))
    except InvalidOperation:
        return False


def _breath(c: Cursor) -> list[dict[str, Json]]:
    at: int = c.data["at"]
    plans: list[dict[str, Json]] = c.data["plans"]
    return plans[at : at + BREATH]


def _has_more(c: Cursor) -> bool:
    return bool(c.data["at"] + BREATH < len(c.data["plans"]))


def _move_to(c: Cursor, node: OfferPlans, at: int) -> Move:
    c.turn("offer")
    c.data["at"] = at
    heard = c.facts.get("plan_ids", [])
    c.facts["plan_ids"] = [*heard, *(plan["id"] for plan in _breath(c) if plan["id"] not in heard)]
    return put(c, node)


def answer(c: Cursor, node: OfferPlans, entry: str) -> Move | None:
    breath = _breath(c)
    if entry in "123"[: len(breath)]:
        c.facts["plan"] = breath[int(entry) - 1]
        c.remember()
        if not c.mobile():
            return c.to(node.on.number)
        c.turn("send")
        return put(c, node)
    if entry == MORE and _has_more(c):
        return _move_to(c, node, c.data["at"] + BREATH)
    if entry in (SALES, DONE):
        c.remember()
        return c.to(node.on.sales if entry == SALES else node.on.done)
    return None


def hear(c: Cursor, node: OfferPlans, event: Event) -> Move | None:
    match event:
        case LookupDone("plans", result) if not c.phase:
            return _offered(c, node, result.get("plans"))
        case LookupFailed() if not c.phase:
            return c.to(node.on.failed)
        case ActDone("send_plans") if c.phase == "send":
            c.settled = True
            return c.to(node.on.sent)
        case ActFailed() if c.phase == "send":
            return c.to(node.on.not_sent or node.on.failed)
    return None


def _offered(c: Cursor, node: OfferPlans, answer: Json) -> Move:
    """Only an empty list means that nothing is on sale; an answer that cannot be read means that nobody knows."""
    if not isinstance(answer, list):
        return c.to(node.on.failed)
    plans = [plan for plan in answer if isinstance(plan, dict) and "id" in plan]
    if answer and not plans:
        return c.to(node.on.failed)
    c.data = {"plans": plans}
    c.facts["plan_ids"] = []
    return _move_to(c, node, 0) if plans else c.to(node.on.none)


def back(c: Cursor, node: OfferPlans) -> Move | None:
    return _move_to(c, node, c.data["at"] - BREATH) if c.data["at"] else None


HANDLERS: dict[type[BaseNode], Handler] = {OfferPlans: Handler(put, hear, answer, back)}
