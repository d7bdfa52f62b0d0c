"""People's requests about their data, legal holds and the purge log through the API."""

import asyncio
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from tests.api.conftest import Client
from tests.api.records import CALLER, closed, left, new_id, opened, write, write_sound
from tests.fake_erp import FakeErp
from ura import purges
from ura.db import Sessions
from ura.models import AuditEntry, Role
from ura.settings import Settings
from worker.person_requests import PersonRequests

REQUESTS, HOLDS, PURGES = "/api/v1/person-requests", "/api/v1/legal-holds", "/api/v1/purges"
WANTED = {"kind": "package", "phone": "(11) 93333-0002"}


async def call_with_all(sessions: Sessions, settings: Settings) -> str:
    call_id, recording_id = new_id(), new_id()
    await write(sessions, opened(call_id), closed(call_id), *left(call_id, recording_id=recording_id))
    write_sound(settings.recordings_dir, recording_id, seconds=0.1)
    return recording_id


async def actions(sessions: Sessions) -> list[tuple[str, str]]:
    async with sessions() as session:
        lines = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    told = json.dumps([[line.subject, line.detail] for line in lines])
    assert CALLER[3:] not in told
    return [(line.actor, line.action) for line in lines if line.action.startswith(("person.", "hold."))]


async def test_a_package_is_asked_for_made_and_each_download_written_down(
    sessions: Sessions, settings: Settings, person: Client
) -> None:
    await call_with_all(sessions, settings)
    async with person(Role.SUPERVISOR) as client:
        answer = await client.post(REQUESTS, json=WANTED)
        assert answer.status_code == 202
        asked = answer.json()
        assert (asked["state"], asked["about"], asked["href"], asked["late"]) == ("queued", "+5511*****0002", "", False)
        here = answer.headers["location"]
        early = await client.get(f"{here}/package")
        assert (early.status_code, early.json()["code"]) == (409, "package-not-ready")
        await PersonRequests(sessions, FakeErp(), settings).step()
        done = (await client.get(here)).json()
        assert done["state"] == "done"
        for _ in range(2):
            package = await client.get(done["href"])
            assert (package.status_code, package.headers["content-type"]) == (200, "application/zip")
            assert package.headers["cache-control"] == "no-store"
        names = zipfile.ZipFile(io.BytesIO(package.content)).namelist()
        assert {"indice.html", "dados/call.json"} <= set(names)
        assert any(name.startswith("gravacoes/") for name in names)
        found = (await client.get(REQUESTS, params={"phone": "11933330002", "answered": True})).json()["items"]
        assert [each["id"] for each in found] == [asked["id"]]
    who = "supervisor@provedor.test"
    assert await actions(sessions) == [
        (who, "person.package"),
        ("worker", "person.package-done"),
        (who, "person.package-downloaded"),
        (who, "person.package-downloaded"),
    ]


async def test_the_same_key_asks_once_also_at_the_same_moment(sessions: Sessions, program: Client) -> None:
    key = {"Idempotency-Key": "pedido-4711"}
    async with program("privacy:manage") as client:
        answers = await asyncio.gather(*(client.post(REQUESTS, json=WANTED, headers=key) for _ in range(4)))
        assert {answer.status_code for answer in answers} <= {202, 409}, [answer.text for answer in answers]
        assert len((await client.get(REQUESTS)).json()["items"]) == 1
        other = await client.post(REQUESTS, json=WANTED | {"kind": "erase"}, headers=key)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(await actions(sessions)) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "erase"},
        {"kind": "erase", "phone": "11933330002", "document": "86288366757"},
        {"kind": "erase", "phone": "12"},
        {"kind": "erase", "document": "86288366758"},
        {"kind": "sell", "phone": "11933330002"},
    ],
)
async def test_what_is_wrong_is_refused_and_not_repeated(program: Client, wrong: dict[str, str]) -> None:
    async with program("privacy:manage") as client:
        answer = await client.post(REQUESTS, json=wrong)
    assert answer.status_code == 422
    assert "8628836" not in answer.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("role", [Role.ATTENDANT, Role.TECHNICIAN, Role.NETWORK, Role.OWNER])
async def test_nobody_else_may(person: Client, role: Role) -> None:
    async with person(role) as client:
        for path in (REQUESTS, HOLDS, PURGES, f"{REQUESTS}/{new_id()}/package"):
            assert (await client.get(path)).status_code == 403
        assert (await client.post(REQUESTS, json=WANTED)).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("request_id", ["../../prosa.db", "..%2f..%2fprosa.db", "%00", "x" * 500])
async def test_no_other_file_can_be_had(program: Client, settings: Settings, request_id: str) -> None:
    """R56."""
    settings.packages_dir.mkdir(parents=True)
    (settings.state_dir / "prosa.db.zip").write_bytes(b"x")
    async with program("privacy:manage") as client:
        assert (await client.get(f"{REQUESTS}/{request_id}/package")).status_code == 404


async def test_a_hold_is_set_with_a_reason_listed_and_lifted(
    sessions: Sessions, settings: Settings, program: Client
) -> None:
    recording_id = await call_with_all(sessions, settings)
    async with program("privacy:manage") as client:
        bare = await client.post(HOLDS, json={"kind": "recording", "id": recording_id, "reason": " "})
        assert (bare.status_code, bare.json()["code"]) == (422, "legal-hold-without-reason")
        unknown = await client.post(HOLDS, json={"kind": "ticket", "id": new_id(), "reason": "Procon"})
        assert unknown.status_code == 422
        confused = await client.post(HOLDS, json={"kind": "ticket", "phone": "11933330002", "reason": "Procon"})
        assert confused.status_code == 422
        of_sound = await client.post(HOLDS, json={"kind": "recording", "id": recording_id, "reason": "Procon 1"})
        assert (of_sound.status_code, of_sound.json()["subject"]) == (201, recording_id)
        key = {"Idempotency-Key": "processo-1"}
        body = {"kind": "person", "phone": "11933330002", "reason": "Processo 1"}
        held = [(await client.post(HOLDS, json=body, headers=key)).json() for _ in range(2)]
        assert held[0] == held[1]
        assert held[0]["subject"] == "+5511*****0002"
        assert len((await client.get(HOLDS, params={"lifted": False})).json()["items"]) == 2
        here = of_sound.headers["location"]
        for _ in range(2):
            lifted = await client.post(f"{here}/lift")
            assert (lifted.status_code, lifted.json()["lifted_by"]) == (200, "token privacy:manage")
        left = (await client.get(HOLDS, params={"lifted": False})).json()["items"]
        assert [each["kind"] for each in left] == ["person"]
        assert (await client.post(f"{HOLDS}/{new_id()}/lift")).status_code == 404
    assert [action for _, action in await actions(sessions)] == ["hold.set", "hold.set", "hold.lift"]


async def test_the_purge_log_is_read_page_by_page_and_says_whether_it_is_whole(
    sessions: Sessions, program: Client
) -> None:
    now = datetime.now(UTC)
    for rows in (200, 200, 7):
        async with sessions.begin() as session:
            await purges.record(session, kind="calls", rows=rows, on_day=now.date(), now=now)
    async with program("privacy:manage") as client:
        first = (await client.get(PURGES, params={"limit": 2, "check": True})).json()
        assert ([each["rows"] for each in first["items"]], first["whole"]) == ([7, 200], True)
        second = (await client.get(PURGES, params={"limit": 2, "before": first["next_before"]})).json()
    assert ([each["rows"] for each in second["items"]], second["next_before"], second["whole"]) == ([200], None, None)
