"""Our own book of unlocks, for a system that has no limit."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.factories import NOON, make_id
from tests.fake_erp import FakeErp
from ura.adapters.erp.ledger import Ledger
from ura.billing import Policy
from ura.db import Sessions
from ura.erp import ErpUnavailable, UnlockVerdict
from ura.settings import Settings

BLOCKED, OLD_DEBT = "2002", "2012"


def make(sessions: Sessions, settings: Settings, *, days: int = 0) -> Ledger:
    ledger = Ledger(sessions, Policy(), source="mkauth", zone=settings.zone, clock=lambda: NOON + timedelta(days=days))
    ledger.asks = FakeErp().open_invoices
    return ledger


async def test_one_unlock_a_month_and_its_wish_is_known_again(sessions: Sessions, settings: Settings) -> None:
    ledger, first, second = make(sessions, settings), make_id(), make_id()
    assert (await ledger.may(BLOCKED)).verdict is UnlockVerdict.ALLOWED
    assert await ledger.find(first) is None
    granted = await ledger.write(BLOCKED, first)
    assert granted.verdict is UnlockVerdict.GRANTED
    assert await ledger.write(BLOCKED, first) == granted
    assert await ledger.find(first) == granted
    assert (await ledger.write(BLOCKED, second)).verdict is UnlockVerdict.ALREADY_ACTIVE
    assert (await ledger.may(BLOCKED)).verdict is UnlockVerdict.ALREADY_ACTIVE
    assert (await make(sessions, settings, days=4).may(BLOCKED)).verdict is UnlockVerdict.USED_THIS_PERIOD
    assert (await make(sessions, settings, days=9).may(BLOCKED)).verdict is UnlockVerdict.ALLOWED


async def test_what_surely_did_not_happen_is_struck_out(sessions: Sessions, settings: Settings) -> None:
    ledger, key = make(sessions, settings), make_id()
    await ledger.write(BLOCKED, key)
    await ledger.strike(key)
    assert await ledger.find(key) is None
    assert (await ledger.may(BLOCKED)).verdict is UnlockVerdict.ALLOWED


async def test_of_many_wishes_at_once_one_is_written(sessions: Sessions, settings: Settings) -> None:
    ledger = make(sessions, settings)
    written = await asyncio.gather(*(ledger.write(BLOCKED, make_id()) for _ in range(6)))
    assert [each.verdict for each in written].count(UnlockVerdict.GRANTED) == 1


async def test_an_old_debt_is_refused_and_another_systems_unlock_does_not_count(
    sessions: Sessions, settings: Settings
) -> None:
    ledger = make(sessions, settings)
    assert (await ledger.may(OLD_DEBT)).verdict is UnlockVerdict.POLICY_REFUSED
    other = Ledger(sessions, Policy(), source="rbx", zone=settings.zone, clock=lambda: NOON)
    await other.write(BLOCKED, make_id())
    assert (await ledger.may(BLOCKED)).verdict is UnlockVerdict.ALLOWED


async def test_without_our_book_nothing_is_unlocked(sessions: Sessions, settings: Settings) -> None:
    async with sessions.begin() as session:
        await session.execute(text("DROP TABLE trust_unlock"))
    ledger = make(sessions, settings)
    for asking in (
        ledger.may(BLOCKED),
        ledger.find("k"),
        ledger.write(BLOCKED, make_id()),
        ledger.strike("k"),
    ):
        with pytest.raises(ErpUnavailable) as failed:
            await asking
        assert not failed.value.maybe_done
