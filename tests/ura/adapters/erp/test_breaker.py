"""R18: a system that stalls, fails or answers nonsense costs a call seconds, and the next ones nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import StringIO

import pytest

from tests.fake_erp import FakeErp, for_ever
from ura import logs
from ura.adapters.erp import breaker
from ura.adapters.erp.breaker import Circuit, ErpMetrics, GuardedErp
from ura.erp import Answer, ErpUnavailable, Unsupported

HELENA, PHONE = "12345678909", "+5511955550101"


@dataclass
class Clock:
    s: float = 0.0

    def __call__(self) -> float:
        return self.s


@dataclass
class Guard:
    erp: FakeErp
    clock: Clock
    metrics: ErpMetrics
    guarded: GuardedErp

    async def fails(self, times: int = 1, ask: Callable[[], Awaitable[object]] | None = None) -> ErpUnavailable:
        for _ in range(times):
            with pytest.raises(ErpUnavailable) as failed:
                await (ask or (lambda: self.guarded.open_invoices("2002")))()
        return failed.value

    def count(self, operation: str, outcome: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "ura_erp_calls_total", {"source": "fake", "operation": operation, "outcome": outcome}
        )
        return value or 0.0

    def shown(self) -> list[str]:
        """The circuit's state, as the figures have it."""
        value = self.metrics.registry.get_sample_value
        return [each for each in Circuit if value("ura_erp_circuit", {"source": "fake", "state": each.value})]

    def seconds(self, operation: str) -> float | None:
        """How long its questions took together."""
        labels = {"source": "fake", "operation": operation}
        return self.metrics.registry.get_sample_value("ura_erp_seconds_sum", labels)


def make(**settings: float) -> Guard:
    erp, clock, metrics = FakeErp(), Clock(), ErpMetrics()
    return Guard(erp, clock, metrics, GuardedErp(erp, metrics=metrics, clock=clock, **settings))


@pytest.fixture
def guard() -> Guard:
    return make()


async def test_what_the_system_says_passes_unchanged(guard: Guard) -> None:
    guard.erp.cannot.add("optical")
    contract = guard.erp.world.story("in_order").contracts[0].contract
    for operation, argument in (
        ("find_by_document", HELENA),
        ("find_by_phone", PHONE),
        ("find_by_contract", "100101"),
        ("list_contracts", "1001"),
        ("open_invoices", "2002"),
        ("may_unlock", "2002"),
        ("connection", contract),
        ("optical", contract),
    ):
        assert await getattr(guard.guarded, operation)(argument) == await getattr(guard.erp, operation)(argument)
    assert (await guard.guarded.trust_unlock("2002", key="k")).value.verdict == "granted"
    assert guard.guarded.name == "fake"


async def test_five_failures_open_the_circuit_and_a_probe_closes_it(guard: Guard) -> None:
    guard.erp.down = True
    await guard.fails(5)
    assert guard.guarded.circuit is Circuit.OPEN
    assert guard.shown() == [Circuit.OPEN]
    await guard.fails(20)
    assert guard.erp.asked["open_invoices"] == 5  # it is left alone
    assert guard.count("open_invoices", "refused") == 20
    guard.clock.s = 29
    guard.erp.down = False
    await guard.fails()
    guard.clock.s = 31
    assert isinstance(await guard.guarded.open_invoices("2002"), Answer)
    assert guard.guarded.circuit is Circuit.CLOSED
    assert guard.shown() == [Circuit.CLOSED]


async def test_a_probe_that_fails_keeps_it_open_for_another_while(guard: Guard) -> None:
    guard.erp.down = True
    await guard.fails(5)
    guard.clock.s = 31
    await guard.fails(2)
    assert guard.erp.asked["open_invoices"] == 6
    guard.clock.s = 60
    await guard.fails()
    assert guard.erp.asked["open_invoices"] == 6


