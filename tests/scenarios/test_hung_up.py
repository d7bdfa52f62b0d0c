"""The line goes at each single thing that is said (R07): on disk is what was promised, neither less nor twice."""

from pathlib import Path

import pytest

from tests.scenarios.story import SUNDAY_02H, Told, tell

TICKET, CALLBACK = "ticket_opened", "callback_requested"
PROMISES = {  # heard → written down: kind of record, category
    "complaint.registered": (TICKET, "complaint"),
    "cancel.registered": (TICKET, "cancellation"),
    "person.ticket_done": (TICKET, "fallback"),
    "person.message_saved": (TICKET, "message"),
    "person.callback_done": (CALLBACK, ""),
}
WAYS = {  # by night, when nobody is there
    "complaint": ("4,1,1,5", {"complaint.registered"}),
    "cancellation": ("5,1", {"cancel.registered"}),
    "callback": ("9,1", {"person.callback_done"}),
    "message": ("9,2,5", {"person.message_saved"}),
    "ticket": ("9,3", {"person.ticket_done"}),
}


def written(told: Told) -> list[tuple[str, str]]:
    return [(one.kind, one.data.get("category", "")) for one in told.records if one.kind in (TICKET, CALLBACK)]


def known_to_the_flow(told: Told) -> set[tuple[str, str]]:
    facts = told.result.state.facts
    ticket = {(TICKET, facts["ticket"]["category"])} if "ticket" in facts else set()
    return ticket | ({(CALLBACK, "")} if "callback" in facts else set())


@pytest.mark.parametrize("way", WAYS)
async def test_wherever_the_line_goes_the_tickets_are_those_that_were_promised(way: str, tmp_path: Path) -> None:
    keys, promises = WAYS[way]
    whole = await tell(keys, tmp_path / "whole", now=SUNDAY_02H)
    assert promises <= set(whole.heard)
    without = 0

    for moment in range(1, whole.caller.said + 1):
        told = await tell(keys, tmp_path / str(moment), now=SUNDAY_02H, leaves_at=moment)

        assert told.caller.gone
        assert len(told.path.ends) == 1
        kept = written(told)
        assert len(kept) == len(set(kept)), moment
        assert {PROMISES[key] for key in told.heard if key in PROMISES} <= set(kept), moment
        assert set(kept) == known_to_the_flow(told), moment
        without += not kept
    assert 0 < without < whole.caller.said
