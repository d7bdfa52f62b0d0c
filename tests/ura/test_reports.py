"""A handful of scripted calls, and exactly what the report says of them, on both databases."""

from datetime import timedelta

import pytest

from tests.factories import NOON, call_closed, call_opened, call_step, later, make_id, make_record
from ura import reports
from ura.db import Sessions
from ura.journal import Record
from ura.projection import apply_batch
from ura.reports import FlowFigures, NodeFigures, VersionCalls

Step = tuple[float, str, str, dict[str, object]]  # seconds since the call began, node, event, detail
GREETING: Step = (4, "greeting", "played", {"to": "main"})
# Four callers: 1 after 6 s, and hears the plans; silence, then 9 after 3 s; hangs up in the menu; in the greeting.
CALLS: list[tuple[str, list[Step]]] = [
    ("done", [GREETING, (10, "main", "digits", {"keys": "1", "to": "plans"}), (20, "plans", "played", {"to": "bye"})]),
    (
        "queue",
        [
            GREETING,
            (14, "main", "no_input", {"to": "main"}),
            (17, "main", "digits", {"keys": "9", "to": "person"}),
        ],
    ),
    ("abandoned", [GREETING, (9, "main", "hung_up", {"to": "main"})]),
    ("abandoned", [(2, "greeting", "hung_up", {"to": "greeting"})]),
]


def records(outcome: str, steps: list[Step], *, began_s: float = 0, **data: object) -> list[Record]:
    call_id = make_id()
    told = [
        call_step(call_id, seq, node=node, event=event, detail=detail, at=later(began_s + at))
        for seq, (at, node, event, detail) in enumerate(steps, 1)
    ]
    end = later(began_s + steps[-1][0])
    queued = [make_record("call_queued", call_id=call_id, queue="l1", at=end)] if outcome == "queue" else []
    opened = call_opened(call_id, at=later(began_s), **data)
    return [opened, *told, *queued, call_closed(call_id, outcome, at=end)]


@pytest.fixture
async def house(sessions: Sessions) -> Sessions:
    found = [record for outcome, steps in CALLS for record in records(outcome, steps)]
    # Not asked about: an earlier version, another flow, another day.
    found += records("done", CALLS[0][1], flow_version=6)
    found += records("done", CALLS[0][1], flow_version=7, flow_key="vendas")
    found += records("done", CALLS[0][1], began_s=-86_400, flow_version=7)
    for record in found:
        if record.kind == "call_opened" and record.data["flow_version"] == 1:
            record.data["flow_version"] = 7
    async with sessions.begin() as session:
        await apply_batch(session, found)
    return sessions


async def figures(house: Sessions, version: int | None = None, **period: timedelta) -> FlowFigures:
    since, until = NOON - period.get("before", timedelta()), NOON + timedelta(hours=1)
    async with house() as session:
        return await reports.flow_figures(session, flow_key="provedor", version=version, since=since, until=until)


async def test_who_got_where_who_hung_up_and_how_long_it_took(house: Sessions) -> None:
    found = await figures(house)
    assert (found.version, found.versions) == (7, [VersionCalls(7, 4), VersionCalls(6, 1)])
    assert (found.calls, found.queued, found.done, found.abandoned) == (4, 1, 1, 2)
    assert found.nodes == [
        NodeFigures("greeting", calls=4, hung_up=1),
        # 10 - 4 and 17 - 14 seconds after the question was put
        NodeFigures("main", calls=3, hung_up=1, silences=1, seconds_to_key=4.5, keys={"1": 1, "9": 1}),
        NodeFigures("plans", calls=1),
        NodeFigures("bye", calls=1),
        NodeFigures("person", calls=1),
    ]


async def test_a_version_and_a_period_are_asked_for(house: Sessions) -> None:
    earlier = await figures(house, version=6)
    assert (earlier.version, earlier.calls) == (6, 1)
    assert [node.node for node in earlier.nodes] == ["greeting", "main", "plans", "bye"]
    assert earlier.nodes[1].seconds_to_key == 6.0
    assert (await figures(house, before=timedelta(days=1))).calls == 5


async def test_a_flow_that_nobody_called_has_no_figures(sessions: Sessions) -> None:
    assert await figures(sessions) == FlowFigures("provedor", None, [])
    assert (await figures(sessions, version=3)).nodes == []
