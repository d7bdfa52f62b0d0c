"""What happened, for other programs: told if it is true, once, in an order that nobody can miss, and nobody's data."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tests.factories import NOON, call_closed, call_opened, later, lead_saved, make_id, make_record, ticket_opened
from ura import domain_events, outages, outbox, queues, receipts, ticket_news, tickets
from ura.db import Sessions
from ura.event_permissions import PERMISSIONS, may_hear
from ura.models import (
    CallbackState,
    Cause,
    DomainEvent,
    EventKind,
    OutboxMessage,
    OutboxState,
    Problem,
    TicketEventKind,
)
from ura.outages import Scope
from ura.projection import apply_batch
from ura.receipts import Receipt
from ura.users import Actor, Permission

PHONE = "+5511987654321"


async def everything(sessions: Sessions) -> list[DomainEvent]:
    async with sessions() as session:
        return list(await session.scalars(select(DomainEvent).order_by(DomainEvent.id)))


async def told(sessions: Sessions) -> list[tuple[str, dict[str, Any]]]:
    return [(event.kind, event.data) for event in await everything(sessions)]


async def test_a_call_is_told_from_its_begin_to_its_end_once_and_without_anybodys_number(sessions: Sessions) -> None:
    call_id = make_id()
    records = [
        call_opened(call_id, protocol="263270000017"),
        make_record("call_queued", call_id=call_id, queue="l1", at=later(1)),
        make_record("call_answered", call_id=call_id, attendant="101", at=later(2)),
        call_closed(call_id, "queue", at=later(1)),
        lead_saved(make_id(), call_id=call_id),
        make_record(
            "callback_requested",
            callback_id=make_id(),
            call_id=call_id,
            phone=PHONE,
            queue="l1",
            not_before=None,
            at=NOON,
        ),
    ]
    async with sessions.begin() as session:
        await apply_batch(session, records)
    assert EventKind.CALL_ENDED not in {kind for kind, _ in await told(sessions)}  # it is with a person
    hung_up = call_closed(call_id, "done", at=later(90), by="ami")
    for _ in range(2):
        async with sessions.begin() as session:
            await apply_batch(session, [*records, hung_up])
    found = await told(sessions)
    assert Counter(kind for kind, _ in found) == dict.fromkeys(
        ("call.opened", "call.queued", "call.answered", "call.ended", "lead.saved", "callback.requested"), 1
    )
    assert dict(found)["call.ended"] == {"outcome": "queue", "protocol": "263270000017"}
    assert dict(found)["call.opened"] == {"protocol": "263270000017", "door": "flow"}
    assert "9876" not in json.dumps(found)


async def test_an_event_is_there_only_if_what_it_tells_was_committed(sessions: Sessions) -> None:
    async with sessions() as session:
        await domain_events.record(session, EventKind.TICKET_MOVED, "t", {"tier": "l2"}, now=NOON)
        await session.rollback()
    assert await everything(sessions) == []


async def test_two_moves_are_two_events_and_one_move_told_twice_is_one(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        for once in (None, None, "a", "a", "b"):
            await domain_events.record(session, EventKind.TICKET_MOVED, "t", {"tier": "l2"}, now=NOON, once=once)
    assert len(await everything(sessions)) == 4


@pytest.mark.parametrize("name", ["phone", "document", "caller", "name", "address", "text"])
def test_what_may_be_somebodys_is_never_said(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        domain_events.row(EventKind.TICKET_OPENED, "t", {name: "x"}, now=NOON)


async def test_numbers_follow_what_became_visible_and_go_on_after_the_old_are_gone(sessions: Sessions) -> None:
    """Of two transactions the one that wrote first may end last; a reader that read on would never see its event."""
    async with sessions.begin() as session:
        await domain_events.record(session, EventKind.TICKET_OPENED, "1", now=NOON)
    async with sessions.begin() as session:
        assert [event.subject for event in await domain_events.number_new(session)] == ["1"]
    if session.get_bind().dialect.name == "postgresql":  # SQLite lets one write at a time
        async with sessions() as slow:
            await domain_events.record(slow, EventKind.TICKET_OPENED, "slow", now=NOON)
            async with sessions.begin() as fast:
                await domain_events.record(fast, EventKind.TICKET_OPENED, "fast", now=NOON)
            async with sessions.begin() as session:
                assert [event.subject for event in await domain_events.number_new(session)] == ["fast"]
            await slow.commit()
        async with sessions.begin() as session:
            assert [event.subject for event in await domain_events.number_new(session)] == ["slow"]
    async with sessions.begin() as session:
        last = await domain_events.last_number(session)
        assert last == len(await domain_events.list_since(session, 0))
        assert not await domain_events.is_any_new(session)
        await domain_events.forget(session, now=NOON + domain_events.KEPT + timedelta(days=1))
        assert [event.number for event in await domain_events.list_since(session, 0)] == [last]
        await domain_events.record(session, EventKind.TICKET_OPENED, "next", now=NOON)
        assert [event.number for event in await domain_events.number_new(session)] == [last + 1]
        assert await domain_events.first_number(session) == last


async def test_of_two_that_number_at_once_none_gives_a_number_twice(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        rows = [domain_events.row(EventKind.CALL_OPENED, str(each), now=NOON) for each in range(200)]
        await domain_events.record_rows(session, rows)

    async def number() -> None:
        for _ in range(20):
            async with sessions.begin() as session:
                await domain_events.number_new(session, limit=20)

    results = await asyncio.gather(number(), number(), return_exceptions=True)
    assert all(result is None or isinstance(result, IntegrityError) for result in results), results
    async with sessions.begin() as session:
        while await domain_events.number_new(session):
            pass
    assert sorted(event.number or 0 for event in await everything(sessions)) == list(range(1, 201))


async def test_outages_callbacks_and_failed_messages_are_told(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        scopes = [Scope(cto="CTO-1")]
        outage = await outages.open_outage(
            session, cause=Cause.POWER, scopes=scopes, started_at=NOON, ends_at=later(60), opened_by="noc", now=NOON
        )
        await outages.change_outage(session, outage, cause=Cause.FIBRE_CUT, ends_at=None, note="", now=later(5))
        for _ in range(2):
            await outages.close_outage(session, outage, closed_by="noc", now=later(9))
        row = {"id": make_id(), "call_id": None, "phone": PHONE, "queue": "l1"}
        await queues.request_callbacks(session, [{**row, "not_before_at": NOON, "created_at": NOON}])
        for _ in range(2):
            await queues.settle_callback(session, row["id"] or "", state=CallbackState.DONE, now=later(9))
        for _ in range(2):
            await outbox.enqueue(session, kind="proof", to=PHONE, payload={}, now=NOON)
        gave_up, undelivered = await outbox.claim(session, worker="w", now=NOON)
        await outbox.mark_failed(session, gave_up, error="never", now=NOON, problem=Problem.REFUSED)
        await outbox.mark_sent(session, undelivered, now=NOON, provider="zenvia", provider_id="z1")
        for _ in range(2):
            await receipts.apply(session, Receipt("zenvia", OutboxState.FAILED, "z1"), now=NOON)
    async with sessions() as session:
        assert set(await session.scalars(select(OutboxMessage.state))) == {OutboxState.FAILED}
    found = await told(sessions)
    failed = {"kind": "proof", "channel": "sms", "call_id": None}
    assert found == [
        ("outage.opened", {"cause": "power", "ends_at": later(60).isoformat()}),
        ("outage.changed", {"cause": "fibre_cut", "ends_at": None}),
        ("outage.closed", {"cause": "fibre_cut"}),
        ("callback.requested", {"queue": "l1", "call_id": None}),
        ("callback.settled", {"state": "done", "queue": "l1"}),
        ("message.failed", {**failed, "problem": "refused"}),
        ("message.failed", {**failed, "problem": "undelivered"}),
    ]
    assert PHONE not in json.dumps(found)


async def test_a_ticket_is_told_with_where_it_is_and_never_with_what_was_written(sessions: Sessions) -> None:
    assert set(ticket_news.TOLD) == set(TicketEventKind)  # a new line of a history is told, too: add its EventKind
    ticket_id, call_id = make_id(), make_id()
    async with sessions.begin() as session:
        for _ in range(2):
            await apply_batch(session, [ticket_opened(ticket_id, call_id=call_id, summary="O vizinho, 11 98765-4321")])
        ticket = await tickets.get_ticket(session, ticket_id)
        for _ in range(2):
            await tickets.comment(session, ticket, text="Ligar para Ana", actor="x", now=later(5), event_id="e" * 32)
    about = {"protocol": "263270000017", "category": "complaint", "tier": "l1", "status": "open", "incident_id": None}
    assert await told(sessions) == [("ticket.opened", about), ("ticket.commented", about)]


def test_whoever_may_not_read_a_thing_does_not_hear_of_it() -> None:
    assert set(PERMISSIONS) == {kind.value for kind in EventKind}
    actor = Actor("noc", frozenset({Permission.TICKETS_READ}))
    assert may_hear(actor, PERMISSIONS) == {kind for kind in PERMISSIONS if kind.startswith("ticket.")}
