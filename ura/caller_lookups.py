"""What a call may ask about its caller: who it is, how the line is, what is owed, what became of a wish. Read only.

Trouble is Unavailable, never a false "none", and names neither the caller nor what was keyed. What the provider's
system told of a subscriber is kept in memory for as long as a question of the call may follow.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from time import monotonic
from typing import Any, ClassVar, Protocol, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ura import billing, boleto, contacts, erp_requests, invoice_copies, outages, outbox, subscribers
from ura.billing import Policy
from ura.db import Sessions
from ura.erp import Answer, Contract, Erp, Reply, SendChannel, Subscriber, Unsupported
from ura.errors import Unavailable, UraError
from ura.models import AttemptKind
from ura.network import Diagnosis, OutageFacts, Verdict
from ura.prompts import name_key
from ura.remembered import Remembered
from ura.subscribers import Checked, Found

log = structlog.get_logger(__name__)

Json = Any
Args = dict[str, Json]
T = TypeVar("T")

DEADLINE_S = 8.0
FRESH_S = 60.0  # so old may be what is known of a contract
KEPT_S = 3600.0  # and of a person: the longest call
NUMBER_KEPT_S = 30.0  # the greeting asks, and the flow again half a minute later
MOST_KEPT = 2000
MOST_OF_A_NUMBER = 3  # more people than a family on one line is a switchboard
POLL_S, LONGEST_POLL_S = 0.1, 0.5
ANSWER_WITHIN_S = 7.5
LOOK_AGAIN_S = 2.0
RESET_TOOK = timedelta(seconds=30)
TAIL = 3
UP = (Verdict.GOOD, Verdict.WEAK)


class Identifies(Protocol):
    """ura.subscribers.Identification."""

    async def by_number(self, phone: str) -> Reply[tuple[Subscriber, ...]]: ...
    async def by_keys(self, kind: AttemptKind, digits: str, *, caller: str) -> Found: ...
    async def check_factor(self, subscriber: Subscriber, digits: str, *, source: str, caller: str) -> Checked: ...


class Diagnoses(Protocol):
    """ura.adapters.network.Network."""

    async def diagnose(self, contract: Contract) -> Diagnosis: ...


@dataclass(frozen=True, slots=True)
class House:
    """What the lookups ask, put together by the door. `channels`: those with a gateway, in the order in which they are
    offered; `can_speak`: is there audio for this prompt key? `want_name`: have this name rendered for the next call."""

    erp: Erp
    identification: Identifies
    network: Diagnoses
    sessions: Sessions
    policy: Policy
    zone: tzinfo
    channels: Collection[SendChannel] = ()
    can_speak: Callable[[str], bool] = lambda key: True
    want_name: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class _Known:
    """A subscriber as the system told of it `at` that moment; `contracts` without those that no call is about."""

    subscriber: Subscriber = field(repr=False)
    contracts: tuple[Contract, ...]
    source: str
    at: float


def utc_now() -> datetime:
    return datetime.now(UTC)


class CallerLookups:
    """One a process."""

    def __init__(
        self,
        house: House,
        *,
        now: Callable[[], datetime] = utc_now,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._house = house
        self._now = now
        self._wait = wait
        self._known: dict[str, _Known] = {}
        self._numbers = Remembered(self._ask_number, {"number": NUMBER_KEPT_S})

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._lookups)

    async def __call__(self, name: str, args: Args) -> dict[str, Json]:
        """Raises Unavailable, and nothing else that is expected."""
        lookup = self._lookups.get(name)
        if lookup is None:
            raise Unavailable(f"no lookup is called {name!r}")
        try:
            async with asyncio.timeout(max(DEADLINE_S, float(args.get("within_s", 0)) + 1)):
                return await lookup(self, args)
        except Unavailable:
            raise
        except (UraError, SQLAlchemyError, OSError, KeyError, ValueError, TypeError) as error:
            log.error("lookup failed; the caller hears so and is offered a person", lookup=name, error=_safe(error))
            raise Unavailable(f"lookup {name} failed: {type(error).__name__}") from None

    # -- who

    async def _who_calls(self, args: Args) -> dict[str, Json]:
        """One subscriber with this number, or nobody: of two the number does not tell which."""
        caller = str(args["caller"] or "")
        found = await self._of_number(caller)
        return self._told(found[0] if len(found) == 1 else None, caller)

    async def _find_subscriber(self, args: Args) -> dict[str, Json]:
        by_contract = args["by"] == "contract"
        kind = AttemptKind.CONTRACT if by_contract else AttemptKind.DOCUMENT
        digits, caller = str(args["digits"]), str(args.get("caller") or "")
        found = await self._house.identification.by_keys(kind, digits, caller=caller)
        if not found.supported:
            raise Unavailable(f"{found.source} cannot search by {kind.value}")
        if found.subscriber is None:
            return {"subscriber": None, "contracts": [], "locked": found.locked}
        known = await self._learn(found.subscriber, found.source)
        keyed = [each for each in known.contracts if _keys(each.number) == _keys(digits)]
        return self._told(known, caller, keyed or None) if by_contract else self._told(known, caller)

    async def _check_factor(self, args: Args) -> dict[str, Json]:
        known = await self._find_known(str(args["subscriber_id"]))
        checked = await self._house.identification.check_factor(
            known.subscriber, str(args["digits"]), source=known.source, caller=str(args.get("caller") or "")
        )
        return {"right": checked.right, "locked": checked.locked}

    def _told(self, known: _Known | None, caller: str, only: Sequence[Contract] | None = None) -> dict[str, Json]:
        if known is None:
            return {"subscriber": None, "contracts": [], "locked": False}
        subscriber = {
            "id": known.subscriber.id,
            "kind": known.subscriber.kind.value,
            "can_verify": subscribers.can_verify(known.subscriber, caller=caller),
        }
        contracts = known.contracts if only is None else only
        return {"subscriber": subscriber, "contracts": [self._row(each, known.source) for each in contracts]}

    def _row(self, contract: Contract, source: str) -> dict[str, Json]:
        """A contract as the flow knows it: street and neighbourhood as far as they can be spoken, never the house."""
        return {
            "id": contract.id,
            "number_tail": _keys(contract.number)[-TAIL:],
            "street_prompt": self._spoken(contract.street),
            "neighbourhood_prompt": self._spoken(contract.neighbourhood),
            "status": contract.status.value,
            "segment": contract.segment,
            "source": source,
        }

    def _spoken(self, name: str) -> str:
        """The prompt key, "" when nobody has rendered it yet; the next caller will hear it."""
        if not name.strip():
            return ""
        key = name_key(name)
        if self._house.can_speak(key):
            return key
        self._house.want_name(name)
        return ""

    # -- what is known

    async def _of_number(self, caller: str) -> list[_Known]:
        if not caller:
            return []
        found: list[_Known] = (await self._numbers("number", {"caller": caller}))["found"]
        return found

    async def _ask_number(self, name: str, args: Args) -> dict[str, Json]:
        reply = await self._house.identification.by_number(args["caller"])
        people = () if isinstance(reply, Unsupported) else reply.value
        if len(people) > MOST_OF_A_NUMBER:
            people = ()
        return {"found": [await self._learn(each, reply.source) for each in people]}

    async def _learn(self, subscriber: Subscriber, source: str) -> _Known:
        contracts = _value(await self._house.erp.list_contracts(subscriber.id))
        known = _Known(subscriber, subscribers.current_contracts(contracts), source, monotonic())
        if len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[subscriber.id] = known
        return known

    async def _find_known(self, subscriber_id: str) -> _Known:
        """From memory, else from the system: another process may have begun the call."""
        known = self._known.get(subscriber_id)
        age_s = monotonic() - known.at if known else KEPT_S
        if known and age_s < FRESH_S:
            return known
        if known and age_s < KEPT_S:
            return await self._learn(known.subscriber, known.source)
        for contract in _value(await self._house.erp.list_contracts(subscriber_id)):
            reply = await self._house.erp.find_by_contract(contract.number)
            found = _value(reply)
            if found is not None and found.id == subscriber_id:
                return await self._learn(found, reply.source)
        raise Unavailable("this subscriber is no longer there")

    async def _contract(self, args: Args) -> tuple[Contract, _Known]:
        known = await self._find_known(str(args["subscriber_id"]))
        for contract in known.contracts:
            if contract.id == args["contract_id"]:
                return contract, known
        raise Unavailable("this contract is no longer there")

    # -- the line

    async def _diagnose(self, args: Args) -> dict[str, Json]:
        contract, _ = await self._contract(args)
        found = await self._house.network.diagnose(contract)
        return {
            "verdict": found.verdict.value,
            "signal": found.signal.value,
            "rx_dbm": found.rx_dbm,
            "since": self._local(found.since),
            "sources": dict(found.sources),
            "outage": self._outage(found.outage),
        }

    async def _session_back(self, args: Args) -> dict[str, Json]:
        """After a reset: online only when a session began since, or was seen to be gone before."""
        contract, _ = await self._contract(args)
        began, ends = self._now() - RESET_TOOK, self._now() + timedelta(seconds=float(args["within_s"]))
        was_gone = False
        while True:
            found = await self._house.network.diagnose(contract)
            is_new = found.since is not None and found.since >= began
            if found.verdict in UP and (was_gone or is_new):
                return {"state": "online"}
            was_gone = was_gone or found.verdict in (Verdict.NO_SESSION, Verdict.LOS)
            if self._now() + timedelta(seconds=LOOK_AGAIN_S) > ends:
                return {"state": "unknown" if found.verdict in (*UP, Verdict.UNKNOWN) else "offline"}
            await self._wait(LOOK_AGAIN_S)

    async def _outage_for_caller(self, args: Args) -> dict[str, Json]:
        """Before anybody was asked anything: the number alone. Most of the time there is no outage, and no question."""
        now = self._now()
        async with self._house.sessions() as session:
            if not await outages.is_any_open(session, now=now):
                return {"outage": None}
        contracts = [each for known in await self._of_number(str(args["caller"] or "")) for each in known.contracts]
        async with self._house.sessions() as session:
            for contract in contracts:
                if found := await outages.find_for(session, contract, now=now):
                    ends_at = found.ends_at if found.ends_at and found.ends_at > now else None
                    return {"outage": self._outage(OutageFacts(found.id, found.cause, found.started_at, ends_at))}
        return {"outage": None}

    def _outage(self, found: OutageFacts | None) -> dict[str, Json] | None:
        if found is None:
            return None
        prompt = f"outage.{found.cause}" if found.cause else ""
        return {
            "id": found.id,
            "cause_prompt": prompt if prompt and self._house.can_speak(prompt) else "",
            "ends_at": self._local(found.ends_at),
        }

    # -- money

    async def _open_invoices(self, args: Args) -> dict[str, Json]:
        contract_id = str(args["contract_id"])
        reply = await self._house.erp.open_invoices(contract_id)
        if isinstance(reply, Unsupported):
            return {"unsupported": True}
        async with self._house.sessions() as session:
            refs = await billing.disputed(session, source=reply.source, contract_ref=contract_id)
        today = self._today()
        rows = [
            {
                "id": one.id,
                "due_on": one.due_on.isoformat(),
                "amount": f"{one.amount:.2f}",
                "overdue": billing.is_overdue(one, today=today),
                "disputed": one.disputed,
            }
            for one in billing.overdue_first(billing.mark_disputed(reply.value, refs))
        ]
        return {"invoices": rows}

    async def _invoice_line(self, args: Args) -> dict[str, Json]:
        """In blocks as they are read aloud. A line with a wrong check digit is not read at all."""
        copy = await invoice_copies.find_copy(self._house.erp, args, today=self._today())
        if not copy.line:
            raise Unavailable("there is no line that a bank would take")
        return {"blocks": boleto.groups(copy.line)}

    async def _may_unlock(self, args: Args) -> dict[str, Json]:
        reply = await self._house.erp.may_unlock(str(args["contract_id"]))
        if isinstance(reply, Unsupported):
            return {"unsupported": True}
        return {"verdict": reply.value.verdict.value, "until": self._local(reply.value.until)}

    async def _promise_days(self, args: Args) -> dict[str, Json]:
        return {"days": [day.isoformat() for day in billing.promise_days(self._today(), self._house.policy)]}

    async def _targets(self, args: Args) -> dict[str, Json]:
        known = await self._find_known(str(args["subscriber_id"]))
        return {"targets": contacts.targets(known.subscriber, self._house.channels)}

    async def _service_first(self, args: Args) -> dict[str, Json]:
        """What of ours to speak of before the caller's debt; "" when nothing is."""
        contract, _ = await self._contract(args)
        tickets = await self._house.erp.list_tickets(contract.id)
        now = self._now()
        async with self._house.sessions() as session:
            found = await billing.service_matters(
                session,
                contract_ref=contract.id,
                phone=str(args.get("caller") or ""),
                outage=await outages.find_for(session, contract, now=now) is not None,
                erp_tickets=0 if isinstance(tickets, Unsupported) else len(tickets.value),
                now=now,
                but_call=str(args.get("call_id") or ""),
            )
        return {"matter": found[0].value if found else ""}

    # -- what became of it

    async def _erp_result(self, args: Args) -> dict[str, Json]:
        request_id = str(args["request_id"])

        async def look() -> dict[str, Json] | None:
            async with self._house.sessions() as session:
                found = await erp_requests.find_result(session, request_id)
            return None if found["state"] == "queued" else found

        answer = await self._until(look) or {"state": "queued", "result": None}
        result = answer["result"]
        if isinstance(result, dict) and result.get("until"):
            result = result | {"until": self._local(datetime.fromisoformat(result["until"]))}
        known = self._known.get(str(args.get("subscriber_id")))
        if known:  # who was unlocked is no longer blocked
            self._known[known.subscriber.id] = replace(known, at=known.at - FRESH_S)
        return {"state": answer["state"], "result": result}

    async def _message_state(self, args: Args) -> dict[str, Json]:
        message_id = str(args["message_id"])

        async def look() -> dict[str, Json] | None:
            async with self._house.sessions() as session:
                found = await outbox.message_state(session, message_id)
            return None if found.word == "queued" else {"state": found.word}

        return await self._until(look) or {"state": "queued"}

    async def _until(self, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """What `look` finds, as soon as it finds something; None when it took too long for a call."""
        waited_s, pause_s = 0.0, POLL_S
        while (found := await look()) is None and waited_s < ANSWER_WITHIN_S:
            await self._wait(pause_s)
            waited_s += pause_s
            pause_s = min(LONGEST_POLL_S, pause_s * 1.5)
        return found

    # -- time

    def _today(self) -> Any:
        return self._now().astimezone(self._house.zone).date()

    def _local(self, moment: datetime | None) -> str | None:
        """As it is spoken: local, without its zone."""
        if moment is None:
            return None
        return moment.astimezone(self._house.zone).replace(tzinfo=None).isoformat(timespec="minutes")

    _lookups: ClassVar["dict[str, Callable[[CallerLookups, Args], Awaitable[dict[str, Json]]]]"] = {
        "who_calls": _who_calls,
        "find_subscriber": _find_subscriber,
        "check_factor": _check_factor,
        "diagnose": _diagnose,
        "session_back": _session_back,
        "outage_for_caller": _outage_for_caller,
        "open_invoices": _open_invoices,
        "invoice_line": _invoice_line,
        "may_unlock": _may_unlock,
        "promise_days": _promise_days,
        "targets": _targets,
        "service_first": _service_first,
        "erp_result": _erp_result,
        "message_state": _message_state,
    }


def _keys(number: str) -> str:
    """A contract's number as it is keyed: its digits, without zeros in front."""
    return re.sub(r"[^0-9]", "", number).lstrip("0")


def _value(reply: Reply[T]) -> T:
    if isinstance(reply, Answer):
        return reply.value
    raise Unavailable(f"{reply.source} cannot do {reply.operation}")


def _safe(error: Exception) -> str:
    """What may be logged: our own words, else only what it was; another's words could repeat what was keyed."""
    return error.message if isinstance(error, UraError) else type(error).__name__
