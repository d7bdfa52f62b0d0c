"""What a flow may ask the house. Read only, each within two seconds; trouble is Unavailable, never a false "none"."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ura import calls, coverage, queues, sla
from ura.coverage import Place
from ura.db import Sessions
from ura.errors import Unavailable, UraError
from ura.models import Audience
from ura.settings import Settings

log = structlog.get_logger(__name__)

Json = Any
Args = dict[str, Json]
DEADLINE_S = 2.0
REPEAT_CALL_WITHIN = timedelta(hours=2)
THIS_CALL = timedelta(seconds=5)  # a call that began this short ago is the one that asks


Ask = Callable[[str, Args], Awaitable[dict[str, Json]]]


def utc_now() -> datetime:
    return datetime.now(UTC)


def either(first: "NamedLookups", other: Ask) -> Ask:
    """One function for both: `first` answers what it has a name for."""

    async def ask(name: str, args: Args) -> dict[str, Json]:
        return await (first if name in first.names else other)(name, args)

    return ask


class NamedLookups(Protocol):
    @property
    def names(self) -> Collection[str]: ...
    async def __call__(self, name: str, args: Args) -> dict[str, Json]: ...


class Lookups:
    """One a process. `recent_calls` counts what the projector has written: a call of the last second may be missing."""

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        *,
        now: Callable[[], datetime] = utc_now,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._sessions = sessions
        self._zone = settings.zone
        self._uf = settings.state_uf
        self._now = now
        self._deadline_s = deadline_s

    async def __call__(self, name: str, args: Args) -> dict[str, Json]:
        """Raises Unavailable, and nothing else."""
        lookup = self._lookups.get(name)
        if lookup is None:
            raise Unavailable(f"no lookup is called {name!r}")
        try:
            async with asyncio.timeout(self._deadline_s), self._sessions() as session:
                return await lookup(self, session, args)
        except (SQLAlchemyError, OSError, UraError, KeyError, ValueError, TypeError) as error:
            log.error("lookup failed; the caller hears so and is offered a person", lookup=name, error=repr(error))
            raise Unavailable(f"lookup {name} failed: {type(error).__name__}") from error

    async def _cities(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        cities = await coverage.list_cities(session)
        return {"cities": [{"id": city.id, "name": city.name, "prompt": city.prompt_key} for city in cities]}

    async def _neighbourhoods(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        return _listed(await coverage.list_neighbourhoods(session, city_id=int(args["city_id"])))

    async def _by_keys(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        found = await coverage.find_by_keys(session, city_id=int(args["city_id"]), keys=str(args["keys"]))
        return _listed(found)

    async def _by_cep(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        return _listed(await coverage.find_by_cep(session, str(args["cep"])))

    async def _neighbourhood(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        return _heard(await coverage.get_neighbourhood(session, int(args["id"])))

    async def _plans(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        offers = await coverage.list_offers(
            session,
            neighbourhood_id=int(args["neighbourhood_id"]),
            audience=Audience(args["audience"]),
            today=self._now().astimezone(self._zone).date(),
        )
        plans = [
            {
                "id": offer.id,
                "name": offer.name,
                "prompt": offer.prompt_key,
                "speed_mbps": offer.speed_mbps,
                "price": f"{offer.price:.2f}",
                "setup_price": f"{offer.setup_price:.2f}",
                "conditions_prompt": offer.conditions_prompt_key,
            }
            for offer in offers
        ]
        return {"plans": plans}

    async def _opening(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        found = await queues.opening(session, str(args["queue"]), self._now(), zone=self._zone, state_uf=self._uf)
        opens_at = found.opens_at.strftime("%Y-%m-%dT%H:%M") if found.opens_at else None
        return {"open": found.open, "opens_at": opens_at}

    async def _deadline(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        """`until`: local, with its zone; null when nobody comes in time to keep any promise."""
        found = await sla.deadline(
            session,
            str(args["queue"]),
            now=self._now(),
            hours=float(args["hours"]),
            zone=self._zone,
            state_uf=self._uf,
        )
        return {"until": found.isoformat() if found else None}

    async def _max_wait(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        limits = await queues.wait_limits(session, str(args["queue"]))
        return {"seconds": limits.max_wait_s, "callers_per_attendant": limits.callers_per_attendant}

    async def _talk_time(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        return {"seconds": await queues.mean_talk_s(session, str(args["queue"]), self._now())}

    async def _recent_calls(self, session: AsyncSession, args: Args) -> dict[str, Json]:
        now = self._now()
        since, until = now - REPEAT_CALL_WITHIN, now - THIS_CALL
        count = await calls.count_between(session, caller=str(args["caller"] or ""), since=since, until=until)
        return {"count": count}

    _lookups: ClassVar["dict[str, Callable[[Lookups, AsyncSession, Args], Awaitable[dict[str, Json]]]]"] = {
        "cities": _cities,
        "neighbourhoods": _neighbourhoods,
        "neighbourhoods_by_keys": _by_keys,
        "neighbourhood_by_cep": _by_cep,
        "neighbourhood": _neighbourhood,
        "plans": _plans,
        "opening": _opening,
        "deadline": _deadline,
        "max_wait": _max_wait,
        "talk_time": _talk_time,
        "recent_calls": _recent_calls,
    }


def _listed(places: list[Place]) -> dict[str, Json]:
    return {"neighbourhoods": [_heard(place) for place in places]}


def _heard(place: Place) -> dict[str, Json]:
    return {
        "id": place.id,
        "name": place.name,
        "prompt": place.prompt_key,
        "status": place.status.value,
        "forecast_on": place.forecast_on.isoformat() if place.forecast_on else None,
    }
