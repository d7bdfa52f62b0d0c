"""Finding the caller's neighbourhood: city, then the list in pages of five, first letters on the keypad, or CEP.

Phases: "" (cities) → city → all (neighbourhoods) → method → list | letters → by_letters → list | cep → by_cep → list.
`data`: cities, all, items (the list being read), page.
"""

from ura.flows.effects import Lookup, Prompt, Spoken
from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.state import Json
from ura.flows.events import Event, LookupDone, LookupFailed
from ura.flows.nodes import BaseNode, ChooseNeighbourhood, Prompts

PAGE = 5
MORE, NOT_LISTED = "6", "8"
CEP_DIGITS = 8
KEPT = ("id", "name", "prompt", "status", "forecast_on")

Row = dict[str, Json]


def put(c: Cursor, node: ChooseNeighbourhood) -> Move:
    words = node.wording
    match c.phase:
        case "city":
            return c.ask(node, (words.city, *_page(c, node, "cities")))
        case "all":
            return Lookup("neighbourhoods", {"city_id": c.fact("city.id")}, node.filler)
        case "method":
            return c.ask(node, (c.word(words, "method"),))
        case "list":
            return c.ask(node, (words.list, *_page(c, node, "items"), c.word(words, "not_listed")))
        case "letters":
            return c.ask(node, (c.word(words, "letters"),), digits=node.max_letters)
        case "by_letters":
            args = {"city_id": c.fact("city.id"), "keys": c.data["typed"]}
            return Lookup("neighbourhoods_by_keys", args, node.filler)
        case "cep":
            return c.ask(node, (words.cep,), digits=CEP_DIGITS)
        case "by_cep":
            return Lookup("neighbourhood_by_cep", {"cep": c.data["typed"]}, node.filler)
    return Lookup("cities", {}, node.filler)


def _page(c: Cursor, node: ChooseNeighbourhood, rows: str) -> list[Prompt]:
    said: list[Prompt] = []
    for row, press in zip(_shown(c, rows), node.wording.press, strict=False):
        said += [Spoken("name", row.get("prompt")), press]
    return [*said, node.wording.more] if _has_more(c, rows) else said


def _shown(c: Cursor, rows: str) -> list[Row]:
    at = c.data.get("page", 0) * PAGE
    return _list(c, rows)[at : at + PAGE]


def _has_more(c: Cursor, rows: str) -> bool:
    return bool((c.data.get("page", 0) + 1) * PAGE < len(_list(c, rows)))


def _list(c: Cursor, rows: str) -> list[Row]:
    """`items` is the list being read; None is the whole city, which would double the saved state."""
    found: list[Row] | None = c.data[rows]
    whole: list[Row] = c.data["all"] if found is None else found
    return whole


def _turn(c: Cursor, node: ChooseNeighbourhood, phase: str, page: int = 0) -> Move:
    c.turn(phase)
    c.data["page"] = page
    return put(c, node)


# -- what the caller presses


def answer(c: Cursor, node: ChooseNeighbourhood, entry: str) -> Move | None:
    match c.phase:
        case "city":
            return _pick(c, node, "cities", entry)
        case "method":
            phase = {"1": "list", "2": "letters", "3": "cep"}.get(entry)
            c.data["items"] = None
            return _turn(c, node, phase) if phase else None
        case "list" if entry == NOT_LISTED:
            c.remember()
            return c.to(node.on.not_found)
        case "list":
            return _pick(c, node, "items", entry)
        case "letters" if len(entry) >= node.min_letters and set(entry) <= set("23456789"):
            return _find(c, node, "by_letters", entry)
        case "cep" if len(entry) == CEP_DIGITS and entry.isdigit():
            return _find(c, node, "by_cep", entry)
    return None


def _find(c: Cursor, node: ChooseNeighbourhood, phase: str, typed: str) -> Move:
    """Look it up; the retries of the question go on counting."""
    c.phase, c.want = phase, 0
    c.data["typed"] = typed
    return put(c, node)


