"""What a call knows of its caller, and what it must know before a node may speak."""

from collections.abc import Sequence
from typing import Any

from ura import privacy
from ura.flows.caller_nodes import AsksErp
from ura.flows.effects import Lookup, Prompt, Spoken
from ura.flows.engine.cursor import Cursor
from ura.flows.engine.state import Json
from ura.flows.parts import BaseNode
from ura.privacy import Level

ERP_S = 8.0  # so long a caller waits for another system; then it is said that it did not answer
PAGE = 5

Row = dict[str, Json]


def level(c: Cursor) -> Level:
    return Level(c.fact("subscriber.level") or Level.PUBLIC)


def may(c: Cursor, node: BaseNode) -> bool:
    """Is there a contract to speak of, and are we sure enough who is calling? `identify` leaves a subscriber known by
    number only after the street was confirmed."""
    if node.wish is None or not c.fact("contract.id"):
        return False
    return privacy.may(level(c), node.wish, confirmed=True)


def about(c: Cursor, **more: Json) -> dict[str, Json]:
    """The arguments that name the contract."""
    return {"subscriber_id": c.fact("subscriber.id"), "contract_id": c.fact("contract.id"), **more}


def erp_lookup(name: str, args: dict[str, Json], node: AsksErp, *, deadline_s: float = ERP_S) -> Lookup:
    return Lookup(name, args, node.filler, node.still, deadline_s)


def rows(answer: Json, *, needs: str = "id") -> list[Row] | None:
    """A list of the house's answer. None: it cannot be read, which must not be taken for "nothing found"."""
    if not isinstance(answer, list):
        return None
    found = [row for row in answer if isinstance(row, dict) and row.get(needs)]
    return found if len(found) == len(answer) else None


def place(contract: Row, *, tail: str, among: Sequence[Row] = ()) -> list[Prompt]:
    """A contract as it is told from the others: its street, the neighbourhood too where there are several, and the end
    of its number where that is not enough, or where neither can be spoken."""
    names = [contract.get("street_prompt"), contract.get("neighbourhood_prompt")]
    said = [name for name in names if name][: 2 if len(among) > 1 else 1]
    twins = [one for one in among if _names(one) == names]
    spoken: list[Prompt] = [Spoken("name", name) for name in said]
    if not said or len(twins) > 1:
        spoken += [tail, Spoken("digits", str(contract.get("number_tail") or "0"))]
    return spoken


def _names(contract: Row) -> list[Any]:
    return [contract.get("street_prompt"), contract.get("neighbourhood_prompt")]
