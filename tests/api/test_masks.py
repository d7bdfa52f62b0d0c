"""Whoever may not see numbers sees none: in no answer of the API and on no page of the panel."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import reference
from tests.api.conftest import Client
from tests.api.records import closed, left, new_id, opened, walked, write, write_sound
from ura import opt_outs, tickets
from ura.db import Sessions
from ura.erp import SendChannel
from ura.models import (
    Call,
    CallerBlock,
    OutboxMessage,
    PriorityNumber,
    Role,
    Ticket,
)
from ura.settings import Settings
from ura.users import Permission

NUMBER, CPF, MAIL = "933330002", "862.883.667-57", "quiteria.zanotelli"
SECRETS = re.compile(r"93333\D{0,3}0002|862\.?883\.?667-?57|quiteria\.zanotelli")
TYPED = f"Ligar para (11) 93333-0002 ou 11{NUMBER}; CPF {CPF}"
EXAMPLES = {"/api/v1/docs", "/api/v1/openapi.json"}  # their number is nobody's
ENDLESS = {"/panel/events", "/api/v1/events"}  # they answer for ever: tests/api/test_live.py


async def house(sessions: Sessions, settings: Settings) -> dict[str, str]:
    """Somebody whose number stands wherever one can."""
    call_id, recording_id = new_id(), new_id()
    await write(sessions, opened(call_id), *walked(call_id), closed(call_id), *left(call_id, recording_id=recording_id))
    write_sound(settings.recordings_dir, recording_id, seconds=0.1)
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        session.add(PriorityNumber(phone=f"+5511{NUMBER}", note="Mercado", added_by="ana", added_at=now))
        block = CallerBlock(id=new_id(), phone=f"+5511{NUMBER}", reason="trote", blocked_by="ana", blocked_at=now)
        block.until_at = now + timedelta(hours=1)
        session.add(block)
        await opt_outs.opt_out(session, channel=SendChannel.EMAIL, target=f"{MAIL}@provedor.test", by="reply", now=now)
        ticket = await tickets.open_ticket(
            session, ticket_id=new_id(), protocol="263260000175", category="support", summary=TYPED,
            phone=f"+5511{NUMBER}", queue="l1", opened_by="ana", now=now, call_id=call_id,
        )  # fmt: skip
        await tickets.comment(session, ticket, text=TYPED, actor="ana", now=now)
        message = OutboxMessage(
            id=new_id(), channel=SendChannel.EMAIL, kind="invoice", to=f"{MAIL}@provedor.test", text=TYPED, next_at=now,
            last_error=TYPED,
            created_at=now, call_id=call_id,
        )  # fmt: skip
        session.add(message)
        ids = {"ticket_id": ticket.id, "message_id": message.id, "call_id": call_id, "recording_id": recording_id}
    return ids


@pytest.mark.parametrize("role", [Role.OWNER, Role.TECHNICIAN, Role.NETWORK])
async def test_no_answer_and_no_page_shows_a_number(
    sessions: Sessions, settings: Settings, app: FastAPI, person: Client, role: Role
) -> None:
    ids = await house(sessions, settings)
    async with person(role) as client:
        shown = await _walk(app, client, ids)
    assert shown["/api/v1/tickets/{ticket_id}"] == shown["/panel/calls/{call_id}"] == 200


async def test_nor_does_a_program_with_every_scope_but_that_one(
    sessions: Sessions, settings: Settings, app: FastAPI, program: Client
) -> None:
    ids = await house(sessions, settings)
    scopes = [scope for scope in Permission if scope not in (Permission.PHONES_SEE, Permission.PRIVACY_MANAGE)]
    async with program(*scopes, name="nearly-all") as client:
        shown = await _walk(app, client, ids)
    for path in ("/api/v1/priority-numbers", "/api/v1/messages/{message_id}", "/api/v1/opt-outs", "/api/v1/leads"):
        assert shown[path] == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_secrets_would_be_found(sessions: Sessions, settings: Settings, person: Client) -> None:
    ids = await house(sessions, settings)
    async with person(Role.ATTENDANT) as client:
        for path in (f"/api/v1/tickets/{ids['ticket_id']}", f"/panel/calls/{ids['call_id']}", "/api/v1/leads"):
            assert SECRETS.search((await client.get(path)).text), path
    async with sessions() as session:
        assert await session.get(Call, ids["call_id"])
        assert await session.get(Ticket, ids["ticket_id"])


async def _walk(app: FastAPI, client: object, ids: dict[str, str]) -> dict[str, int]:
    """Ask every GET there is; each path → its status."""
    shown: dict[str, int] = {}
    for route in reference.iter_route_contexts(app.routes):
        original = route.original_route
        if not isinstance(original, APIRoute) or "GET" not in (route.methods or ()) or route.path in ENDLESS | EXAMPLES:
            continue
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: ids.get(found[1], "1"), route.path or "")
        answer = await client.get(path)  # type: ignore[attr-defined]  # the fixture is typed loosely
        shown[route.path or ""] = answer.status_code
        assert answer.status_code < 500, f"{path}: {answer.text}"
        found = SECRETS.search(answer.text) if answer.headers.get("content-type", "").startswith(TEXT) else None
        assert found is None, f"{path} shows {found and found[0]}"
    return shown


TEXT = ("text/", "application/json", "application/problem+json")
