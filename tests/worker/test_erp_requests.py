"""What callers want changed in the provider's system is asked once, however often we fail."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import select, true

from tests.factories import make_record
from ura import aftermath, erp_requests, outbox
from ura.acts import Acts
from ura.db import Sessions
from ura.erp import Answer, Contract, ContractStatus, Erp, ErpUnavailable, Promised, Reply, Unlock, UnlockVerdict
from ura.errors import BadInput
from ura.journal import Journal
from ura.models import Category, ErpRequest, OutboxMessage, Ticket
from ura.projection import apply
from worker.erp_requests import ErpRequests
from worker.projector import Projector

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
UNTIL = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
CALLER = "+5511987650001"


@dataclass
class System:
    """A provider's system that can be made slow, deaf, or to lose its answers. `done`: what it really did."""

    name: str = "sistema"
    deaf: bool = False
    loses_answers: bool = False
    stalls: asyncio.Event | None = None
    verdict: UnlockVerdict = UnlockVerdict.GRANTED
    done: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)

    async def _do(self, what: str, key: str, again: bool) -> None:
        if self.deaf:
            raise ErpUnavailable("refused")
        if self.stalls is not None:
            await self.stalls.wait()
        if again:
            self.looked.append(key)
        if not (again and f"{what} {key}" in self.done):
            self.done.append(f"{what} {key}")
        if self.loses_answers:
            raise ErpUnavailable("no answer in 8 s", maybe_done=True)

    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        if contract_id == "broken":
            raise RuntimeError("adapter at fault")
        await self._do(f"unlock {contract_id}", key, again)
        if self.verdict is not UnlockVerdict.GRANTED:
            return Answer(Unlock(self.verdict), self.name, NOW)
        return Answer(Unlock(UnlockVerdict.GRANTED, UNTIL, "SGP-77"), self.name, NOW)

    async def promise(self, contract_id: str, on: date, *, key: str, again: bool = False) -> Reply[Promised]:
        return erp_requests.Unsupported(self.name, "promise")

    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        self.loses_answers = True
        await self._do(f"reboot {contract.id}", key, again)
        raise AssertionError("the answer is lost")

    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        return Answer((Contract("7", subscriber_id, "1007", ContractStatus.ACTIVE),), self.name, NOW)


@dataclass
class Network:
    loses_answers: bool = False
    reset_contracts: list[str] = field(default_factory=list)

    async def reset(self, contract: Contract, *, key: str) -> Reply[bool]:
        self.reset_contracts.append(contract.number)
        if self.loses_answers:
            raise ErpUnavailable("no answer of the NAS", maybe_done=True)
        return Answer(True, "radius", NOW)


@pytest.fixture
def system() -> System:
    return System()


@pytest.fixture
def network() -> Network:
    return Network()


@dataclass
class Clock:
    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def requests(sessions: Sessions, system: System, network: Network, clock: Clock) -> ErpRequests:
    return ErpRequests(sessions, cast(Erp, system), network, now=clock)


@dataclass(frozen=True)
class CallInProgress:
    call_id: str = "c" * 32
    protocol: str = "263260000179"
    caller: str = CALLER


@pytest.fixture
def wish(sessions: Sessions, tmp_path: Any) -> Callable[..., Awaitable[str]]:
    """The caller's wish, from the flow's act to the row."""

    async def make(operation: str = "trust_unlock", key: str = "1", **args: Any) -> str:
        journal = Journal(tmp_path, "agi")
        acts = Acts(journal, CallInProgress(), now=lambda: NOW)
        asked = await acts("request_erp", {"operation": operation, "args": {"contract_id": "7", **args}}, key=key)
        await Projector(tmp_path, sessions).step()
        journal.close()
        return str(asked["request_id"])

    return make


async def the(sessions: Sessions, request_id: str) -> ErpRequest:
    async with sessions() as session:
        return await session.get_one(ErpRequest, request_id)


async def result(sessions: Sessions, request_id: str) -> dict[str, Any]:
    async with sessions() as session:
        return await erp_requests.find_result(session, request_id)


async def one_round(requests: ErpRequests) -> None:
    await requests.step()
    await requests.idle()


