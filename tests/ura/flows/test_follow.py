"""About a ticket that is there: its protocol goes on, and a visit is said to be moved only when it was."""

from typing import Any

import pytest

from tests.ura.flows.making import Talk, make_flow, say
from tests.ura.flows.test_invoices import at
from ura.flows.effects import Act, Lookup
from ura.flows.events import ActDone, ActFailed, LookupDone, LookupFailed

Json = Any
EDGES = (
    *("moved", "declined", "refused", "queued", "no_visit"),
    *("no_slots", "too_often", "too_late", "failed"),
)
FOLLOW = {"ticket": {"id": "t1", "protocol": "263260000025"}}
SLOTS = [
    {"at": f"2026-11-2{day}T08:00", "starts_at": f"2026-11-2{day}T11:00:00+00:00", "technician_id": 7} for day in (4, 5)
]
FREE = {"state": "free", "slots": SLOTS, "visit_id": "v1", "changes": 1}


def moving(answer: dict[str, Json]) -> Talk:
    talk = at("visit_move", *EDGES, follow=FOLLOW)
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.name, talk.effect.args) == ("visit_slots", {"ticket_id": "t1", "caller": "+5516999990000"})
    talk.hears(LookupDone("visit_slots", answer))
    return talk


def wished() -> Talk:
    talk = moving(FREE)
    talk.press("2")
    assert isinstance(talk.effect, Act)
    wish = {"starts_at": SLOTS[1]["starts_at"], "technician_id": 7, "visit_id": "v1", "changes": 1}
    assert (talk.effect.name, talk.effect.args) == ("move_visit", wish)
    return talk


def test_slots_are_told_one_is_chosen_and_what_came_of_it_is_waited_for() -> None:
    talk = moving(FREE)
    assert talk.prompts == [
        *("visit.slots", "<moment 2026-11-24T08:00>", "choose.press_1"),
        *("<moment 2026-11-25T08:00>", "choose.press_2", "visit.slots_none"),
    ]
    talk = wished()
    talk.hears(ActDone("move_visit", {"event_id": "e1"}))
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.name, talk.effect.args) == ("visit_moved", {"event_id": "e1"})
    talk.hears(LookupDone("visit_moved", {"state": "moved"}))
    assert talk.prompts == ["visit.moved", "<moment 2026-11-25T08:00>"]
    talk.played()
    assert talk.prompts == ["say.moved"]


@pytest.mark.parametrize("state", ["no_visit", "no_slots", "too_often", "too_late"])
def test_why_not_has_a_way_of_its_own(state: str) -> None:
    assert moving({"state": state}).prompts == [f"say.{state}"]


@pytest.mark.parametrize("answer", [{}, {"state": "free"}, {"state": "free", "slots": []}, {"state": "moved"}])
def test_an_answer_that_makes_no_sense_offers_nothing(answer: dict[str, Json]) -> None:
    assert moving(answer).prompts == ["say.failed"]


@pytest.mark.parametrize(
    ("answer", "edge"), [("refused", "refused"), ("queued", "queued"), ("perhaps", "queued"), (None, "queued")]
)
def test_what_is_not_moved_is_not_said_to_be(answer: str | None, edge: str) -> None:
    talk = wished()
    talk.hears(ActDone("move_visit", {"event_id": "e1"}))
    assert talk.hears(LookupDone("visit_moved", {"state": answer}))
    assert talk.prompts == [f"say.{edge}"]


def test_trouble_before_and_after_the_wish_is_told_apart() -> None:
    talk = wished()
    talk.hears(ActFailed("move_visit", "x"))
    assert talk.prompts == ["say.failed"]
    talk = wished()
    talk.hears(ActDone("move_visit", {"event_id": "e1"}))
    talk.hears(LookupFailed("visit_moved", "x"))
    assert talk.prompts == ["say.queued"]


def test_eight_and_silence_leave_it_as_it_is_and_a_slot_that_was_not_told_is_no_choice() -> None:
    talk = moving(FREE)
    talk.press("8")
    assert talk.prompts == ["say.declined"]
    talk = moving(FREE)
    talk.press("3")
    assert talk.asked
    talk.silence(2)
    assert talk.prompts == ["say.declined"]


def test_from_there_on_all_is_done_under_the_tickets_protocol() -> None:
    ways = {"next": "after", "failed": "after"}
    ticket = {"key": "after", "type": "ticket", "category": "support", "summary": "Outro", "queue": "l1"}
    flow = make_flow(
        {"key": "it", "type": "continue_ticket", **ways}, ticket | {"next": "done", "failed": "done"}, say("done", "it")
    )
    talk = Talk(flow, follow=FOLLOW)
    assert isinstance(talk.effect, Act)
    assert (talk.effect.name, talk.effect.args) == ("report_ticket", {"said": "called", "ticket_id": "t1"})
    talk.hears(ActDone("report_ticket", {"event_id": "e1"}))
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["protocol"] == "263260000025"
    assert talk.state.facts["protocol"] == "263260000025"
    refused = Talk(flow, follow=FOLLOW)
    refused.hears(ActFailed("report_ticket", "x"))
    assert isinstance(refused.effect, Act)
    assert "protocol" not in refused.effect.args
