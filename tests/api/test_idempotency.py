"""A POST that is sent again with its key is not done again: over lost answers, crashes, and two processes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import func, select

from api import deps
from api.idempotency import HEADER, Once
from api.main import build
from tests.api.conftest import HERE, Client
from tests.api.test_permissions import routes
from ura import answered, outages, timetables
from ura.db import Sessions
from ura.models import AnsweredRequest, AuditEntry, Holiday, OptOut
from ura.settings import Settings

KEY = "fechamos-24-06"
DAY = {"on_day": "2027-06-24", "name": "São João"}
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def close_on(client: AsyncClient, key: str = KEY, **other: str) -> Response:
    return await client.post("/api/v1/holidays", json=DAY | other, headers={HEADER: key})


async def count(sessions: Sessions, model: type[Any]) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


@pytest.fixture
async def manager(program: Client) -> AsyncIterator[AsyncClient]:
    async with program("hours:write", "outages:write", "messages:write") as client:
        yield client


@ONE_DATABASE
def test_every_post_of_the_api_takes_a_key(settings: Settings) -> None:
    app = build(settings)
    document = app.openapi()
    posts = [route for route in routes(app) if route.path.startswith("/api/v1/") and "POST" in route.methods]
    assert len(posts) >= 9
    for route in posts:
        assert isinstance(route.original_route, Once), f"POST {route.path}: give its router route_class=Once"
        told = document["paths"][route.path]["post"]["parameters"]
        assert [each["in"] for each in told if each["name"] == HEADER] == ["header"], route.path
        assert deps._session in calls(route.dependant), f"POST {route.path} needs a SessionDep"


def calls(dependant: Dependant) -> set[Any]:
    return {dependant.call}.union(*(calls(inner) for inner in dependant.dependencies))


async def test_sent_again_it_is_answered_as_before_and_nothing_is_done_twice(
    manager: AsyncClient, sessions: Sessions
) -> None:
    first, again = await close_on(manager), await close_on(manager)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert await count(sessions, Holiday) == 1
    assert (await close_on(manager, "outra-chave")).status_code == 409  # without the first key it is a second wish


async def test_the_same_key_with_other_contents_is_refused(manager: AsyncClient, sessions: Sessions) -> None:
    await close_on(manager)
    other = await close_on(manager, name="Carnaval")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert await count(sessions, Holiday) == 1


@ONE_DATABASE
async def test_each_sender_and_each_address_has_keys_of_its_own(
    manager: AsyncClient, program: Client, sessions: Sessions
) -> None:
    await close_on(manager)
    async with program("hours:write") as other:
        assert (await close_on(other)).status_code == 409
    wish = {"channel": "sms", "address": "11933330002"}
    answer = await manager.post("/api/v1/opt-outs", json=wish, headers={HEADER: KEY})
    assert answer.status_code == 201
    assert await count(sessions, OptOut) == 1


@ONE_DATABASE
async def test_what_was_refused_may_be_sent_again(manager: AsyncClient) -> None:
    assert (await close_on(manager, timetable="nowhere")).status_code == 404
    assert (await close_on(manager)).status_code == 201
    assert (await close_on(manager, "short")).status_code == 422


@ONE_DATABASE
async def test_while_the_first_is_at_work_a_second_one_is_told_so(
    manager: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    add = timetables.add_holiday

    async def slow(*args: Any, **kwargs: Any) -> Holiday:
        begun.set()
        await go_on.wait()
        return await add(*args, **kwargs)

    monkeypatch.setattr(timetables, "add_holiday", slow)
    first = asyncio.create_task(close_on(manager))
    await begun.wait()
    second = await close_on(manager)
    go_on.set()
    assert (second.status_code, second.json()["code"]) == (409, "request-still-at-work")
    assert (await first).status_code == 201
    assert (await close_on(manager)).headers["idempotency-replayed"] == "true"


async def test_two_processes_with_the_same_request_do_it_once(
    manager: AsyncClient, settings: Settings, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked, and found nothing, before either begins."""
    together = asyncio.Barrier(2)
    close = outages.close_outage

    async def at_once(*args: Any, **kwargs: Any) -> int:
        await together.wait()
        return await close(*args, **kwargs)

    place = {"neighbourhood": "Jardim das Palmeiras", "city": "Vale Verde"}
    opened = await manager.post("/api/v1/outages", json={"cause": "power", "touches": [place]})
    here = f"/api/v1/outages/{opened.json()['id']}/close"
    monkeypatch.setattr(outages, "close_outage", at_once)
    other = build(settings)
    async with (
        other.router.lifespan_context(other),
        AsyncClient(transport=ASGITransport(other), base_url=HERE, headers=manager.headers) as of_another,
    ):
        answers = await asyncio.gather(*(each.post(here, headers={HEADER: KEY}) for each in (manager, of_another)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False, True]
    assert answers[0].json() == answers[1].json()
    async with sessions() as session:
        told = await session.scalars(select(AuditEntry).where(AuditEntry.action == "outage.close"))
        assert len(told.all()) == 1


async def test_after_a_crash_there_are_both_the_effect_and_its_answer_or_neither(
    manager: AsyncClient, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_args: Any, **_kwargs: Any) -> None:
        raise ConnectionError("gone before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(answered, "keep_answer", crash)
        assert (await close_on(manager)).status_code == 503
    assert await count(sessions, Holiday) == 0
    assert (await close_on(manager)).status_code == 201
    assert await count(sessions, AnsweredRequest) == 1


@ONE_DATABASE
async def test_an_answer_is_kept_sealed_and_not_for_ever(manager: AsyncClient, sessions: Sessions) -> None:
    wish = {"channel": "sms", "address": "11933330002"}
    await manager.post("/api/v1/opt-outs", json=wish, headers={HEADER: KEY})
    async with sessions.begin() as session:
        row = (await session.scalars(select(AnsweredRequest))).one()
        assert row.route == "POST /api/v1/opt-outs"
        assert "33330002" not in row.answer
        await answered.forget_old_answers(session, now=datetime.now(UTC) + timedelta(hours=24))
    assert await count(sessions, AnsweredRequest) == 1
    async with sessions.begin() as session:
        await answered.forget_old_answers(session, now=datetime.now(UTC) + answered.KEPT + timedelta(minutes=1))
    assert await count(sessions, AnsweredRequest) == 0


@ONE_DATABASE
async def test_a_reader_of_the_panel_is_not_asked_for_keys(app: FastAPI) -> None:
    panel = [route for route in routes(app) if route.path.startswith("/panel")]
    assert all(isinstance(route.original_route, APIRoute) for route in panel)
    assert not any(isinstance(route.original_route, Once) for route in panel)
