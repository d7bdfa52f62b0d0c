"""Whom this process knows: subscribers as the provider's system told of them, in memory for as long as a question of
their call may follow."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from ura import outages, subscribers
from ura.caller_lookups.house import House
from ura.caller_lookups.standing import Standing
from ura.erp import Answer, Contract, Reply, Subscriber, Unsupported
from ura.errors import Unavailable
from ura.prompts import name_key
from ura.remembered import Remembered

Json = Any
Args = dict[str, Json]
T = TypeVar("T")

FRESH_S = 60.0  # so old may be what is known of a contract
KEPT_S = 3600.0  # and of a person: the longest call
NUMBER_KEPT_S = 30.0  # the greeting asks, and the flow again half a minute later
OUTAGES_KEPT = timedelta(seconds=1)  # each greeting asks; an outage opened just now is told from so much later on
MOST_KEPT = 2000
MOST_OF_A_NUMBER = 3  # more people than a family on one line is a switchboard


@dataclass(frozen=True, slots=True)
class Known:
    """A subscriber as the system told of it `at` that moment; `contracts` without those that no call is about, as they
    were `as_of`: a system that is away is answered for from memory."""

    subscriber: Subscriber = field(repr=False)
    contracts: tuple[Contract, ...]
    source: str
    at: float
    as_of: datetime


class Callers:
    """One a process. Besides: the clock and the voice of the lookups, so that all tell a moment or a name alike."""

    def __init__(self, house: House, *, now: Callable[[], datetime], wait: Callable[[float], Awaitable[None]]) -> None:
        self.house = house
        self.now = now
        self.wait = wait
        self.standing = Standing(house, now)
        self._known: dict[str, Known] = {}
        self._numbers = Remembered(self._ask_number, {"number": NUMBER_KEPT_S})
        self._outage_anywhere = (datetime.min.replace(tzinfo=UTC), False)

    # -- whom we know

    async def of_number(self, caller: str) -> list[Known]:
        """Everybody with this number, E.164; nobody when it is a switchboard's or withheld."""
        if not caller:
            return []
        found: list[Known] = (await self._numbers("number", {"caller": caller}))["found"]
        return found

    async def is_outage_anywhere(self) -> bool:
        """As of OUTAGES_KEPT ago at the most."""
        now, (at, found) = self.now(), self._outage_anywhere
        if not at <= now < at + OUTAGES_KEPT:
            async with self.house.sessions() as session:
                found = await outages.is_any_open(session, now=now)
            self._outage_anywhere = (now, found)
        return found

    async def learn(self, subscriber: Subscriber, source: str) -> Known:
        answer = answered(await self.house.erp.list_contracts(subscriber.id))
        contracts = subscribers.current_contracts(answer.value)
        known = Known(subscriber, contracts, source, monotonic(), answer.as_of)
        if len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[subscriber.id] = known
        return known

    async def get(self, args: Args) -> Known:
        """The one of `subscriber_id`: from memory, else from the system: another process may have begun the call.
        Raises Unavailable."""
        subscriber_id = str(args["subscriber_id"])
        known = self._known.get(subscriber_id)
        age_s = monotonic() - known.at if known else KEPT_S
        if known and age_s < FRESH_S:
            return known
        if known and age_s < KEPT_S:
            return await self.learn(known.subscriber, known.source)
        for contract in value_of(await self.house.erp.list_contracts(subscriber_id)):
            reply = await self.house.erp.find_by_contract(contract.number)
            found = value_of(reply)
            if found is not None and found.id == subscriber_id:
                return await self.learn(found, reply.source)
        raise Unavailable("this subscriber is no longer there")

    async def get_contract(self, args: Args) -> tuple[Known, Contract]:
        """The one of `subscriber_id` and `contract_id`. Raises Unavailable."""
        known = await self.get(args)
        for contract in known.contracts:
            if contract.id == args["contract_id"]:
                return known, contract
        raise Unavailable("this contract is no longer there")

    def doubt(self, subscriber_id: str) -> None:
        """Something was changed: ask the system again before the next answer about this subscriber's contracts."""
        known = self._known.get(subscriber_id)
        if known:
            self._known[subscriber_id] = replace(known, at=known.at - FRESH_S)

    async def _ask_number(self, name: str, args: Args) -> dict[str, Json]:
        reply = await self.house.identification.by_number(args["caller"])
        people = () if isinstance(reply, Unsupported) else reply.value
        if len(people) > MOST_OF_A_NUMBER:
            people = ()
        return {"found": [await self.learn(each, reply.source) for each in people]}

    # -- how it is told

    def today(self) -> date:
        return self.now().astimezone(self.house.zone).date()

    def local(self, moment: datetime | None) -> str | None:
        """As it is spoken: local, without its zone."""
        if moment is None:
            return None
        return moment.astimezone(self.house.zone).replace(tzinfo=None).isoformat(timespec="minutes")

    def spoken(self, name: str) -> str:
        """The prompt key, "" when nobody has rendered it yet; the next caller will hear it."""
        if not name.strip():
            return ""
        key = name_key(name)
        if self.house.can_speak(key):
            return key
        self.house.want_name(name)
        return ""


def value_of(reply: Reply[T]) -> T:
    return answered(reply).value


def answered(reply: Reply[T]) -> Answer[T]:
    if isinstance(reply, Answer):
        return reply
    raise Unavailable(f"{reply.source} cannot do {reply.operation}")


def keyed(number: str) -> str:
    """A contract's number as it is keyed: its digits, without zeros in front."""
    return re.sub(r"[^0-9]", "", number).lstrip("0")
