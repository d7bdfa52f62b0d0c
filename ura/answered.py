"""Was this asked before, and what was the answer? Requests that carry a key of the sender's own choice.

The answer is added in the transaction of the effect, so after a crash there are both or neither; and two requests with
one key, sent at the same moment to two processes, meet at the table's primary key: one of them is rolled back.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.crypto import Keyring, Sealed
from ura.errors import BadInput
from ura.models import AnsweredRequest

KEPT = timedelta(hours=48)
_FIND = select(AnsweredRequest.body, AnsweredRequest.status, AnsweredRequest.answer).where(
    AnsweredRequest.id == bindparam("asked")
)
_KEEP = insert(AnsweredRequest.__table__)  # type: ignore[arg-type]  # typed as any FROM clause


class KeyReused(BadInput):
    code = "idempotency-key-reused"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked what, under which key. `route`: method and path."""

    actor: str
    route: str
    key: str
    body: bytes

    @property
    def id(self) -> str:
        return hashlib.sha256("\n".join((self.actor, self.route, self.key)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Told:
    status: int
    headers: dict[str, str]
    body: str


async def find_answer(session: AsyncSession, asked: Asked, keyring: Keyring) -> Told | None:
    """None: it is new. Raises KeyReused when the key came with another body."""
    row = (await session.execute(_FIND, {"asked": asked.id})).one_or_none()
    if row is None:
        return None
    if row.body not in keyring.indexes(_text(asked.body)):
        raise KeyReused("This Idempotency-Key was sent before with other contents. Use a new key for a new request.")
    headers, body = json.loads(keyring.open(Sealed(row.answer)))
    return Told(row.status, headers, body)


async def keep_answer(session: AsyncSession, asked: Asked, told: Told, keyring: Keyring, *, now: datetime) -> None:
    """In the transaction of what was done. Raises IntegrityError when another request with this key was faster."""
    row = {
        "id": asked.id,
        "actor": asked.actor,
        "route": asked.route[:200],
        "body": keyring.index(_text(asked.body)),
        "status": told.status,
        "answer": keyring.seal(json.dumps([told.headers, told.body], ensure_ascii=False)).token,
        "at": now,
    }
    await session.flush()  # the effect first: what it runs into is not taken for an answer that was there
    await session.execute(_KEEP, row)


async def forget_old_answers(session: AsyncSession, *, now: datetime) -> None:
    await session.execute(delete(AnsweredRequest).where(AnsweredRequest.at < now - KEPT))


def _text(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
