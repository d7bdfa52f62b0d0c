"""Who is it, and is it really they? Never told: name, document, house number, a whole address or phone."""

from collections.abc import Sequence

from ura import contacts, subscribers
from ura.caller_lookups.callers import Args, Callers, Json, Known, keyed
from ura.erp import Contract
from ura.errors import Unavailable
from ura.models import AttemptKind

TAIL = 3


async def who_calls(callers: Callers, args: Args) -> dict[str, Json]:
    """One subscriber with this number, or nobody: of two the number does not tell which."""
    caller = str(args["caller"] or "")
    found = await callers.of_number(caller)
    return _told(callers, found[0] if len(found) == 1 else None, caller)


async def find_subscriber(callers: Callers, args: Args) -> dict[str, Json]:
    """By `digits` of a document or, with `by` "contract", of a contract: then of that contract only."""
    by_contract = args["by"] == "contract"
    kind = AttemptKind.CONTRACT if by_contract else AttemptKind.DOCUMENT
    digits, caller = str(args["digits"]), str(args.get("caller") or "")
    found = await callers.house.identification.by_keys(kind, digits, caller=caller)
    if not found.supported:
        raise Unavailable(f"{found.source} cannot search by {kind.value}")
    if found.subscriber is None:
        return {"subscriber": None, "contracts": [], "locked": found.locked}
    known = await callers.learn(found.subscriber, found.source)
    meant = [each for each in known.contracts if keyed(each.number) == keyed(digits)]
    return _told(callers, known, caller, meant or None) if by_contract else _told(callers, known, caller)


async def check_factor(callers: Callers, args: Args) -> dict[str, Json]:
    known = await callers.get(args)
    checked = await callers.house.identification.check_factor(
        known.subscriber, str(args["digits"]), source=known.source, caller=str(args.get("caller") or "")
    )
    return {"right": checked.right, "locked": checked.locked}


async def targets(callers: Callers, args: Args) -> dict[str, Json]:
    """Where a message may go: the registered contacts, by channel and last digits."""
    known = await callers.get(args)
    return {"targets": contacts.targets(known.subscriber, callers.house.channels)}


def _told(
    callers: Callers, known: Known | None, caller: str, only: Sequence[Contract] | None = None
) -> dict[str, Json]:
    if known is None:
        return {"subscriber": None, "contracts": [], "locked": False}
    subscriber = {
        "id": known.subscriber.id,
        "kind": known.subscriber.kind.value,
        "can_verify": subscribers.can_verify(known.subscriber, caller=caller),
    }
    contracts = known.contracts if only is None else only
    return {"subscriber": subscriber, "contracts": [_row(callers, each, known.source) for each in contracts]}


def _row(callers: Callers, contract: Contract, source: str) -> dict[str, Json]:
    """A contract as the flow knows it: street and neighbourhood as far as they can be spoken, never the house."""
    return {
        "id": contract.id,
        "number_tail": keyed(contract.number)[-TAIL:],
        "street_prompt": callers.spoken(contract.street),
        "neighbourhood_prompt": callers.spoken(contract.neighbourhood),
        "status": contract.status.value,
        "segment": contract.segment,
        "source": source,
    }
