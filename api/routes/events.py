"""What happens, as it happens: a stream of Server-Sent Events for programs."""

import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, JsonValue

from api.deps import EventReader, WiredDep, bearer_token, find_actor, session_token
from api.errors import Forbidden, described
from api.event_feed import MOST_FOLLOWERS, Begun, Hint
from ura import domain_events
from ura.errors import Refused
from ura.event_permissions import may_hear
from ura.models import DomainEvent, EventKind
from ura.users import Permission

router = APIRouter(prefix="/events", tags=["events"])

CHECK_EVERY_S = 3.0  # with the feed's tick of a second: whoever is sent away hears nothing more after four

Kinds = Annotated[
    list[EventKind] | None, Query(description="Only these; repeat the parameter. All that are yours when left out.")
]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", max_length=20, description="The last `id:` seen: goes on after it.")
]


class TooManyFollowers(Refused):
    code = "too-many-followers"


class EventAnswer(BaseModel):
    """What stands in `data:` of the stream, and in the body of a webhook."""

    id: str
    type: EventKind
    timestamp: datetime
    subject: str
    data: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Hearing:
    wanted: frozenset[str]
    heard: frozenset[str]
    stream: AsyncIterator[Begun | DomainEvent | Hint]


async def hear(
    things: WiredDep, actor: EventReader, kinds: Kinds = None, last_event_id: LastEventId = None
) -> AsyncIterator[Hearing]:
    """Before the stream begins: afterwards there is no way to say no. Raises Forbidden, TooManyFollowers. Also gives
    the place back as soon as it ends: a generator that nobody goes on with would do that at the next collection."""
    wanted = frozenset(kind.value for kind in kinds or EventKind)
    heard = may_hear(actor, wanted)
    if not heard:
        raise Forbidden("None of these kinds is yours to hear: each needs the permission to read what it is about.")
    if things.events.followers >= MOST_FOLLOWERS:
        raise TooManyFollowers(f"{MOST_FOLLOWERS} programs follow already. Use one stream for all, or a webhook.")
    async with aclosing(things.events.follow(_number(last_event_id))) as stream:
        yield Hearing(wanted, heard, stream)


@router.get(
    "",
    summary="Follow what happens, as Server-Sent Events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "model": EventAnswer,
            "description": "An endless stream; `event:` is the kind, `id:` the number to come back with. The event "
            "`again`: something was missed that is not kept any more; read your lists again.",
        },
        **described(409),
    },
)
async def follow_events(
    request: Request,
    things: WiredDep,
    hearing: Annotated[Hearing, Depends(hear)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)],
) -> AsyncIterable[ServerSentEvent]:
    """Only what you may read: events of tickets need `tickets:read`, and so on. Ends within seconds when the token is
    revoked or the session ends. Send `Last-Event-ID` when you come back, and nothing of the last 30 days is missed."""
    token, cookie = bearer.credentials if bearer else None, session_token(request)
    heard, checked_at = hearing.heard, time.monotonic()
    passed = sent = ""
    async for each in hearing.stream:
        if time.monotonic() - checked_at >= CHECK_EVERY_S:
            actor = await find_actor(things, bearer=token, cookie=cookie)
            if actor is None or not actor.may(Permission.EVENTS_READ):
                return
            heard, checked_at = may_hear(actor, hearing.wanted), time.monotonic()
        match each:
            case Begun(number, missed):
                passed = sent = str(number)
                yield ServerSentEvent(event="again" if missed else None, id=sent, raw_data="" if missed else None)
            case DomainEvent():
                passed = str(each.number)
                if each.kind in heard:
                    sent = passed
                    yield ServerSentEvent(event=each.kind, id=sent, data=domain_events.told(each))
            case Hint.QUIET:
                if passed != sent:  # the number alone is no event: the program knows where to go on, and is not woken
                    sent = passed
                    yield ServerSentEvent(id=sent)


def _number(text: str | None) -> int | None:
    """None: from now on. What is no number of ours is too old."""
    if text is None:
        return None
    return int(text) if text.isdecimal() and text.isascii() else -1
