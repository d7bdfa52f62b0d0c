"""Which columns tell something of whom? A column that looks personal and is not in this table fails
tests/ura/test_personal_data.py: whoever adds one says here what is in it, and ura/erasure.py and ura/retention.py do
with it what the law wants.
"""

import re
from enum import StrEnum

from sqlalchemy import JSON, Column, Enum, String, Text

from ura.crypto import SealedText


class Held(StrEnum):
    PERSON = "person"  # of a caller or subscriber: in the package, and gone on erasure or when its time has come
    STAFF = "staff"  # of our own people: who did what
    OURS = "ours"  # configuration, figures, names of machines, keys of the house: tells of nobody


P, S, O = Held.PERSON, Held.STAFF, Held.OURS  # noqa: E741 - a table that is read as one

COLUMNS: dict[str, dict[str, Held]] = {
    "access": {"login": P, "onu": P, "olt": O, "pon": O, "cto": O},
    "answered_request": {"actor": S, "answer": O},  # sealed under a key that nobody can search by; gone after two days
    "api_token": {"name": O, "made_by": S, "hash": O, "scopes": O},
    "attendant": {"name": S, "extension": S, "queues": O},
    "audit": {"actor": S, "subject": O, "detail": O},  # names and ids of ours: ura.audit.record
    "call": {"protocol": P, "caller": P, "attendant": S},
    "call_step": {"detail": P},
    "callback": {"phone": P},
    "caller_block": {"phone": P, "reason": P, "blocked_by": S, "lifted_by": S},
    "city": {"name": O},
    "contract": {
        **dict.fromkeys(("number", "keys", "street", "house", "neighbourhood", "city", "plan"), P),
    },
    "did": {"number": O},
    "dispute": {"contract_ref": P, "invoice_ref": P},
    "domain_event": {"subject": O, "data": O},  # ids and words of ours: ura.domain_events
    "dropped_call": {"phone": P},
    "emergency": {"text": O, "began_by": S, "ended_by": S},
    "emergency_pin": {"hashed": O, "set_by": S},
    "erp_request": {"args": P, "result": P, "protocol": P, "claimed_by": O, "last_error": P},
    "event": {"data": O},  # ids: ura.events
    "flow_version": {"document": O, "author": S},
    "holiday": {"name": O},
    "identification_attempt": {"caller": P, "subject": P},
    "incident_complaint": {"phone": P, "actor": S},
    "incident_ticket": {"actor": S},
    "incident_update": {"text": O, "actor": S},
    "invoice": {"number": P, "line": P, "pix": P, "link": P},
    "lead": {"phone": P, "owner": S, "source_ref": O},
    "legal_hold": {"subject": O, "person": P, "reason": O, "set_by": S, "lifted_by": S},
    "message_opt_out": {"target": P, "by": S},
    "neighbourhood": {"name": O, "aliases": O, "sort_name": O, "t9": O},
    "noticed_outage": {"reference": O, "subscriber_ref": P, "contract_ref": P},
    "outage": {"note": O, "opened_by": S, "closed_by": S},
    "outage_call": {"contract_id": P, "phone": P},
    "outage_scope": {"name": O},
    "outbox": {"to": P, "payload": P, "text": P, "provider_id": P, "claimed_by": O, "last_error": P},
    "payment_promise": {"contract_ref": P, "reference": P},
    "person_request": {"person": P, "about": P, "result": O, "asked_by": S, "claimed_by": O, "last_error": O},
    "plan": {"name": O},
    "priority_number": {"phone": P, "note": P, "added_by": S},
    "prompt": {"text": O},
    "purge": {"hash": O},
    "record_access": {"actor": S},
    "recording": {"path": P},
    "saved_filter": {"name": S, "wanted": O},
    "subscriber": {"document": P, "document_hash": P, "name": P, "birth_year": P, "emails": P},
    "subscriber_phone": {"phone": P},
    "survey_answer": {"value": P},
    "ticket": {
        **dict.fromkeys(("protocol", "summary", "phone", "contract_ref", "report", "form", "erp_protocol"), P),
        "opened_by": S,
        "terms": O,
    },
    "ticket_category": {"form": O},
    "ticket_event": {"actor": S, "text": P, "detail": P},
    "trust_unlock": {"contract_ref": P, "protocol": P},
    "user": {"email": S, "name": S, "password_hash": S},
    "visit": {**dict.fromkeys(("address", "note", "outcome", "erp_reference"), P), "booked_by": S},
    "waiting_list": {"phone": P},
    "webhook": {"kinds": O, "description": O, "secret": O, "created_by": S},
    "webhook_delivery": {"body": O, "claimed_by": O, "last_error": O},  # an event as it was sent
}

_SUSPECT = re.compile(
    r"phone|caller$|(?:^|_)names?$|mail|document|address|street|house$|subject|target|^to$|^from$|note|reason|summary"
    r"|text|^value$|report$|actor|_by$|^by$|attendant$|^owner$|login|_ref$|contract_id|birth|person|protocol$|^ip$"
    r"|agent$|reference|comment|description|secret|hash(?:ed)?$|author"
)


def looks_personal(column: "Column[object]") -> bool:
    """By its name, or because it takes any text."""
    if isinstance(column.type, Enum) or (column.primary_key and column.name == "id") or column.foreign_keys:
        return False
    if isinstance(column.type, SealedText | Text | JSON):
        return True
    named = _SUSPECT.search(column.name) is not None
    return named and (isinstance(column.type, String) or column.name == "birth_year")


def personal_columns(table: str) -> list[str]:
    """Those of a table that tell of a caller or subscriber."""
    return [name for name, held in COLUMNS.get(table, {}).items() if held is Held.PERSON]
