import itertools

import pytest

from tests.factories import NOON, call_closed, call_opened, call_step, later, make_id, make_record
from ura import aftermath, calls
from ura.calls import CallFilter, CallNotFound
from ura.db import Sessions
from ura.models import Door, Outcome, Witness
from ura.paging import BadCursor
from ura.projection import apply, apply_batch


async def test_a_call_from_hello_to_goodbye(sessions: Sessions) -> None:
    call_id = make_id()
    async with sessions.begin() as session:
        await apply_batch(
            session,
            [
                call_opened(call_id, at=NOON),
                call_step(call_id, 1, node="main"),
                call_step(call_id, 0, node="greeting"),
                make_record("call_queued", call_id=call_id, queue="l1", at=later(20)),
                make_record("call_answered", call_id=call_id, attendant="101", at=later(30)),
                call_closed(call_id, "queue", at=later(20), last_node="person"),
                call_closed(call_id, "done", at=later(90), by="ami", last_node=""),
            ],
        )
    async with sessions() as session:
        call = await calls.get_call(session, call_id)
        assert (call.opened_at, call.queued_at, call.answered_at) == (NOON, later(20), later(30))
        assert (call.queue, call.attendant, call.ended_at) == ("l1", "101", later(90))
        assert (call.outcome, call.outcome_by, call.last_node) == (Outcome.QUEUE, Witness.FLOW, "person")
        path = (await calls.list_steps(session, [call_id]))[call_id]
        assert [(step.seq, step.node) for step in path] == [(0, "greeting"), (1, "main")]
        assert path[0].detail == {"keys": "1"}


async def test_records_in_any_order_and_twice_give_the_same_call(sessions: Sessions) -> None:
    def story(call_id: str, number: int) -> list:
        return [
            call_opened(call_id, at=NOON, protocol=f"26327{number:07d}"),
            make_record("call_queued", call_id=call_id, queue="l1", at=later(20)),
            make_record("call_answered", call_id=call_id, attendant="101", at=later(30)),
            call_closed(call_id, "abandoned", at=later(40), by="ami", last_node=""),
            call_closed(call_id, "done", at=later(39), last_node="bye"),
        ]

    expected = {
        "opened_at": NOON,
        "queued_at": later(20),
        "answered_at": later(30),
        "ended_at": later(40),
        "attendant": "101",
        "caller": "+5511987654321",
        "outcome": Outcome.DONE,
        "outcome_by": Witness.FLOW,
        "last_node": "bye",
        "door": Door.FLOW,
    }
    ids = []
    for number, order in enumerate(itertools.permutations(range(5))):
        call_id = make_id()
        ids.append(call_id)
        records = story(call_id, number)
        async with sessions.begin() as session:
            for index in (*order, order[0]):
                await apply(session, records[index])
    async with sessions() as session:
        seen = set()
        for call_id in ids:
            call = await calls.get_call(session, call_id)
            seen.add(tuple(getattr(call, name) for name in expected))
    assert seen == {tuple(expected.values())}


async def test_a_caller_in_the_queue_is_still_on_the_line(sessions: Sessions) -> None:
    """The flow is done with the call, the call is not done: only Asterisk knows when it ends."""
    call_id = make_id()
    async with sessions.begin() as session:
        await apply_batch(session, [call_opened(call_id), call_closed(call_id, "queue", at=later(5))])
    async with sessions.begin() as session:
        assert [call.id for call in await calls.list_live(session)] == [call_id]
        await apply(session, call_closed(call_id, "done", at=later(60), by="ami"))
    async with sessions() as session:
        assert await calls.list_live(session) == []
        call = await calls.get_call(session, call_id)
        assert (call.outcome, call.ended_at) == (Outcome.QUEUE, later(60))


async def test_the_last_word_of_the_flow_counts(sessions: Sessions) -> None:
    """Back from the queue the flow goes on, and closes again."""
    call_id = make_id()
    async with sessions.begin() as session:
        await apply_batch(session, [call_opened(call_id), call_closed(call_id, "done", at=later(90), last_node="bye")])
        await apply(session, call_closed(call_id, "queue", at=later(20), last_node="person"))
    async with sessions() as session:
        call = await calls.get_call(session, call_id)
        assert (call.outcome, call.ended_at, call.last_node) == (Outcome.DONE, later(90), "bye")


async def test_a_transfer_does_not_change_who_answered(sessions: Sessions) -> None:
    call_id = make_id()
    async with sessions.begin() as session:
        await apply(session, make_record("call_answered", call_id=call_id, attendant="201", at=later(60)))
        await apply(session, make_record("call_answered", call_id=call_id, attendant="101", at=later(30)))
        await apply(session, make_record("call_queued", call_id=call_id, queue="sales", at=later(50)))
        await apply(session, make_record("call_queued", call_id=call_id, queue="l1", at=later(20)))
    async with sessions() as session:
        call = await calls.get_call(session, call_id)
        assert (call.attendant, call.answered_at) == ("101", later(30))
        assert (call.queue, call.queued_at) == ("sales", later(50))


