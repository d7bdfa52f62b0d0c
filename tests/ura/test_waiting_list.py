"""Who waits for a neighbourhood is rung when it is covered: by the import that says so, and once."""

import asyncio
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from tests.factories import NOON, later, lead_saved, make_city, make_id, make_neighbourhood, make_record
from ura import imports, leads, queues, waiting_list
from ura.db import Sessions
from ura.imports import ImportKind
from ura.journal import Record
from ura.models import Callback, Coverage, LeadStatus, Neighbourhood, WaitingListEntry
from ura.projection import apply_batch
from ura.settings import Settings
from worker.sales import Sales

ANA, BIA, CAIO = "+5511987654321", "+5511944443333", "+551133334444"
FILE = """Cidade;Bairro;Apelidos;Situação;Previsão;CEP inicial;CEP final
Vale Verde;Vila Esperança;;{};;;
Vale Verde;Chácara Flora;;previsto;01/03/2027;;
"""


@pytest.fixture
async def places(sessions: Sessions) -> tuple[int, int]:
    """Neither is covered: the ids of Vila Esperança and Chácara Flora."""
    async with sessions.begin() as session:
        city = await make_city(session)
        first = await make_neighbourhood(session, city, "Vila Esperança", status=Coverage.NONE)
        other = await make_neighbourhood(session, city, "Chácara Flora", status=Coverage.PLANNED)
        return first.id, other.id


def joined(phone: str, place: int, *, at: float = 0, call_id: str | None = None) -> Record:
    return make_record(
        "waiting_list_joined", entry_id=make_id(), call_id=call_id, phone=phone, neighbourhood_id=place, at=later(at)
    )


async def asked(sessions: Sessions, *records: Record) -> None:
    async with sessions.begin() as session:
        await apply_batch(session, records)


async def imported(sessions: Sessions, status: str) -> None:
    async with sessions() as session:
        made = await imports.preview(session, ImportKind.NEIGHBOURHOODS, FILE.format(status), today=date(2026, 11, 23))
    assert made.errors == []
    async with sessions.begin() as session:
        await imports.apply(session, made, {})


async def rung(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return sorted((await session.scalars(select(Callback.phone))).all())


async def test_the_import_that_covers_a_place_opens_a_call_to_each_who_waits(
    sessions: Sessions, places: tuple[int, int]
) -> None:
    here, elsewhere = places
    call_id, lead_id = make_id(), make_id()
    await asked(
        sessions,
        joined(ANA, here, call_id=call_id),
        joined(ANA, here, at=60),  # asked twice: rung once
        joined(BIA, here, at=90),
        joined(CAIO, elsewhere),
        lead_saved(lead_id, "waiting", call_id=call_id, phone=ANA),
    )
    await imported(sessions, "não")
    assert await rung(sessions) == []
    before = datetime.now(UTC)
    for _ in range(2):
        await imported(sessions, "coberto")
        assert await rung(sessions) == [BIA, ANA]
    async with sessions() as session:
        [one] = (await queues.list_callbacks(session, filters=queues.CallbackFilter(phone=ANA))).items
        assert (one.queue, one.call_id, one.not_before_at >= before) == ("vendas", call_id, True)
        lead = await leads.get_lead(session, lead_id)
        assert (lead.status, lead.next_action_at) == (LeadStatus.FORWARDED, one.not_before_at)
        open_ones = select(WaitingListEntry.phone).where(WaitingListEntry.settled_at.is_(None))
        assert (await session.scalars(open_ones)).all() == [CAIO]
        assert [(place.neighbourhood, place.waiting) for place in await waiting_list.demand(session)] == [
            ("Chácara Flora", 1)
        ]


async def test_an_import_that_fails_rings_nobody(sessions: Sessions, places: tuple[int, int]) -> None:
    await asked(sessions, joined(ANA, places[0]))
    async with sessions() as session:
        made = await imports.preview(
            session, ImportKind.NEIGHBOURHOODS, FILE.format("coberto"), today=date(2026, 11, 23)
        )
        await imports.apply(session, made, {})
        await session.rollback()
    assert await rung(sessions) == []
    async with sessions() as session:
        assert [place.waiting for place in await waiting_list.demand(session)] == [1]


async def test_whose_record_comes_after_the_import_is_rung_by_the_worker(
    sessions: Sessions, settings: Settings, places: tuple[int, int]
) -> None:
    await imported(sessions, "coberto")
    await asked(sessions, joined(ANA, places[0]), joined(CAIO, places[1]))
    for _ in range(2):
        await Sales(sessions, settings).minutely(NOON)
        assert await rung(sessions) == [ANA]


async def test_import_and_worker_at_once_ring_once(sessions: Sessions, places: tuple[int, int]) -> None:
    await asked(sessions, *(joined(f"+55119{number:08}", places[0]) for number in range(20)))
    async with sessions.begin() as session:
        (await session.get_one(Neighbourhood, places[0])).status = Coverage.COVERED

    async def ring() -> int:
        async with sessions.begin() as session:
            return await waiting_list.call_back(session, now=NOON)

    assert sorted(await asyncio.gather(ring(), ring())) == [0, 20]
    assert len(await rung(sessions)) == 20


async def test_demand_counts_people_and_starts_with_the_most_wanted(
    sessions: Sessions, places: tuple[int, int]
) -> None:
    here, elsewhere = places
    await asked(sessions, joined(ANA, here, at=30), joined(ANA, here, at=10), joined(CAIO, elsewhere, at=5))
    async with sessions() as session:
        assert [place.neighbourhood for place in await waiting_list.demand(session)] == [
            "Chácara Flora",
            "Vila Esperança",
        ]
    await asked(sessions, joined(BIA, here, at=20))
    async with sessions() as session:
        first, second = await waiting_list.demand(session)
    assert (first.neighbourhood, first.city, first.waiting, first.first_at) == (
        "Vila Esperança",
        "Vale Verde",
        2,
        later(10),
    )
    assert (second.neighbourhood, second.waiting, second.coverage) == ("Chácara Flora", 1, Coverage.PLANNED)