async def test_a_wish_of_the_call_is_done_and_its_result_can_be_told(
    sessions: Sessions, requests: ErpRequests, system: System, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    request_id = await wish()
    assert await result(sessions, request_id) == {"state": "queued", "result": None}
    await one_round(requests)
    assert await result(sessions, request_id) == {
        "state": "done",
        "result": {"verdict": "granted", "until": UNTIL.isoformat(), "protocol": "SGP-77"},
    }
    clock.at += timedelta(hours=1)
    await one_round(requests)
    assert system.done == [f"unlock 7 {request_id}"]


async def test_the_same_wish_written_twice_is_one_wish(
    sessions: Sessions, requests: ErpRequests, system: System, wish: Callable[..., Awaitable[str]]
) -> None:
    assert await wish() == await wish()
    await one_round(requests)
    assert len(system.done) == 1


async def test_an_answer_that_was_lost_is_looked_for_before_anything_is_done_again(
    sessions: Sessions, requests: ErpRequests, system: System, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    request_id = await wish()
    system.loses_answers = True
    await one_round(requests)
    assert (await result(sessions, request_id))["state"] == "queued"
    assert (await the(sessions, request_id)).maybe_done
    system.loses_answers = False
    clock.at += timedelta(minutes=1)
    await one_round(requests)
    assert (await result(sessions, request_id))["state"] == "done"
    assert system.looked == [request_id]
    assert len(system.done) == 1


async def test_what_a_dead_worker_had_asked_is_looked_for_first(
    sessions: Sessions, requests: ErpRequests, system: System, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    request_id = await wish()
    async with sessions.begin() as session:  # it claims, asks, and dies before it writes anything down
        await erp_requests.claim(session, worker="dead", now=NOW, limit=1)
    system.done.append(f"unlock 7 {request_id}")
    clock.at += timedelta(minutes=3)
    await one_round(requests)
    assert system.looked == [request_id]
    assert len(system.done) == 1


async def test_a_system_that_is_away_gets_the_wish_later_and_the_caller_a_message(
    sessions: Sessions, requests: ErpRequests, system: System, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    request_id = await wish(tell=CALLER)
    system.deaf = True
    await one_round(requests)
    assert system.done == []
    assert not (await the(sessions, request_id)).maybe_done
    system.deaf = False
    clock.at += timedelta(minutes=1)
    await one_round(requests)
    async with sessions() as session:
        message = (await session.scalars(select(OutboxMessage))).one()
    assert (message.kind, message.to) == ("erp_result", CALLER)
    assert message.payload["result"]["verdict"] == "granted"
    assert message.payload["protocol"] == "263260000179"


async def until_given_up(sessions: Sessions, requests: ErpRequests, clock: Clock, request_id: str) -> None:
    for _ in range(erp_requests.MOST_ATTEMPTS):
        await one_round(requests)
        clock.at = (await the(sessions, request_id)).next_at + timedelta(seconds=1)
    assert (await result(sessions, request_id))["state"] == "failed"


async def test_after_the_last_try_a_person_has_to_and_the_caller_is_told(
    sessions: Sessions, requests: ErpRequests, system: System, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    request_id = await wish(tell=CALLER)
    system.deaf = True
    await until_given_up(sessions, requests, clock, request_id)
    async with sessions() as session:
        message = (await session.scalars(select(OutboxMessage))).one()
    assert message.payload["result"] is None


@pytest.mark.parametrize("caller", ["+551133334444", ""], ids=["landline", "hidden"])
async def test_whoever_no_message_can_reach_has_a_ticket_for_what_was_never_done(
    sessions: Sessions,
    requests: ErpRequests,
    system: System,
    wish: Callable[..., Awaitable[str]],
    clock: Clock,
    caller: str,
) -> None:
    async with sessions.begin() as session:
        opened = {"call_id": "c" * 32, "caller": caller, "door": "flow", "opened_at": NOW.isoformat()}
        await apply(session, make_record("call_opened", **opened))
    request_id = await wish(tell="")
    system.loses_answers = True
    await until_given_up(sessions, requests, clock, request_id)
    await one_round(requests)
    async with sessions() as session:
        left = await aftermath.of_call(session, "c" * 32)
        (ticket,), (request,) = left.tickets, left.requests
        assert await session.scalar(select(OutboxMessage)) is None
    assert (request.id, request.maybe_done) == (request_id, True)
    assert (ticket.protocol, ticket.phone) == ("263260000179", caller)
    assert (ticket.category, ticket.contract_ref) == (Category.BILLING, "7")
    assert ticket.summary.startswith("Pediu a liberação em confiança.")
    assert "conferir antes" in ticket.summary


@pytest.mark.parametrize(
    ("verdict", "tell", "seconds", "tickets"),
    [
        (UnlockVerdict.USED_THIS_PERIOD, "", 60, 1),
        (UnlockVerdict.USED_THIS_PERIOD, CALLER, 60, 0),  # hears it by message
        (UnlockVerdict.USED_THIS_PERIOD, "", 3, 0),  # and this one in the call
        (UnlockVerdict.GRANTED, "", 60, 0),
        (UnlockVerdict.ALREADY_ACTIVE, "", 60, 0),
    ],
)
async def test_a_late_refusal_that_no_message_can_tell_is_work_for_a_person(
    sessions: Sessions,
    requests: ErpRequests,
    system: System,
    wish: Callable[..., Awaitable[str]],
    clock: Clock,
    verdict: UnlockVerdict,
    tell: str,
    seconds: int,
    tickets: int,
) -> None:
    system.verdict = verdict
    await wish(tell=tell)
    clock.at += timedelta(seconds=seconds)
    await one_round(requests)
    await one_round(requests)
    async with sessions() as session:
        summaries = list(await session.scalars(select(Ticket.summary)))
        messages = list(await session.scalars(select(OutboxMessage.to)))
    assert [
        summary.startswith("Pediu a liberação em confiança. O sistema do provedor recusou") for summary in summaries
    ] == [True] * tickets
    assert messages == [CALLER] * bool(tell)


async def test_cannot_is_work_for_a_person_once_the_call_has_been_told_that_it_is_noted(
    sessions: Sessions, requests: ErpRequests, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    await wish("promise", on="2026-11-25")
    await one_round(requests)
    async with sessions() as session:
        assert await session.scalar(select(Ticket)) is None, "the call hears it, and goes on to a person"
    await wish("promise", "2", on="2026-11-26")
    clock.at += timedelta(minutes=1)
    await one_round(requests)
    async with sessions() as session:
        ticket = (await session.scalars(select(Ticket))).one()
    assert "2026-11-26" in ticket.summary


async def test_who_heard_it_in_the_call_gets_no_message(
    sessions: Sessions, requests: ErpRequests, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    request_id = await wish(tell=CALLER)
    clock.at += timedelta(seconds=8)
    await one_round(requests)
    async with sessions.begin() as session:
        await erp_requests.heard(session, request_id)
    async with sessions() as session:
        assert await session.scalar(select(OutboxMessage)) is None


async def test_who_hung_up_before_the_answer_came_gets_it_by_message_once_no_call_can_wait_for_it(
    sessions: Sessions, requests: ErpRequests, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    await wish(tell=CALLER)
    clock.at += timedelta(seconds=3)
    await one_round(requests)
    async with sessions() as session:
        message = (await session.scalars(select(OutboxMessage))).one()
        assert message.next_at == NOW + erp_requests.CALL_WAITS
        assert not await outbox.is_due(session, now=clock.at, only=true())
        assert await outbox.is_due(session, now=NOW + erp_requests.CALL_WAITS, only=true())


@pytest.mark.parametrize("operation", ["session_reset", "reboot_cpe"])
async def test_a_line_is_cut_at_once_or_not_at_all(
    sessions: Sessions,
    requests: ErpRequests,
    network: Network,
    system: System,
    wish: Callable[..., Awaitable[str]],
    clock: Clock,
    operation: str,
) -> None:
    """The answer to a first try may be lost: a second would cut the session that has come up since."""
    network.loses_answers = True
    request_id = await wish(operation, subscriber_id="3")
    await one_round(requests)
    assert (await result(sessions, request_id))["state"] == "failed"
    clock.at += timedelta(hours=1)
    await one_round(requests)
    too_late = await wish(operation, "2", subscriber_id="3")
    await one_round(requests)
    assert (await result(sessions, too_late))["state"] == "failed"
    async with sessions() as session:
        assert await session.scalar(select(Ticket)) is None
    assert len(network.reset_contracts) + len(system.done) == 1


async def test_a_reset_that_a_dead_worker_had_asked_for_is_not_asked_for_again(
    sessions: Sessions, requests: ErpRequests, network: Network, wish: Callable[..., Awaitable[str]], clock: Clock
) -> None:
    request_id = await wish("session_reset", subscriber_id="3")
    async with sessions.begin() as session:
        await erp_requests.claim(session, worker="dead", now=NOW, limit=1)
    clock.at += timedelta(minutes=3)
    await one_round(requests)
    assert (await result(sessions, request_id))["state"] == "failed"
    assert network.reset_contracts == []


async def test_one_that_stalls_does_not_hold_the_others_up(
    sessions: Sessions, requests: ErpRequests, system: System, wish: Callable[..., Awaitable[str]]
) -> None:
    slow = await wish(key="slow")
    system.stalls = asyncio.Event()
    await requests.step()
    reset = await wish("session_reset", key="quick", subscriber_id="3")
    await requests.step()
    async with asyncio.timeout(5):
        while (await result(sessions, reset))["state"] != "done":
            await asyncio.sleep(0)
    assert (await result(sessions, slow))["state"] == "queued"
    system.stalls.set()
    await requests.idle()
    assert (await result(sessions, slow))["state"] == "done"


async def test_cannot_is_an_answer(
    sessions: Sessions, requests: ErpRequests, wish: Callable[..., Awaitable[str]]
) -> None:
    request_id = await wish("promise", on="2026-11-25")
    await one_round(requests)
    assert await result(sessions, request_id) == {"state": "done", "result": {"unsupported": True}}


@pytest.mark.parametrize(
    ("operation", "args"),
    [("promise", {"on": "amanhã"}), ("session_reset", {"subscriber_id": "3", "contract_id": "999"})],
)
async def test_a_wish_that_nobody_can_grant_fails_at_once(
    sessions: Sessions,
    requests: ErpRequests,
    wish: Callable[..., Awaitable[str]],
    operation: str,
    args: dict[str, Any],
) -> None:
    request_id = await wish(operation, **args)
    await one_round(requests)
    assert (await result(sessions, request_id))["state"] == "failed"


async def test_an_adapter_that_breaks_may_have_done_it(
    sessions: Sessions, requests: ErpRequests, wish: Callable[..., Awaitable[str]]
) -> None:
    request_id = await wish(contract_id="broken")
    await one_round(requests)
    assert (await the(sessions, request_id)).maybe_done


async def test_a_wish_is_asked_as_soon_as_the_projector_has_written_it(
    sessions: Sessions, requests: ErpRequests, tmp_path: Any
) -> None:
    journal = Journal(tmp_path / "journal", "agi")
    projector = Projector(tmp_path / "journal", sessions, {"erp_requested": requests.wake})
    running = asyncio.create_task(requests.run())
    acts = Acts(journal, CallInProgress(), now=lambda: NOW)
    asked = await acts("request_erp", {"operation": "trust_unlock", "args": {"contract_id": "7"}}, key="1")
    began = asyncio.get_running_loop().time()
    await projector.step()
    async with asyncio.timeout(5):
        while (await result(sessions, asked["request_id"]))["state"] != "done":
            await asyncio.sleep(0)
    assert asyncio.get_running_loop().time() - began < 1
    running.cancel()
    journal.close()


async def test_an_operation_that_nobody_knows_is_refused_in_the_call(tmp_path: Any) -> None:
    journal = Journal(tmp_path, "agi")
    with pytest.raises(BadInput, match="cannot use"):
        await Acts(journal, CallInProgress())("request_erp", {"operation": "erase", "args": {}}, key="1")
    journal.close()
