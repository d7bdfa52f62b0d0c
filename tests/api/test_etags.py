"""What somebody else changed a moment ago is not overwritten unseen."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx import AsyncClient, Response

from tests import factories
from tests.api.conftest import Client
from tests.api.records import write
from ura.db import Sessions
from ura.models import Queue, Role

Place = tuple[str, str, dict[str, Any], dict[str, Any]]  # path, method, one edit, another
PALMS = {"neighbourhood": "Jardim das Palmeiras", "city": "Vale Verde"}


async def a_lead(client: AsyncClient, sessions: Sessions) -> Place:
    lead = factories.make_id()
    await write(sessions, factories.lead_saved(lead, "interested"))
    return f"/api/v1/leads/{lead}", "PATCH", {"source_ref": "um"}, {"source_ref": "dois"}


async def an_outage(client: AsyncClient, sessions: Sessions) -> Place:
    made = (await client.post("/api/v1/outages", json={"cause": "power", "touches": [PALMS]})).json()
    return f"/api/v1/outages/{made['id']}", "PUT", {"cause": "fibre_cut"}, {"cause": "power", "note": "dois"}


async def hours(client: AsyncClient, sessions: Sessions) -> Place:
    week = [{"weekday": 0, "opens": "08:00:00", "closes": "18:00:00"}]
    await client.put("/api/v1/hours/comercial", json={"spans": week})
    return "/api/v1/hours/comercial", "PUT", {"spans": week[:0]}, {"spans": [*week, week[0] | {"weekday": 1}]}


async def a_queue(client: AsyncClient, sessions: Sessions) -> Place:
    async with sessions.begin() as session:
        session.add(Queue(key="suporte", title="Suporte"))
    return "/api/v1/queues/suporte", "PATCH", {"max_wait_s": 120}, {"max_wait_s": 240}


async def a_user(client: AsyncClient, sessions: Sessions) -> Place:
    wanted = {"email": "ana@provedor.test", "role": "owner"}
    made = (await client.post("/api/v1/users", json=wanted)).json()
    return f"/api/v1/users/{made['id']}", "PATCH", {"name": "Um"}, {"name": "Dois"}


async def a_policy(client: AsyncClient, sessions: Sessions) -> Place:
    general = {"title": "Geral", "hours": 16}
    await client.put("/api/v1/sla-policies/geral", json=general)
    return "/api/v1/sla-policies/geral", "PUT", general | {"hours": 8}, general | {"hours": 4}


MAKERS = [a_lead, an_outage, hours, a_queue, a_user, a_policy]
Maker = Callable[[AsyncClient, Sessions], Awaitable[Place]]


async def edit(client: AsyncClient, place: Place, body: dict[str, Any], tag: str | None) -> Response:
    headers = {"If-Match": tag} if tag else {}
    return await client.request(place[1], place[0], json=body, headers=headers)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
async def test_an_edit_of_what_has_changed_is_refused(make: Maker, person: Client, sessions: Sessions) -> None:
    async with person(Role.ADMIN) as client:
        place = await make(client, sessions)
        tag = (await client.get(place[0])).headers["etag"]
        assert (await client.get(place[0])).headers["etag"] == tag
        first = await edit(client, place, place[3], f'"0123", W/{tag}')
        assert first.status_code == 200, first.text
        late = await edit(client, place, place[2], tag)
        assert (late.status_code, late.json()["code"]) == (412, "changed-meanwhile")
        now = await client.get(place[0])
        assert now.headers["etag"] == first.headers["etag"] != tag
        assert now.json() == first.json()
        assert (await edit(client, place, place[2], None)).status_code == 200  # who sends no tag does not care


async def test_of_two_edits_at_the_same_moment_one_is_refused(person: Client, sessions: Sessions) -> None:
    async with person(Role.ADMIN) as client:
        place = await a_queue(client, sessions)
        tag = (await client.get(place[0])).headers["etag"]
        answers = await asyncio.gather(*(edit(client, place, body, tag) for body in place[2:] * 3))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 5


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_tag_of_what_is_not_there_is_refused_and_a_star_takes_any(person: Client, sessions: Sessions) -> None:
    async with person(Role.ADMIN) as client:
        gone = ("/api/v1/hours/nenhum", "PUT", {"spans": []}, {})
        assert (await edit(client, gone, {"spans": []}, "*")).status_code == 412
        place = await a_queue(client, sessions)
        assert (await edit(client, place, place[2], "*")).status_code == 200
