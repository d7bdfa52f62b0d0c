"""One POST to a gateway of messages, with the limits that each of them gets.

5 s in all; redirects are not followed; of an answer 64 KiB are read. Neither the address nor what was sent is in any
error: tokens and telephone numbers stand in both.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from ura import logs
from ura.gateways import NeverTaken, TryLater

DEADLINE_S = 5.0
LARGEST_ANSWER = 64 * 1024
LONGEST_WAIT = timedelta(hours=24)
BUSY = frozenset({408, 425, 429})
ACCOUNT = frozenset({401, 402, 403, 407})  # our own log-in, our own bill: nothing is wrong with the message
NOT_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


async def post(
    client: httpx.AsyncClient, url: str, *, deadline_s: float = DEADLINE_S, method: str = "POST", **what: Any
) -> tuple[httpx.Response, bytes]:
    """The answer, whatever its status. Raises TryLater when there is none, or one that cannot be read to its end."""
    try:
        async with (
            asyncio.timeout(deadline_s),
            client.stream(method, url, timeout=deadline_s, follow_redirects=False, **what) as answer,
        ):
            body = b""
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise TryLater("the answer is too long to be one", maybe_taken=True)
            return answer, body
    except NOT_ARRIVED as error:
        raise TryLater(type(error).__name__) from error
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise TryLater(type(error).__name__, maybe_taken=True) from error


def refuse(answer: httpx.Response, said: str = "") -> None:
    """Raise what a status outside of 2xx means; nothing for 2xx. `said`: the gateway's own words."""
    if answer.is_success:
        return
    words = f"HTTP {answer.status_code} {logs.redact(said)}".strip()[:300]
    status = answer.status_code
    if status in ACCOUNT or status in BUSY or status >= 500 or status < 400:
        raise TryLater(words, after=retry_after(answer), maybe_taken=status >= 500)
    raise NeverTaken(words)


def retry_after(answer: httpx.Response) -> timedelta | None:
    """`Retry-After`, in seconds or as a moment; at most a day."""
    written = answer.headers.get("Retry-After", "")
    try:
        wait = timedelta(seconds=int(written)) if written.isdecimal() else parsedate_to_datetime(written) - now_utc()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_WAIT)


def now_utc() -> datetime:
    return datetime.now(UTC)


def parsed(body: bytes) -> Any:
    """The JSON, or None."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def dig(data: Any, path: str) -> Any:
    """`messages.0.id` in it, or None. An empty path is nothing."""
    for part in path.split(".") if path else [""]:
        match data:
            case dict() if part in data:
                data = data[part]
            case list() if part.isdecimal() and int(part) < len(data):
                data = data[int(part)]
            case _:
                return None
    return data


def text_at(data: Any, path: str) -> str:
    """The text or number there; "" for anything else. Without what PostgreSQL refuses: NUL, halves of a sign."""
    found = dig(data, path)
    if not isinstance(found, str | int) or isinstance(found, bool):
        return ""
    return str(found).replace("\0", "").encode("utf-8", "replace").decode()


def list_at(data: Any, path: str) -> list[Any]:
    found = dig(data, path)
    return found if isinstance(found, list) else []
