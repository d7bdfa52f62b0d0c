"""Who is calling, and about which contract? The caller's number and a street; else a document; then a second factor.

Phases: "" → number → street · how → cpf | cnpj | contract → find → factor → check → which. `data`: by (what was keyed,
not its digits), subscriber and contracts found, page.

What is keyed goes from the event into the arguments of a lookup and is kept nowhere. A lookup that has to be put again
(another process took the call over) is the question again. Who tries out documents is counted by the house, not here.
"""

from ura.flows.caller_nodes import Identify
from ura.flows.effects import Lookup, Prompt
from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.knowing import PAGE, Row, erp_lookup, level, place, rows
from ura.flows.engine.state import Json
from ura.flows.events import Event, LookupDone, LookupFailed
from ura.flows.parts import BaseNode
from ura.privacy import Level

MOST_MISSES = 2
YES, NO = "1", "2"
BY = {"1": "cpf", "2": "cnpj", "3": "contract"}
GO_ON_WITHOUT = "4"
MORE, NONE_OF_THESE = "6", "8"
DIGITS = {"cpf": 11, "cnpj": 14, "contract": 15}
FACTOR_DIGITS = 4
PERSON = "person"  # ura.erp.Kind
LEVELS = list(Level)


def put(c: Cursor, node: Identify) -> Move:
    words = node.wording
    match c.phase:
        case "number":
            return erp_lookup("who_calls", {"caller": c.facts["caller"]}, node)
        case "street":
            (contract,) = c.data["contracts"]
            return c.ask(node, (words.street, *place(contract, tail=words.tail), words.street_keys))
        case "how":
            return c.ask(node, (c.word(words, "how"),))
        case "cpf" | "cnpj" | "contract":
            return c.ask(node, (getattr(words, c.phase),), digits=DIGITS[c.phase])
        case "find":
            return _turn(c, node, c.data["by"])
        case "factor":
            company = c.data["subscriber"].get("kind") == "company"
            return c.ask(node, (c.word(words, "factor_company" if company else "factor"),), digits=FACTOR_DIGITS)
        case "check":
            return _turn(c, node, "factor")
        case "which":
            return c.ask(node, _list(c, node))
    return _begin(c, node)


def _begin(c: Cursor, node: Identify) -> Move:
    """What is known already is not asked."""
    wanted = Level(node.level)
    if _covers(level(c), wanted):
        return c.to(node.on.identified) if c.fact("contract.id") else _which(c, node)
    if wanted is Level.NUMBER and c.facts.get("caller") and not c.facts.get("not_by_number"):
        return _turn(c, node, "number")
    if level(c) is Level.NUMBER and c.fact("subscriber.kind") == PERSON and _misses(c, "document") < MOST_MISSES:
        return _turn(c, node, "cpf")  # of somebody whose street was confirmed it need not be asked by what to search
    if level(c) is Level.DOCUMENT:
        c.data = {"subscriber": c.facts["subscriber"], "contracts": c.facts["contracts"]}
        return _factor(c, node)
    return _by_keys(c, node)


def _covers(known: Level, wanted: Level) -> bool:
    return LEVELS.index(known) >= LEVELS.index(wanted)


def _by_keys(c: Cursor, node: Identify) -> Move:
    return _turn(c, node, "how") if _misses(c, "document") < MOST_MISSES else c.give_up(node.on.missed)


def _turn(c: Cursor, node: Identify, phase: str) -> Move:
    c.turn(phase)
    return put(c, node)


# -- what the caller presses


def answer(c: Cursor, node: Identify, entry: str) -> Move | None:
    match c.phase:
        case "street" if entry == YES:
            return _known(c, node, Level.NUMBER, c.data["contracts"][0])
        case "street" if entry == NO:
            c.facts["not_by_number"] = True
            c.data = {}
            return _by_keys(c, node)
        case "how" if entry in BY:
            return _turn(c, node, BY[entry])
        case "how" if entry == GO_ON_WITHOUT:
            return c.to(node.on.declined)
        case "cpf" | "cnpj" | "contract":
            return _asked(c, node, "find", "find_subscriber", {"by": c.phase, "digits": entry}, by=c.phase)
        case "factor":
            args = {"subscriber_id": c.data["subscriber"].get("id"), "digits": entry}
            return _asked(c, node, "check", "check_factor", args)
        case "which":
            return _pick(c, node, entry)
    return None


def _asked(c: Cursor, node: Identify, phase: str, lookup: str, args: dict[str, Json], **data: Json) -> Lookup:
    c.turn(phase)
    c.data |= data
    return erp_lookup(lookup, args | {"caller": c.facts.get("caller")}, node)


def _pick(c: Cursor, node: Identify, entry: str) -> Move | None:
    shown = _shown(c)
    if entry == MORE and _has_more(c):
        c.turn("which")
        c.data["page"] = c.data.get("page", 0) + 1
        return put(c, node)
    if entry == NONE_OF_THESE:
        if c.data.get("level") == Level.NUMBER:
            c.facts["not_by_number"] = True
            c.data = {}
            return _by_keys(c, node)
        return c.to(node.on.missed)
    if entry not in "12345"[: len(shown)]:
        return None
    return _known(c, node, Level(c.data["level"]), shown[int(entry) - 1])


