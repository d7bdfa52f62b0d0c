"""Whoever follows a stream and does not read it is let go: else it would hold its place for ever."""

import asyncio

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

PATIENCE_S = 30.0
STREAM = b"text/event-stream"


class Patience:
    """ASGI middleware. A message of a stream that the other side does not take within `seconds` is the last."""

    def __init__(self, app: ASGIApp, *, seconds: float = PATIENCE_S) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streaming = gave_up = False

        async def send_soon(message: Message) -> None:
            nonlocal streaming, gave_up
            if message["type"] == "http.response.start":
                streaming = any(
                    name == b"content-type" and value.startswith(STREAM) for name, value in message["headers"]
                )
            if not streaming:
                await send(message)
                return
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except TimeoutError as error:
                gave_up = True
                raise OSError("the reader of a stream takes nothing") from error

        try:
            await self._app(scope, receive, send_soon)
        except Exception:
            if not gave_up:
                raise
            log.info("a stream ended: its reader took nothing", path=scope["path"], after_s=self._seconds)
