"""What can be done about a debt: a trust unlock, a promise, a charge that is not agreed with."""

from ura.flows.caller_nodes import Dispute, Promise, TrustUnlock
from ura.flows.effects import Lookup, Play, Prompt, Spoken
from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.invoices import chosen_invoice
from ura.flows.engine.knowing import PAGE, about, erp_lookup, may
from ura.flows.engine.state import Json
from ura.flows.engine.talk import spoken
from ura.flows.engine.wish import Settled, hear_wish, make_wish, put_wish
from ura.flows.events import ActDone, ActFailed, Event, LookupDone, LookupFailed
from ura.flows.parts import BaseNode

YES, NO = "1", "2"
NONE_OF_THESE = "8"
LAST_MINUTE = "23:59"  # of a day: nobody needs to hear it


# -- trust unlock: "" (may I?) → confirm | later → wished → waiting → told


def put_unlock(c: Cursor, node: TrustUnlock) -> Move:
    match c.phase:
        case "confirm":
            return c.ask(node, (node.wording.confirm,))
        case "later":
            return c.ask(node, (node.wording.later,))
        case "wished" | "waiting":
            return put_wish(c, node)
        case "told":
            return Play(_verdict(c, node))
    return erp_lookup("may_unlock", about(c), node) if may(c, node) else c.to(node.on.failed)


def _verdict(c: Cursor, node: TrustUnlock) -> tuple[Prompt, ...]:
    verdict, until = c.data["verdict"], c.data.get("until")
    if verdict not in ("granted", "already_active"):
        return (getattr(node.wording, verdict),)
    if not until:
        return (getattr(node.wording, f"{verdict}_now"),)
    day, _, time = until.partition("T")
    if time == LAST_MINUTE:
        return getattr(node.wording, f"{verdict}_day"), Spoken("date", day)
    return getattr(node.wording, verdict), Spoken("moment", until)


REFUSALS = ("used_this_period", "not_blocked", "blocked_other_reason", "policy_refused", "unknown_contract")


def _tell(c: Cursor, node: TrustUnlock, result: dict[str, Json]) -> Move:
    """Speak the system's answer: what nobody knows how to say is no answer."""
    verdict = result.get("verdict")
    if verdict not in (*REFUSALS, "granted", "already_active"):
        return c.to(node.on.failed)
    c.turn("told")
    c.facts["unlock"] = {"verdict": verdict, "until": result.get("until")}
    c.data |= c.facts["unlock"]
    return put_unlock(c, node)


def answer_unlock(c: Cursor, node: TrustUnlock, entry: str) -> Move | None:
    if entry == YES:
        return make_wish(c, node, "trust_unlock")
    return c.to(node.on.declined) if entry == NO else None


def hear_unlock(c: Cursor, node: TrustUnlock, event: Event) -> Move | None:
    if c.phase == "told" and spoken(c, event):
        return c.to(node.on.refused if c.data["verdict"] in REFUSALS else node.on.granted)
    match event:
        case LookupDone("may_unlock", result) if not c.phase:
            if result.get("unsupported"):
                return c.to(node.on.unsupported or node.on.failed)
            if result.get("verdict") == "allowed":
                c.turn("confirm")
                return put_unlock(c, node)
            # Nothing was done yet: "granted" cannot be the answer to a question.
            return _tell(c, node, result) if result.get("verdict") != "granted" else c.to(node.on.failed)
        case LookupFailed() if not c.phase:  # who does it asks whether it may be, too
            c.turn("later")
            return put_unlock(c, node)
    match hear_wish(c, node, event):
        case Settled("done", result):
            return _tell(c, node, result)
        case Settled(outcome):
            return _unsettled(c, node, outcome)
        case move:
            return move


def _unsettled(c: Cursor, node: TrustUnlock | Promise, outcome: str) -> Move:
    edges = {"queued": node.on.queued, "unsupported": node.on.unsupported}
    return c.to(edges.get(outcome) or node.on.failed)


# -- promise: "" (which days?) → day → wished → waiting → told


def put_promise(c: Cursor, node: Promise) -> Move:
    words = node.wording
    match c.phase:
        case "day":
            said: list[Prompt] = [words.intro]
            for day, press in zip(c.data["days"], words.press, strict=False):
                said += [Spoken("date", day), press]
            return c.ask(node, (*said, words.other))
        case "wished" | "waiting":
            return put_wish(c, node)
        case "told":
            return Play((words.accepted, Spoken("date", c.fact("promise.on"))))
    return Lookup("promise_days", about(c), node.filler) if may(c, node) else c.to(node.on.failed)


def answer_promise(c: Cursor, node: Promise, entry: str) -> Move | None:
    days = c.data["days"]
    if entry == NONE_OF_THESE:
        return c.to(node.on.declined)
    if entry not in "12345"[: len(days)]:
        return None
    c.data["on"] = days[int(entry) - 1]
    return make_wish(c, node, "promise", on=c.data["on"])


def hear_promise(c: Cursor, node: Promise, event: Event) -> Move | None:
    if c.phase == "told" and spoken(c, event):
        return c.to(node.on.promised)
    match event:
        case LookupDone("promise_days", result) if not c.phase:
            if result.get("unsupported"):
                return c.to(node.on.unsupported or node.on.failed)
            days = result.get("days")
            if not (isinstance(days, list) and days):
                return c.to(node.on.failed)
            c.turn("day")
            c.data["days"] = days[:PAGE]
            return put_promise(c, node)
        case LookupFailed() if not c.phase:
            return c.to(node.on.failed)
    match hear_wish(c, node, event):
        case Settled("done", result) if result.get("accepted") is True:
            c.facts["promise"] = {"on": str(result.get("on") or c.data["on"])[:10]}
            c.turn("told")
            return put_promise(c, node)
        case Settled("done"):
            return c.to(node.on.refused)
        case Settled(outcome):
            return _unsettled(c, node, outcome)
        case move:
            return move


# -- dispute


def put_dispute(c: Cursor, node: Dispute) -> Move:
    if not (may(c, node) and chosen_invoice(c).get("id")):
        return c.to(node.failed)
    whose = {"summary": node.summary, "queue": node.queue, "phone": c.phone(), "source": c.fact("contract.source")}
    return c.act("dispute_invoice", about(c, invoice_id=chosen_invoice(c)["id"], **whose))


def hear_dispute(c: Cursor, node: Dispute, event: Event) -> Move | None:
    match event:
        case ActDone("dispute_invoice", result):
            c.facts["ticket"] = result | {"category": "complaint"}
            c.settled = True
            return c.to(node.next)
        case ActFailed():
            return c.to(node.failed)
    return None


HANDLERS: dict[type[BaseNode], Handler] = {
    TrustUnlock: Handler(put_unlock, hear_unlock, answer_unlock),
    Promise: Handler(put_promise, hear_promise, answer_promise),
    Dispute: Handler(put_dispute, hear_dispute),
}
