"""What a flow knows when a call reaches it: the same facts, by the same names, whichever door the call comes in by."""

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class FirstFacts:
    """Flows branch on these; "" is "not known".

    caller: +55…, "" hidden · caller_kind: `mobile` `landline` `other` `hidden` · did: digits as dialled · number_kind,
    of our number: `landline` `mobile` `corporate` · now: local, ISO · protocol: "" unless it is on disk ·
    repeat_call: also called within two hours
    """

    call_id: str
    caller: str
    caller_kind: str
    did: str
    number_kind: str
    now: str
    protocol: str
    repeat_call: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For `Started`."""
        return asdict(self)


FIRST_FACTS = frozenset(field.name for field in fields(FirstFacts))
