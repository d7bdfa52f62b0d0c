"""The stream of events: what was missed is told, nothing twice, nothing to whoever may not hear it, and it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from api import event_feed
from api.event_feed import Begun, EventFeed
from api.patience import Patience
from api.routes import events as route
from tests.api.conftest import Client
from tests.api.streams import follow
from ura import domain_events, users, webhooks
from ura.db import Sessions
from ura.models import DomainEvent, EventKind, Role
from ura.users import Permission

EVENTS = "/api/v1/events"
K = EventKind


async def happen(sessions: Sessions, *what: tuple[EventKind, str], numbered: bool = True) -> None:
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        for kind, subject in what:
            await domain_events.record(session, kind, subject, {"protocol": "263270000017"}, now=now)
    if numbered:
        async with sessions.begin() as session:
            await webhooks.spread(session, now=now)  # as the worker does


async def take(stream: AsyncIterator[dict[str, str]], how_many: int) -> list[dict[str, str]]:
    async with asyncio.timeout(20):
        return [await anext(stream) for _ in range(how_many)]


async def test_a_program_hears_what_happens_and_after_a_break_what_it_missed(
    app: FastAPI, program: Client, sessions: Sessions
) -> None:
    await happen(sessions, (K.TICKET_OPENED, "before"))
    async with program() as client:
        async with follow(app, client, EVENTS) as stream:
            assert stream.status == 200
            read = stream.events()
            assert await take(read, 1) == [{"id": "1"}]  # where it goes on from, if the line breaks now
            await happen(sessions, (K.TICKET_OPENED, "t1"), (K.CALL_ENDED, "c1"))
            first, second = await take(read, 2)
        assert (first["event"], first["id"], second["event"], second["id"]) == ("ticket.opened", "2", "call.ended", "3")
        said = json.loads(first["data"])
        assert (said["type"], said["subject"], said["data"]) == ("ticket.opened", "t1", {"protocol": "263270000017"})
        await happen(sessions, (K.TICKET_CLOSED, "t1"))
        async with follow(app, client, EVENTS, last=2) as stream:
            read = stream.events()
            assert [event["id"] for event in await take(read, 3)] == ["2", "3", "4"]
            await happen(sessions, (K.TICKET_REOPENED, "t1"))
            assert [event["event"] for event in await take(read, 1)] == ["ticket.reopened"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("last", ["0", "99", "nonsense", "-1", "٣"])
async def test_whoever_was_away_too_long_is_told_to_look_again(
    app: FastAPI, program: Client, sessions: Sessions, last: str
) -> None:
    await happen(sessions, *[(K.TICKET_OPENED, str(number)) for number in range(5)])
    async with sessions.begin() as session:  # the first four have been forgotten
        await domain_events.forget(session, now=datetime.now(UTC) + domain_events.KEPT + timedelta(days=1))
    async with program() as client, follow(app, client, EVENTS, last=last.encode().decode("latin-1")) as stream:
        read = stream.events()
        assert await take(read, 1) == [{"event": "again", "data": "", "id": "5"}]
        await happen(sessions, (K.TICKET_CLOSED, "4"))
        assert [event["id"] for event in await take(read, 1)] == ["6"]


async def test_only_what_one_may_read_is_heard_and_only_the_kinds_one_wants(
    app: FastAPI, program: Client, sessions: Sessions
) -> None:
    async with program("events:read", "calls:read") as client, program() as other:
        async with (
            follow(app, client, EVENTS) as narrow,
            follow(app, other, EVENTS, kinds=["lead.saved", "ticket.moved"]) as chosen,
        ):
            mine, theirs = narrow.events(), chosen.events()
            await take(mine, 1)
            await take(theirs, 1)
            await happen(sessions, (K.TICKET_MOVED, "t"), (K.LEAD_SAVED, "l"), (K.CALL_QUEUED, "c"))
            assert [event["event"] for event in await take(mine, 1)] == ["call.queued"]
            assert [event["event"] for event in await take(theirs, 2)] == ["ticket.moved", "lead.saved"]
            assert await take(theirs, 1) == [{"id": "3"}]  # of what is not for it, the number: it comes back with that
        refused = await client.get(EVENTS, params={"kinds": ["ticket.moved"]})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert (await client.get(EVENTS, params={"kinds": ["ticket.sung"]})).status_code == 422
    async with program("tickets:read") as client:
        assert (await client.get(EVENTS)).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("how", ["token revoked", "logged out", "disabled"])
async def test_the_stream_ends_when_its_reader_is_sent_away(
    app: FastAPI, program: Client, person: Client, sessions: Sessions, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """R51 allows five seconds: a check every three, at a tick of one."""
    assert route.CHECK_EVERY_S + event_feed.IDLE_TICK_S < 5
    monkeypatch.setattr(route, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(event_feed, "IDLE_TICK_S", 0.02)
    who = program("events:read", "tickets:read") if how == "token revoked" else person(Role.ATTENDANT)
    async with who as client, follow(app, client, EVENTS) as stream:
        read = stream.events()
        await take(read, 1)
        async with sessions.begin() as session:
            if how == "token revoked":
                await users.revoke_api_token(session, name="events:read-tickets:read", actor="test")
            else:
                user = await users.get_user(session, email="attendant@provedor.test")
                await (
                    users.end_sessions(session, user=user)
                    if how == "logged out"
                    else users.disable_user(session, user=user, actor="test")
                )
        async with asyncio.timeout(20):
            assert [event async for event in read if "event" in event] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_reader_who_takes_nothing_is_let_go_and_no_place_is_kept(
    app: FastAPI, program: Client, sessions: Sessions
) -> None:
    patient = Patience(app, seconds=0.2)
    async with program() as client, follow(patient, client, EVENTS) as stream:  # type: ignore[arg-type]  # Patience is the application here
        await take(stream.events(), 1)
        stream.reads.clear()
        await happen(sessions, *[(K.TICKET_OPENED, str(number)) for number in range(5)])
        async with asyncio.timeout(20):
            await stream.body()  # its end
            while app.state.wired.events.followers:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_there_is_an_end_to_how_many_may_follow(
    app: FastAPI, program: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "MOST_FOLLOWERS", 1)
    async with program() as client, follow(app, client, EVENTS) as stream:
        await take(stream.events(), 1)
        refused = await client.get(EVENTS)
        assert (refused.status_code, refused.json()["code"]) == (409, "too-many-followers")


def test_every_kind_has_a_permission_that_exists() -> None:
    assert set(domain_events.SAYABLE).isdisjoint({"phone", "caller", "name", "document", "address"})
    assert Permission.EVENTS_READ in users.GRANTS[Role.NETWORK]
    assert Permission.WEBHOOKS_MANAGE not in users.GRANTS[Role.SUPERVISOR]


# -- the feed itself --------------------------------------------------------------------------------------------------


class FakeTable:
    """Events in memory; counts how often it is asked."""

    def __init__(self) -> None:
        self.rows: list[DomainEvent] = []
        self.asked = 0
        self.down = False

    def happen(self, how_many: int = 1) -> None:
        for _ in range(how_many):
            number = len(self.rows) + 1
            at = datetime.now(UTC)
            self.rows.append(
                DomainEvent(number=number, key=str(number), kind="ticket.opened", subject="", data={}, at=at)
            )

    async def first(self) -> int:
        return self.rows[0].number or 0 if self.rows else 0

    async def last(self) -> int:
        return len(self.rows)

    async def since(self, number: int) -> list[DomainEvent]:
        self.asked += 1
        if self.down:
            raise ConnectionError("away")
        return self.rows[number : number + event_feed.PAGE]


@asynccontextmanager
async def running(table: FakeTable) -> AsyncIterator[EventFeed]:
    feed = EventFeed(table)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()


async def numbers(stream: AsyncIterator[Any], how_many: int) -> list[int]:
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < how_many:
            each = await anext(stream)
            if isinstance(each, DomainEvent):
                found.append(each.number or 0)
    return found


async def test_one_reader_serves_all_and_nothing_is_read_while_nobody_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "POLL_EVERY_S", 0.01)
    table = FakeTable()
    async with running(table) as feed:
        streams = [feed.follow(None) for _ in range(100)]
        assert [await anext(stream) for stream in streams] == [Begun(0)] * 100
        readers = [asyncio.create_task(numbers(stream, 3)) for stream in streams]
        await asyncio.sleep(0)
        before = table.asked
        table.happen(3)
        assert await asyncio.gather(*readers) == [[1, 2, 3]] * 100
        assert table.asked - before < 100
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]  # an async generator, typed as what is iterated
        while feed._last != -1:
            await asyncio.sleep(0.01)
        before = table.asked
        await asyncio.sleep(0.05)
        assert table.asked == before


async def test_a_program_far_behind_reads_the_table_and_then_goes_on_with_the_others() -> None:
    table = FakeTable()
    table.happen(3 * event_feed.KEPT)
    async with running(table) as feed:
        stream = feed.follow(7)
        assert await anext(stream) == Begun(7)
        assert await numbers(stream, 3 * event_feed.KEPT - 7) == list(range(8, 3 * event_feed.KEPT + 1))
        table.happen()
        assert await numbers(stream, 1) == [3 * event_feed.KEPT + 1]


async def test_who_falls_behind_misses_nothing_and_holds_nobody_up() -> None:
    table = FakeTable()
    async with running(table) as feed:
        slow, quick = feed.follow(None), feed.follow(None)
        for stream in (slow, quick):
            assert await anext(stream) == Begun(0)
        table.happen(2 * event_feed.KEPT)
        everything = list(range(1, 2 * event_feed.KEPT + 1))
        assert await numbers(quick, len(everything)) == everything
        assert len(feed._newest) == event_feed.KEPT
        assert await numbers(slow, len(everything)) == everything


async def test_a_database_that_was_away_is_caught_up_with_and_a_stop_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "AWAY_PAUSE_S", 0.01)
    table = FakeTable()
    async with running(table) as feed:
        stream = feed.follow(None)
        await anext(stream)
        table.down = True
        before = table.asked
        table.happen()
        while table.asked < before + 2:
            await asyncio.sleep(0.01)
        table.down = False
        assert await numbers(stream, 1) == [1]
        feed.close()
        async with asyncio.timeout(5):
            left: Sequence[object] = [each async for each in stream if isinstance(each, DomainEvent)]
        assert left == []
