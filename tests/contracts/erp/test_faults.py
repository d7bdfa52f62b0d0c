"""What callers must never be told because a system was unwell: "no debt", "unlocked", "sent". R18.

Whatever a system does instead of answering, each operation is ErpUnavailable within its deadline, says whether a change
may have been made, and leaves no token, address or document in a log.
"""

import asyncio
import io
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from prosa.erp_sim.serve import SETTINGS
from tests.contracts.erp.rigs import CANNOT_LOOK, CHANGE_PATH, Ask, Rig, value
from ura import logs
from ura.erp import Answer, ErpUnavailable, SessionState, UnlockVerdict

FAULTS: dict[str, dict[str, Any]] = {
    "refuse": {},
    "status": {"status": 500},
    "stall": {"seconds": 10},
    "stall_after": {"seconds": 10},
    "html": {},
    "garbage": {},
    "huge": {},
}
SLACK_S = 1.5  # on a machine that has other things to do: all systems are asked at once


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_an_error_is_never_an_answer_and_never_late(rigs: list[Rig], fault: str) -> None:
    wanted = {rig.name: await _possible(rig) for rig in rigs}

    async def unwell(rig: Rig) -> None:
        deadline_s = rig.hurry()
        rig.fault(fault, **FAULTS[fault])
        started = asyncio.get_running_loop().time()

        async def ended(ask: Ask) -> tuple[object, float]:
            (told,) = await asyncio.gather(ask(), return_exceptions=True)
            return told, asyncio.get_running_loop().time() - started

        asks = wanted[rig.name]
        for operation, (told, after_s) in zip(asks, await asyncio.gather(*map(ended, asks.values())), strict=True):
            assert isinstance(told, ErpUnavailable), (rig.name, operation, told)
            assert after_s < deadline_s + SLACK_S, (rig.name, operation)

    await asyncio.gather(*map(unwell, rigs))


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_change_says_whether_it_may_have_been_made(rigs: list[Rig], fault: str) -> None:
    wanted = {rig.name: await rig.asks() for rig in rigs}

    async def unwell(rig: Rig) -> None:
        asks, changes = wanted[rig.name], CHANGE_PATH[rig.name]
        if fault.startswith("stall"):  # else it is the answer that tells, however long a busy machine needs for it
            rig.hurry()
        for path in {path for path, _ in changes.values()}:
            rig.fault(fault, path=path, changes=True, **FAULTS[fault])
        told = await asyncio.gather(*(asks[operation]() for operation in changes), return_exceptions=True)
        for operation, trouble in zip(changes, told, strict=True):
            assert isinstance(trouble, ErpUnavailable), (rig.name, operation, trouble)
            assert trouble.maybe_done is (fault != "refuse"), (rig.name, operation)

    await asyncio.gather(*map(unwell, rigs))


async def _possible(rig: Rig) -> dict[str, Ask]:
    return {operation: ask for operation, ask in (await rig.asks()).items() if operation in rig.can}


async def _interrupted(rig: Rig, fault: str, operations: list[str]) -> dict[str, Any]:
    """Ask for these changes, each hit by the fault once; then, well again, ask for them `again`."""
    asks, changes = await rig.asks(), CHANGE_PATH[rig.name]
    rig.hurry()
    hit = Counter(changes[operation][0] for operation in operations)
    for path, times in sorted(hit.items(), key=lambda one: -len(one[0])):  # one is within another: the longer first
        rig.fault(fault, seconds=10, path=path, times=times, changes=True)
    told = await asyncio.gather(*(asks[operation]() for operation in operations), return_exceptions=True)
    for operation, trouble in zip(operations, told, strict=True):
        assert isinstance(trouble, ErpUnavailable), (rig.name, operation, trouble)
        assert trouble.maybe_done, (rig.name, operation)
        assert len(rig.done(changes[operation][1])) == (fault == "stall_after"), (rig.name, operation)
    rig.well()
    told = await asyncio.gather(*(asks[operation](again=True) for operation in operations), return_exceptions=True)
    return dict(zip(operations, told, strict=True))


def _batches(system: str) -> list[list[str]]:
    """Those that do not stand in each other's way: a promise unlocks, too."""
    rest = [operation for operation in CHANGE_PATH[system] if operation not in ("promise", "notify_attendant")]
    return [rest, ["promise"]] if "promise" in CHANGE_PATH[system] else [rest]


async def test_what_was_done_but_not_confirmed_is_not_done_twice(rigs: list[Rig]) -> None:
    async def unwell(rig: Rig) -> None:
        for batch in _batches(rig.name):
            rig.reset()
            told = await _interrupted(rig, "stall_after", batch)
            for operation, reply in told.items():
                assert len(rig.done(CHANGE_PATH[rig.name][operation][1])) == 1, (rig.name, operation)
                _says_so(rig, operation, reply)

    await asyncio.gather(*map(unwell, rigs))


