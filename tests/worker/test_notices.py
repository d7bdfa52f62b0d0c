"""An outage that only the provider's system knows of: kept, and its end told to who asked."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import select

from tests.factories import NOON, later, make_id, make_record
from tests.fake_erp import FakeErp
from ura import outages, outbox
from ura.db import Sessions
from ura.erp import Contract, Erp, OutageNotice
from ura.models import Callback, Outage, OutageCall
from ura.network import notice_id
from ura.projection import apply
from worker.notices import Notices

CALLER = "+5511987650001"
NOTICE = OutageNotice("77", "Rompimento na Rua A", NOON + timedelta(hours=2))
ID = notice_id("fake", "77")

Hear = Callable[..., Awaitable[None]]


@pytest.fixture
def erp() -> FakeErp:
    erp = FakeErp()
    erp.notices[next(iter(erp.world.contracts())).contract.id] = (NOTICE,)
    return erp


@pytest.fixture
def hear(sessions: Sessions, erp: FakeErp) -> Hear:
    """Somebody is told of it, and wants to know when it is over."""

    async def heard(*, at: Any = NOON, phone: str = CALLER, contract: Contract | None = None) -> None:
        contract = contract or next(iter(erp.world.contracts())).contract
        told = {"source": "fake", "reference": "77", "text": NOTICE.text, "ends_at": later(7200).isoformat()}
        whose = {"contract_id": contract.id, "subscriber_id": contract.subscriber_id, "phone": phone}
        call = {"outage_id": ID, "call_id": make_id(), "wants_news": True, "notice": told, "at": at}
        async with sessions.begin() as session:
            await apply(session, make_record("outage_heard", **call, **whose))

    return heard


async def look(sessions: Sessions, erp: FakeErp, *, seconds: float = 60) -> list[str]:
    """A minute of the worker → whom it told, in all."""
    now = later(seconds)
    await Notices(sessions, cast(Erp, erp), now=lambda: now).step()
    async with sessions.begin() as session:
        await outages.tell_who_waits(session, now=now)
    async with sessions() as session:
        return [message.to for message in (await outbox.list_messages(session)).items]


async def the_outage(sessions: Sessions) -> Outage:
    async with sessions() as session:
        return (await session.scalars(select(Outage))).one()


async def test_it_is_one_outage_for_all_who_hear_of_it(sessions: Sessions, erp: FakeErp, hear: Hear) -> None:
    await hear()
    await hear(phone="+5511987650002")
    outage = await the_outage(sessions)
    assert (outage.id, outage.note, outage.opened_by, outage.ends_at) == (ID, NOTICE.text, "fake", NOTICE.ends_at)
    async with sessions() as session:
        assert len((await session.scalars(select(OutageCall))).all()) == 2
    assert await look(sessions, erp) == []


async def test_who_asked_is_told_once_the_system_no_longer_tells_of_it(
    sessions: Sessions, erp: FakeErp, hear: Hear
) -> None:
    await hear()
    erp.notices.clear()
    assert await look(sessions, erp) == [CALLER]
    assert await look(sessions, erp, seconds=120) == [CALLER]
    assert (await the_outage(sessions)).closed_by == "fake"


async def test_one_whose_end_has_passed_is_over_and_a_new_estimate_is_taken_over(
    sessions: Sessions, erp: FakeErp, hear: Hear
) -> None:
    await hear()
    longer = NOON + timedelta(hours=5)
    erp.notices = dict.fromkeys(erp.notices, (OutageNotice("77", "", longer),))
    assert await look(sessions, erp) == []
    assert (await the_outage(sessions)).ends_at == longer
    assert await look(sessions, erp, seconds=6 * 3600) == [CALLER]


@pytest.mark.parametrize("trouble", [{"down": True}, {"cannot": {"outages"}}])
async def test_nobody_hears_of_an_end_that_nobody_saw(
    sessions: Sessions, erp: FakeErp, hear: Hear, trouble: dict[str, Any]
) -> None:
    await hear()
    erp.notices.clear()
    for name, value in trouble.items():
        setattr(erp, name, value)
    assert await look(sessions, erp) == []
    assert (await the_outage(sessions)).closed_at is None


def leaves(erp: FakeErp, contract_id: str) -> None:
    """The contract is in the provider's system no more."""
    kept = [
        replace(one, contracts=tuple(each for each in one.contracts if each.contract.id != contract_id))
        for one in erp.world.subscribers
    ]
    erp.world = replace(erp.world, subscribers=tuple(kept))


async def test_one_that_nothing_can_be_asked_of_is_closed_a_day_later_and_a_person_tells_who_waits(
    sessions: Sessions, erp: FakeErp, hear: Hear
) -> None:
    await hear()
    assert await look(sessions, erp, seconds=3600) == []
    leaves(erp, next(iter(erp.notices)))
    assert await look(sessions, erp, seconds=24 * 3600) == []
    assert (await the_outage(sessions)).closed_at is None, "it was seen 23 hours ago"
    assert await look(sessions, erp, seconds=25 * 3600) == [], "nobody saw its end"
    async with sessions() as session:
        assert [callback.phone for callback in await session.scalars(select(Callback))] == [CALLER]
    outage = await the_outage(sessions)
    assert (outage.closed_at, outage.closed_by) == (later(25 * 3600), outages.NOBODY)


async def test_it_is_asked_for_by_the_contract_of_its_newest_caller(
    sessions: Sessions, erp: FakeErp, hear: Hear
) -> None:
    first, second = [each.contract for each in erp.world.contracts()][:2]
    await hear()
    await hear(at=later(60), contract=second, phone="+5511987650002")
    await hear(at=later(30), contract=first, phone="+5511987650003")  # out of the journal later
    leaves(erp, first.id)
    erp.notices = {second.id: (OutageNotice("77"),)}
    assert await look(sessions, erp, seconds=30 * 3600) == []
    assert (await the_outage(sessions)).closed_at is None


async def test_one_that_comes_back_ends_again_for_who_asked_again(sessions: Sessions, erp: FakeErp, hear: Hear) -> None:
    await hear()
    notices, erp.notices = erp.notices, {}
    await look(sessions, erp)
    erp.notices = notices
    await hear(at=later(600))
    assert await look(sessions, erp, seconds=660) == [CALLER]
    erp.notices = {}
    assert await look(sessions, erp, seconds=720) == [CALLER, CALLER]