def back(c: Cursor, node: Identify) -> Move | None:
    if c.phase in DIGITS:
        return _turn(c, node, "how")
    if c.phase == "which" and c.data.get("page"):
        c.turn("which")
        c.data["page"] -= 1
        return put(c, node)
    return None


# -- what the house answers


def hear(c: Cursor, node: Identify, event: Event) -> Move | None:
    match event:
        case LookupDone("who_calls", result) if c.phase == "number":
            return _by_number(c, node, result)
        case LookupDone("find_subscriber", result) if c.phase == "find":
            return _found(c, node, result)
        case LookupDone("check_factor", result) if c.phase == "check":
            return _proved(c, node) if result.get("right") is True else _missed(c, node, "factor", result)
        case LookupFailed() if c.phase in ("number", "find", "check"):
            return c.to(node.on.failed)
    return None


def _by_number(c: Cursor, node: Identify, result: dict[str, Json]) -> Move:
    contracts, subscriber = rows(result.get("contracts")), result.get("subscriber")
    if contracts is None:
        return c.to(node.on.failed)
    if not subscriber or not contracts:
        return _by_keys(c, node)
    c.data = {"subscriber": subscriber, "contracts": contracts, "level": Level.NUMBER.value}
    return _turn(c, node, "street" if len(contracts) == 1 else "which")


def _found(c: Cursor, node: Identify, result: dict[str, Json]) -> Move:
    contracts, subscriber = rows(result.get("contracts")), result.get("subscriber")
    if contracts is None:
        return c.to(node.on.failed)
    if not isinstance(subscriber, dict):
        return _missed(c, node, "document", result)
    if not contracts:  # a customer once: a person has to look
        return c.to(node.on.missed)
    by_contract = c.data["by"] == "contract"
    c.data |= {"subscriber": subscriber, "contracts": contracts}
    if not by_contract:
        _learn(c, Level.DOCUMENT)
    return _factor(c, node) if by_contract or Level(node.level) is Level.VERIFIED else _which(c, node)


def _factor(c: Cursor, node: Identify) -> Move:
    """Asked only where there is something that this caller could know."""
    can = c.data["subscriber"].get("can_verify") and _misses(c, "factor") < MOST_MISSES
    return _turn(c, node, "factor") if can else c.to(node.on.missed)


def _proved(c: Cursor, node: Identify) -> Move:
    _learn(c, Level.VERIFIED)
    return _which(c, node)


def _which(c: Cursor, node: Identify) -> Move:
    """One contract, or the one of which the call speaks already, needs no question."""
    contracts = c.facts["contracts"]
    chosen = c.facts.get("contract") or (contracts[0] if len(contracts) == 1 else None)
    if chosen:
        return _known(c, node, level(c), chosen)
    c.data |= {"contracts": contracts, "level": level(c).value}
    return _turn(c, node, "which")


def _known(c: Cursor, node: Identify, how: Level, contract: Row) -> Move:
    """Subscriber and contract are certain enough."""
    c.data.setdefault("contracts", c.facts.get("contracts"))
    _learn(c, how)
    c.facts["contract"] = contract
    return c.to(node.on.identified)


def _learn(c: Cursor, how: Level) -> None:
    """Who the caller is. Another subscriber than before: what was known of the former's contract is dropped."""
    subscriber, contracts = c.data.get("subscriber") or c.facts["subscriber"], c.data["contracts"]
    if c.fact("contract.id") not in [contract["id"] for contract in contracts]:
        for fact in ("contract", "diagnosis", "outage", "invoices", "invoice"):
            c.facts.pop(fact, None)
    c.facts["subscriber"] = {**subscriber, "level": how.value, "contracts": len(contracts)}
    c.facts["contracts"] = contracts


# -- misses


def _missed(c: Cursor, node: Identify, what: str, result: dict[str, Json]) -> Move:
    """Unknown, malformed, wrong or locked: the same words. After two a person, who asks in another way."""
    misses = MOST_MISSES if result.get("locked") else _misses(c, what) + 1
    c.learn(f"misses.{what}", misses)
    c.ahead = ""
    if misses >= MOST_MISSES:
        return c.give_up(node.on.missed)
    says, phase = (node.wording.factor_wrong, "factor") if what == "factor" else (node.wording.not_found, "how")
    c.lead_in = (says,)
    return _turn(c, node, phase)


def _misses(c: Cursor, what: str) -> int:
    return int(c.fact(f"misses.{what}") or 0)


# -- the list of contracts


def _list(c: Cursor, node: Identify) -> tuple[Prompt, ...]:
    words = node.wording
    said: list[Prompt] = [words.which]
    for contract, press in zip(_shown(c), words.press, strict=False):
        said += [*place(contract, tail=words.tail, among=c.data["contracts"]), press]
    if _has_more(c):
        said.append(words.more)
    return (*said, words.other)


def _shown(c: Cursor) -> list[Row]:
    at = c.data.get("page", 0) * PAGE
    contracts: list[Row] = c.data["contracts"]
    return contracts[at : at + PAGE]


def _has_more(c: Cursor) -> bool:
    return bool((c.data.get("page", 0) + 1) * PAGE < len(c.data["contracts"]))


HANDLERS: dict[type[BaseNode], Handler] = {Identify: Handler(put, hear, answer, back)}
