"""How often may somebody ask? So that one program that went wild does not take the machine from calls.

Counted in memory, of this process: by token or person, and by the address that requests come from, whoever they say
they are. Health is asked as often as anybody likes; links in messages and gateways have limits of their own.
"""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem
from ura.errors import UraError

LIMITED = ("/api/v1/", "/panel")
FREE = ("/api/v1/health",)
MINUTE_S = 60
TOO_MANY = "Too many requests. Wait as long as Retry-After says, and ask less often."


class TooManyRequests(UraError):
    code = "too-many-requests"
    http_status = 429

    def __init__(self, standing: "Standing") -> None:
        super().__init__(TOO_MANY)
        self.retry_after_s = standing.reset_s


@dataclass(frozen=True, slots=True)
class Standing:
    """Requests a minute, how many are left of them, and the seconds until there are more."""

    limit: int
    left: int
    reset_s: int
    taken: bool = True  # False: this request is one too many

    def headers(self) -> dict[str, str]:
        """As the IETF's draft "RateLimit header fields for HTTP" has them."""
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={MINUTE_S}',
            "RateLimit": f'"minute";r={self.left};t={self.reset_s}',
        }


class RequestLimits:
    """0: no limit."""

    def __init__(self, *, per_actor: int, per_source: int) -> None:
        self._per_actor = per_actor
        self._per_source = per_source
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def of_actor(self, name: str) -> Standing | None:
        """Counts one more request."""
        return await self._count(self._per_actor, "actor", name)

    async def of_source(self, source: str) -> Standing | None:
        """Counts one more request."""
        return await self._count(self._per_source, "source", source)

    async def _count(self, limit: int, *who: str) -> Standing | None:
        if not limit:
            return None
        item = RateLimitItemPerMinute(limit)
        taken = await self._counter.hit(item, *who)
        stats = await self._counter.get_window_stats(item, *who)
        reset_s = min(max(1, math.ceil(stats.reset_time - time.time())), MINUTE_S)
        return Standing(limit, stats.remaining if taken else 0, reset_s, taken)


def is_limited(path: str) -> bool:
    return path.startswith(LIMITED) and not path.startswith(FREE)


class Limited:
    """ASGI middleware: refuses a source that asks too often, before anything is looked up; tells everybody where they
    stand (`scope["state"]["standing"]`: api/deps.py, of whoever asks)."""

    def __init__(self, app: ASGIApp, limits: RequestLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_limited(scope["path"]):
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        client = scope.get("client")
        state["standing"] = standing = await self._limits.of_source(client[0] if client else "")

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start" and state["standing"] is not None:
                headers = MutableHeaders(scope=message)
                for name, value in state["standing"].headers().items():
                    headers[name] = value
            await send(message)

        if standing is not None and not standing.taken:
            refused = problem(429, TooManyRequests.code, TOO_MANY, headers={"Retry-After": str(standing.reset_s)})
            await refused(scope, receive, send_told)
            return
        await self._app(scope, receive, send_told)
