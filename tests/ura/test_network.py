"""Blocked, outage, light, session, power: in that order, from whoever answers in time."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ura import network
from ura.erp import (
    Access,
    Answer,
    Connection,
    Contract,
    ContractStatus,
    ErpUnavailable,
    Optical,
    OutageNotice,
    SessionState,
    Unsupported,
)
from ura.network import Diagnosis, OutageFacts, Signal, SignalLimits, Sources, Verdict

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CONTRACT = Contract("7", "1", "1007", ContractStatus.ACTIVE, access=Access(login="casa7"))
OUR_OUTAGE = OutageFacts("o1", "fibre_cut", NOW - timedelta(hours=1), NOW + timedelta(hours=2))
ONLINE, OFFLINE = Connection(SessionState.ONLINE), Connection(SessionState.OFFLINE)


@dataclass
class System:
    """Somebody who may know. A value, an exception, None for "cannot say", or slow."""

    name: str = "erp"
    session: Any = None
    light: Any = None
    notices: Any = ()
    slow: bool = False
    as_of: datetime = NOW

    async def connection(self, contract: Contract) -> Any:
        return await self._say(self.session)

    async def optical(self, contract: Contract) -> Any:
        return await self._say(self.light)

    async def outages(self, contract: Contract) -> Any:
        return await self._say(self.notices)

    async def _say(self, value: Any) -> Any:
        if self.slow:
            await asyncio.Event().wait()
        if isinstance(value, Exception):
            raise value
        if value is None:
            return Unsupported(self.name, "this")
        return Answer(value, self.name, self.as_of)


async def diagnose(
    *systems: System,
    outage: OutageFacts | Exception | None = None,
    contract: Contract = CONTRACT,
    as_of: datetime | None = None,
) -> Diagnosis:
    async def own(contract: Contract) -> OutageFacts | None:
        if isinstance(outage, Exception):
            raise outage
        return outage

    sources = Sources(own, systems, systems, systems)
    return await network.diagnose(contract, sources, now=NOW, deadline_s=0.05, as_of=as_of)


@pytest.mark.parametrize(
    ("session", "light", "verdict", "signal"),
    [
        (ONLINE, Optical(-19.0, False), Verdict.GOOD, Signal.GOOD),
        (ONLINE, Optical(-25.0), Verdict.GOOD, Signal.GOOD),
        (ONLINE, Optical(-26.0), Verdict.GOOD, Signal.WATCH),
        (ONLINE, Optical(-27.0), Verdict.GOOD, Signal.WATCH),
        (ONLINE, Optical(-28.5), Verdict.WEAK, Signal.BAD),
        (ONLINE, None, Verdict.GOOD, Signal.UNKNOWN),
        (ONLINE, Optical(None, True), Verdict.GOOD, Signal.UNKNOWN),  # measured before the light came back
        (OFFLINE, Optical(None, True), Verdict.LOS, Signal.UNKNOWN),
        (OFFLINE, Optical(-19.0, False), Verdict.NO_SESSION, Signal.GOOD),
        (OFFLINE, None, Verdict.NO_SESSION, Signal.UNKNOWN),
        (None, Optical(None, True), Verdict.LOS, Signal.UNKNOWN),
        (None, Optical(-29.0), Verdict.WEAK, Signal.BAD),
        (None, Optical(-19.0), Verdict.UNKNOWN, Signal.GOOD),
        (Connection(SessionState.UNKNOWN), None, Verdict.UNKNOWN, Signal.UNKNOWN),
    ],
)
async def test_light_session_and_power(session: Any, light: Any, verdict: Verdict, signal: Signal) -> None:
    found = await diagnose(System(session=session, light=light))
    assert (found.verdict, found.signal) == (verdict, signal)


async def test_a_blocked_line_is_not_asked_about_and_neither_is_a_suspended_one() -> None:
    broken = System(session=ErpUnavailable("away"))
    for status, verdict in ((ContractStatus.BLOCKED, Verdict.BLOCKED), (ContractStatus.SUSPENDED, Verdict.SUSPENDED)):
        found = await diagnose(broken, contract=replace(CONTRACT, status=status), outage=OUR_OUTAGE)
        assert (found.verdict, found.sources) == (verdict, {})


@pytest.mark.parametrize("status", [ContractStatus.BLOCKED, ContractStatus.SUSPENDED])
@pytest.mark.parametrize(
    ("session", "light", "verdict"),
    [
        (OFFLINE, Optical(-19.0, False), Verdict.UNKNOWN),  # paid for since, or not
        (ONLINE, Optical(-19.0), Verdict.GOOD),
        (OFFLINE, Optical(None, True), Verdict.LOS),
        (None, None, Verdict.UNKNOWN),
    ],
)
async def test_a_block_of_half_an_hour_ago_is_no_verdict(
    status: ContractStatus, session: Any, light: Any, verdict: Verdict
) -> None:
    contract, line = replace(CONTRACT, status=status), System(session=session, light=light)
    assert (await diagnose(line, contract=contract, as_of=NOW - timedelta(minutes=30))).verdict is verdict
    fresh = await diagnose(line, contract=contract, as_of=NOW - timedelta(minutes=1))
    assert fresh.verdict in (Verdict.BLOCKED, Verdict.SUSPENDED)


async def test_an_outage_explains_everything_that_comes_after_it() -> None:
    found = await diagnose(System(session=OFFLINE, light=Optical(None, True)), outage=OUR_OUTAGE)
    assert (found.verdict, found.outage) == (Verdict.OUTAGE, OUR_OUTAGE)


@pytest.mark.parametrize(
    ("ends_at", "session", "verdict"),
    [
        (NOW + timedelta(hours=1), ONLINE, Verdict.OUTAGE),
        (NOW - timedelta(1), ONLINE, Verdict.GOOD),
        (NOW - timedelta(1), OFFLINE, Verdict.NO_SESSION),
        (None, ONLINE, Verdict.GOOD),  # any text may stand there; a line that is up is not down
        (None, OFFLINE, Verdict.OUTAGE),
        (None, None, Verdict.OUTAGE),
    ],
)
async def test_a_notice_of_the_erp_counts_until_its_end_and_without_one_while_the_line_is_down(
    ends_at: datetime | None, session: Any, verdict: Verdict
) -> None:
    found = await diagnose(System(session=session, notices=(OutageNotice("77", "", ends_at),)))
    assert found.verdict is verdict


async def test_a_notice_is_one_outage_for_all_who_hear_of_it() -> None:
    notice = OutageNotice("77", "Rompimento na Rua A", NOW + timedelta(hours=1))
    one, other = [
        await diagnose(System("sgp", session=OFFLINE, notices=(OutageNotice("1", "", NOW - timedelta(1)), notice)))
        for _ in range(2)
    ]
    assert (
        one.outage
        == other.outage
        == OutageFacts(network.notice_id("sgp", "77"), "", None, notice.ends_at, "sgp", notice)
    )


async def test_the_latest_news_of_the_session_counts() -> None:
    old = System("sgp", session=ONLINE, as_of=NOW - timedelta(minutes=20))
    new = System("radius", session=OFFLINE, as_of=NOW - timedelta(minutes=1))
    assert (await diagnose(old, new)).verdict is Verdict.NO_SESSION
    unsure = System("radius", session=Connection(SessionState.UNKNOWN), as_of=NOW)
    assert (await diagnose(old, unsure)).verdict is Verdict.GOOD


async def test_a_level_of_yesterday_says_nothing_and_the_olt_is_believed_before_the_router() -> None:
    stale = System("olt", session=ONLINE, light=Optical(-29.0), as_of=NOW - timedelta(hours=20))
    assert (await diagnose(stale)).signal is Signal.UNKNOWN
    olt, router = System("olt", session=ONLINE, light=Optical(-19.0)), System("genieacs", light=Optical(-29.0))
    assert (await diagnose(olt, router)).signal is Signal.GOOD


async def test_who_is_slow_gone_or_broken_leaves_a_gap_and_no_guess() -> None:
    systems = [
        System("slow", slow=True),
        System("gone", session=ErpUnavailable("away"), light=ErpUnavailable("away"), notices=ErpUnavailable("away")),
        System("broken", session=RuntimeError("bug"), light=RuntimeError("bug"), notices=RuntimeError("bug")),
    ]
    async with asyncio.timeout(1):
        found = await diagnose(*systems, outage=ErpUnavailable("database away"))
    assert found.verdict is Verdict.UNKNOWN
    assert set(found.sources.values()) == {"failed"}
    with_one_who_knows = await diagnose(*systems, System("radius", session=ONLINE))
    assert with_one_who_knows.verdict is Verdict.GOOD
    assert with_one_who_knows.sources["session:radius"] == "answered"
    assert with_one_who_knows.sources["signal:radius"] == "unsupported"


def test_the_limits_are_the_providers() -> None:
    assert SignalLimits(watch=-23, bad=-24).light(-25) is Signal.BAD
