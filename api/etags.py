"""`ETag` and `If-Match`: what somebody else changed a moment ago is not overwritten unseen.

A tag is a hash of the answer, so that no table has to count its changes. GET gives it; PUT and PATCH take it back in
`If-Match`, and are refused (412) when the thing is another by now. Without `If-Match` the last one wins.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, TypeVar

from fastapi import Header, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from ura.errors import NotFound, UraError
from ura.turns import take_turn

Shown = TypeVar("Shown", bound=BaseModel)

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=200,
        description="The `ETag` of what you read. When it has changed since, nothing is done and the answer is 412.",
    ),
]


class ChangedMeanwhile(UraError):
    code = "changed-meanwhile"
    http_status = 412


def etag(answer: BaseModel, *, but: Collection[str] = ()) -> str:
    """`but`: fields that change by themselves, such as a count."""
    shown = json.dumps(answer.model_dump(mode="json", exclude=set(but)), sort_keys=True)
    return f'"{hashlib.sha256(shown.encode()).hexdigest()[:32]}"'


def tagged(response: Response, answer: Shown, *, but: Collection[str] = ()) -> Shown:
    response.headers["ETag"] = etag(answer, but=but)
    return answer


async def check(
    session: AsyncSession,
    if_match: str | None,
    what: str,
    read: Callable[[], Awaitable[BaseModel]],
    *,
    but: Collection[str] = (),
) -> None:
    """Before anything of `what` is read: who edits it next waits until our transaction is over. `read` makes the answer
    that GET would give. Raises ChangedMeanwhile, and what `read` raises."""
    await take_turn(session, what)
    if if_match is None:
        return
    try:
        current = etag(await read(), but=but)
    except NotFound as error:
        raise ChangedMeanwhile("It is no longer there. Read the list again.") from error
    # A proxy that compresses answers makes the tag a weak one; what it stands for is the same.
    known = {each.strip().removeprefix("W/") for each in if_match.split(",")}
    if "*" not in known and current not in known:
        raise ChangedMeanwhile("Somebody changed it after you read it. Read it again, and change that.")
