"""Calls to return through the API: which are due, which wait, and what came of each."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from ura import queues
from ura.db import Sessions
from ura.models import AuditEntry, Callback, Role

CALLBACKS = "/api/v1/callbacks"
OLDEST, NEWER, LATER = "1" * 32, "2" * 32, "3" * 32
CALL, ANA, BIA = "c" * 32, "+5511987654321", "+5511944443333"


@pytest.fixture
async def three(sessions: Sessions) -> datetime:
    """Two are due, the longer waiting one for sales; one was promised for in two days."""
    now = datetime.now(UTC)
    rows = [
        (OLDEST, CALL, ANA, "vendas", now - timedelta(hours=3), now - timedelta(hours=4)),
        (NEWER, None, BIA, "l1", now - timedelta(hours=1), now - timedelta(hours=1)),
        (LATER, None, ANA, "l1", now + timedelta(days=2), now - timedelta(minutes=1)),
    ]
    names = ("id", "call_id", "phone", "queue", "not_before_at", "created_at")
    async with sessions.begin() as session:
        await queues.request_callbacks(session, [dict(zip(names, row, strict=True)) for row in rows])
    return now


async def listed(client: Client, **wanted: str | int) -> list[str]:
    answer = await client.get(CALLBACKS, params=wanted)
    assert answer.status_code == 200, answer.text
    return [callback["id"] for callback in answer.json()["items"]]


@pytest.mark.usefixtures("three")
async def test_those_due_come_first_waiting_first_and_all_newest_first(program: Client) -> None:
    async with program("callbacks:read", "phones:see") as client:
        assert await listed(client, due="true") == [OLDEST, NEWER]
        assert await listed(client) == [LATER, NEWER, OLDEST]
        assert await listed(client, queue="vendas") == [OLDEST]
        assert await listed(client, call_id=CALL) == [OLDEST]
        assert await listed(client, phone="(11) 98765-4321") == [LATER, OLDEST]
        assert await listed(client, state="done") == []
        one = (await client.get(f"{CALLBACKS}/{OLDEST}")).json()
        assert (one["phone"], one["queue"], one["state"], one["done_at"]) == (ANA, "vendas", "waiting", None)
        assert (await client.get(f"{CALLBACKS}/{'0' * 32}")).json()["code"] == "callback-not-found"


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(("due", "order"), [("true", [OLDEST, NEWER]), ("false", [LATER, NEWER, OLDEST])])
async def test_page_after_page_nobody_is_missed(program: Client, due: str, order: list[str]) -> None:
    found, cursor = [], ""
    async with program("callbacks:read") as client:
        for _ in order:
            page = (await client.get(CALLBACKS, params={"due": due, "limit": 1, "cursor": cursor})).json()
            found += [callback["id"] for callback in page["items"]]
            cursor = page["next_cursor"]
        assert (found, cursor) == (order, "")
        assert (await client.get(CALLBACKS, params={"cursor": "x"})).json()["code"] == "bad-cursor"


@pytest.mark.usefixtures("three")
async def test_what_came_of_it_is_said_once_and_nobody_says_otherwise(program: Client, sessions: Sessions) -> None:
    async with program("callbacks:read", "callbacks:write") as client:
        for _ in range(2):
            answer = await client.post(f"{CALLBACKS}/{OLDEST}/settle", json={"result": "unreachable"})
            assert (answer.status_code, answer.json()["state"]) == (200, "unreachable")
        first = answer.json()["done_at"]
        refused = await client.post(f"{CALLBACKS}/{OLDEST}/settle", json={"result": "done"})
        assert (refused.status_code, refused.json()["code"]) == (409, "callback-already-settled")
        assert (await client.get(f"{CALLBACKS}/{OLDEST}")).json()["done_at"] == first
        assert await listed(client, due="true") == [NEWER]
        early = await client.post(f"{CALLBACKS}/{LATER}/settle", json={"result": "done"})
        assert early.json()["state"] == "done"  # who rang us again meanwhile need not be called
        for wrong in ("cancelled", "waiting", ""):
            assert (await client.post(f"{CALLBACKS}/{NEWER}/settle", json={"result": wrong})).status_code == 422
        gone = await client.post(f"{CALLBACKS}/{'0' * 32}/settle", json={"result": "done"})
        assert gone.json()["code"] == "callback-not-found"
    async with sessions() as session:
        lines = await session.scalars(select(AuditEntry).where(AuditEntry.action == "callback.settle"))
        assert [(line.subject, line.detail) for line in lines] == [
            (OLDEST, {"result": "unreachable"}),
            (LATER, {"result": "done"}),
        ]
        assert (await session.get_one(Callback, NEWER)).done_at is None


@pytest.mark.usefixtures("three")
async def test_who_may_not_see_numbers_reads_them_masked_and_searches_none(program: Client) -> None:
    async with program("callbacks:read") as client:
        everything = (await client.get(CALLBACKS)).text + (await client.get(f"{CALLBACKS}/{OLDEST}")).text
        assert "+5511*****4321" in everything
        assert ANA not in everything
        assert (await client.get(CALLBACKS, params={"phone": "11987654321"})).status_code == 403
        assert (await client.post(f"{CALLBACKS}/{NEWER}/settle", json={"result": "done"})).status_code == 403


async def test_attendants_return_calls_and_technicians_do_not(person: Client) -> None:
    async with person(Role.ATTENDANT) as client:
        assert (await client.get(CALLBACKS)).status_code == 200
    async with person(Role.TECHNICIAN) as client:
        assert (await client.get(CALLBACKS)).status_code == 403
