"""What a call may ask about its caller. Read only; trouble is Unavailable, never a false "none".

arrival.py what must be known before the menu?   house.py    what the lookups ask, put together by a door
people.py  who is it, and is it really they?     callers.py  whom this process knows, and what may be told of them
line.py    what is with the line?                standing.py what we have said of everybody, or of this number
money.py   what is owed?                         wishes.py   what became of what the caller wanted done
follow.py  what is unfinished, and how it stands
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ura.caller_lookups import arrival, follow, line, money, people, wishes
from ura.caller_lookups.callers import Args, Callers, Json
from ura.caller_lookups.house import House
from ura.errors import Unavailable, UraError

__all__ = ["CallerLookups", "House"]

log = structlog.get_logger(__name__)

DEADLINE_S = 8.0

LOOKUPS: Mapping[str, Callable[[Callers, Args], Awaitable[dict[str, Json]]]] = MappingProxyType(
    {
        "standing": arrival.standing,
        "arrival": arrival.arrival,
        "open_ticket": follow.open_ticket,
        "visit_slots": follow.visit_slots,
        "visit_moved": follow.visit_moved,
        "who_calls": people.who_calls,
        "find_subscriber": people.find_subscriber,
        "check_factor": people.check_factor,
        "targets": people.targets,
        "diagnose": line.diagnose,
        "session_back": line.session_back,
        "outage_for_caller": line.outage_for_caller,
        "open_invoices": money.open_invoices,
        "invoice_line": money.invoice_line,
        "may_unlock": money.may_unlock,
        "promise_days": money.promise_days,
        "service_first": money.service_first,
        "erp_result": wishes.erp_result,
        "message_state": wishes.message_state,
    }
)


def utc_now() -> datetime:
    return datetime.now(UTC)


class CallerLookups:
    """One a process."""

    names = frozenset(LOOKUPS)

    def __init__(
        self,
        house: House,
        *,
        now: Callable[[], datetime] = utc_now,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._callers = Callers(house, now=now, wait=wait)

    async def __call__(self, name: str, args: Args) -> dict[str, Json]:
        """Raises Unavailable, and nothing else that is expected; it names neither the caller nor what was keyed."""
        lookup = LOOKUPS.get(name)
        if lookup is None:
            raise Unavailable(f"no lookup is called {name!r}")
        try:
            async with asyncio.timeout(max(DEADLINE_S, float(args.get("within_s", 0)) + 1)):
                return await lookup(self._callers, args)
        except Unavailable:
            raise
        except (UraError, SQLAlchemyError, OSError, KeyError, ValueError, TypeError) as error:
            log.error("lookup failed; the caller hears so and is offered a person", lookup=name, error=_safe(error))
            raise Unavailable(f"lookup {name} failed: {type(error).__name__}") from None


def _safe(error: Exception) -> str:
    """What may be logged: our own words, else only what it was; another's words could repeat what was keyed."""
    return error.message if isinstance(error, UraError) else type(error).__name__
