"""An outage plays to exactly whom it touches, and who asked is told once when it is over."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.factories import NOON, later, make_id, make_record
from ura import outages
from ura.db import Sessions
from ura.erp import Access, Contract, ContractStatus, SendChannel
from ura.errors import BadInput
from ura.gateways import phone_channel
from ura.models import Callback, Cause, Outage, OutageCall, OutboxMessage
from ura.outages import OutageIsOver, OutageNotFound, Scope
from ura.projection import apply, apply_batch

PALMEIRAS = Scope(neighbourhood="Jardim das Palmeiras", city="Vale Verde")
AT_HOME = Contract(
    "7",
    "1",
    "1007",
    ContractStatus.ACTIVE,
    neighbourhood="jardim das palmeiras",
    city="VALE VERDE",
    access=Access(olt="OLT-VV-1", pon="0/1/3", cto="CTO-PAL-01"),
)
MOBILE, LANDLINE = "+5511987650001", "+551133330001"


async def opened(
    sessions: Sessions, *scopes: Scope, outage_id: str = "", hours: float = 2, starts_in_h: float = 0
) -> str:
    begins = NOON + timedelta(hours=starts_in_h)
    async with sessions.begin() as session:
        outage = await outages.open_outage(
            session,
            cause=Cause.FIBRE_CUT,
            scopes=scopes or (PALMEIRAS,),
            started_at=begins,
            ends_at=begins + timedelta(hours=hours),
            opened_by="noc",
            now=NOON,
            outage_id=outage_id,
        )
        return outage.id


async def touches(sessions: Sessions, contract: Contract, seconds: float = 60) -> str | None:
    async with sessions() as session:
        found = await outages.find_for(session, contract, now=later(seconds))
        return found and found.id


async def closed(sessions: Sessions, outage_id: str, seconds: float = 3600) -> int:
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, outage_id)
        return await outages.close_outage(session, outage, closed_by="noc", now=later(seconds))


def heard(outage_id: str, phone: str, *, wants_news: bool, call_id: str = "") -> dict[str, object]:
    return {
        "outage_id": outage_id,
        "call_id": call_id or make_id(),
        "contract_id": "7",
        "phone": phone,
        "wants_news": wants_news,
        "at": NOON,
    }


async def rang(sessions: Sessions, records: Iterable[dict[str, object]]) -> None:
    async with sessions.begin() as session:
        await apply_batch(session, [make_record("outage_heard", **record) for record in records])


async def told(sessions: Sessions) -> tuple[list[str], list[str]]:
    async with sessions() as session:
        messages = (await session.scalars(select(OutboxMessage))).all()
        assert {message.kind for message in messages} <= {"outage_fixed"}
        return sorted(message.to for message in messages), sorted(await session.scalars(select(Callback.phone)))


@pytest.mark.parametrize(
    "scope",
    [
        PALMEIRAS,
        Scope(olt="olt-vv-1"),
        Scope(olt="OLT-VV-1", pon="0/1/3"),
        Scope(cto=" cto-pal-01 "),
    ],
)
async def test_it_touches_whoever_hangs_on_the_place_or_the_fibre(sessions: Sessions, scope: Scope) -> None:
    outage_id = await opened(sessions, scope)
    assert await touches(sessions, AT_HOME) == outage_id
    assert await touches(sessions, AT_HOME, seconds=-1) is None  # not yet


@pytest.mark.parametrize(
    "scope",
    [
        Scope(neighbourhood="Jardim das Palmeiras", city="Serra Azul"),
        Scope(neighbourhood="Centro", city="Vale Verde"),
        Scope(olt="OLT-VV-2"),
        Scope(olt="OLT-VV-1", pon="0/1/33"),
        Scope(olt="OLT-VV-2", pon="0/1/3"),
        Scope(cto="CTO-PAL-011"),
    ],
)
async def test_it_touches_nobody_else(sessions: Sessions, scope: Scope) -> None:
    await opened(sessions, scope)
    assert await touches(sessions, AT_HOME) is None


async def test_a_contract_of_which_nothing_is_known_hangs_on_nothing(sessions: Sessions) -> None:
    await opened(sessions)
    assert await touches(sessions, Contract("8", "1", "1008", ContractStatus.ACTIVE)) is None
    assert await touches(sessions, replace(AT_HOME, city="", access=Access())) is None


async def test_of_two_outages_the_longer_one_is_told_and_after_both_none(sessions: Sessions) -> None:
    short = await opened(sessions, hours=1)
    long = await opened(sessions, Scope(cto="CTO-PAL-01"), hours=5)
    assert await touches(sessions, AT_HOME) == long
    await closed(sessions, long)
    assert await touches(sessions, AT_HOME, seconds=4000) == short
    await closed(sessions, short)
    assert await touches(sessions, AT_HOME, seconds=4000) is None
    async with sessions() as session:
        assert not await outages.is_any_open(session, now=later(4000))
        assert [one.id for one in await outages.list_outages(session, over=False)] == []
        assert {one.id for one in await outages.list_outages(session)} == {short, long}


async def test_planned_work_is_no_outage_before_it_begins(sessions: Sessions) -> None:
    outage_id = await opened(sessions, starts_in_h=3)
    async with sessions() as session:
        assert not await outages.is_any_open(session, now=later(60))
    assert await touches(sessions, AT_HOME) is None
    assert await touches(sessions, AT_HOME, seconds=3 * 3600) == outage_id


async def test_who_asked_is_told_once_by_message_or_by_a_call(sessions: Sessions) -> None:
    outage_id = await opened(sessions)
    call_id = make_id()
    await rang(
        sessions,
        [
            heard(outage_id, MOBILE, wants_news=True, call_id=call_id),
            heard(outage_id, MOBILE, wants_news=False, call_id=call_id),  # the same call, in the other order
            heard(outage_id, MOBILE, wants_news=True),  # rang again
            heard(outage_id, LANDLINE, wants_news=True),
            heard(outage_id, "+5511987650002", wants_news=False),
            heard(outage_id, "", wants_news=True),
        ],
    )
    async with sessions() as session:
        assert await outages.count_calls(session, [outage_id]) == {outage_id: (5, 2)}
    assert await told(sessions) == ([], [])
    assert await closed(sessions, outage_id) == 2
    assert await closed(sessions, outage_id) == 0
    assert await told(sessions) == ([MOBILE], [LANDLINE])


async def test_the_news_goes_by_the_channel_that_there_is(sessions: Sessions) -> None:
    outage_id = await opened(sessions)
    await rang(sessions, [heard(outage_id, MOBILE, wants_news=True)])
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, outage_id)
        by = phone_channel([SendChannel.EMAIL, SendChannel.WHATSAPP, SendChannel.SMS])
        await outages.close_outage(session, outage, closed_by="noc", now=later(60), by=by)
    async with sessions() as session:
        assert [each.channel for each in await session.scalars(select(OutboxMessage))] == [SendChannel.WHATSAPP]
    assert phone_channel([SendChannel.EMAIL]) is SendChannel.SMS


async def test_a_wish_that_comes_out_of_the_journal_late_is_kept_too(sessions: Sessions) -> None:
    outage_id = await opened(sessions)
    await closed(sessions, outage_id)
    await rang(sessions, [heard(outage_id, MOBILE, wants_news=True)])
    async with sessions.begin() as session:
        assert await outages.tell_who_waits(session, now=later(4000)) == 1
        assert await outages.tell_who_waits(session, now=later(4001)) == 0
    assert await told(sessions) == ([MOBILE], [])


async def test_the_record_of_a_call_does_not_undo_that_it_was_told(sessions: Sessions) -> None:
    outage_id, call_id = await opened(sessions), make_id()
    record = make_record("outage_heard", **heard(outage_id, MOBILE, wants_news=True, call_id=call_id))
    async with sessions.begin() as session:
        await apply(session, record)
    await closed(sessions, outage_id)
    async with sessions.begin() as session:
        await apply(session, record)
    async with sessions() as session:
        assert (await session.get_one(OutageCall, (outage_id, call_id))).told_at is not None


async def test_it_can_be_changed_until_it_is_over(sessions: Sessions) -> None:
    outage_id = await opened(sessions)
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, outage_id)
        await outages.change_outage(
            session, outage, cause=Cause.POWER, ends_at=None, note=" gerador ", scopes=[Scope(cto="CTO-CEN-01")]
        )
        assert (outage.cause, outage.ends_at, outage.note) == (Cause.POWER, None, "gerador")
        assert await outages.scopes_of(session, [outage_id]) == {outage_id: [("cto", "CTO-CEN-01")]}
        await outages.change_outage(session, outage, cause=Cause.POWER, ends_at=later(60), note="")
        assert await outages.scopes_of(session, [outage_id]) == {outage_id: [("cto", "CTO-CEN-01")]}
    await closed(sessions, outage_id)
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, outage_id)
        with pytest.raises(OutageIsOver):
            await outages.change_outage(session, outage, cause=Cause.OTHER, ends_at=None, note="")


async def test_asked_twice_it_is_opened_once(sessions: Sessions) -> None:
    assert await opened(sessions, outage_id="o" * 32) == await opened(sessions, outage_id="o" * 32)
    async with sessions() as session:
        assert len((await session.scalars(select(Outage))).all()) == 1


async def test_what_is_no_outage_is_refused(sessions: Sessions) -> None:
    with pytest.raises(BadInput, match="before it began"):
        await opened(sessions, hours=-1)
    with pytest.raises(BadInput, match="name a neighbourhood"):
        await opened(sessions, Scope(neighbourhood="Centro"))
    outage_id = await opened(sessions)
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, outage_id)
        with pytest.raises(BadInput, match="1 to"):
            await outages.change_outage(session, outage, cause=Cause.POWER, ends_at=None, note="", scopes=[])
    async with sessions() as session:
        with pytest.raises(OutageNotFound):
            await outages.get_outage(session, "nothing")
