"""The id of what a POST makes, derived from its `Idempotency-Key` and from who sent it.

So the database itself keeps it from being made twice, also over a crash between the commit and the answer.
"""

import hashlib
from uuid import uuid4

from ura.users import Actor


def id_for(actor: Actor, what: str, key: str | None) -> str:
    """32 hexadecimal digits; without a key a new id each time."""
    if key is None:
        return uuid4().hex
    return hashlib.sha256(f"{actor.name}\n{what}\n{key}".encode()).hexdigest()[:32]
