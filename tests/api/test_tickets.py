"""Tickets through the API: opened once however often they are sent, commented, closed once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from tests import factories
from tests.api.conftest import Client
from tests.api.records import write
from ura.db import Sessions
from ura.models import AuditEntry, Role, Ticket
from ura.protocol import is_valid

TICKETS = "/api/v1/tickets"
NEW = {"category": "support", "summary": "Sem sinal", "phone": "(11) 93333-0002"}


async def test_a_stranger_with_a_token_opens_comments_and_closes_a_ticket(program: Client) -> None:
    async with program("tickets:read", "tickets:write", "tickets:l1", "phones:see") as client:
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
        assert {answer.status_code for answer in answers} <= {201, 409}, [answer.text for answer in answers]
        answers = [answer for answer in answers if answer.status_code == 201]
        answers.append(await client.post(TICKETS, json=NEW, headers=key))  # who was told to wait comes again
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
        ({"category": "gossip"}, "Choose among: address_change, billing"),
        ({"category": "slow_link"}, "measured_mbps, cabled"),
        ({"form": {"colour": "red"}}, "colour"),
        ({"summary": "a\0b"}, "body.summary"),
        ({"told_deadline_at": "2026-11-24T10:00:00"}, "body.told_deadline_at"),
        ({"summary": ""}, "body.summary"),
        ({"phone": "12"}, "area code"),
        ({"colour": "red"}, "body.colour"),
        ({"call_id": "x"}, "body.call_id"),
    ],
)
async def test_what_is_wrong_is_named_and_not_repeated(program: Client, wrong: dict[str, Any], says: str) -> None:
    async with program() as client:
        answer = await client.post(TICKETS, json=NEW | {"phone": "(11) 94444-5555"} | wrong)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert "4444" not in answer.text


async def test_a_body_in_no_known_encoding_is_refused(program: Client) -> None:
    async with program() as client:
        answer = await client.post(
            "/api/v1/tickets", content=b'{"summary": "\xe9"}', headers={"content-type": "application/json"}
        )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert "UTF-8" in answer.json()["detail"]


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


# -- three tiers


def soon(hours: float = 4) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


async def move(client: Any, here: str, kind: str, **more: Any) -> dict[str, Any]:
    headers = more.pop("headers", {})
    answer = await client.post(f"{here}/moves", json={"type": kind, **more}, headers=headers)
    return {"status_code": answer.status_code, "etag": answer.headers.get("etag"), **answer.json()}


async def test_a_ticket_goes_through_the_tiers_and_back(person: Client, sessions: Sessions) -> None:
    told = soon()
    async with person(Role.ATTENDANT) as l1, person(Role.TECHNICIAN) as l2, person(Role.NETWORK) as l3:
        here = (await l1.post(TICKETS, json=NEW)).headers["location"]
        assert (await move(l1, here, "to_l2", told_deadline_at=told))["code"] == "report-missing"
        assert (await move(l1, here, "to_l2", report="LOS"))["code"] == "deadline-not-told"
        assert (await move(l2, here, "take"))["code"] == "ticket-of-another-tier"
        assert (await move(l1, here, "to_l2", report="LOS vermelha", told_deadline_at=told))["tier"] == "l2"

        taken = await move(l2, here, "take")
        assert (taken["assignee"], taken["phone"]) == ("technician@provedor.test", "+5511*****0002")
        ring = {"purpose": "solution", "text": "Porta trocada"}
        assert (await l2.post(f"{here}/contact", json=ring)).json()["code"] == "nothing-tried-yet"
        await move(l2, here, "try", text="Porta reiniciada, sem efeito")
        assert (await move(l2, here, "to_l3", reason="Toda a PON oscila"))["assignee"] == ""

        seen = (await l3.get(here)).json()
        assert (seen["phone"], seen["tier"]) == ("", "l3")
        said = await l3.post(f"{here}/comments", json={"text": "SFP com defeito", "internal": False})
        assert said.json()["internal"]
        assert (await l3.post(f"{here}/contact", json=ring)).json()["code"] == "no-contact-here"
        assert (await l3.post(f"{here}/close", json={})).json()["code"] == "l3-closes-nothing"
        assert (await move(l3, here, "back_to_l2", finding="SFP trocado"))["tier"] == "l2"

        assert (await l2.post(f"{here}/contact", json=ring)).json()["code"] == "nothing-tried-yet"
        await move(l2, here, "try", text="Sinal em -19 dBm")
        rung = await l2.post(f"{here}/contact", json=ring)
        assert (rung.status_code, rung.json()["phone"]) == (201, "+5511933330002")
        assert (await move(l2, here, "back_to_l1", tell="A conexão voltou"))["tier"] == "l1"
        closed = await move(l1, here, "close", text="Cliente avisado")
    assert (closed["status"], closed["version"], closed["etag"]) == ("closed", 10, '"10"')
    internal = {event["text"] for event in closed["events"] if event["internal"]}
    assert internal == {"Toda a PON oscila", "SFP com defeito", "SFP trocado"}
    async with sessions() as session:
        audited = list(await session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "ticket.contact")))
    assert audited == ["technician@provedor.test"]


async def test_numbers_in_words_are_masked_and_an_address_is_not_for_l3(person: Client) -> None:
    new = {"category": "address_change", "summary": "Ligar no (11) 94444-5555", "phone": "11944445555"}
    new |= {"form": {"new_address": "Rua das Flores 12"}, "report": "CPF 123.456.789-09"}
    async with person(Role.ATTENDANT) as l1, person(Role.TECHNICIAN) as l2, person(Role.NETWORK) as l3:
        opened = await l1.post(TICKETS, json=new)
        here = opened.headers["location"]
        assert (opened.json()["summary"], opened.json()["report"]) == (new["summary"], new["report"])
        for client in (l2, l3):
            detail, listed = (await client.get(here)).text, (await client.get(TICKETS)).text
            assert "94444" not in detail + listed
            assert "123.456" not in detail
        assert (await l2.get(here)).json()["form"] == {"new_address": "Rua das Flores 12"}
        assert (await l3.get(here)).json()["form"] == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_was_seen_before_it_changed_is_not_acted_on(program: Client) -> None:
    async with program() as client:
        here = (await client.post(TICKETS, json=NEW)).headers["location"]
        seen = (await client.get(here)).headers["etag"]
        first = {"If-Match": seen, "Idempotency-Key": "wait-0001"}
        assert (await move(client, here, "wait", reason="customer", headers=first))["etag"] == '"2"'
        stale = await move(client, here, "resume", headers={"If-Match": seen})
        assert (stale["status_code"], stale["code"]) == (412, "changed-meanwhile")
        again = await move(client, here, "wait", reason="customer", headers=first)
        assert (again["status_code"], again["version"]) == (200, 2)
        assert (await move(client, here, "resume", headers={"If-Match": '"7", "2"'}))["status"] == "open"
        for path, body in (("close", {}), ("contact", {"purpose": "visit", "text": "x"})):
            refused = await client.post(f"{here}/{path}", json=body, headers={"If-Match": seen})
            assert refused.status_code == 412
        assert (await client.post(f"{here}/close", json={}, headers={"If-Match": "*"})).status_code == 200


async def test_tickets_are_found_by_whose_they_are_what_is_due_and_how_a_protocol_begins(
    person: Client, sessions: Sessions
) -> None:
    async with person(Role.SUPERVISOR) as boss, person(Role.ATTENDANT) as ana:
        ids = [(await boss.post(TICKETS, json=NEW)).json()["id"] for _ in range(3)]
        due = {ids[0]: soon(2), ids[1]: soon(1), ids[2]: soon(9)}
        async with sessions.begin() as session:
            for ticket_id, at in due.items():
                values = {
                    "due_at": datetime.fromisoformat(at),
                    "incident_id": "i" * 32 if ticket_id == ids[2] else None,
                }
                await session.execute(update(Ticket).where(Ticket.id == ticket_id).values(**values))
        mine = await move(boss, f"{TICKETS}/{ids[1]}", "assign", assignee="attendant@provedor.test")
        assert mine["assignee"] == "attendant@provedor.test"

        async def found(**params: Any) -> list[str]:
            return [each["id"] for each in (await ana.get(TICKETS, params=params)).json()["items"]]

        assert await found(assignee="attendant@provedor.test") == [ids[1]]
        assert await found(due_before=soon(5)) == [ids[1], ids[0]]
        assert await found(incident_id="i" * 32) == [ids[2]]
        assert set(await found(protocol=mine["protocol"][:7])) == set(ids)
        assert await found(protocol=mine["protocol"]) == [ids[1]]
        assert await found(tier="l2") == []
        nobody = await ana.get(TICKETS, params={"assignee": "nobody@provedor.test"})
        assert (nobody.status_code, nobody.json()["code"]) == (404, "user-not-found")
        unknown = await move(boss, f"{TICKETS}/{ids[1]}", "assign", assignee="nobody@provedor.test")
        assert (unknown["status_code"], unknown["code"]) == (422, "assignee-unknown")
        assert (await move(boss, f"{TICKETS}/{ids[1]}", "assign", assignee=""))["assignee"] == ""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_categories_are_data(person: Client) -> None:
    where = "/api/v1/ticket-categories"
    tv = {"title": "TV", "queue": "tv", "form": [{"key": "box", "title": "Caixa", "kind": "text", "required": True}]}
    async with person(Role.ADMIN) as admin, person(Role.ATTENDANT) as ana:
        shipped = (await ana.get(where)).json()
        assert {"support", "slow_link", "visit"} <= {each["key"] for each in shipped}
        assert (await ana.put(f"{where}/tv", json=tv)).status_code == 403
        assert (await ana.get(f"{where}/tv")).status_code == 404
        assert (await admin.put(f"{where}/tv", json=tv)).json()["form"][0]["required"]
        assert (await ana.get(f"{where}/tv")).json()["title"] == "TV"
        new = {"category": "tv", "summary": "Sem imagem"}
        missing = await ana.post(TICKETS, json=new)
        assert (missing.status_code, missing.json()["code"]) == (422, "form-incomplete")
        opened = (await ana.post(TICKETS, json=new | {"form": {"box": "A1"}})).json()
        assert (opened["queue"], opened["form"]) == ("tv", {"box": "A1"})
        needed = await admin.put(f"{where}/complaint", json={"title": "Reclamação", "active": False})
        assert (needed.status_code, needed.json()["code"]) == (409, "ticket-category-is-needed")
        assert (await admin.put(f"{where}/tv", json=tv | {"active": False})).status_code == 200
        assert (await ana.post(TICKETS, json=new | {"form": {"box": "A1"}})).json()["code"] == "ticket-category-unknown"
        assert (await admin.put(f"{where}/T V", json=tv)).status_code == 422


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_category_that_begins_at_l2_keeps_the_rule_of_l2(program: Client) -> None:
    async with program() as client:
        await client.put("/api/v1/ticket-categories/lan", json={"title": "LAN", "first_tier": "l2"})
        new = {"category": "lan", "summary": "Cabo"}
        assert (await client.post(TICKETS, json=new)).json()["code"] == "report-missing"
        whole = new | {"report": "Cabo partido", "told_deadline_at": soon()}
        assert (await client.post(TICKETS, json=whole)).json()["tier"] == "l2"
