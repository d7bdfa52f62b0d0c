"""A simulated system that misbehaves when told to, while it runs.

    POST /_sim/fault  {"fault": "stall", "seconds": 10, "times": 1, "path": "liberacaopromessa"}
    POST /_sim/fault  {"fault": "none"}      everything is well again, oddities included
    POST /_sim/reset                         and forget what was done
    GET  /_sim/state                         what was done: unlocks, tickets, sends, …

`times` 0 is for ever; `path`: only requests with this in their path; `changes`: only those that do more than look.
Several hold at once; the first that fits counts. The faults: `refuse` (nobody listens any more; the control port
stays), `status` (with `status`), `stall` (waits, then 503, having done nothing), `stall_after` (does it, and answers
too late; neither longer than until `none`), `html`, `garbage`, `huge` (50 MB), `expired_token`. `duplicate_rows`,
`two_contracts` and the oddities of one system stay on until `none`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prosa.erp_sim.world import World

KINDS = {"refuse", "status", "stall", "stall_after", "html", "garbage", "huge", "expired_token"}
COMMON_ODDITIES = {"duplicate_rows", "two_contracts"}
HUGE = 50 * 1024 * 1024
CHUNK = b" " * 65536
LOG_IN_PAGE = "<!DOCTYPE html><html><body><form action='login.php'><input name='senha'></form></body></html>"


@dataclass(slots=True)
class Fault:
    kind: str
    times: int = 0
    path: str = ""
    changes: bool = False
    seconds: float = 10.0
    status: int = 500


class Door(Protocol):
    """Where the system listens."""

    async def open(self) -> None: ...
    async def shut(self) -> None: ...


class Gate:
    """The ASGI app in front of a system's own. `forget_tokens`: throws its tokens away."""

    def __init__(
        self,
        inner: ASGIApp,
        world: World,
        *,
        oddities: set[str],
        forget_tokens: Callable[[], None] = lambda: None,
        looks_only: Callable[[Scope], bool] = lambda scope: scope["method"] == "GET",
    ) -> None:
        self._inner = inner
        self._world = world
        self.known = COMMON_ODDITIES | oddities
        self._forget_tokens = forget_tokens
        self._looks_only = looks_only
        self._faults: list[Fault] = []
        self._well_again = asyncio.Event()
        self.door: Door | None = None
        self._control = Starlette(
            routes=[
                Route("/_sim/fault", self._set_fault, methods=["POST"]),
                Route("/_sim/reset", self._reset, methods=["POST"]),
                Route("/_sim/state", self._state),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
        elif scope["path"].startswith("/_sim/"):
            await self._control(scope, receive, send)
        else:
            await self._answer(self._take(scope), scope, receive, send)

    async def _answer(self, fault: Fault | None, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response
        match fault.kind if fault else "":
            case "status":
                response = PlainTextResponse("Internal Server Error", status_code=fault.status if fault else 500)
            case "stall":
                await self._stall(fault.seconds if fault else 0)
                response = PlainTextResponse("", status_code=503)
            case "stall_after":
                held: list[Message] = []

                async def hold(message: Message) -> None:
                    held.append(message)

                await self._inner(scope, receive, hold)
                await self._stall(fault.seconds if fault else 0)
                for message in held:
                    await send(message)
                return
            case "html":
                response = HTMLResponse(LOG_IN_PAGE)
            case "garbage":
                response = PlainTextResponse('{"status": 1, "titulos": [{"id": 3', media_type="application/json")
            case "huge":
                response = StreamingResponse(_huge(), media_type="application/json")
            case _:
                await self._inner(scope, receive, send)
                return
        await response(scope, receive, send)

    async def _stall(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._well_again.wait(), seconds)

    def _take(self, scope: Scope) -> Fault | None:
        for fault in self._faults:
            if fault.path in scope["path"] and not (fault.changes and self._looks_only(scope)):
                if fault.times:
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                return fault
        return None

    async def _set_fault(self, request: Request) -> Response:
        wish = await request.json()
        kind = wish.pop("fault", "")
        if kind == "none":
            await self._recover()
        elif kind in self.known:
            self._world.oddities.add(kind)
        elif kind == "expired_token":
            self._forget_tokens()
        elif kind == "refuse":
            if self.door is None:
                return JSONResponse({"error": "start me with --control-port to be able to refuse"}, status_code=409)
            await self.door.shut()
        elif kind in KINDS:
            self._faults.append(Fault(kind, **wish))
        else:
            return JSONResponse({"error": f"{kind!r} is none of {sorted(KINDS | self.known)}"}, status_code=422)
        return JSONResponse({"fault": kind})

    async def _recover(self) -> None:
        self._faults.clear()
        self._world.oddities.clear()
        self._well_again.set()
        self._well_again = asyncio.Event()
        if self.door is not None:
            await self.door.open()

    async def _reset(self, _request: Request) -> Response:
        await self._recover()
        self._world.reset()
        return JSONResponse({"reset": True})

    async def _state(self, _request: Request) -> Response:
        return JSONResponse(self._world.state())


async def _huge() -> AsyncIterator[bytes]:
    yield b"["
    for _ in range(HUGE // len(CHUNK)):
        yield CHUNK
    yield b"]"