async def test_only_one_probe_at_a_time(guard: Guard) -> None:
    guard.erp.down = True
    await guard.fails(5)
    guard.erp.down, guard.clock.s = False, 31.0
    gate = asyncio.Event()

    async def wait(_operation: str) -> None:
        await gate.wait()

    guard.erp.takes = wait
    probe = asyncio.create_task(guard.guarded.open_invoices("2002"))
    await asyncio.sleep(0)
    assert guard.guarded.circuit is Circuit.HALF_OPEN
    assert guard.shown() == [Circuit.HALF_OPEN]
    await guard.fails(3)
    gate.set()
    guard.clock.s += 2.5
    assert isinstance(await probe, Answer)
    assert guard.guarded.circuit is Circuit.CLOSED
    assert guard.shown() == [Circuit.CLOSED]
    assert guard.seconds("open_invoices") == 2.5


async def test_who_hangs_up_during_the_probe_leaves_it_to_the_next(guard: Guard) -> None:
    guard.erp.down = True
    await guard.fails(5)
    guard.erp.down, guard.clock.s, guard.erp.takes = False, 31.0, for_ever
    probe = asyncio.create_task(guard.guarded.open_invoices("2002"))
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    guard.erp.takes = None
    assert isinstance(await guard.guarded.open_invoices("2002"), Answer)


async def test_an_answer_between_failures_keeps_the_circuit_closed(guard: Guard) -> None:
    for _ in range(4):
        guard.erp.down = True
        await guard.fails(4)
        guard.erp.down = False
        await guard.guarded.open_invoices("2002")
    assert guard.guarded.circuit is Circuit.CLOSED


async def test_what_the_system_cannot_do_is_neither_failure_nor_sign_of_life(guard: Guard) -> None:
    guard.erp.cannot.add("connection")
    contract = guard.erp.world.story("in_order").contracts[0].contract
    for _ in range(9):
        assert isinstance(await guard.guarded.connection(contract), Unsupported)
    assert guard.guarded.circuit is Circuit.CLOSED
    assert guard.count("connection", "unsupported") == 9
    guard.erp.down = True
    await guard.fails(4)
    guard.erp.down = False
    await guard.guarded.connection(contract)
    guard.erp.down = True
    await guard.fails(1)
    assert guard.guarded.circuit is Circuit.OPEN


async def test_a_stall_ends_at_the_deadline_and_a_change_may_have_been_made() -> None:
    guard = make(deadline_s=0.05, change_deadline_s=0.05)
    guard.erp.takes = for_ever
    assert not (await guard.fails()).maybe_done
    assert (await guard.fails(1, lambda: guard.guarded.trust_unlock("2002", key="k"))).maybe_done
    await guard.fails(3)
    assert guard.guarded.circuit is Circuit.OPEN
    assert not (await guard.fails(1, lambda: guard.guarded.trust_unlock("2002", key="k"))).maybe_done  # not even asked


async def test_a_call_gives_up_before_the_caller_does() -> None:
    assert breaker.DEADLINE_S < 8


async def test_who_waited_long_and_hung_up_waited_for_a_broken_system(guard: Guard) -> None:
    guard.erp.takes = for_ever

    async def hang_up_after(seconds: float) -> None:
        asking = asyncio.create_task(guard.guarded.open_invoices("2002"))
        await asyncio.sleep(0)
        guard.clock.s += seconds
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    for _ in range(6):
        await hang_up_after(1)
    assert guard.guarded.circuit is Circuit.CLOSED
    for _ in range(5):
        await hang_up_after(5)
    assert guard.guarded.circuit is Circuit.OPEN


