"""It is not working: what the line says, an outage told, the session reset, a visit asked for."""

from datetime import datetime

from ura.flows.caller_nodes import Diagnose, ErpTicket, HearOutage, Outage, SessionReset
from ura.flows.effects import Lookup, Play, Prompt, Spoken
from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.knowing import about, erp_lookup, may
from ura.flows.engine.state import Json
from ura.flows.engine.talk import checked_phone, heard_out, spoken
from ura.flows.engine.wish import Settled, hear_wish, make_wish, put_wish
from ura.flows.events import ActDone, ActFailed, Event, LookupDone, LookupFailed
from ura.flows.parts import BaseNode

YES, NO = "1", "2"
DEVICE = "device"
PHONE_DIGITS = 11
VERDICTS = ("blocked", "suspended", "outage", "los", "no_session", "weak", "good", "unknown")


# -- diagnose


def put_diagnose(c: Cursor, node: Diagnose) -> Move:
    return erp_lookup("diagnose", about(c), node) if may(c, node) else c.to(node.on.failed)


def hear_diagnose(c: Cursor, node: Diagnose, event: Event) -> Move | None:
    match event:
        case LookupDone("diagnose", result):
            verdict = result.get("verdict")
            if verdict not in VERDICTS:
                return c.to(node.on.failed)
            c.facts["diagnosis"] = {name: value for name, value in result.items() if name != "outage"}
            if result.get("outage"):
                c.facts["outage"] = result["outage"]
            return c.to(getattr(node.on, verdict))
        case LookupFailed():
            return c.to(node.on.failed)
    return None


# -- outage, before anybody was identified


def put_tie(c: Cursor, node: HearOutage) -> Move:
    told = {"outage_id": c.fact(f"{node.of}.outage.id"), "contract_id": c.fact(f"{node.of}.contract_id")}
    return c.act("hear_outage", told) if told["outage_id"] else c.to(node.next)


def hear_tie(c: Cursor, node: HearOutage, event: Event) -> Move | None:
    match event:
        case ActDone() | ActFailed():  # for our records only
            return c.to(node.next)
    return None


# -- outage: heard (act) → tell | again → offer → number → other → subscribe (act)


def put_outage(c: Cursor, node: Outage) -> Move:
    words = node.wording
    match c.phase:
        case "tell":
            return Play(_told(c, node))
        case "again":
            return Play((words.again,))
        case "offer":
            return c.ask(node, (words.offer,))
        case "number":
            return c.ask(node, (words.number,))
        case "other":
            return c.ask(node, (words.other_number,), digits=PHONE_DIGITS)
        case "subscribe":
            return c.act("hear_outage", _heard(c, wants_news=True, phone=c.data["phone"]))
    if not c.fact("outage"):
        return c.to(node.on.failed)
    # Before it is told: who hangs up in the middle of it has called about this outage, too.
    return c.act("hear_outage", _heard(c))


def _tell_outage(c: Cursor, node: Outage) -> Move:
    """Once in a call is enough, unless there is something new to say."""
    return _turn_outage(c, node, "again" if c.facts.get("outage_told") == c.facts["outage"] else "tell")


def _heard(c: Cursor, **more: Json) -> dict[str, Json]:
    """`notice`: what the provider's system says of an outage that only it knows of, for who keeps the list."""
    told = {"outage_id": c.fact("outage.id"), "contract_id": c.fact("contract.id"), **more}
    if notice := c.fact("outage.notice"):
        told |= {"notice": notice, "subscriber_id": c.fact("subscriber.id")}
    return told


def _told(c: Cursor, node: Outage) -> tuple[Prompt, ...]:
    words = node.wording
    said: list[Prompt] = [words.intro]
    if cause := c.fact("outage.cause_prompt"):
        said.append(Spoken("name", cause))
    if text := c.fact("outage.text_prompt"):
        said.append(Spoken("name", text))
    if ends_at := c.fact("outage.ends_at"):
        return (*said, words.estimate, Spoken("moment", ends_at))
    return (*said, words.no_estimate)


def answer_outage(c: Cursor, node: Outage, entry: str) -> Move | None:
    match c.phase, entry:
        case "offer", "1":
            return _turn_outage(c, node, "number" if c.phone() else "other")
        case "offer", "2":
            return c.to(node.on.declined)
        case "number", "1":
            return _subscribe(c, node, c.phone())
        case "number", "2":
            return _turn_outage(c, node, "other")
        case "other", _:
            phone = checked_phone(entry)
            return _subscribe(c, node, phone) if phone else None
    return None


def _turn_outage(c: Cursor, node: Outage, phase: str) -> Move:
    c.turn(phase)
    return put_outage(c, node)


def _subscribe(c: Cursor, node: Outage, phone: str) -> Move:
    c.seq += 1
    c.data["phone"] = phone
    c.facts["contact_phone"] = phone  # whatever else this call is about, it is not asked for again
    return _turn_outage(c, node, "subscribe")


