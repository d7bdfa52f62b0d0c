"""The browser door. `python -m api` serves it; only this file builds objects."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import structlog
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api import errors, pages
from api.deps import OpenToAll, Wired
from api.event_feed import EventFeed, Table
from api.idempotency import AnsweredBefore, Answers, tell_again
from api.limits import Limited, RequestLimits
from api.live import Broadcaster
from api.metrics import Measure, Metrics
from api.patience import Patience
from api.reader import Reader
from api.reference import Documented
from api.routes import (
    audit,
    callbacks,
    calls,
    coverage,
    entry,
    events,
    exports,
    flows,
    health,
    hooks,
    hours,
    incidents,
    leads,
    messages,
    orders,
    outages,
    panel,
    panel_agenda,
    panel_callbacks,
    panel_entry,
    panel_hours,
    panel_leads,
    panel_messages,
    panel_outages,
    panel_privacy,
    panel_reports,
    panel_ticket,
    panel_tickets,
    panel_waiting_list,
    privacy,
    queues,
    recordings,
    reference,
    reports,
    second_copies,
    sla,
    subscribers,
    ticket_categories,
    tickets,
    tokens,
    users,
    waiting_list,
    webhooks,
)
from api.security import Guard
from ura import logs, settings
from ura.adapters import erp as erp_adapters
from ura.crypto import Keyring
from ura.db import Sessions, make_engine, make_lookups, make_sessions
from ura.erp import Erp
from ura.invoice_links import InvoiceLinks
from ura.protocol import Protocols
from ura.rulebook import Rulebook
from ura.second_copies import SecondCopies
from ura.settings import Settings
from ura.users import LoginLimits

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 5
RULES_KEPT_S = 1.0  # those that another process changed hold so much later
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
    rulebook = Rulebook(RULES_KEPT_S)
    sessions, lookups = make_sessions(engine, config.place, rulebook), make_lookups(engine, config.place)
    reader = Reader(lookups, config)
    keyring = Keyring.of(config)
    # Only the links of text messages ask the provider's system here.
    erp = erp_adapters.from_settings(config, sessions) if config.public_url else None
    wired = Wired(
        settings=config,
        sessions=sessions,
        lookups=lookups,
        rulebook=rulebook,
        limits=LoginLimits(),
        protocols=Protocols(config.state_dir / "protocol", config.node),
        broadcaster=Broadcaster(reader),
        events=EventFeed(Table(lookups)),
        reader=reader,
        metrics=Metrics(config.state_dir),
        keyring=keyring,
        answers=Answers(lookups, keyring),
        request_limits=RequestLimits(
            per_actor=config.api_requests_per_minute, per_source=config.source_requests_per_minute
        ),
        second_copies=_second_copies(config, sessions, erp) if erp else None,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        reading = [asyncio.create_task(wired.broadcaster.run()), asyncio.create_task(wired.events.run())]
        try:
            yield
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
            if erp:
                await erp.close()
            await engine.dispose()

    app = Documented(
        title="Prosa",
        version="1",
        summary="Calls, leads, tickets and coverage of a telephone customer service.",
        description="Errors are RFC 9457 problems. Moments are UTC. Lists are newest first, paged by `next_cursor`. "
        "Send a token as `Authorization: Bearer …`; an administrator makes it, with scopes and an end. A POST that is "
        "sent again with its `Idempotency-Key` is not done again; a change with `If-Match` overwrites nothing unseen.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # it would fetch its scripts from elsewhere; ours is api/routes/reference.py
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.wired = wired
    app.state.pages = pages.Pages(config.zone)
    errors.install(app)
    app.add_exception_handler(AnsweredBefore, tell_again)
    app.router.routes.extend(_table().routes)
    app.mount("/static", KeptFiles(directory=pages.STATIC))
    app.add_middleware(Patience)
    app.add_middleware(errors.LastResort)
    app.add_middleware(Limited, limits=wired.request_limits)
    app.add_middleware(Measure, metrics=wired.metrics)
    app.add_middleware(Guard)
    return app


@cache
def _table() -> FastAPI:
    """Every route. Read once a process: with what each of them takes and answers that is seconds of work, and a process
    may build more than one application (tests do)."""
    table = FastAPI(openapi_url=None, generate_unique_id_function=lambda route: route.name)
    api = APIRouter(prefix="/api/v1")
    api.include_router(exports.router)
    for noun in (calls, recordings, leads, tickets, callbacks, outages, messages, coverage, flows, health):
        api.include_router(noun.router)
    api.include_router(ticket_categories.router)
    api.include_router(sla.router)
    api.include_router(orders.router)
    api.include_router(incidents.router)
    for noun in (subscribers, queues, users, tokens, audit):
        api.include_router(noun.router)
    api.include_router(waiting_list.router)
    api.include_router(messages.opt_out_router)
    api.include_router(entry.router)
    api.include_router(hours.router)
    api.include_router(reports.router)
    api.include_router(privacy.router)
    api.include_router(events.router)
    api.include_router(webhooks.router)
    api.include_router(reference.router)
    table.include_router(api)
    table.include_router(panel.router)
    table.include_router(panel_outages.router)
    table.include_router(panel_privacy.router)
    table.include_router(panel_callbacks.router)
    table.include_router(panel_agenda.router)
    table.include_router(panel_tickets.router)
    table.include_router(panel_ticket.router)  # after the list: its addresses begin with an id
    table.include_router(panel_entry.router)
    table.include_router(panel_messages.router)
    table.include_router(panel_hours.router)
    table.include_router(panel_reports.router)
    table.include_router(panel_leads.router)
    table.include_router(panel_waiting_list.router)
    table.include_router(health.metrics_router)
    table.include_router(hooks.router)
    table.include_router(second_copies.router)
    table.add_api_route("/", _home, include_in_schema=False, dependencies=[Depends(OpenToAll("leads to the panel"))])
    return table


def _second_copies(config: Settings, sessions: Sessions, erp: Erp) -> SecondCopies:
    links = InvoiceLinks(Keyring.of(config), config.public_url)
    return SecondCopies(sessions, erp, links, payee=config.provider_name, zone=config.zone)


async def _home(_request: Request) -> RedirectResponse:
    return RedirectResponse("/panel")


class Server(uvicorn.Server):
    """Ends the live pages and streams first: they would keep a stopping server waiting for ever."""

    def __init__(self, config: uvicorn.Config, *streams: Broadcaster | EventFeed) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for stream in self._streams:
            stream.close()
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
        app.state.wired.events,
    )


def main() -> None:
    config = settings.load_for("api", "secret_key")
    logs.configure(environment=config.environment, level=config.log_level)
    log.info("api starts", host=config.http_host, port=config.http_port)
    make_server(config).run()
