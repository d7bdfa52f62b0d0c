"""Open invoices: heard, sent, read aloud."""

from ura import privacy
from ura.flows.caller_nodes import Invoices, ReadLine, SendInvoice
from ura.flows.effects import Prompt, Spoken
from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.knowing import PAGE, Row, about, erp_lookup, level, may, rows
from ura.flows.events import ActDone, ActFailed, Event, LookupDone, LookupFailed
from ura.flows.parts import BaseNode
from ura.privacy import Wish

NONE_OF_THESE = "8"


# -- invoices


def put_invoices(c: Cursor, node: Invoices) -> Move:
    if c.phase == "speak":
        return c.ask(node, _invoices(c, node))
    return erp_lookup("open_invoices", about(c), node) if may(c, node) else c.to(node.on.failed)


def _invoices(c: Cursor, node: Invoices) -> tuple[Prompt, ...]:
    words, found, at = node.wording, c.facts["invoices"], c.data["at"]
    if not _may_hear(c):
        return words.found, words.send, words.verify, words.done
    said: list[Prompt] = []
    if at == 0:
        many = (words.there_are, Spoken("count", len(found), feminine=True), words.many)
        said += many if len(found) > 1 else [words.one]
    one = found[at]
    said += [words.overdue if one.get("overdue") else words.due, Spoken("date", one.get("due_on"))]
    said += [words.amount, Spoken("money", one.get("amount"))]
    if one.get("disputed"):
        said.append(words.disputed)
    said += [words.send, words.read]
    if at + 1 < len(found):
        said.append(words.following)
    return (*said, words.dispute, words.done)


def _may_hear(c: Cursor) -> bool:
    return privacy.may(level(c), Wish.HEAR_AMOUNTS)


def answer_invoices(c: Cursor, node: Invoices, entry: str) -> Move | None:
    sure, at = _may_hear(c), c.data["at"]
    if entry == "3" and sure and at + 1 < len(c.facts["invoices"]):
        return _invoice_at(c, node, at + 1)
    edges = {"1": node.on.send, "2": node.on.read if sure else node.on.verify, "5": node.on.done}
    if sure:
        edges["4"] = node.on.dispute
    if entry not in edges:
        return None
    c.facts["invoice"] = c.facts["invoices"][at]
    c.remember()
    return c.to(edges[entry])


def _invoice_at(c: Cursor, node: Invoices, at: int) -> Move:
    c.turn("speak")
    c.data["at"] = at
    return put_invoices(c, node)


def back_invoices(c: Cursor, node: Invoices) -> Move | None:
    return _invoice_at(c, node, c.data["at"] - 1) if c.data["at"] else None


def hear_invoices(c: Cursor, node: Invoices, event: Event) -> Move | None:
    match event:
        case LookupDone("open_invoices", result) if not c.phase:
            if result.get("unsupported"):
                return c.to(node.on.unsupported or node.on.failed)
            found = rows(result.get("invoices"))
            if not found:  # only an empty list says that nothing is owed
                return c.to(node.on.failed if found is None else node.on.none)
            c.facts["invoices"] = found
            return _invoice_at(c, node, 0)
        case LookupFailed() if not c.phase:
            return c.to(node.on.failed)
    return None


def chosen_invoice(c: Cursor) -> Row:
    """The one that was chosen, else the first: the oldest."""
    chosen: Row = c.facts.get("invoice") or next(iter(c.facts.get("invoices") or []), {})
    return chosen


# -- send: "" (targets) → choose → send (act) → state


def put_send(c: Cursor, node: SendInvoice) -> Move:
    match c.phase:
        case "choose":
            return c.ask(node, _targets(c, node))
        case "send":
            args = about(c, invoice_id=_meant(c, node), target=c.data["target"])
            return c.act("send_invoice", args, filler=node.filler)
        case "state":
            return erp_lookup("message_state", {"message_id": c.data["message_id"]}, node)
    if not (may(c, node) and (node.oldest or _meant(c, node))):
        return c.to(node.on.failed)
    return erp_lookup("targets", about(c), node)


def _meant(c: Cursor, node: SendInvoice) -> str:
    """ "" for the oldest that is open when it goes out."""
    return "" if node.oldest else str(chosen_invoice(c).get("id") or "")


