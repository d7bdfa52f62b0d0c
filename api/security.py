"""What stands before every route: who may send a form here, and what a browser may do with our pages."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem

SESSION_COOKIE = "prosa_session"
SECURE_SESSION_COOKIE = "__Host-prosa_session"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

# Nothing inline, nothing from elsewhere: a caller's name that reaches a page as markup still could not run.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), payment=()",
}
STRICT_TRANSPORT = "max-age=31536000"


def is_foreign(method: str, headers: Headers) -> bool:
    """Does this request change something here on behalf of another site?

    1. reading is never foreign; 2. browsers say where a request comes from in `Sec-Fetch-Site`, and a page cannot
    forge it: only `same-origin` and `none` (typed by the person) pass; 3. older browsers send `Origin`, which must
    name the host that was asked; 4. neither header: a program; it sends a token, or has no business with a log-in.
    """
    if method in _SAFE:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    by_token = headers.get("authorization", "").lower().startswith("bearer ")
    return not by_token and SESSION_COOKIE in headers.get("cookie", "")


def came_by_https(scope_scheme: str, headers: Headers) -> bool:
    """TLS usually ends at a proxy before us, and proxy headers are not believed; the browser's own `Origin`, which
    has just been checked against the host, says which scheme the person sees."""
    return scope_scheme == "https" or urlsplit(headers.get("origin", "")).scheme == "https"


class Guard:
    """ASGI middleware: refuses foreign changes, adds the security headers. Streams pass through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        https = scope["scheme"] == "https"
        kept = scope["path"].startswith("/static/")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if https:
                    headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
                if not kept:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if is_foreign(scope["method"], Headers(scope=scope)):
            detail = "This request came from another site. Open the panel and do it there; programs send a token."
            await problem(403, "foreign-origin", detail)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)
