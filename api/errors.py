"""Errors as RFC 9457 problems for programs, and as a page for people."""

from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import pages
from ura.errors import UraError
from ura.invoice_links import PATH

log = structlog.get_logger(__name__)

DATABASE_GONE = (OperationalError, InterfaceError, PoolTimeout, ConnectionError)


class NotLoggedIn(UraError):
    code = "not-logged-in"
    http_status = 401


class Forbidden(UraError):
    code = "forbidden"
    http_status = 403


class FieldProblem(BaseModel):
    field: str
    message: str


class ProblemDetails(BaseModel):
    """RFC 9457. `code` is stable; `detail` is for a person and says what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = None


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: these and the ones that every route can have."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        status: {"model": ProblemDetails, "description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }


def problem(status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    body = {
        "type": f"urn:prosa:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


def _answer(request: Request, status: int, code: str, detail: str, **more: Any) -> Response:
    if not request.url.path.startswith("/panel"):
        return problem(status, code, detail, **more)
    if status == 401:
        if request.headers.get("HX-Request"):
            return Response(status_code=401, headers={"HX-Redirect": "/panel/login"})
        return RedirectResponse("/panel/login", status_code=303)
    return pages.page(request, "error.html", status=status, code=code, incident=more.get("incident"))


async def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, UraError)
    headers: dict[str, str] = {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if wait_s := getattr(error, "retry_after_s", 0):  # of log-ins, of requests
        headers["Retry-After"] = str(wait_s)
    if error.http_status >= 500:
        log.warning("request answered with trouble", path=_place(request), code=error.code, detail=error.message)
    return _answer(request, error.http_status, error.code, error.message, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # What was sent is not repeated: it may be somebody's telephone number.
    errors = [
        {"field": ".".join(str(part) for part in each["loc"]), "message": f"{each['msg']}."} for each in error.errors()
    ]
    fields = ", ".join(each["field"] for each in errors)
    detail = f"Correct {fields} and send again. /api/v1/openapi.json describes every field."
    return _answer(request, 422, "invalid-request", detail, errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's own, for a body in no known encoding
        detail = "The body cannot be read. Send JSON in UTF-8; /api/v1/openapi.json describes it."
        return _answer(request, 422, "invalid-request", detail)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = {
        404: "There is nothing here. /api/v1/openapi.json lists every address.",
        405: "This address does not answer that method. /api/v1/openapi.json lists what it answers.",
    }.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_at(request))
    return _answer(request, error.status_code, code, detail, headers=headers)


def _methods_at(request: Request) -> list[str]:
    """Of all routes with the path that was asked: Starlette names those of the first one alone (RFC 9110, 15.5.6)."""
    routes = [each for each in iter_route_contexts(request.app.routes) if each.methods]
    path = next(each.path for each in routes if each.path_regex.match(request.url.path))
    return sorted({method for each in routes if each.path == path for method in each.methods or ()})


async def _no_such_value(request: Request, _error: Exception) -> Response:
    """A NUL in a text, a number of thirty digits: no column could hold it, so nothing can be found or kept under it."""
    return _answer(request, 422, "bad-input", "A value is too large, or has signs that no text has. Correct it.")


async def _database_gone(request: Request, error: Exception) -> Response:
    log.error("database did not answer", path=_place(request), error=type(error).__name__)
    detail = "The database does not answer. Calls go on and are kept; try again in a moment."
    return _answer(request, 503, "database-unavailable", detail, headers={"Retry-After": "5"})


async def _unexpected(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return await _database_gone(request, error)
    incident = uuid4().hex[:12]
    log.error("unexpected error", path=_place(request), incident=incident, exc_info=error)
    detail = f"We failed, and have written down why under {incident}. Tell support that number."
    return _answer(request, 500, "internal-error", detail, incident=incident)


def install(app: FastAPI) -> None:
    app.add_exception_handler(UraError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DataError, _no_such_value)
    app.add_exception_handler(OverflowError, _no_such_value)
    for kind in DATABASE_GONE:
        app.add_exception_handler(kind, _database_gone)


def _place(request: Request) -> str:
    """The path, for the log. The end of a link in a message is a key, and is left out."""
    path = request.url.path
    return PATH if path.startswith(PATH) else path


class LastResort:
    """ASGI middleware: what nobody expected becomes one line in the log and an answer with its number."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception as error:
            if scope["type"] != "http":
                raise
            answer = await _unexpected(Request(scope), error)
            if not started:
                await answer(scope, receive, send)
