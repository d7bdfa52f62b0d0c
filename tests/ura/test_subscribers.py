"""Who is calling: R28 (the same answer, after the same time, for everything that is nobody) and R29 (no trying out)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import StringIO

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event, func, select

from tests.factories import NOON, later
from tests.fake_erp import FakeErp, for_ever
from ura import logs, subscribers
from ura.crypto import Keyring
from ura.db import Sessions
from ura.erp import Answer, ErpUnavailable, Subscriber, Unsupported
from ura.models import AttemptKind, AuditEntry, IdentificationAttempt
from ura.subscribers import Identification, IdentificationMetrics, Limits

DOCUMENT, CONTRACT = AttemptKind.DOCUMENT, AttemptKind.CONTRACT
CALLER = "+5511911112222"
HELENA, UNKNOWN, WRONG_DIGITS = "12345678909", "39053344705", "12345678900"
MALFORMED = [WRONG_DIGITS, "11111111111", "1234567890", "123456789012", "11222333000180", ""]


@dataclass
class Clock:
    """Time that passes only when somebody waits, or the ERP works."""

    s: float = 0.0
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.s

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.s += seconds

    def works(self, seconds: float) -> Callable[[str], Awaitable[None]]:
        async def work(_operation: str) -> None:
            self.s += seconds

        return work


@dataclass
class House:
    erp: FakeErp
    clock: Clock
    sessions: Sessions
    limits: Limits = field(default_factory=Limits)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.now = NOON
        self.who = Identification(
            self.erp,
            self.sessions,
            Keyring(["tests"]),
            self.limits,
            now=lambda: self.now,
            clock=self.clock,
            wait=self.clock.wait,
            metrics=IdentificationMetrics(self.registry),
        )

    async def keyed(self, digits: str, caller: str = CALLER, kind: AttemptKind = DOCUMENT) -> subscribers.Found:
        return await self.who.by_keys(kind, digits, caller=caller)

    async def took(self, digits: str, caller: str = CALLER) -> float:
        started = self.clock.s
        found = await self.keyed(digits, caller)
        assert found.subscriber is None
        assert not found.locked
        return self.clock.s - started

    async def count(self, **where: object) -> int:
        query = select(func.count()).select_from(IdentificationAttempt).filter_by(**where)
        async with self.sessions() as session:
            return await session.scalar(query) or 0

    async def audited(self, action: str) -> int:
        query = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == action)
        async with self.sessions() as session:
            return await session.scalar(query) or 0


@pytest.fixture
def house(sessions: Sessions) -> House:
    return House(FakeErp(), Clock(), sessions)


async def test_a_number_finds_everybody_who_has_it(house: House) -> None:
    reply = await house.who.by_number("+551133331115")
    assert isinstance(reply, Answer)
    assert [each.id for each in reply.value] == ["1015", "1016"]
    nobody = await house.who.by_number("+5511900000000")
    hidden = await house.who.by_number("")
    assert (nobody.value, hidden.value) == ((), ())
    assert house.erp.asked["find_by_phone"] == 2
    assert await house.count() == 0
    house.erp.cannot.add("find_by_phone")
    assert isinstance(await house.who.by_number(CALLER), Unsupported)


async def test_many_who_identify_themselves_at_once_leave_connections_to_everybody_else(house: House) -> None:
    out, most = 0, 0
    pool = house.sessions.kw["bind"].sync_engine

    @event.listens_for(pool, "checkout")
    def _taken(*_: object) -> None:
        nonlocal out, most
        out += 1
        most = max(most, out)

    @event.listens_for(pool, "checkin")
    def _given_back(*_: object) -> None:
        nonlocal out
        out -= 1

    found = await asyncio.gather(*(house.keyed(UNKNOWN, f"+551191111{n:04d}") for n in range(20)))
    assert not any(each.locked or each.subscriber for each in found)
    assert await house.count() == 20
    assert 0 < most <= subscribers.WRITING_AT_ONCE


async def test_a_right_document_is_found_at_once_and_is_no_miss(house: House) -> None:
    found = await house.keyed(HELENA)
    assert found.subscriber is not None
    assert (found.subscriber.id, found.source, found.as_of) == ("1001", "fake", NOON)
    assert house.clock.waits == []
    assert await house.count(hit=True) == 1
    assert await house.count(hit=False, kind=DOCUMENT) == 0


async def test_a_contract_number_is_found_and_nonsense_asks_nobody(house: House) -> None:
    found = await house.keyed("100109", kind=CONTRACT)
    assert found.subscriber is not None
    assert found.subscriber.document == "12ABC34501DE35"
    for nonsense in ("", "1" * 16, "12*4", "١٢"):
        assert (await house.keyed(nonsense, kind=CONTRACT)).subscriber is None
    assert house.erp.asked["find_by_contract"] == 1


@pytest.mark.parametrize("erp_s", [0.05, 1.2, 1.7, 3.3, 6.0])
async def test_unknown_and_malformed_take_the_same_time(sessions: Sessions, erp_s: float) -> None:
    """R28: the same answer within 50 ms, however slow the ERP is; no malformed document reaches the ERP."""
    clock = Clock()
    house = House(FakeErp(takes=clock.works(erp_s)), clock, sessions)
    unknown = await house.took(UNKNOWN, "+5511911110001")
    for number, digits in enumerate(MALFORMED):
        assert abs(await house.took(digits, f"+551192222000{number}") - unknown) <= 0.05
    assert house.erp.asked["find_by_document"] == 1
    assert 1.5 <= unknown < 8


async def test_every_miss_makes_the_next_no_slower(house: House) -> None:
    times = [await house.took(WRONG_DIGITS) for _ in range(9)]
    assert times[:3] == [1.5, 1.5, 2.0]
    assert times == sorted(times)
    assert times[-1] == 6.0
    found = await house.keyed(HELENA)  # after so many misses a right one comes late, too
    assert found.subscriber is not None
    assert house.clock.waits[-1] == 4.5


async def test_after_ten_misses_a_person_has_to_help_for_a_day(house: House) -> None:
    for _ in range(10):
        await house.took(UNKNOWN)
    asked = house.erp.asked["find_by_document"]
    for digits in (UNKNOWN, HELENA, WRONG_DIGITS):
        assert await house.keyed(digits) == subscribers.Found(locked=True)
    assert house.erp.asked["find_by_document"] == asked
    assert await house.count(hit=False, kind=DOCUMENT) == 10
    assert await house.audited(subscribers.LOCKED) == 1
    assert (await house.keyed(HELENA, "+5511933334444")).subscriber is not None
    house.now = NOON + timedelta(hours=24, seconds=1)
    assert (await house.keyed(HELENA)).subscriber is not None


async def test_thirty_lines_at_once_get_ten_misses_together(house: House) -> None:
    """R29. They come in while the first are still being looked at."""
    answers = await asyncio.gather(*(house.keyed(UNKNOWN) for _ in range(30)))
    assert sum(answer.locked for answer in answers) == 20
    assert await house.count(hit=False, kind=DOCUMENT) == 10


async def test_thirty_lines_for_a_day_try_ten_documents_each(sessions: Sessions) -> None:
    """R29: every line once in ten minutes, for 24 hours; 144 tries a line, 10 of them looked at."""
    house = House(FakeErp(), Clock(), sessions)
    lines = [f"+55119333300{line:02d}" for line in range(30)]
    for number in range(144):
        house.now = later(number * 600)
        if number < 12:
            for line in lines:
                await house.keyed(UNKNOWN, line)
        else:  # nothing changes any more; one line stands for all
            assert (await house.keyed(UNKNOWN, lines[number % 30])).locked
    assert await house.count(hit=False, kind=DOCUMENT) == 300
    assert await house.audited(subscribers.LOCKED) == 30
    assert await house.audited(subscribers.ALARM) == 0  # thirty in ten minutes are no burst: the day's limit held


async def test_a_burst_raises_one_alarm_in_five_minutes_and_then_stops_for_all(sessions: Sessions) -> None:
    house = House(FakeErp(), Clock(), sessions, Limits(alarm=5, total=20))
    out = StringIO()
    logs.configure(environment="production", stream=out)
    for number in range(30):
        house.now = later(number)
        await house.keyed(UNKNOWN, f"+55119333300{number:02d}")
    assert await house.audited(subscribers.ALARM) == 1
    assert await house.count(hit=False, kind=DOCUMENT) == 20
    assert (await house.keyed(HELENA, "+5511955550101")).locked
    house.now = later(400)
    assert (await house.keyed(HELENA, "+5511955550101")).subscriber is not None
    alarms = [json.loads(line) for line in out.getvalue().splitlines() if "try out documents" in line]
    assert len(alarms) == 1
    assert alarms[0]["level"] == "error"
    async with sessions() as session:
        [shown] = await subscribers.list_alarms(session, now=house.now)
        assert (shown.at, shown.misses) == (later(5), 6)
        assert await subscribers.list_alarms(session, now=later(5) + subscribers.KEPT) == []


async def test_what_is_tried_after_the_lock_is_kept_and_locks_nobody_else(sessions: Sessions) -> None:
    house = House(FakeErp(), Clock(), sessions, Limits(caller=2, alarm=3, total=4))
    for _ in range(2):
        assert not (await house.keyed(UNKNOWN)).locked
    for _ in range(10):
        assert (await house.keyed(HELENA)).locked
    assert await house.count(kind=AttemptKind.REFUSED, caller=CALLER) == 10
    assert (await house.keyed(HELENA, "+5511955550101")).subscriber
    told = {outcome: house.registry.get_sample_value("ura_identification_tries_total", {"outcome": outcome})
            for outcome in ("hit", "miss", "refused")}  # fmt: skip
    assert told == {"hit": 1, "miss": 2, "refused": 10}
    assert house.registry.get_sample_value("ura_identification_alarms_total") == 0
    for _ in range(2):
        await house.keyed(UNKNOWN, "+5511955550102")
    assert house.registry.get_sample_value("ura_identification_alarms_total") == 1
    house.now += timedelta(hours=24)
    assert (await house.keyed(HELENA)).subscriber  # who went on trying is not locked for longer


async def test_a_list_of_right_documents_does_not_help_for_long(sessions: Sessions) -> None:
    """T12: somebody who has documents of many people is nobody of them."""
    house = House(FakeErp(), Clock(), sessions, Limits(people=3))
    documents = [each.subscriber.document for each in house.erp.world.subscribers if each.subscriber.birth_year]
    answers = [await house.keyed(document) for document in documents[:5]]
    assert [answer.locked for answer in answers] == [False, False, False, True, True]


async def test_asking_again_for_oneself_is_no_list(sessions: Sessions) -> None:
    house = House(FakeErp(), Clock(), sessions, Limits(people=3))
    for _ in range(8):
        assert (await house.keyed(HELENA)).subscriber is not None


async def test_an_erp_that_is_down_is_no_miss_and_no_no(house: House) -> None:
    house.erp.down = True
    with pytest.raises(ErpUnavailable):
        await house.keyed(UNKNOWN)
    assert await house.count() == 0


async def test_who_hangs_up_while_the_erp_works_has_missed_nothing(house: House) -> None:
    house.erp.takes = for_ever
    asking = asyncio.create_task(house.keyed(UNKNOWN))
    while not house.erp.asked["find_by_document"]:
        await asyncio.sleep(0.01)
    assert await house.count() == 1
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await house.count() == 0


async def test_a_system_that_cannot_search_says_so(house: House) -> None:
    house.erp.cannot.add("find_by_contract")
    found = await house.keyed("100101", kind=CONTRACT)
    assert (found.supported, found.subscriber, found.locked) == (False, None, False)
    assert await house.count() == 0


# -- the second factor


def of_story(house: House, story: str) -> Subscriber:
    return house.erp.world.story(story).subscriber


async def right(house: House, who: Subscriber, digits: str, caller: str = CALLER) -> bool:
    return (await house.who.check_factor(who, digits, source="fake", caller=caller)).right


async def test_year_or_end_of_a_registered_phone_is_the_factor(house: House) -> None:
    celia = of_story(house, "overdue")
    assert await right(house, celia, "1968")
    assert await right(house, celia, "0103")
    assert await right(house, celia, "1103")
    for wrong in ("1967", "968", "01968", "", "0000"):
        assert not await right(house, celia, wrong)


async def test_the_number_that_calls_is_no_factor(house: House) -> None:
    """T13: who forges a number knows its digits."""
    celia = of_story(house, "overdue")
    assert not await right(house, celia, "0103", "+5511955550103")
    assert await right(house, celia, "1103", "+5511955550103")


async def test_without_a_factor_none_is_asked_for(house: House) -> None:
    padaria, otavio = of_story(house, "company"), of_story(house, "blocked")
    assert subscribers.can_verify(padaria, caller=CALLER)
    assert not subscribers.can_verify(padaria, caller="+551133331107")
    assert subscribers.can_verify(otavio, caller=otavio.phones[0])
    assert not subscribers.can_verify(replace(otavio, birth_year=None, phones=()), caller="")


async def test_a_wrong_factor_takes_as_long_as_an_unknown_document(house: House) -> None:
    helena = of_story(house, "in_order")
    started = house.clock.s
    assert not await right(house, helena, "1900")
    assert house.clock.s - started == await house.took(UNKNOWN)


async def test_a_subscribers_factor_is_not_tried_out_from_many_numbers(house: House) -> None:
    helena = of_story(house, "in_order")
    for number in range(5):
        assert not await right(house, helena, "1900", f"+551195555100{number}")
    checked = await house.who.check_factor(helena, "1984", source="fake", caller="+5511955551009")
    assert checked == subscribers.Checked(right=False, locked=True)
    assert await right(house, of_story(house, "blocked"), "1979")


# -- what is kept


async def test_nothing_that_was_keyed_is_kept_or_logged(house: House) -> None:
    out = StringIO()
    logs.configure(environment="production", level="DEBUG", stream=out)
    for digits in (HELENA, UNKNOWN, WRONG_DIGITS):
        await house.keyed(digits)
    await right(house, of_story(house, "in_order"), "1984")
    async with house.sessions() as session:
        rows = (await session.scalars(select(IdentificationAttempt))).all()
    kept = " ".join(f"{row.id} {row.kind} {row.subject}" for row in rows)
    for secret in (HELENA, UNKNOWN, WRONG_DIGITS, "1984"):
        assert secret not in kept.split()
        assert secret not in out.getvalue()
    assert CALLER not in out.getvalue()


async def test_old_attempts_are_forgotten(house: House) -> None:
    await house.keyed(UNKNOWN)
    async with house.sessions.begin() as session:
        await subscribers.forget_old_attempts(session, now=NOON + timedelta(days=89))
    assert await house.count() == 1
    async with house.sessions.begin() as session:
        await subscribers.forget_old_attempts(session, now=NOON + timedelta(days=91))
    assert await house.count() == 0


async def test_a_call_is_never_about_a_cancelled_contract_when_there_is_another(house: House) -> None:
    one, two = (each.contract for each in house.erp.world.story("two_contracts").contracts)
    gone = house.erp.world.story("cancelled").contracts[0].contract
    assert subscribers.current_contracts((one, gone, two)) == (one, two)
    assert subscribers.current_contracts((gone,)) == (gone,)
