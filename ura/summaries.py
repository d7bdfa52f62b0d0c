"""What does a ticket say of itself, in words? The rescue script knows no Portuguese and writes a code."""

import re
from functools import cache
from pathlib import Path

import yaml

from ura.models import ErpRequest, Ticket

CODE = re.compile(r"(menu|promise): ([a-z_-]*)")  # of agi/rescue.py


@cache
def _texts() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return texts


def told(ticket: Ticket, text: str | None = None) -> str:
    """`text` (the ticket's summary, or a line of its history) as people read it."""
    text = ticket.summary if text is None else text
    code = CODE.fullmatch(text)
    if code is None:
        return text
    mode, why = code.groups()
    if mode == "promise" and not ticket.phone:
        mode = "promise_hidden"
    words = _texts()
    return words["rescue"][mode].format(why=words["why"].get(why, words["why"]["unknown"]))


def unfinished(request: ErpRequest, *, maybe_done: bool) -> str:
    """What the caller wanted from the provider's system, for who has to do it by hand."""
    return _wish(request, "not_done", *(["maybe_done"] if maybe_done else []))


def refused(request: ErpRequest) -> str:
    """What it said no to, for who has to tell the caller."""
    return _wish(request, "refused")


def not_mirrored(request: ErpRequest) -> str:
    """For whoever looks for one of our tickets, or a visit, in the provider's system."""
    return _texts()["mirror"][request.operation.value]


def promised_copy() -> str:
    """Of who was promised the oldest invoice, and it never went out."""
    return str(_texts()["wish"]["oldest_invoice"])


def still_down() -> str:
    """Of whoever calls after an incident was closed."""
    return str(_texts()["incident"]["still_down"])


def said(what: str) -> str:
    """Of what a caller said of a ticket (ura.ticket_calls.Said)."""
    return str(_texts()["said"][what])


def _wish(request: ErpRequest, *outcome: str) -> str:
    words, args = _texts()["wish"], request.args
    about = " ".join(str(args.get(name) or "") for name in ("subject", "on")).strip()
    parts = (words[request.operation.value], f"({about})" if about else "", *(words[name] for name in outcome))
    return " ".join(part for part in parts if part)