def _pick(c: Cursor, node: ChooseNeighbourhood, rows: str, entry: str) -> Move | None:
    if entry == MORE and _has_more(c, rows):
        return _turn(c, node, c.phase, c.data.get("page", 0) + 1)
    shown = _shown(c, rows)
    if entry not in "12345"[: len(shown)]:
        return None
    row = shown[int(entry) - 1]
    return _in_city(c, node, row) if rows == "cities" else _chosen(c, node, row)


def _in_city(c: Cursor, node: ChooseNeighbourhood, city: Row) -> Move:
    c.facts["city"] = city
    return _turn(c, node, "all")


def _chosen(c: Cursor, node: ChooseNeighbourhood, row: Row) -> Move:
    c.facts["neighbourhood"] = row
    c.remember()
    edges = {"covered": node.on.covered, "planned": node.on.planned}
    return c.to(edges.get(str(row.get("status")), node.on.none))


def back(c: Cursor, node: ChooseNeighbourhood) -> Move | None:
    page = c.data.get("page", 0)
    if c.phase in ("city", "list") and page:
        return _turn(c, node, c.phase, page - 1)
    if c.phase in ("letters", "cep") or (c.phase == "list" and len(c.data["all"]) > PAGE):
        return _turn(c, node, "method")
    if c.phase in ("method", "list") and len(c.data["cities"]) > 1:
        return _turn(c, node, "city")
    return None


# -- what the house answers


ASKED = {
    "": "cities",
    "all": "neighbourhoods",
    "by_letters": "neighbourhoods_by_keys",
    "by_cep": "neighbourhood_by_cep",
}


def hear(c: Cursor, node: ChooseNeighbourhood, event: Event) -> Move | None:
    match event:
        case LookupDone(name, result) if name == ASKED.get(c.phase):
            rows = _rows(result.get("neighbourhoods" if c.phase else "cities"))
            return c.to(node.on.failed) if rows is None else _told(c, node, rows)
        case LookupFailed() if not c.want:
            return c.to(node.on.failed)
    return None


def _told(c: Cursor, node: ChooseNeighbourhood, rows: list[Row]) -> Move:
    match c.phase:
        case "by_letters":
            return _found(c, node, rows, "letters", (node.wording.letters_none,))
        case "by_cep":
            return _found(c, node, rows, "cep", (node.wording.cep_none,))
        case "all":
            return _all(c, node, rows)
    return _cities(c, node, rows)


def _rows(answer: Json) -> list[Row] | None:
    """None: an answer that cannot be read, which must not be taken for "nothing found"."""
    if not isinstance(answer, list):
        return None
    rows = [{k: row[k] for k in KEPT if k in row} for row in answer if isinstance(row, dict) and "id" in row]
    return rows if rows or not answer else None


def _cities(c: Cursor, node: ChooseNeighbourhood, cities: list[Row]) -> Move:
    c.data["cities"] = cities
    if not cities:
        return c.to(node.on.not_found)
    return _in_city(c, node, cities[0]) if len(cities) == 1 else _turn(c, node, "city")


def _all(c: Cursor, node: ChooseNeighbourhood, rows: list[Row]) -> Move:
    if not rows:
        return c.to(node.on.not_found)
    c.data["all"], c.data["items"] = rows, None
    return _turn(c, node, "list" if len(rows) <= PAGE else "method")


def _found(c: Cursor, node: ChooseNeighbourhood, rows: list[Row], asked: str, none: Prompts) -> Move:
    if rows:
        c.data["items"] = rows
        return _turn(c, node, "list")
    c.phase = asked
    return c.mistake(node, c.data["typed"], says=none, to=node.on.not_found) or put(c, node)


HANDLERS: dict[type[BaseNode], Handler] = {ChooseNeighbourhood: Handler(put, hear, answer, back)}
