"""Hours and holidays through the API and the panel: set, refused, in force at the next call, and written down."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from ura import queues
from ura.db import Sessions
from ura.models import AuditEntry, BusinessHours, Holiday, Queue, Role

HOURS, HOLIDAYS, PANEL = "/api/v1/hours", "/api/v1/holidays", "/panel/hours"
ZONE = ZoneInfo("America/Sao_Paulo")
LUNCH = [
    {"weekday": 0, "opens": "13:00:00", "closes": "00:00:00"},
    {"weekday": 0, "opens": "08:00:00", "closes": "12:00:00"},
]
MONDAY, DAY = "2027-06-21", "2027-06-24"


@pytest.fixture
async def branch(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Queue(key="l1", title="Atendimento", business_hours="comercial"))


async def is_open(sessions: Sessions, moment: str) -> bool:
    now = datetime.fromisoformat(moment).replace(tzinfo=ZONE)
    async with sessions() as session:
        return (await queues.opening(session, "l1", now, zone=ZONE, state_uf="SP")).open


@pytest.mark.usefixtures("branch")
async def test_a_week_is_set_and_holds_from_the_next_call_on(program: Client, sessions: Sessions) -> None:
    async with program("hours:read", "hours:write") as client:
        empty = {"timetable": "comercial", "spans": [], "queues": ["Atendimento"]}
        assert (await client.get(HOURS)).json() == [empty]
        assert not await is_open(sessions, f"{MONDAY}T09:00")
        assert (await client.put(f"{HOURS}/comercial", json={"spans": LUNCH})).status_code == 200
        assert (await client.get(HOURS)).json() == [empty | {"spans": LUNCH[::-1]}]
        found = [await is_open(sessions, f"{MONDAY}T{hour}") for hour in ("07:59", "08:00", "12:30", "23:59")]
        assert found == [False, True, False, True]
        await client.put(f"{HOURS}/comercial", json={"spans": []})
        assert not await is_open(sessions, f"{MONDAY}T09:00")
    async with sessions() as session:
        told = await session.scalars(select(AuditEntry.detail).where(AuditEntry.action == "hours.set"))
        assert list(told) == [{"spans": ["0 13:00-00:00", "0 08:00-12:00"]}, {"spans": []}]


BAD_WEEKS = [
    [{"weekday": 0, "opens": "12:00", "closes": "08:00"}],
    [{"weekday": 0, "opens": "08:00", "closes": "08:00"}],
    [{"weekday": 7, "opens": "08:00", "closes": "18:00"}],
    [{"weekday": 0, "opens": "08:00Z", "closes": "18:00Z"}],
    [*LUNCH, {"weekday": 0, "opens": "11:59", "closes": "12:30"}],
    [*LUNCH, {"weekday": 0, "opens": "23:00", "closes": "23:30"}],
]


@pytest.mark.usefixtures("branch")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("spans", BAD_WEEKS)
async def test_a_week_that_cannot_be_is_refused_and_the_old_one_stays(
    program: Client, sessions: Sessions, spans: list[dict[str, object]]
) -> None:
    async with program("hours:read", "hours:write") as client:
        await client.put(f"{HOURS}/comercial", json={"spans": LUNCH})
        assert (await client.put(f"{HOURS}/comercial", json={"spans": spans})).status_code == 422
        assert (await client.put(f"{HOURS}/Comercial Sul", json={"spans": LUNCH})).status_code == 422
        assert [each["spans"] for each in (await client.get(HOURS)).json()] == [LUNCH[::-1]]


@pytest.mark.usefixtures("branch")
async def test_a_day_of_the_town_closes_and_opens_again(program: Client, sessions: Sessions) -> None:
    day = {"on_day": MONDAY, "name": "  Dia da  padroeira ", "timetable": "comercial"}
    async with program("hours:read", "hours:write") as client:
        await client.put(f"{HOURS}/comercial", json={"spans": LUNCH})
        assert (await client.post(HOLIDAYS, json=day)).status_code == 201
        assert (await client.post(HOLIDAYS, json={"on_day": DAY, "name": "São João"})).status_code == 201
        kept = (await client.get(HOLIDAYS, params={"first": MONDAY})).json()
        assert [(each["on_day"], each["name"], each["timetable"]) for each in kept] == [
            (MONDAY, "Dia da padroeira", "comercial"),
            (DAY, "São João", ""),
        ]
        assert len((await client.get(HOLIDAYS, params={"first": DAY})).json()) == 1
        assert not await is_open(sessions, f"{MONDAY}T09:00")
        assert (await client.post(HOLIDAYS, json=day)).json()["code"] == "holiday-already-there"
        nowhere = await client.post(HOLIDAYS, json=day | {"timetable": "filial"})
        assert nowhere.json()["code"] == "timetable-not-found"
        assert (await client.post(HOLIDAYS, json=day | {"on_day": DAY, "name": " "})).status_code == 422
        assert (await client.post(HOLIDAYS, json=day | {"on_day": DAY, "name": "a\0"})).status_code == 422
        gone = await client.delete(f"{HOLIDAYS}/{MONDAY}", params={"timetable": "comercial"})
        assert (gone.status_code, gone.json()["name"]) == (200, "Dia da padroeira")
        assert (await client.delete(f"{HOLIDAYS}/{MONDAY}")).json()["code"] == "holiday-not-found"
        assert await is_open(sessions, f"{MONDAY}T09:00")
    async with sessions() as session:
        lines = select(AuditEntry.action, AuditEntry.subject).where(AuditEntry.action.startswith("holiday."))
        found = [tuple(line) for line in await session.execute(lines.order_by(AuditEntry.id))]
        assert found == [("holiday.add", MONDAY), ("holiday.add", DAY), ("holiday.remove", MONDAY)]


@pytest.mark.usefixtures("branch")
async def test_the_panel_shows_and_changes_both(person: Client, sessions: Sessions) -> None:
    day = datetime.now(UTC).date() + timedelta(days=30)
    async with person(Role.SUPERVISOR) as client:
        week = ["08:00-12:00, 13:00-24:00", "", "", "", "", "9:00–11:30", ""]
        assert (await client.post(f"{PANEL}/week/comercial", data={"days": week})).status_code == 303
        page = (await client.get(PANEL)).text
        assert 'value="08:00-12:00, 13:00-24:00"' in page
        assert 'value="09:00-11:30"' in page
        refused = await client.post(f"{PANEL}/week/comercial", data={"days": ["8 às 12", *week[1:]]})
        assert refused.status_code == 422
        assert 'value="8 às 12"' in refused.text
        assert (
            await client.post(f"{PANEL}/holidays", data={"on_day": str(day), "name": "Padroeira"})
        ).status_code == 303
        again = await client.post(f"{PANEL}/holidays", data={"on_day": str(day), "name": "Outra vez"})
        assert (again.status_code, 'value="Outra vez"' in again.text) == (422, True)
        assert "Padroeira" in (await client.get(PANEL)).text
        for _ in range(2):
            assert (await client.post(f"{PANEL}/holidays/{day}/remove", data={"timetable": ""})).status_code == 303
    async with sessions() as session:
        assert (await session.scalars(select(Holiday))).all() == []
        spans = await session.scalars(select(BusinessHours).order_by(BusinessHours.weekday, BusinessHours.opens))
        assert [(each.weekday, f"{each.opens:%H%M}-{each.closes:%H%M}") for each in spans] == [
            (0, "0800-1200"),
            (0, "1300-0000"),
            (5, "0900-1130"),
        ]


@pytest.mark.usefixtures("branch")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_attendants_read_and_do_not_change(person: Client) -> None:
    async with person(Role.ATTENDANT) as client:
        page = await client.get(PANEL)
        assert (page.status_code, '<form method="post" action="/panel/hours' in page.text) == (200, False)
        assert (await client.put(f"{HOURS}/comercial", json={"spans": []})).status_code == 403
        assert (await client.post(HOLIDAYS, json={"on_day": str(date(2027, 1, 2)), "name": "x"})).status_code == 403
