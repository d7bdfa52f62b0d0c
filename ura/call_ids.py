"""One id for one call, whoever writes about it: the phone door, the rescue script, the reader of Asterisk's events.

Made from Asterisk's uniqueid (unique over nodes, since `systemname` is part of it), so that records about the same call
meet in the database although their writers never meet. `agi/rescue.py` makes the same without this module.
"""

from uuid import UUID, uuid4, uuid5

NAMESPACE = UUID("b1a5f5a0-6f0e-4b53-9f0a-1f2d3c4b5a69")


def call_id(uniqueid: str) -> str:
    """32 hex digits. Without a uniqueid, an id that nobody else can find."""
    return uuid5(NAMESPACE, uniqueid).hex if uniqueid else uuid4().hex
