"""Where people wait for us, through the API."""

import pytest

from tests.api.conftest import Client
from tests.factories import NOON, later, make_city, make_id, make_neighbourhood, make_record
from ura.db import Sessions
from ura.models import Coverage, Role
from ura.projection import apply_batch

ADDRESS = "/api/v1/waiting-list"


@pytest.fixture
async def wanted(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        city = await make_city(session)
        flora = await make_neighbourhood(session, city, "Chácara Flora", status=Coverage.NONE)
        vila = await make_neighbourhood(session, city, "Vila Esperança", status=Coverage.PLANNED)
        asked = [("+5511987654321", flora.id), ("+5511944443333", vila.id), ("+551133334444", vila.id)]
        await apply_batch(
            session,
            [
                make_record(
                    "waiting_list_joined",
                    entry_id=make_id(),
                    call_id=None,
                    phone=phone,
                    neighbourhood_id=place,
                    at=later(delay),
                )
                for delay, (phone, place) in enumerate(asked)
            ],
        )


@pytest.mark.usefixtures("wanted")
async def test_the_most_wanted_neighbourhood_comes_first_and_nobody_is_named(program: Client) -> None:
    async with program("leads:read") as client:
        answer = await client.get(ADDRESS)
    assert [(place["neighbourhood"], place["waiting"], place["coverage"]) for place in answer.json()] == [
        ("Vila Esperança", 2, "planned"),
        ("Chácara Flora", 1, "none"),
    ]
    assert answer.json()[1]["first_at"] == NOON.isoformat().replace("+00:00", "Z")
    assert "+55" not in answer.text


async def test_who_may_not_see_leads_does_not_see_the_demand(person: Client) -> None:
    async with person(Role.TECHNICIAN) as client:
        assert (await client.get(ADDRESS)).status_code == 403
        assert 'href="/panel/leads"' not in (await client.get("/panel")).text
