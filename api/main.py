"""The browser door. `python -m api` serves it; only this file builds objects."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api import errors, pages
from api.deps import OpenToAll, Wired
from api.live import Broadcaster
from api.metrics import Measure, Metrics
from api.reader import Reader
from api.reference import Documented
from api.routes import (
    callbacks,
    calls,
    coverage,
    entry,
    flows,
    health,
    hooks,
    hours,
    leads,
    messages,
    outages,
    panel,
    panel_callbacks,
    panel_entry,
    panel_hours,
    panel_leads,
    panel_messages,
    panel_outages,
    panel_reports,
    panel_waiting_list,
    recordings,
    reference,
    reports,
    second_copies,
    tickets,
    waiting_list,
)
from api.security import Guard
from ura import logs, settings
from ura.adapters import erp as erp_adapters
from ura.crypto import Keyring
from ura.db import Sessions, make_engine, make_sessions
from ura.erp import Erp
from ura.invoice_links import InvoiceLinks
from ura.protocol import Protocols
from ura.second_copies import SecondCopies
from ura.settings import Settings
from ura.users import LoginLimits

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 5
LONGEST_HEADER_BYTES = 16 * 1024


class KeptFiles(StaticFiles):
    """Addresses carry the file's hash, so a browser may keep what it has."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def build(config: Settings) -> FastAPI:
    """The application with everything it needs. Nothing is connected before the first request."""
    engine = make_engine(config.db_url)
    sessions = make_sessions(engine)
    reader = Reader(sessions, config)
    # Only the links of text messages ask the provider's system here.
    erp = erp_adapters.from_settings(config, sessions) if config.public_url else None
    wired = Wired(
        settings=config,
        sessions=sessions,
        limits=LoginLimits(),
        protocols=Protocols(config.state_dir / "protocol", config.node),
        broadcaster=Broadcaster(reader),
        reader=reader,
        metrics=Metrics(config.state_dir),
        second_copies=_second_copies(config, sessions, erp) if erp else None,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        reading = asyncio.create_task(wired.broadcaster.run())
        try:
            yield
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            if erp:
                await erp.close()
            await engine.dispose()

    app = Documented(
        title="Prosa",
        version="1",
        summary="Calls, leads, tickets and coverage of a telephone customer service.",
        description="Errors are RFC 9457 problems. Moments are UTC. Lists are newest first, paged by `next_cursor`. "
        "Send a token as `Authorization: Bearer …`; an administrator makes it, with scopes and an end.",
        openapi_url="/api/v1/openapi.json",
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,  # it would fetch its scripts from elsewhere; ours is api/routes/reference.py
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.wired = wired
    app.state.pages = pages.Pages(config.zone)
    errors.install(app)
    api = APIRouter(prefix="/api/v1")
    for noun in (calls, recordings, leads, tickets, callbacks, outages, messages, coverage, flows, health):
        api.include_router(noun.router)
    api.include_router(waiting_list.router)
    api.include_router(messages.opt_out_router)
    api.include_router(entry.router)
    api.include_router(hours.router)
    api.include_router(reports.router)
    api.include_router(reference.router)
    app.include_router(api)
    app.include_router(panel.router)
    app.include_router(panel_outages.router)
    app.include_router(panel_callbacks.router)
    app.include_router(panel_entry.router)
    app.include_router(panel_messages.router)
    app.include_router(panel_hours.router)
    app.include_router(panel_reports.router)
    app.include_router(panel_leads.router)
    app.include_router(panel_waiting_list.router)
    app.include_router(health.metrics_router)
    app.include_router(hooks.router)
    app.include_router(second_copies.router)
    app.add_api_route("/", _home, include_in_schema=False, dependencies=[Depends(OpenToAll("leads to the panel"))])
    app.mount("/static", KeptFiles(directory=pages.STATIC))
    app.add_middleware(errors.LastResort)
    app.add_middleware(Measure, metrics=wired.metrics)
    app.add_middleware(Guard)
    return app


def _second_copies(config: Settings, sessions: Sessions, erp: Erp) -> SecondCopies:
    links = InvoiceLinks(Keyring.of(config), config.public_url)
    return SecondCopies(sessions, erp, links, payee=config.provider_name, zone=config.zone)


async def _home(_request: Request) -> RedirectResponse:
    return RedirectResponse("/panel")


class Server(uvicorn.Server):
    """Ends the live pages first: they would keep a stopping server waiting for ever."""

    def __init__(self, config: uvicorn.Config, broadcaster: Broadcaster) -> None:
        super().__init__(config)
        self._broadcaster = broadcaster

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._broadcaster.close()
        await super().shutdown(sockets)


def make_server(config: Settings) -> Server:
    app = build(config)
    return Server(
        uvicorn.Config(
            app,
            host=config.http_host,
            port=config.http_port,
            log_config=None,  # ura.logs has it
            access_log=False,  # paths may hold what was searched for
            proxy_headers=False,  # anybody could send them
            server_header=False,
            h11_max_incomplete_event_size=LONGEST_HEADER_BYTES,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        ),
        app.state.wired.broadcaster,
    )


def main() -> None:
    config = settings.load_for("api")
    logs.configure(environment=config.environment, level=config.log_level)
    log.info("api starts", host=config.http_host, port=config.http_port)
    make_server(config).run()
