"""`Idempotency-Key`: sent again, a POST is not done again, also over a crash between the commit and the answer.

    router = APIRouter(prefix="/things", route_class=Once)

A program sends a key of its own with a POST. Sent again with the same body, the request is answered as it was, with
`Idempotency-Replayed: true`; with another body it is refused (422); while the first is still at work, too (409). What
was refused has changed nothing and may be sent again with its key. Each sender has keys of their own.
"""

import hashlib
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import IntegrityError

from api.errors import described
from api.schemas import IdempotencyKey
from ura import answered
from ura.answered import Asked, Told
from ura.crypto import Keyring
from ura.db import Sessions
from ura.errors import Refused
from ura.users import Actor

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
KEPT_HEADERS = ("content-type", "location", "etag")


class StillAtWork(Refused):
    code = "request-still-at-work"


class AnsweredBefore(Exception):
    """No error: the answer that there is already."""

    def __init__(self, told: Told) -> None:
        self.told = told


def id_for(actor: Actor, what: str, key: str | None) -> str:
    """The id of what a POST makes: 32 hexadecimal digits, without a key new ones each time. So one thing has one id for
    longer than its answer is kept."""
    if key is None:
        return uuid4().hex
    return hashlib.sha256(f"{actor.name}\n{what}\n{key}".encode()).hexdigest()[:32]


class Answers:
    """One a process: it knows which keys are at work here."""

    def __init__(self, sessions: Sessions, keyring: Keyring) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._at_work: set[str] = set()

    async def begin(self, request: Request, actor: Actor) -> None:
        """As soon as it is known who asks, and that they may. Raises AnsweredBefore, KeyReused, StillAtWork."""
        key = request.headers.get(HEADER, "")
        if request.method != "POST" or not key or not isinstance(_route(request), Once):
            return
        asked = Asked(actor.name, f"{request.method} {request.url.path}", key, await request.body())
        if asked.id in self._at_work:
            raise StillAtWork("The first request with this Idempotency-Key is still at work. Wait a moment.")
        self._at_work.add(asked.id)
        request.state.asked = asked
        await self._tell_again(asked)

    async def keep(self, request: Request, answer: Response) -> None:
        """In the transaction of the route, which commits after this. Raises IntegrityError when another process had the
        same request and was done first."""
        told = Told(answer.status_code, _headers(answer), bytes(answer.body).decode())
        now = datetime.now(UTC)
        await answered.keep_answer(request.state.session, request.state.asked, told, self._keyring, now=now)

    async def look_again(self, request: Request) -> None:
        """Something is there already: because another process just did the same? Then that is the answer."""
        await self._tell_again(request.state.asked)

    def end(self, request: Request) -> None:
        self._at_work.discard(request.state.asked.id)

    async def _tell_again(self, asked: Asked) -> None:
        async with self._sessions() as session:
            told = await answered.find_answer(session, asked, self._keyring)
        if told:
            raise AnsweredBefore(told)


def _route(request: Request) -> object:
    return request.scope.get("route")


def _headers(answer: Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}


async def _documented(key: IdempotencyKey = None) -> None:
    """Checks the key's form, and puts it on the reference page."""


class Once(APIRoute):
    """The routes of the API; those for POST take an `Idempotency-Key`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        if "POST" in (more.get("methods") or ()):
            more["dependencies"] = [*(more.get("dependencies") or ()), Depends(_documented)]
            more["responses"] = {**described(409), **(more.get("responses") or {})}
        super().__init__(path, endpoint, **more)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            answers: Answers = request.app.state.wired.answers
            try:
                answer = await handle(request)
                if hasattr(request.state, "asked") and answer.status_code < 400:
                    await answers.keep(request, answer)
                return answer
            except IntegrityError:
                if hasattr(request.state, "asked"):
                    await answers.look_again(request)
                raise
            finally:
                if hasattr(request.state, "asked"):
                    answers.end(request)

        return once


async def tell_again(_request: Request, before: Exception) -> Response:
    assert isinstance(before, AnsweredBefore)
    told = before.told
    return Response(told.body, status_code=told.status, headers={**told.headers, REPLAYED: "true"})
