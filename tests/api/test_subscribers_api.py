"""Subscribers are shown masked, and in full only with a reason; who opened which record is written down (R63)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import select

from tests.api.conftest import Client
from tests.api.records import left, new_id, opened, walked, write, write_line, write_sound
from ura import access_log, registry
from ura.access_log import AccessFilter
from ura.crypto import Keyring
from ura.db import Sessions
from ura.models import AccessHow, AuditEntry, Event, RecordAccess, RecordKind, Role, Subscriber
from ura.settings import Settings
from ura.users import GRANTS, Actor, Permission

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CPF, CNPJ = "52998224725", "11222333000181"
PHONE = "+5511987654321"
NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
WHY = {"reason": "Troca de titularidade"}


@pytest.fixture
async def maria(settings: Settings, sessions: Sessions) -> int:
    keyring = Keyring.of(settings)
    people: list[dict[str, Any]] = [
        {"document": CPF, "name": "Maria da Silva", "phones": [PHONE], "emails": ["maria@mail.test"]},
        {"document": CNPJ, "name": "Mercado Sol", "phones": [PHONE], "emails": []},
    ]
    contract = {"number": "100231", "document": CPF, "status": "active", "street": "Rua das Flores", "house": "12"}
    async with sessions.begin() as session:
        await registry.save_subscribers(session, keyring, people, now=NOW)
        await registry.save_contracts(session, keyring, [contract], now=NOW)
        return await session.scalar(select(Subscriber.id).where(Subscriber.document_hash == keyring.index(CPF))) or 0


async def find(client: AsyncClient, **params: object) -> list[str]:
    answer = await client.get("/api/v1/subscribers", params=params)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["items"]]


async def test_somebody_is_found_by_document_number_or_the_beginning_of_a_name(person: Client, maria: int) -> None:
    async with person(Role.ATTENDANT) as client:
        assert await find(client) == ["Maria da Silva", "Mercado Sol"]
        assert await find(client, document="529.982.247-25") == ["Maria da Silva"]
        assert await find(client, phone="(11) 98765-4321") == ["Maria da Silva", "Mercado Sol"]
        assert await find(client, name="MARIA") == ["Maria da Silva"]
        assert await find(client, name="%") == []
        assert await find(client, name="silva") == []
        first = (await client.get("/api/v1/subscribers", params={"limit": 1})).json()
        assert await find(client, limit=1, cursor=first["next_cursor"]) == ["Mercado Sol"]
        assert (await client.get("/api/v1/subscribers", params={"document": "123"})).status_code == 422


async def test_what_is_shown_is_masked_by_permission(person: Client, maria: int) -> None:
    async with person(Role.ATTENDANT) as attendant, person(Role.TECHNICIAN) as technician:
        seen = (await attendant.get(f"/api/v1/subscribers/{maria}")).json()
        assert (seen["document"], seen["phones"], seen["emails"]) == ("***.982.247-**", [PHONE], ["maria@mail.test"])
        assert seen["contracts"][0]["address"] == "Rua das Flores 12"
        for shown in (
            (await technician.get(f"/api/v1/subscribers/{maria}")).json(),
            (await technician.get("/api/v1/subscribers")).json()["items"][0],
        ):
            assert (shown["phones"], shown["emails"]) == (["+5511*****4321"], ["m***@mail.test"])
            assert CPF not in str(shown)
            assert "Flores" not in str(shown)
        for params in ({"document": CPF}, {"phone": PHONE}):  # who may not see it may not find it out by asking
            assert (await technician.get("/api/v1/subscribers", params=params)).status_code == 403
        assert (await technician.post(f"/api/v1/subscribers/{maria}/reveal", json=WHY)).status_code == 403


def test_the_network_and_the_owner_have_no_business_with_subscribers() -> None:
    for role in (Role.NETWORK, Role.OWNER):
        assert not GRANTS[role] & {Permission.SUBSCRIBERS_READ, Permission.SUBSCRIBERS_REVEAL, Permission.PHONES_SEE}


async def test_the_whole_document_is_told_with_a_reason_that_the_audit_keeps(
    person: Client, maria: int, sessions: Sessions
) -> None:
    there = f"/api/v1/subscribers/{maria}/reveal"
    async with person(Role.ATTENDANT) as client:
        for refused in ({}, {"reason": ""}, {"reason": "CPF 52998224725"}, {"reason": "maria@mail.test"}):
            assert (await client.post(there, json=refused)).status_code == 422
        told = (await client.post(there, json=WHY)).json()
        assert (await client.post("/api/v1/subscribers/999/reveal", json=WHY)).status_code == 404
    assert (told["document"], told["phones"], told["addresses"]) == (CPF, [PHONE], ["Rua das Flores 12"])
    async with sessions() as session:
        [line] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "subscriber.reveal"))
        assert (line.actor, line.subject, line.detail) == ("attendant@provedor.test", f"subscriber {maria}", WHY)
        [looked] = (await access_log.list_accesses(session, filters=AccessFilter())).items
        assert (looked.kind, looked.record_id, looked.how) == (RecordKind.SUBSCRIBER, str(maria), AccessHow.REVEALED)


@ONE_DATABASE
async def test_where_another_system_keeps_the_subscribers_we_do_not_say_there_are_none(
    settings: Settings, program: Client
) -> None:
    settings.erp = "sgp"  # the fixture's own, which the application was built with
    async with program("subscribers:read") as client:
        answer = await client.get("/api/v1/subscribers")
    assert (answer.status_code, answer.json()["code"]) == (409, "subscribers-kept-elsewhere")


@ONE_DATABASE
async def test_each_record_that_is_opened_leaves_a_line_and_lists_leave_none(
    person: Client, program: Client, maria: int, sessions: Sessions, settings: Settings
) -> None:
    call, recording = new_id(), new_id()
    await write_line(sessions)
    await write(sessions, opened(call), *walked(call), *left(call, recording_id=recording))
    write_sound(settings.recordings_dir, recording)
    async with person(Role.SUPERVISOR) as client:
        [ticket] = (await client.get("/api/v1/tickets")).json()["items"]
        for path in ("calls", "subscribers", f"calls/{new_id()}"):
            await client.get(f"/api/v1/{path}")
        for path in (
            f"/api/v1/calls/{call}",
            f"/panel/calls/{call}",
            f"/api/v1/tickets/{ticket['id']}",
            f"/api/v1/subscribers/{maria}",
            f"/api/v1/recordings/{recording}/audio",
        ):
            assert (await client.get(path)).status_code == 200, path
    async with program("audit:read") as auditor:
        lines = (await auditor.get("/api/v1/accesses")).json()["items"]
        assert [(line["kind"], line["record_id"], line["how"]) for line in lines] == [
            ("recording", recording, "heard"),
            ("subscriber", str(maria), "opened"),
            ("ticket", ticket["id"], "opened"),
            ("call", call, "opened"),
            ("call", call, "opened"),
        ]
        assert {line["actor"] for line in lines} == {"supervisor@provedor.test"}
        only = (await auditor.get("/api/v1/accesses", params={"kind": "ticket", "actor": "nobody"})).json()["items"]
        assert only == []
        assert PHONE not in str(lines)


async def test_five_hundred_records_in_an_hour_raise_one_alarm(sessions: Sessions, settings: Settings) -> None:
    anna = Actor("ana@provedor.test", GRANTS[Role.ATTENDANT], Role.ATTENDANT, user_id=7)
    crm = Actor("token crm", GRANTS[Role.ATTENDANT])
    assert settings.access_alarm_records == 500

    async def open_them(actor: Actor, first: int, last: int, at: datetime, *, alarm_at: int = 500) -> int:
        async with sessions.begin() as session:
            before = {"actor": actor.name, "kind": RecordKind.TICKET, "how": AccessHow.OPENED, "at": at}
            session.add_all(RecordAccess(record_id=f"{n}", **before) for n in range(first, last))
            await access_log.note(session, actor, RecordKind.TICKET, f"{last}", now=at, alarm_at=alarm_at)
            return len(await access_log.list_alarms(session, since=NOW - timedelta(days=1)))

    assert await open_them(anna, 1, 499, NOW) == 0
    assert await open_them(anna, 1, 499, NOW) == 0  # the same ones again: no browsing
    assert await open_them(anna, 500, 500, NOW) == 1
    assert await open_them(anna, 501, 540, NOW + timedelta(minutes=59)) == 1  # told once
    assert await open_them(anna, 541, 560, NOW + timedelta(minutes=61)) == 1  # most of them were more than an hour ago
    assert await open_them(anna, 1000, 1600, NOW + timedelta(hours=3)) == 2
    assert await open_them(crm, 1, 600, NOW) == 2  # reading many is what programs are for
    async with sessions() as session:
        first, *_ = (await access_log.list_alarms(session, since=NOW - timedelta(days=1)))[::-1]
        assert (first.actor, first.records) == ("ana@provedor.test", 500)
        bells = await session.scalars(select(Event.data).where(Event.kind == "alarms"))
        assert bells.all() == [{"kind": "access.alarm"}] * 2


@ONE_DATABASE
async def test_the_log_of_accesses_is_kept_two_years(sessions: Sessions) -> None:
    ana = Actor("ana@provedor.test", GRANTS[Role.ATTENDANT], Role.ATTENDANT, user_id=7)

    async def kept(after: timedelta) -> int:
        async with sessions.begin() as session:
            await access_log.forget_old_accesses(session, now=NOW + after)
            return len((await access_log.list_accesses(session, filters=AccessFilter())).items)

    async with sessions.begin() as session:
        await access_log.note(session, ana, RecordKind.CALL, "1", now=NOW, alarm_at=500)
    assert await kept(timedelta(days=730)) == 1
    assert await kept(timedelta(days=731)) == 0


@ONE_DATABASE
async def test_the_alarm_is_in_the_details_of_health(
    program: Client, person: Client, settings: Settings, maria: int
) -> None:
    settings.access_alarm_records = 1  # the fixture's own, which the application was built with
    async with person(Role.ATTENDANT) as client, program("health:read") as watcher:
        assert (await watcher.get("/api/v1/health/details")).json()["alarms"] == []
        await client.get(f"/api/v1/subscribers/{maria}")
        [alarm] = (await watcher.get("/api/v1/health/details")).json()["alarms"]
        assert (alarm["actor"], alarm["records"]) == ("attendant@provedor.test", 1)
