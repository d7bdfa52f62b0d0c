"""A flow's figures through the API and on the panel: the days that are asked for, in local time, and who may ask."""

from datetime import UTC, datetime

import pytest

from tests.api.conftest import Client
from tests.factories import call_opened, call_step, make_id
from ura.db import Sessions
from ura.models import Role
from ura.projection import apply_batch

REPORT, PANEL = "/api/v1/reports/flow", "/panel/reports"
LATE = datetime(2026, 11, 24, 2, 59, tzinfo=UTC)  # still the 23rd in São Paulo


@pytest.fixture
async def two_calls(sessions: Sessions) -> None:
    """A minute before midnight, and at midnight."""
    for at in (LATE, LATE.replace(hour=3, minute=0)):
        call_id = make_id()
        steps = [
            call_step(call_id, 1, node="greeting", event="played", detail={"to": "main"}, at=at),
            call_step(call_id, 2, node="main", event="hung_up", detail={"to": "main"}, at=at),
        ]
        async with sessions.begin() as session:
            await apply_batch(session, [call_opened(call_id, at=at, flow_version=3), *steps])


@pytest.mark.usefixtures("two_calls")
async def test_days_are_local_and_both_included(program: Client) -> None:
    async with program("reports:read") as client:

        async def calls(first: str, last: str) -> int:
            found = (await client.get(REPORT, params={"first": first, "last": last})).json()
            assert [node["hung_up"] for node in found["nodes"]] in ([], [0, found["calls"]])
            return int(found["calls"])

        assert await calls("2026-11-23", "2026-11-23") == 1
        assert await calls("2026-11-24", "2026-11-24") == 1
        assert await calls("2026-11-23", "2026-11-24") == 2
        assert await calls("2026-11-25", "2026-11-30") == 0
        asked = {"first": "2026-11-01", "last": "2026-11-30", "version": 3, "flow_key": "provedor"}
        assert (await client.get(REPORT, params=asked)).json()["versions"] == [{"version": 3, "calls": 2}]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("first", "last"),
    [("2026-11-02", "2026-11-01"), ("2026-10-01", "2026-11-01"), ("9999-12-31", "9999-12-31"), ("x", "2026-11-01")],
)
async def test_days_that_cannot_be_are_refused(program: Client, person: Client, first: str, last: str) -> None:
    async with program("reports:read") as client:
        assert (await client.get(REPORT, params={"first": first, "last": last})).status_code == 422
    async with person(Role.OWNER) as client:
        page = await client.get(PANEL, params={"first": first, "last": last})
        assert (page.status_code, 'role="alert"' in page.text) == (422, True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_owner_sees_the_figures_and_attendants_do_not(person: Client) -> None:
    async with person(Role.OWNER) as client:
        page = await client.get(PANEL)
        assert (page.status_code, "Nenhuma ligação deste fluxo" in page.text) == (200, True)
        assert 'href="/panel/reports"' in page.text
    async with person(Role.ATTENDANT) as client:
        assert (await client.get(PANEL)).status_code == 403
        assert (await client.get(REPORT)).status_code == 403