async def test_more_than_so_many_at_once_wait_for_their_turn() -> None:
    guard = make(at_once=2, deadline_s=5)
    gate, inside = asyncio.Event(), 0

    async def wait(_operation: str) -> None:
        nonlocal inside
        inside += 1
        await gate.wait()

    guard.erp.takes = wait
    asking = [asyncio.create_task(guard.guarded.open_invoices("2002")) for _ in range(6)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert inside == 2
    gate.set()
    assert len(await asyncio.gather(*asking)) == 6


async def test_those_who_never_had_their_turn_do_not_count_as_failures() -> None:
    guard = make(at_once=1, deadline_s=0.05, failures=3)
    guard.erp.takes = for_ever
    answers = await asyncio.gather(*(guard.guarded.open_invoices("2002") for _ in range(10)), return_exceptions=True)
    assert all(isinstance(answer, ErpUnavailable) for answer in answers)
    assert guard.erp.asked["open_invoices"] < 10
    assert guard.count("open_invoices", "failed") == guard.erp.asked["open_invoices"]


# -- memory


async def test_who_and_where_are_remembered_with_their_age(guard: Guard) -> None:
    before = [await guard.guarded.find_by_phone(PHONE), await guard.guarded.list_contracts("1001")]
    guard.erp.down = True
    assert [await guard.guarded.find_by_phone(PHONE), await guard.guarded.list_contracts("1001")] == before
    await guard.fails(5)
    assert await guard.guarded.find_by_phone(PHONE) == before[0]  # also while nobody asks
    assert guard.count("find_by_phone", "remembered") == 2
    guard.clock.s = breaker.REMEMBERED_S + 1
    await guard.fails(1, lambda: guard.guarded.find_by_phone(PHONE))


async def test_money_and_lines_are_never_remembered(guard: Guard) -> None:
    contract = guard.erp.world.story("in_order").contracts[0].contract
    asks: list[Callable[[], Awaitable[object]]] = [
        lambda: guard.guarded.open_invoices("2002"),
        lambda: guard.guarded.may_unlock("2002"),
        lambda: guard.guarded.connection(contract),
        lambda: guard.guarded.optical(contract),
    ]
    for ask in asks:
        await ask()
    guard.erp.down = True
    for ask in asks:
        await guard.fails(1, ask)


async def test_nobody_is_never_remembered(guard: Guard) -> None:
    assert (await guard.guarded.find_by_document("39053344705")).value is None
    assert (await guard.guarded.find_by_phone("+5511900000000")).value == ()
    guard.erp.down = True
    await guard.fails(1, lambda: guard.guarded.find_by_document("39053344705"))
    await guard.fails(1, lambda: guard.guarded.find_by_phone("+5511900000000"))


async def test_who_is_gone_is_forgotten(guard: Guard) -> None:
    await guard.guarded.find_by_document(HELENA)
    guard.erp.world = type(guard.erp.world)(guard.erp.now, (), ())
    assert (await guard.guarded.find_by_document(HELENA)).value is None
    guard.erp.down = True
    await guard.fails(1, lambda: guard.guarded.find_by_document(HELENA))


async def test_memory_has_an_end(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "MOST_REMEMBERED", 2)
    for subscriber in ("1001", "1002", "1003"):
        await guard.guarded.list_contracts(subscriber)
    guard.erp.down = True
    await guard.fails(1, lambda: guard.guarded.list_contracts("1001"))
    assert isinstance(await guard.guarded.list_contracts("1003"), Answer)


# -- our own faults


async def test_a_fault_of_an_adapter_is_trouble_and_quotes_nothing(guard: Guard) -> None:
    out = StringIO()
    logs.configure(environment="production", stream=out)
    guard.erp.broken = KeyError(f"no field in {HELENA} Helena Prado")
    assert (await guard.fails(1, lambda: guard.guarded.trust_unlock("2002", key="k"))).maybe_done
    await guard.fails(4)
    assert guard.guarded.circuit is Circuit.OPEN
    assert "KeyError" in out.getvalue()
    assert "fake_erp.py:" in out.getvalue()
    assert "Helena" not in out.getvalue()
    assert HELENA not in out.getvalue()


async def test_closing_reaches_the_adapter() -> None:
    class Holds(FakeErp):
        closed = False

        async def close(self) -> None:
            self.closed = True

    erp = Holds()
    await GuardedErp(erp).close()
    await GuardedErp(FakeErp()).close()
    assert erp.closed