def _says_so(rig: Rig, operation: str, reply: Any) -> None:
    """After a change that was made but not confirmed: it was made, or a person has to look."""
    if operation in CANNOT_LOOK[rig.name]:
        unsure = reply.value is False if isinstance(reply, Answer) else "no way to see" in reply.message
        assert unsure, (rig.name, operation)
        return
    assert isinstance(reply, Answer), (rig.name, operation, reply)
    match operation:
        case "trust_unlock":
            assert reply.value.verdict is UnlockVerdict.GRANTED
        case "promise":
            assert reply.value.accepted
        case "send_invoice":
            assert reply.value is True
        case _:
            assert reply.value.reference, (rig.name, operation)


async def test_what_was_not_done_is_done_by_the_next_try(rigs: list[Rig]) -> None:
    async def unwell(rig: Rig) -> None:
        for batch in _batches(rig.name):
            rig.reset()
            lookable = [operation for operation in batch if operation not in CANNOT_LOOK[rig.name]]
            for operation, reply in (await _interrupted(rig, "stall", lookable)).items():
                assert isinstance(reply, Answer), (rig.name, operation, reply)
                assert len(rig.done(CHANGE_PATH[rig.name][operation][1])) == 1, (rig.name, operation)

    await asyncio.gather(*map(unwell, rigs))


async def test_a_system_that_comes_back_is_asked_as_if_nothing_had_been(rig: Rig) -> None:
    contract = await rig.contract("overdue")
    rig.fault("refuse")
    with pytest.raises(ErpUnavailable):
        await rig.erp.open_invoices(contract.id)
    rig.well()
    assert len(await value(rig.erp.open_invoices(contract.id))) == 2


@pytest.mark.parametrize("system", ["hubsoft", "mkauth"], indirect=True)
async def test_a_token_that_runs_out_in_the_middle_is_renewed_and_nothing_done_twice(rig: Rig) -> None:
    contract = await rig.contract("blocked")
    before = len(rig.done("logins"))
    rig.fault("expired_token")
    assert len(await value(rig.erp.open_invoices(contract.id))) == 2
    assert len(rig.done("logins")) == before + 1
    rig.fault("expired_token")
    assert (await value(rig.erp.trust_unlock(contract.id, key="a" * 32))).verdict is UnlockVerdict.GRANTED
    assert len(rig.done("unlocks")) == 1


@pytest.mark.parametrize("system", ["hubsoft", "mkauth"], indirect=True)
async def test_twenty_calls_at_once_log_in_once(rig: Rig) -> None:
    document = rig.world.story("in_order").subscriber.document
    await asyncio.gather(*(rig.erp.find_by_document(document) for _ in range(20)))
    assert len(rig.done("logins")) == 1


async def test_what_a_caller_gives_goes_into_a_question_only_as_digits(rig: Rig) -> None:
    """With nobody listening, an answer proves that nobody was asked."""
    rig.fault("refuse")
    for wrong in ("1 OR 1=1", "12'; DROP TABLE cliente;--", "100101&token=x", "../../admin", "１００１０１", ""):
        assert await value(rig.erp.find_by_contract(wrong)) is None, wrong
        assert await value(rig.erp.find_by_document(wrong)) is None, wrong
        if "find_by_phone" in rig.can:
            assert await value(rig.erp.find_by_phone(wrong)) == (), wrong
        with pytest.raises(ErpUnavailable):
            await rig.erp.open_invoices(wrong)


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """What production would write at its most talkative."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.configure(environment="production", level="DEBUG", stream=stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("fault", ["none", "status", "html", "garbage", "refuse", "stall"])
async def test_no_token_address_or_document_is_ever_logged(
    rig: Rig, fault: str, everything_logged: io.StringIO
) -> None:
    asks = await _possible(rig)
    rig.hurry()
    rig.fault(fault, **FAULTS.get(fault, {}))
    told = await asyncio.gather(*(ask() for ask in asks.values()), return_exceptions=True)
    written = everything_logged.getvalue() + "".join(f"{each!r} {each}" for each in told if isinstance(each, Exception))
    secrets = {text for name, text in SETTINGS[rig.name].items() if not name.endswith(("_APP", "_CEP", "_CLIENT_ID"))}
    demo = rig.world.story("in_order").subscriber
    paths = {path for path, _ in CHANGE_PATH[rig.name].values()} | {"http://", "127.0.0.1"}
    for secret in secrets | {demo.document, demo.name, demo.phones[0][3:]} | paths:
        assert secret not in written
    if fault not in ("none", "refuse"):
        assert "erp gave no usable answer" in written
        assert f'"erp": "{rig.name}"' in written


async def test_no_session_is_unknown_not_offline(rig: Rig) -> None:
    if "connection" in rig.can:
        told = await rig.erp.connection(await rig.contract("cancelled"))
        assert isinstance(told, Answer)
        assert told.value.state is SessionState.UNKNOWN
        assert told.as_of <= datetime.now(UTC)