def hear_outage(c: Cursor, node: Outage, event: Event) -> Move | None:
    match event:
        case ActDone() | ActFailed() if not c.phase:  # that the call was about it is for our records only
            return _tell_outage(c, node)
        case ActDone() if c.phase == "subscribe":
            c.settled = True
            c.facts["outage_news"] = c.fact("outage.id")
            return c.to(node.on.subscribed)
        case ActFailed() if c.phase == "subscribe":
            return c.to(node.on.failed)
    if c.phase in ("tell", "again") and spoken(c, event):
        c.settled = True
        if heard_out(event):
            c.facts["outage_told"] = c.facts["outage"]
        wanted = c.facts.get("outage_news") == c.fact("outage.id")
        return c.to(node.on.subscribed) if wanted else _turn_outage(c, node, "offer")
    return None


# -- session reset: consent → wished → waiting → told → recheck


def put_session(c: Cursor, node: SessionReset) -> Move:
    words, is_device = node.wording, c.fact("diagnosis.restart") == DEVICE
    match c.phase:
        case "wished" | "waiting":
            return put_wish(c, node)
        case "told":
            return Play((words.waiting_device if is_device else words.waiting,))
        case "recheck":
            within_s = node.recheck_device_s if is_device else node.recheck_s
            return Lookup("session_back", about(c, within_s=within_s), node.still, node.still, within_s + 1)
    asks = words.consent_device if is_device else words.consent
    return c.ask(node, (asks,)) if may(c, node) else c.to(node.on.failed)


def answer_session(c: Cursor, node: SessionReset, entry: str) -> Move | None:
    if entry == YES:
        return make_wish(c, node, "session_reset")
    return c.to(node.on.declined) if entry == NO else None


def hear_session(c: Cursor, node: SessionReset, event: Event) -> Move | None:
    if c.phase == "told" and spoken(c, event):
        c.turn("recheck")
        return put_session(c, node)
    match event:
        case LookupDone("session_back", result) if c.phase == "recheck":
            edges = {"online": node.on.online, "offline": node.on.offline}
            return c.to(edges.get(str(result.get("state")), node.on.failed))
        case LookupFailed() if c.phase == "recheck":
            return c.to(node.on.failed)
    match hear_wish(c, node, event):
        case Settled("done", result) if result.get("ok") is True:
            c.turn("told")
            return put_session(c, node)
        case Settled():
            return c.to(node.on.failed)
        case move:
            return move


# -- ticket: (of a visit: deadline) → wished → waiting


def put_ticket(c: Cursor, node: ErpTicket) -> Move:
    if c.phase:
        return put_wish(c, node)
    if not may(c, node):
        return c.to(node.on.failed)
    if node.what == "visit":
        return Lookup("deadline", {"queue": node.hours_of, "hours": node.within_hours}, node.filler)
    return make_wish(c, node, "open_ticket", subject=node.subject, text=node.text)


def hear_ticket(c: Cursor, node: ErpTicket, event: Event) -> Move | None:
    if not c.phase:
        match event:
            case LookupDone("deadline", result):
                return _ask_visit(c, node, _moment(result.get("until")))
            case LookupFailed():
                return _ask_visit(c, node, None)
        return None
    match hear_wish(c, node, event):
        case Settled("done", result) if result.get("reference"):
            c.facts["erp_ticket"] = {"reference": result["reference"], "until": _until(c)}
            return c.to(node.on.opened)
        case Settled("queued"):
            c.facts["erp_ticket"] = {"until": _until(c)}
            return c.to(node.on.queued)
        case Settled():
            return c.to(node.on.failed)
        case move:
            return move


def _ask_visit(c: Cursor, node: ErpTicket, until: datetime | None) -> Move:
    """Who has to come must know what the caller is told: one moment for both."""
    c.data["until"] = until.isoformat() if until else None
    return make_wish(c, node, "open_order", subject=node.subject, text=node.text, at=c.data["until"])


def _moment(told: Json) -> datetime | None:
    """None: not known, or not a moment that both sides would understand alike."""
    try:
        moment = datetime.fromisoformat(str(told))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _until(c: Cursor) -> str | None:
    """As it is spoken: local, without its zone."""
    until = _moment(c.data.get("until"))
    return until.replace(tzinfo=None).isoformat(timespec="minutes") if until else None


HANDLERS: dict[type[BaseNode], Handler] = {
    Diagnose: Handler(put_diagnose, hear_diagnose),
    HearOutage: Handler(put_tie, hear_tie),
    Outage: Handler(put_outage, hear_outage, answer_outage),
    SessionReset: Handler(put_session, hear_session, answer_session),
    ErpTicket: Handler(put_ticket, hear_ticket),
}
