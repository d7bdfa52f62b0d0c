"""Tickets through the API: opened once however often they are sent, commented, closed once."""

import asyncio

import pytest

from tests import factories
from tests.api.conftest import Client
from tests.api.records import write
from ura.db import Sessions
from ura.protocol import is_valid

TICKETS = "/api/v1/tickets"
NEW = {"category": "support", "summary": "Sem sinal", "phone": "(11) 93333-0002"}


async def test_a_stranger_with_a_token_opens_comments_and_closes_a_ticket(program: Client) -> None:
    async with program("tickets:read", "tickets:write", "phones:see") as client:
        answer = await client.post(TICKETS, json=NEW)
        assert answer.status_code == 201
        ticket = answer.json()
        assert is_valid(ticket["protocol"])
        assert ticket["phone"] == "+5511933330002"
        here = answer.headers["location"]
        assert (await client.post(f"{here}/comments", json={"text": "ONU com luz vermelha"})).status_code == 201
        closed = (await client.post(f"{here}/close", json={"text": "Conector trocado"})).json()
        assert closed["status"] == "closed"
        told = (await client.get(here)).json()["events"]
        assert [event["kind"] for event in told] == ["opened", "commented", "closed"]
        assert (await client.get(TICKETS, params={"status": "open"})).json()["items"] == []
        again = await client.post(f"{here}/close", json={})
    assert again.status_code == 409
    assert again.json()["code"] == "ticket-already-closed"


async def test_the_same_key_opens_one_ticket(program: Client) -> None:
    key = {"Idempotency-Key": "order-4711"}
    async with program() as client:
        answers = [await client.post(TICKETS, json=NEW, headers=key) for _ in range(3)]
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len({answer.json()["protocol"] for answer in answers}) == 1
        assert {answer.status_code for answer in answers} == {201}
        assert len((await client.get(TICKETS)).json()["items"]) == 1
        other = await client.post(TICKETS, json=NEW | {"summary": "Lento"}, headers=key)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency-key-reused"


async def test_the_same_key_at_the_same_moment_opens_one_ticket(program: Client) -> None:
    key = {"Idempotency-Key": "order-4712"}
    async with program() as client:
        answers = await asyncio.gather(*(client.post(TICKETS, json=NEW, headers=key) for _ in range(5)))
        assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
        assert len({answer.json()["protocol"] for answer in answers}) == 1
        assert len((await client.get(TICKETS)).json()["items"]) == 1


async def test_the_same_key_comments_and_closes_once(program: Client) -> None:
    async with program() as client:
        here = (await client.post(TICKETS, json=NEW)).headers["location"]
        for _ in range(2):
            said = await client.post(f"{here}/comments", json={"text": "a"}, headers={"Idempotency-Key": "comment-1"})
            assert said.status_code == 201
        for _ in range(2):
            closed = await client.post(f"{here}/close", json={"text": "b"}, headers={"Idempotency-Key": "close-001"})
            assert closed.status_code == 200
        told = (await client.get(here)).json()["events"]
    assert [event["text"] for event in told] == ["Sem sinal", "a", "b"]


async def test_keys_of_two_programs_do_not_meet(program: Client) -> None:
    key = {"Idempotency-Key": "order-4711"}
    async with program("tickets:write", "tickets:read") as one, program("tickets:write") as two:
        first = (await one.post(TICKETS, json=NEW, headers=key)).json()
        second = (await two.post(TICKETS, json=NEW, headers=key)).json()
    assert first["id"] != second["id"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"category": "other"}, "body.category"),
        ({"summary": ""}, "body.summary"),
        ({"phone": "12"}, "area code"),
        ({"colour": "red"}, "body.colour"),
        ({"call_id": "x"}, "body.call_id"),
    ],
)
async def test_what_is_wrong_is_named_and_not_repeated(program: Client, wrong: dict[str, str], says: str) -> None:
    async with program() as client:
        answer = await client.post(TICKETS, json=NEW | {"phone": "(11) 94444-5555"} | wrong)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert "4444" not in answer.text


async def test_a_ticket_of_the_rescue_is_told_in_words_here_and_in_its_history(
    program: Client, sessions: Sessions
) -> None:
    ticket_id = factories.make_id()
    await write(sessions, factories.ticket_opened(ticket_id, category="fallback", summary="promise: full"))
    async with program("tickets:read") as client:
        [listed] = (await client.get(TICKETS)).json()["items"]
        ticket = (await client.get(f"{TICKETS}/{ticket_id}")).json()
    told = "A fila estava cheia. A pessoa não falou com ninguém: é preciso ligar de volta."
    assert listed["summary"] == ticket["summary"] == ticket["events"][0]["text"] == told
