"""The panel's agenda of technicians: who goes where, who may know it, and what came of each visit."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy import update

from tests.api.conftest import Client
from ura import timetables
from ura.db import Sessions
from ura.models import Role, Visit
from ura.queues import Span
from ura.settings import Settings

PAGE = "/panel/agenda"
TECHNICIAN = "technician@provedor.test"


@pytest.fixture
async def boss(person: Client, sessions: Sessions) -> AsyncIterator[AsyncClient]:
    """A supervisor, and a technician who visits at all hours."""
    async with sessions.begin() as session:
        await timetables.set_hours(session, "sempre", [Span(weekday, time(0), time(0)) for weekday in range(7)])
    async with person(Role.SUPERVISOR) as client, person(Role.TECHNICIAN):
        answer = await client.put(f"/api/v1/technicians/{TECHNICIAN}", json={"timetable": "sempre"})
        assert answer.status_code == 200, answer.text
        yield client


async def at_l2(client: AsyncClient) -> str:
    new = {"category": "support", "summary": "Sem sinal", "phone": "11933330002"}
    ticket_id = (await client.post("/api/v1/tickets", json=new)).json()["id"]
    told = (datetime.now(UTC) + timedelta(hours=8)).isoformat()
    move = {"type": "to_l2", "report": "LOS", "told_deadline_at": told}
    assert (await client.post(f"/api/v1/tickets/{ticket_id}/moves", json=move)).status_code == 200
    return str(ticket_id)


async def booked(client: AsyncClient, settings: Settings) -> tuple[str, str]:
    """The id of a visit in a week or a little later, and the day of it."""
    ticket_id = await at_l2(client)
    begins = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    slot = (await client.get("/api/v1/orders/slots", params={"from": begins})).json()[0]
    where = {"address": "Rua das Flores 12", "note": "Ligar no (11) 94444-5555"}
    order = {"ticket_id": ticket_id, "technician": TECHNICIAN, "starts_at": slot["starts_at"], **where}
    answer = await client.post("/api/v1/orders", json=order)
    assert answer.status_code == 201, answer.text
    local = datetime.fromisoformat(slot["starts_at"]).astimezone(settings.zone)
    return answer.json()["id"], local.date().isoformat()


async def do(client: AsyncClient, visit_id: str, kind: str, version: int, outcome: str = "") -> tuple[int, str]:
    fields = {"type": kind, "version": str(version), "outcome": outcome}
    answer = await client.post(f"{PAGE}/{visit_id}/moves", data=fields)
    return answer.status_code, answer.text


async def test_a_day_shows_its_visits_and_only_who_goes_there_sees_where(
    boss: AsyncClient, person: Client, settings: Settings
) -> None:
    visit_id, day = await booked(boss, settings)
    shown = (await boss.get(PAGE, params={"day": day})).text
    assert "Rua das Flores 12" in shown
    assert "94444-5555" in shown
    assert "Livre: " in shown
    assert "Confirmar" in shown
    assert "O que foi feito" not in shown  # it has not begun
    before = (datetime.fromisoformat(day) - timedelta(days=1)).date().isoformat()
    assert visit_id not in (await boss.get(PAGE, params={"day": before})).text
    async with person(Role.NETWORK) as l3, person(Role.OWNER) as owner, person(Role.ATTENDANT) as l1:
        for client in (l3, owner):
            page = (await client.get(PAGE, params={"day": day})).text
            assert visit_id in page
            assert "Rua das Flores" not in page
            assert "94444" not in page
            assert "Confirmar" not in page
        assert (await do(owner, visit_id, "confirm", 1))[0] == 403
        status, said = await do(l3, visit_id, "cancel", 1, "x")
        assert (status, "isso é do N1 e do N2" in said) == (409, True)
        assert "Rua das Flores 12" in (await l1.get(PAGE, params={"day": day})).text
    for wrong in ("2026-13-01", "0001-01-01", "9999-12-31"):
        assert (await boss.get(PAGE, params={"day": wrong})).status_code == 422, wrong


async def test_a_visit_is_put_off_to_a_slot_of_the_agenda(boss: AsyncClient, settings: Settings) -> None:
    visit_id, day = await booked(boss, settings)
    page = (await boss.get(PAGE, params={"day": day})).text
    [first, second, third, *_] = re.findall(r'<option value="(\d+ [^"]+)">', page)
    assert "Remarcar" in page

    async def put_off(slot: str, version: int, by: str = "customer", why: str = "") -> tuple[int, str, str]:
        fields = {"type": "put_off", "version": str(version), "slot": slot, "asked_by": by, "outcome": why}
        answer = await boss.post(f"{PAGE}/{visit_id}/moves", data=fields)
        return answer.status_code, answer.headers.get("location", ""), answer.text

    version = (await boss.get(f"/api/v1/orders/{visit_id}")).json()["version"]
    for wrong in ("", "x", "1 x", "1 2026-11-23T10:00:00", first.replace(":00:00+", ":17:00+")):
        assert (await put_off(wrong, version))[0] in (409, 422), wrong
    status, _, said = await put_off(first, version, by="provider")
    assert (status, "Escreva" in said) == (409, True)
    status, place, _ = await put_off(first, version, by="provider", why="Chuva forte")
    assert status == 303
    starts_at = datetime.fromisoformat(first.partition(" ")[2])
    assert place == f"{PAGE}?day={starts_at.astimezone(settings.zone).date()}#v-{visit_id}"
    moved = (await boss.get(f"/api/v1/orders/{visit_id}")).json()
    assert datetime.fromisoformat(moved["starts_at"]) == starts_at
    assert (await put_off(second, version - 1))[0] == 409  # of a page that is old
    assert "#v-" in (await put_off(third, moved["version"], by="provider", why="Outra rota"))[1]
    history = (await boss.get(f"/api/v1/tickets/{moved['ticket_id']}")).text
    assert "Chuva forte" in history
    assert "Outra rota" in history


async def test_l2_books_a_visit_on_the_page_of_its_ticket(boss: AsyncClient, person: Client) -> None:
    ticket_id = await at_l2(boss)
    page = f"/panel/tickets/{ticket_id}"
    [slot, other, *_] = re.findall(r'<option value="(\d+ [^"]+)">', (await boss.get(page)).text)
    async with person(Role.ATTENDANT) as l1, person(Role.NETWORK) as l3:
        for client in (l1, l3):
            assert "Marcar visita" not in (await client.get(page)).text
            assert (await client.post(f"{page}/visits", data={"slot": slot})).status_code == 409
    version = (await boss.get(f"/api/v1/tickets/{ticket_id}")).json()["version"]
    for wrong in ("", "x", "1 x", "1 2026-11-23T10:00:00", slot.replace(":00:00+", ":17:00+")):
        assert (await boss.post(f"{page}/visits", data={"slot": wrong})).status_code in (409, 422), wrong
    assert (await boss.get(f"/api/v1/tickets/{ticket_id}")).json()["version"] == version  # nothing was left behind
    fields = {"slot": slot, "address": "Rua das Flores 12", "note": "Cachorro", "once": "0123456789"}
    for _ in range(2):
        assert (await boss.post(f"{page}/visits", data=fields)).status_code == 303
    shown = (await boss.get(page)).text
    assert "Visita marcada" in shown
    assert "Rua das Flores 12" in shown
    assert "Marcar visita" not in shown
    again = await boss.post(f"{page}/visits", data={"slot": other})
    assert (again.status_code, "Já há uma visita marcada" in again.text) == (409, True)


async def test_what_came_of_a_visit_is_said_once_it_has_begun(
    boss: AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    visit_id, _day = await booked(boss, settings)
    for _ in range(2):
        assert (await do(boss, visit_id, "confirm", 1))[0] == 303
    status, said = await do(boss, visit_id, "done", 2, "Conector trocado")
    assert (status, "A visita ainda não começou." in said) == (409, True)
    status, said = await do(boss, visit_id, "cancel", 1, "Desistiu")
    assert (status, "Alguém mudou a visita" in said) == (409, True)
    async with sessions.begin() as session:
        begun = datetime.now(UTC) - timedelta(minutes=5)
        await session.execute(update(Visit).values(starts_at=begun, ends_at=begun + timedelta(hours=2)))
    status, said = await do(boss, visit_id, "missed", 2)
    assert (status, "Escreva o que foi feito, ou por que não." in said) == (409, True)
    assert "O que foi feito" in said
    assert (await do(boss, visit_id, "done", 2, "Conector trocado"))[0] == 303
    today = (await boss.get(PAGE, params={"day": begun.astimezone(settings.zone).date().isoformat()})).text
    assert "Conector trocado" in today
    assert "Feita</span>" in today
    assert (await do(boss, visit_id, "missed", 3, "x"))[0] == 409