async def test_a_rescued_call_may_have_no_protocol(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        for _ in range(2):
            await apply(session, call_opened(make_id(), protocol="", door="rescue", flow_version=None))
    async with sessions() as session:
        page = await calls.list_calls(session, filters=CallFilter(door=Door.RESCUE))
        assert [call.protocol for call in page.items] == [None, None]


@pytest.mark.parametrize("rescue_first", [False, True])
@pytest.mark.parametrize(("servers", "kept"), [("263270000033", "263270000033"), ("", "263270000041")])
async def test_the_rescues_protocol_counts_when_the_server_gave_none(
    sessions: Sessions, rescue_first: bool, servers: str, kept: str
) -> None:
    call_id = make_id()
    begun = call_opened(call_id, at=NOON, protocol=servers)
    rescued = call_opened(call_id, at=later(30), door="rescue", protocol="263270000041", flow_key="", flow_version=None)
    async with sessions.begin() as session:
        for record in (rescued, begun) if rescue_first else (begun, rescued):
            await apply(session, record)
    async with sessions() as session:
        assert (await calls.get_call(session, call_id)).protocol == kept


@pytest.mark.parametrize("rescue_first", [False, True])
async def test_a_call_that_had_to_be_rescued_keeps_its_own_door_and_protocol(
    sessions: Sessions, rescue_first: bool
) -> None:
    call_id = make_id()
    begun = call_opened(call_id, at=NOON)
    rescued = call_opened(call_id, at=later(30), door="rescue", protocol="", flow_key="", flow_version=None)
    async with sessions.begin() as session:
        for record in (rescued, begun) if rescue_first else (begun, rescued):
            await apply(session, record)
    async with sessions() as session:
        call = await calls.get_call(session, call_id)
    assert (call.door, call.opened_at, call.protocol) == (Door.FLOW, NOON, begun.data["protocol"])


async def test_pages_go_on_where_the_last_one_ended_while_new_calls_come(sessions: Sessions) -> None:
    ids = [f"{number:032x}" for number in range(7)]
    async with sessions.begin() as session:
        await apply_batch(session, [call_opened(call_id, at=later(i // 2)) for i, call_id in enumerate(ids)])
    seen: list[str] = []
    cursor = ""
    for page_number in range(4):
        async with sessions.begin() as session:
            page = await calls.list_calls(session, cursor=cursor, limit=2)
            seen += [call.id for call in page.items]
            cursor = page.next_cursor
            await apply(session, call_opened(f"{100 + page_number:032x}", at=later(1000)))
    assert seen == ids[::-1]
    assert cursor == ""


@pytest.mark.parametrize("cursor", ["x", "====", "bm90IGEgY3Vyc29y", "MjAyNi0xMS0yM1QxNTowMDowMCBh", "é"])
async def test_a_cursor_that_is_not_ours_is_refused(sessions: Sessions, cursor: str) -> None:
    async with sessions() as session:
        with pytest.raises(BadCursor, match="next_cursor"):
            await calls.list_calls(session, cursor=cursor)


async def test_filters_narrow_the_list(sessions: Sessions) -> None:
    live, done = make_id(), make_id()
    async with sessions.begin() as session:
        await apply_batch(
            session,
            [
                call_opened(live, caller="+551133330009", did="5511933330002", protocol="263270999995"),
                call_opened(done, at=later(100)),
                call_closed(done, "abandoned", at=later(130)),
            ],
        )

    async def ids(**wanted: object) -> list[str]:
        async with sessions() as session:
            return [call.id for call in (await calls.list_calls(session, filters=CallFilter(**wanted))).items]

    assert await ids(caller="+551133330009") == [live]
    assert await ids(did="5511933330002") == [live]
    assert await ids(protocol="263270999995") == [live]
    assert await ids(live=True) == [live]
    assert await ids(live=False) == [done]
    assert await ids(outcome=Outcome.ABANDONED) == [done]
    assert await ids(opened_from=later(50)) == [done]
    assert await ids(opened_before=later(50)) == [live]
    assert await ids(door=Door.CORPORATE) == []
    assert await ids() == [done, live]


async def test_answers_of_first_aid_are_kept_by_step(sessions: Sessions) -> None:
    call_id = make_id()
    first = make_record("steps_answered", call_id=call_id, node="no_signal", answers={"cable": "skipped"}, at=NOON)
    second = make_record(
        "steps_answered", call_id=call_id, node="no_signal", answers={"cable": "done", "power": "not_done"}, at=later(9)
    )
    recording = make_record(
        "recording_saved", recording_id="a" * 32, call_id=call_id, path="a.wav", seconds=4.5, at=NOON
    )
    async with sessions.begin() as session:
        await apply_batch(session, [second, first, recording, recording])
    async with sessions() as session:
        left = await aftermath.of_call(session, call_id)
        assert {each.step: each.answer.value for each in left.step_answers} == {"cable": "done", "power": "not_done"}
        assert [each.path for each in left.recordings] == ["a.wav"]


async def test_an_unknown_call_is_said_to_be_unknown(sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(CallNotFound):
            await calls.get_call(session, "nobody")
        assert await calls.count_between(session, caller="", since=NOON, until=later(1)) == 0
