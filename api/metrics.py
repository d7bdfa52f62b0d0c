"""Figures for Prometheus. Base units, no caller's data in a label, routes by their pattern."""

import time
from pathlib import Path

from fastapi.routing import iter_route_contexts
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ura.metrics import OtherDoors

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """One registry an application, so that tests and doors do not meet in a global one. Figures of the doors that have
    no HTTP come from the files in the state folder."""

    def __init__(self, state_dir: Path) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(OtherDoors(state_dir))
        self.requests = Counter(
            "ura_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "ura_http_request_seconds", "Time to the first byte.", ("method", "route"), registry=self.registry
        )
        self.calls_live = Gauge("ura_calls_live", "Calls in progress.", registry=self.registry)
        self.waiting = Gauge("ura_journal_waiting_records", "Records not in the database yet.", registry=self.registry)
        self.followers = Gauge("ura_panel_followers", "Open live pages.", registry=self.registry)

    def text(self) -> bytes:
        """Reads files."""
        return generate_latest(self.registry)


class Measure:
    """ASGI middleware around the routes: counts and times them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._patterns: dict[int, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = self._pattern(scope)
                self._metrics.requests.labels(scope["method"], route, str(message["status"])).inc()
                self._metrics.seconds.labels(scope["method"], route).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, send_counted)

    def _pattern(self, scope: Scope) -> str:
        """The whole path of the route, as it was written; a route itself only knows the part after its router's."""
        if not self._patterns:
            self._patterns = {
                id(each.original_route): each.path or "" for each in iter_route_contexts(scope["app"].routes)
            }
        return self._patterns.get(id(scope.get("route"))) or "other"
