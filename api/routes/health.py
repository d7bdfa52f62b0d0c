"""Is it well? A word for load balancers, the details for people, figures for Prometheus."""

import asyncio
import ipaddress
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Annotated, Literal

import fastapi
from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api import metrics
from api.deps import HealthReader, OpenToAll, Rule, Wired, WiredDep, allow, bearer_token
from api.errors import described
from ura import access_log, health
from ura.access_log import Alarm
from ura.health import Pulse
from ura.users import Permission

router = APIRouter(tags=["health"])
metrics_router = APIRouter(include_in_schema=False)

DATABASE_WITHIN_S = 2.0
ALARMS_OF = timedelta(hours=24)
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")


class Health(BaseModel):
    status: Literal["ok", "degraded"]


class PartHealth(BaseModel):
    name: str
    pulse: Pulse
    seconds_ago: float | None


class AlarmAnswer(BaseModel):
    at: datetime
    actor: str
    records: int


class HealthDetails(Health):
    database: str
    journal_waiting: int
    calls_live: int | None
    alarms: list[AlarmAnswer]
    parts: list[PartHealth]
    versions: dict[str, str]


@router.get("/health", summary="Is it well? (no log-in)")
async def get_health(
    things: WiredDep, response: Response, _open: Annotated[None, Depends(OpenToAll("load balancers have no token"))]
) -> Health:
    """503 when the database does not answer; calls are then answered and kept all the same."""
    database, _ = await _ask_database(things)
    response.status_code = 200 if database else 503
    return Health(status="ok" if database else "degraded")


@router.get("/health/details", summary="Each part, and what waits", responses=described())
async def get_details(things: WiredDep, _actor: HealthReader) -> HealthDetails:
    database, live = await _ask_database(things)
    waiting = await things.reader.waiting()
    parts = [health.pulse(things.settings.state_dir, name) for name in health.PARTS]
    well = bool(database) and not waiting and all(part.pulse is not Pulse.SILENT for part in parts)
    return HealthDetails(
        status="ok" if well else "degraded",
        database=database or "away",
        journal_waiting=waiting,
        calls_live=live,
        alarms=[AlarmAnswer(at=each.at, actor=each.actor, records=each.records) for each in await _alarms(things)],
        parts=[PartHealth(name=part.name, pulse=part.pulse, seconds_ago=part.seconds_ago) for part in parts],
        versions={"prosa": _own_version(), "python": platform.python_version(), "fastapi": fastapi.__version__},
    )


async def _alarms(things: Wired) -> Sequence[Alarm]:
    try:
        async with asyncio.timeout(DATABASE_WITHIN_S), things.sessions() as session:
            return await access_log.list_alarms(session, since=datetime.now(UTC) - ALARMS_OF)
    except (SQLAlchemyError, OSError, TimeoutError):
        return ()


def _is_near(request: Request) -> bool:
    """Behind a proxy everybody seems to be on this machine: then nobody is near."""
    if request.client is None or any(name in request.headers for name in PROXY_HEADERS):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Scraper(Rule):
    """A scraper on this machine needs no token; any other needs metrics:read."""

    async def __call__(
        self,
        request: Request,
        things: WiredDep,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)],
    ) -> None:
        if not _is_near(request):
            token = bearer.credentials if bearer else None
            await allow(request, things, Permission.METRICS_READ, bearer=token)


@metrics_router.get("/metrics")
async def scrape(things: WiredDep, _allowed: Annotated[None, Depends(Scraper())]) -> Response:
    _, live = await _ask_database(things)
    waiting = await things.reader.waiting()
    things.metrics.waiting.set(waiting)
    things.metrics.followers.set(things.broadcaster.followers)
    things.metrics.calls_live.set(float("nan") if live is None else live)
    return Response(await asyncio.to_thread(things.metrics.text), media_type=metrics.CONTENT_TYPE)


async def _ask_database(things: Wired) -> tuple[str, int | None]:
    """Its version and the calls in progress; "" when it does not answer in time."""
    try:
        async with asyncio.timeout(DATABASE_WITHIN_S), things.sessions() as session:
            return await health.ask_database(session), await health.count_live(session)
    except (SQLAlchemyError, OSError, TimeoutError):
        return "", None


def _own_version() -> str:
    try:
        return version("prosa")
    except ImportError:
        return "from a clone"
