"""Who comes in and how, through the API and the panel: who may, what is stored, what stands in the audit."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from tests.factories import call_opened
from ura import audit, blocks, emergency, subscribers
from ura.db import Sessions
from ura.models import AuditEntry, Role
from ura.projection import apply

BLOCKS, PRIORITY, EMERGENCY = "/api/v1/blocks", "/api/v1/priority-numbers", "/api/v1/emergency"
CALL, HIDDEN, CALLER = "a" * 32, "b" * 32, "+5511987654321"


@pytest.fixture
async def two_calls(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await apply(session, call_opened(CALL, caller=CALLER))
        await apply(session, call_opened(HIDDEN, caller=""))


async def actions(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        lines = await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
        return [action for action in lines if not action.startswith(("user.", "token.", "login", "api-token"))]


@pytest.mark.usefixtures("two_calls")
async def test_an_attendant_blocks_the_caller_of_a_call_and_lifts_it(person: Client, sessions: Sessions) -> None:
    async with person(Role.ATTENDANT) as client:
        answer = await client.post(BLOCKS, json={"call_id": CALL, "reason": "trote"})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (made["phone"], made["call_id"], made["reason"]) == (CALLER, CALL, "trote")
        lasts = datetime.fromisoformat(made["until_at"]) - datetime.fromisoformat(made["blocked_at"])
        assert lasts == timedelta(minutes=30)
        assert [one["id"] for one in (await client.get(BLOCKS)).json()["items"]] == [made["id"]]
        assert (await client.delete(f"{BLOCKS}/{made['id']}")).status_code == 204
        assert (await client.get(BLOCKS)).json()["items"] == []
        assert (await client.delete(f"{BLOCKS}/{'0' * 32}")).json()["code"] == "block-not-found"
    assert (await actions(sessions))[-2:] == ["caller.block", "caller.unblock"]


@pytest.mark.usefixtures("two_calls")
@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"call_id": HIDDEN}, 422, "nobody-to-block"),
        ({"call_id": "0" * 32}, 404, "call-not-found"),
        ({"phone": "123"}, 422, "bad-input"),
        ({}, 422, "bad-input"),
        ({"phone": "11987654321", "call_id": CALL}, 422, "bad-input"),
        ({"phone": "11987654321", "minutes": 24 * 60 + 1}, 422, None),
    ],
)
async def test_nobody_is_blocked_by_half_a_wish(
    person: Client, sessions: Sessions, wanted: dict[str, object], status: int, code: str | None
) -> None:
    async with person(Role.ATTENDANT) as client:
        answer = await client.post(BLOCKS, json=wanted)
        assert (answer.status_code, code or answer.json()["code"]) == (status, answer.json()["code"])
    async with sessions() as session:
        assert await blocks.list_current(session, now=datetime.now(UTC)) == []


async def test_a_table_of_numbers_is_pasted_and_bad_lines_are_named(program: Client) -> None:
    async with program("entry:read", "entry:write", "phones:see") as client:
        sent = "telefone;quem\n1133334444;Mercado Sol\nsem número;X\n(11) 98765-4321;Clínica\n"
        added = (await client.post(PRIORITY, json={"csv": sent})).json()
        assert added == {"added": 2, "bad_lines": [3]}
        listed = (await client.get(PRIORITY)).json()
        assert {(one["phone"], one["note"]) for one in listed} == {
            ("+551133334444", "Mercado Sol"),
            (CALLER, "Clínica"),
        }
        assert (await client.delete(f"{PRIORITY}/11987654321")).status_code == 204
        assert (await client.delete(f"{PRIORITY}/{CALLER}")).json()["code"] == "priority-number-not-found"
        assert [one["phone"] for one in (await client.get(PRIORITY)).json()] == ["+551133334444"]
    async with program("entry:read") as client:
        assert [one["phone"] for one in (await client.get(PRIORITY)).json()] == ["+5511****4444"]


async def test_an_emergency_is_begun_with_one_touch_and_ended(program: Client, sessions: Sessions) -> None:
    async with program("entry:read", "entry:write") as client:
        assert (await client.get(EMERGENCY)).json() is None
        begun = (await client.put(EMERGENCY, json={})).json()
        lasts = datetime.fromisoformat(begun["until_at"]) - datetime.fromisoformat(begun["began_at"])
        assert (lasts, begun["text"], begun["to_person"]) == (timedelta(hours=4), "", False)
        changed = (await client.put(EMERGENCY, json={"text": "Sem energia.", "to_person": True, "minutes": 30})).json()
        assert (await client.get(EMERGENCY)).json() == changed
        assert (await client.put(EMERGENCY, json={"minutes": 24 * 60 + 1})).status_code == 422
        assert (await client.delete(EMERGENCY)).status_code == 204
        assert (await client.get(EMERGENCY)).json() is None
        assert (await client.put(f"{EMERGENCY}/pin", json={"pin": "123"})).json()["code"] == "bad-input"
        assert (await client.put(f"{EMERGENCY}/pin", json={"pin": "407119"})).status_code == 204
    async with sessions.begin() as session:
        assert await emergency.check_pin(session, "407119", by="ramal 101", now=datetime.now(UTC))


async def test_attendants_block_and_nothing_more_and_technicians_not_even_that(person: Client) -> None:
    async with person(Role.ATTENDANT) as client:
        assert (await client.put(EMERGENCY, json={})).status_code == 403
        assert (await client.post(PRIORITY, json={"csv": "1133334444"})).status_code == 403
        page = await client.get("/panel/entry")
        assert page.status_code == 200
        assert "Bloquear" in page.text
        assert "Ligar a emergência" not in page.text
    async with person(Role.TECHNICIAN) as client:
        assert (await client.get(EMERGENCY)).status_code == 403
        assert (await client.post(BLOCKS, json={"phone": "11987654321"})).status_code == 403


async def test_the_page_shows_the_last_alarms_newest_first_and_says_when_there_was_none(
    person: Client, sessions: Sessions
) -> None:
    async with person(Role.ATTENDANT) as client:
        assert "Nenhum nos últimos 90 dias." in (await client.get("/panel/entry")).text
        now = datetime.now(UTC)
        async with sessions.begin() as session:
            for ago, misses in ((91 * 24, 9900), *((hours, 9900 + hours) for hours in range(12, 0, -1))):
                await audit.record(
                    session,
                    actor="identification",
                    action=subscribers.ALARM,
                    subject="attempt",
                    detail={"misses": misses},
                    at=now - timedelta(hours=ago),
                )
        page = (await client.get("/panel/entry")).text
    assert re.findall(r">(99\d\d)<", page) == [str(9900 + hours) for hours in range(1, 11)]
    assert "Nenhum nos últimos 90 dias." not in page


@pytest.mark.usefixtures("two_calls")
async def test_the_panel_does_the_same(person: Client) -> None:
    async with person(Role.SUPERVISOR) as client:
        assert "Bloquear por 30 minutos" in (await client.get(f"/panel/calls/{CALL}")).text
        assert "Bloquear por 30 minutos" not in (await client.get(f"/panel/calls/{HIDDEN}")).text
        for path, form in (
            ("blocks", {"call_id": CALL}),
            ("priority", {"numbers": "11 3333-4444; Mercado Sol"}),
            ("emergency", {"text": "Estamos sem energia.", "then": "person", "minutes": "30"}),
        ):
            assert (await client.post(f"/panel/entry/{path}", data=form)).status_code == 303
        page = (await client.get("/panel/entry")).text
        for shown in ("(11) 98765-4321", "Mercado Sol", "Estamos sem energia.", "vai para uma pessoa", "Ligada"):
            assert shown in page
        block_id = (await client.get(BLOCKS)).json()["items"][0]["id"]
        assert (await client.post(f"/panel/entry/blocks/{block_id}/lift")).status_code == 303
        for _ in range(2):
            removed = await client.post("/panel/entry/priority/remove", data={"phone": "+551133334444"})
            assert removed.status_code == 303
        assert (await client.post("/panel/entry/emergency/end")).status_code == 303
        page = (await client.get("/panel/entry")).text
        assert "Ninguém está bloqueado." in page
        assert "Mercado Sol" not in page.replace("11 3333-4444; Mercado Sol", "")
        refused = await client.post("/panel/entry/blocks", data={"phone": "nada"})
        assert (refused.status_code, "Escreva um telefone" in refused.text) == (422, True)
        refused = await client.post("/panel/entry/emergency/pin", data={"pin": "12"})
        assert (refused.status_code, "A senha tem de 4 a 12 números." in refused.text) == (422, True)
        refused = await client.post("/panel/entry/priority", data={"numbers": "1133334444\nnada\n"})
        assert (refused.status_code, "linha 2" in refused.text) == (422, True)
