"""One request to a provider's system: who asks gets an answer that can be read, or ErpUnavailable.

What is the same for all of them, because callers hang on it:
* a deadline for everything that one operation asks, 8 s for a look and 18 s for a change (the worker can wait, and one
  that is given up too soon leaves nobody knowing), and a body of 2 MiB at the most;
* a pool of connections of its own, TLS checked, no redirects followed (a log-in page is no answer), no proxy and no
  cookie: PHP answers the requests of one session one after the other;
* no URL, no body and no header in a log or an error: tokens and documents stand in them;
* `maybe_done` is right: true from the moment the request for a change left us until the system refused it (4xx).
"""

import json
import logging
import ssl
import zlib
from asyncio import Lock, get_running_loop, timeout_at
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, wraps
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import httpx
import structlog

from ura import addresses
from ura.adapters.erp.reading import Record
from ura.adapters.outbound_http import CONFIGURED, GuardedTransport
from ura.erp import ErpUnavailable

DEADLINE_S = 8.0
CHANGE_DEADLINE_S = 18.0
BODY_LIMIT = 2 * 1024 * 1024
CONNECTIONS = 20
LIMITS = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS // 2)

P = ParamSpec("P")
R = TypeVar("R")
log = structlog.get_logger()

# httpx 0.28, _client.py: every request is logged with its URL at INFO; httpcore writes headers at DEBUG.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(slots=True)
class _Operation:
    """What is being asked just now. `maybe_done`: a change was sent and has not been refused."""

    ends_at: float
    maybe_done: bool = False


_operation: ContextVar[_Operation | None] = ContextVar("erp_operation", default=None)


class _Asking(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def http(self) -> "ErpHttp": ...


A = TypeVar("A", bound=_Asking)


def asked(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[A, P], Coroutine[Any, Any, R]]:
    """An adapter's operation: one deadline for all its requests, one line in the log when it fails, and `maybe_done`
    whatever it failed at. One that calls another is one operation. Changes are those with a `key`."""

    @wraps(method)
    async def ask(self: A, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if _operation.get() is not None:
            return await method(self, *args, **kwargs)
        started = get_running_loop().time()
        deadline_s = self.http.change_deadline_s if "key" in kwargs else self.http.deadline_s
        operation = _Operation(started + deadline_s)
        token = _operation.set(operation)
        try:
            return await method(self, *args, **kwargs)
        except ErpUnavailable as trouble:
            trouble.maybe_done = operation.maybe_done
            log.warning(
                "erp gave no usable answer; the caller hears so",
                erp=self.name,
                operation=method.__name__,
                why=trouble.message,
                maybe_done=trouble.maybe_done,
                after_s=round(get_running_loop().time() - started, 2),
            )
            raise
        finally:
            _operation.reset(token)

    return ask


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """2xx, or one of the statuses that were said to be readable."""

    status: int
    body: bytes = field(repr=False)

    def text(self) -> str:
        """UTF-8; Latin-1 when it is not (older PHP)."""
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            return self.body.decode("latin-1")

    @property
    def is_page(self) -> bool:
        """HTML, whatever the header says: PHP sends JSON as text/html, and log-in pages with status 200."""
        return self.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")

    def json(self) -> Any:
        """Numbers with a point are Decimal. Raises ErpUnavailable for a page and for what is no JSON."""
        if self.is_page:
            raise ErpUnavailable("a web page instead of data")
        try:
            return json.loads(self.text(), parse_float=Decimal, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise ErpUnavailable("no JSON") from None

    def record(self) -> Record:
        return Record(self.json())


class ErpHttp:
    """The wire to one system. `base_url` as ura.addresses wants it."""

    def __init__(self, base_url: str, *, deadline_s: float = DEADLINE_S, ca_file: Path | None = None) -> None:
        self.deadline_s = deadline_s
        self.change_deadline_s = max(deadline_s, CHANGE_DEADLINE_S)
        self._client = httpx.AsyncClient(
            base_url=addresses.guarded(base_url),
            transport=GuardedTransport(CONFIGURED, verify=_trust(ca_file), limits=LIMITS),
            trust_env=False,  # neither a proxy nor ~/.netrc
            follow_redirects=False,
            timeout=deadline_s,  # for each step; `_Operation.ends_at` covers them all
            headers={"accept": "application/json", "accept-encoding": "gzip", "user-agent": "prosa"},
        )
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def close(self) -> None:
        await self._client.aclose()

    def maybe_done(self) -> bool:
        """Has the operation in progress sent a change that was not refused?"""
        operation = _operation.get()
        return operation is not None and operation.maybe_done

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        changes: bool = False,
        readable: Collection[int] = (),
    ) -> HttpAnswer:
        """`body` goes as JSON. `changes`: it does more than look. `readable`: statuses beside 2xx that say something.

        Raises ErpUnavailable for everything else.
        """
        operation = _operation.get() or _Operation(get_running_loop().time() + self.deadline_s)
        before = operation.maybe_done

        async def left_us(event: str, _info: Mapping[str, Any]) -> None:
            if changes and event.endswith("send_request_headers.started"):
                operation.maybe_done = True

        request = self._client.build_request(
            method, path, params=params, data=form, json=body, headers=headers, extensions={"trace": left_us}
        )
        auth = httpx.BasicAuth(*basic) if basic else None
        try:
            async with timeout_at(operation.ends_at):
                response = await self._client.send(request, auth=auth, stream=True)
                try:
                    content = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ErpUnavailable("no answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            # `from None`: an error of httpx carries its request, and that the token
            raise ErpUnavailable(type(error).__name__) from None
        status = response.status_code
        if 400 <= status < 500 and status != httpx.codes.REQUEST_TIMEOUT:
            operation.maybe_done = before
        if not (response.is_success or status in readable):
            raise ErpUnavailable(f"HTTP {status}")
        return HttpAnswer(status, content)

    async def _read(self, response: httpx.Response) -> bytes:
        """The body, unpacked here so that a small one cannot grow without end."""
        match response.headers.get("content-encoding", "identity").strip().lower():
            case "identity" | "":
                unpack = None
            case "gzip":
                unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
            case _:
                raise ErpUnavailable("a body packed in an unknown way")
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += unpack.decompress(chunk, BODY_LIMIT + 1 - len(body)) if unpack else chunk
                if len(body) > BODY_LIMIT:
                    raise ErpUnavailable(f"more than {BODY_LIMIT} bytes")
        except zlib.error:
            raise ErpUnavailable("a body that cannot be unpacked") from None
        return bytes(body)


class TokenKeeper:
    """A token that runs out: fetched when needed, by one asker at a time, and again when the system refuses it."""

    def __init__(self, fetch: Callable[[], Awaitable[tuple[str, float]]]) -> None:
        """`fetch` gives the token and how many seconds it holds."""
        self._fetch = fetch
        self._lock = Lock()
        self._token = ""
        self._good_until = 0.0

    async def get(self, refused: str = "") -> str:
        """`refused`: the token that was just turned down; somebody else may have renewed it meanwhile."""
        async with self._lock:
            now = get_running_loop().time()
            if not self._token or self._token == refused or now >= self._good_until:
                self._token, holds_s = await self._fetch()
                self._good_until = now + holds_s - min(60.0, holds_s / 10)
            return self._token


@cache
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """The machine's authorities, and one more. Reading them takes a while: once."""
    trust = ssl.create_default_context()
    if ca_file:
        trust.load_verify_locations(cafile=str(ca_file))
    return trust


def _no_number(_text: str) -> Any:
    raise ValueError("NaN or Infinity")