def _targets(c: Cursor, node: SendInvoice) -> tuple[Prompt, ...]:
    words = node.wording
    said: list[Prompt] = [words.intro]
    for target, press in zip(c.data["targets"], words.press, strict=False):
        said.append(getattr(words, target["channel"]))
        if tail := target.get("tail"):
            said.append(Spoken("digits", tail))
        said.append(press)
    return (*said, words.other)


def answer_send(c: Cursor, node: SendInvoice, entry: str) -> Move | None:
    targets = c.data["targets"]
    if entry == NONE_OF_THESE:
        return c.to(node.on.no_address)
    if entry not in "12345"[: len(targets)]:
        return None
    c.turn("send")
    c.seq += 1
    c.data["target"] = targets[int(entry) - 1]
    return put_send(c, node)


def hear_send(c: Cursor, node: SendInvoice, event: Event) -> Move | None:
    match event:
        case LookupDone("targets", result) if not c.phase:
            found = rows(result.get("targets"), needs="channel")
            if not found:
                return c.to(node.on.failed if found is None else node.on.no_address)
            c.turn("choose")
            c.data["targets"] = found[:PAGE]
            return put_send(c, node)
        case ActDone("send_invoice", result) if c.phase == "send":
            c.turn("state")
            c.data["message_id"] = result.get("message_id")
            c.settled = True
            return c.to(node.on.queued) if node.oldest else put_send(c, node)
        case LookupDone("message_state", result) if c.phase == "state":
            edges = {"sent": node.on.sent, "failed": node.on.failed}
            return c.to(edges.get(str(result.get("state")), node.on.queued))
        case LookupFailed() if c.phase == "state":  # it is written down, and will go out
            return c.to(node.on.queued)
        case ActFailed() | LookupFailed() if c.phase in ("", "send"):
            return c.to(node.on.failed)
    return None


# -- read the line: "" (lookup) → read → paused → end


def put_line(c: Cursor, node: ReadLine) -> Move:
    words = node.wording
    match c.phase:
        case "read":
            at = c.data["at"]
            intro = (words.intro,) if at == 0 else ()
            return c.ask(node, (*intro, Spoken("digits", c.data["blocks"][at])))
        case "paused":
            return c.ask(node, (words.paused,), timeout_s=node.pause_s)
        case "end":
            return c.ask(node, (words.end,), timeout_s=2 * node.timeout_s)
    if not (may(c, node) and chosen_invoice(c).get("id")):
        return c.to(node.on.failed)
    return erp_lookup("invoice_line", about(c, invoice_id=chosen_invoice(c)["id"]), node)


def _read(c: Cursor, node: ReadLine, at: int) -> Move:
    c.turn("read" if at < len(c.data["blocks"]) else "end")
    c.data["at"] = at
    return put_line(c, node)


def answer_line(c: Cursor, node: ReadLine, entry: str) -> Move | None:
    at = c.data["at"]
    match c.phase, entry:
        case _, "3":
            return c.to(node.on.send)
        case "read", "1":
            return _read(c, node, at + 1)
        case "read", "2":
            c.turn("paused")
            return put_line(c, node)
        case "paused", "1":
            return _read(c, node, at)
        case "end", "1":
            return _read(c, node, 0)
        case "end", "2":
            return c.to(node.on.done)
    return None


def silence_line(c: Cursor, node: ReadLine) -> Move | None:
    """Who writes down presses nothing: on to the next block."""
    return _read(c, node, c.data["at"] + 1) if c.phase == "read" else None


def back_line(c: Cursor, node: ReadLine) -> Move | None:
    return _read(c, node, max(0, c.data["at"] - 1))


def hear_line(c: Cursor, node: ReadLine, event: Event) -> Move | None:
    match event:
        case LookupDone("invoice_line", result) if not c.phase:
            blocks = result.get("blocks")
            if not (isinstance(blocks, list) and blocks and all(str(block).isdecimal() for block in blocks)):
                return c.to(node.on.failed)
            c.data = {"blocks": blocks}
            c.settled = True
            return _read(c, node, 0)
        case LookupFailed() if not c.phase:
            return c.to(node.on.failed)
    return None


HANDLERS: dict[type[BaseNode], Handler] = {
    Invoices: Handler(put_invoices, hear_invoices, answer_invoices, back_invoices),
    SendInvoice: Handler(put_send, hear_send, answer_send),
    ReadLine: Handler(put_line, hear_line, answer_line, back_line, silence_line),
}
