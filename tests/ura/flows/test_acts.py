"""Nodes that ask the house or change something."""

from typing import Any

import pytest

from tests.ura.flows.making import GOODBYE, QUEUE_EDGES, Talk, make_flow, menu
from ura.flows.effects import Act, EndCall, Lookup, Play, Record, SendToQueue
from ura.flows.engine import escape
from ura.flows.events import (
    ActDone,
    ActFailed,
    HungUp,
    LookupDone,
    LookupFailed,
    NoInput,
    Played,
    QueueLeft,
    Recorded,
    Started,
)

NEXT = {"next": "good", "failed": "bad"}
FACTS: dict[str, Any] = {"audience": "home", "city": {"id": 1}, "neighbourhood": {"id": 2}, "plan": {"id": 3}}
LEAD = {"audience": "home", "city_id": 1, "neighbourhood_id": 2, "plan_id": 3, "wants_message": False}


def call(node: dict[str, Any], **facts: Any) -> Talk:
    extra = [menu("good", k1="goodbye"), menu("bad", k1="goodbye")]
    return Talk(make_flow({"key": "it"} | node, *extra), **(FACTS | facts))


ACTS = [
    ({"type": "lead"}, "save_lead", {"phone": "+5516999990000", "status": "interested", **LEAD}),
    ({"type": "waiting_list"}, "join_waiting_list", {"phone": "+5516999990000", "neighbourhood_id": 2}),
    (
        {"type": "ticket", "category": "complaint", "summary": "x", "queue": "l1"},
        "open_ticket",
        {"category": "complaint", "summary": "x", "queue": "l1", "phone": "+5516999990000"},
    ),
    (
        {"type": "callback", "queue": "l1"},
        "request_callback",
        {"queue": "l1", "phone": "+5516999990000", "not_before": None},
    ),
    ({"type": "send_plans"}, "send_plans", {"plan_ids": [3], "to": "+5516999990000"}),
]


@pytest.mark.parametrize(("node", "name", "args"), ACTS, ids=[name for _, name, _ in ACTS])
def test_an_act_is_asked_for_once_and_its_answer_decides(node: dict[str, Any], name: str, args: dict[str, Any]) -> None:
    talk = call(node | NEXT)
    assert talk.effect == Act(name, args, f"it:{name}:1")
    assert talk.hears(NoInput()) == Act(name, args, f"it:{name}:1")  # the same key: done once
    assert talk.hears(ActDone("other", {})) == Act(name, args, f"it:{name}:1")
    talk.hears(ActDone(name, {"lead_id": "l-1"}))
    assert talk.state.node == "good"
    talk = call(node | NEXT)
    talk.hears(ActFailed(name, "disk"))
    assert talk.state.node == "bad"


def test_a_lead_is_updated_not_made_again() -> None:
    talk = call({"type": "lead", **NEXT}, lead_id="l-1")
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["lead_id"] == "l-1"


# -- what becomes of the lead


def sale(status: str, after: dict[str, Any], *more: dict[str, Any], **facts: Any) -> Talk:
    """A call whose lead has this status, at the node `after`."""
    lead = {"key": "lead", "type": "lead", "status": status, "next": after["key"], "failed": after["key"]}
    return Talk(make_flow(lead, after, *more), **(FACTS | {"protocol": ""} | facts))


def saved(talk: Talk) -> list[str]:
    """Answers the acts that are asked for; the statuses that the lead was given."""
    statuses = []
    while isinstance(talk.effect, Act):
        if talk.effect.name == "save_lead":
            statuses.append(talk.effect.args["status"])
        talk.hears(ActDone(talk.effect.name, {"lead_id": "l-1"}))
    return statuses


@pytest.mark.parametrize(
    ("status", "then", "reason"),
    [
        ("new", ["abandoned"], "abandoned"),
        ("interested", ["abandoned"], "abandoned"),
        ("not_covered", [], "abandoned"),
        ("informed", [], "done"),
        ("proposal", [], "done"),
        ("waiting", [], "done"),
    ],
)
def test_what_a_hang_up_means_depends_on_the_lead(status: str, then: list[str], reason: str) -> None:
    talk = sale(status, menu("more", k1="goodbye"))
    assert saved(talk) == [status]
    talk.hears(HungUp())
    assert saved(talk) == then
    assert talk.effect == EndCall(reason)


@pytest.mark.parametrize("status", ["new", "interested", "informed", "proposal", "waiting", "not_covered"])
def test_on_the_way_to_a_queue_the_lead_is_in_a_persons_hands(status: str) -> None:
    talk = sale(status, {"key": "q", "type": "queue", "queue": "vendas", "on": QUEUE_EDGES}, topic="sales")
    assert saved(talk) == [status, "forwarded"]
    assert talk.effect == SendToQueue("vendas", 0)


def test_a_hang_up_before_the_queue_or_after_it_gave_the_caller_back_is_abandonment() -> None:
    edges = dict.fromkeys(QUEUE_EDGES, "more")
    queue = {"key": "q", "type": "queue", "queue": "vendas", "prompts": ["one.moment"], "on": edges}
    talk = sale("interested", queue, menu("more", k1="goodbye"))
    assert saved(talk) == ["interested"]
    assert isinstance(talk.effect, Play)
    talk.hears(HungUp())
    assert saved(talk) == ["abandoned"]

    talk = sale("interested", queue, menu("more", k1="goodbye"))
    saved(talk)
    talk.played()
    assert saved(talk) == ["forwarded"]
    talk.left("timeout")
    assert talk.asked
    talk.hears(HungUp())
    assert saved(talk) == ["abandoned"]


PROMISES: dict[str, dict[str, Any]] = {
    "callback": {"type": "callback", "queue": "vendas"},
    "ticket": {"type": "ticket", "category": "sales", "summary": "x", "queue": "vendas"},
    "message": {"type": "message", "prompts": ["speak.now"], "empty": "more"},
}


@pytest.mark.parametrize("kind", PROMISES)
@pytest.mark.parametrize(("topic", "becomes"), [("sales", "forwarded"), (None, "forwarded"), ("billing", "abandoned")])
def test_a_promise_about_the_sale_settles_the_lead_and_one_about_something_else_does_not(
    kind: str, topic: str | None, becomes: str
) -> None:
    promise = {"key": "promise", "next": "more", "failed": "more"} | PROMISES[kind]
    talk = sale("interested", promise, menu("more", k1="goodbye"), topic=topic)
    statuses = saved(talk)
    if kind == "message":
        talk.hears(Recorded("r-1", 5.0))
        statuses += saved(talk)
    talk.hears(HungUp())
    assert statuses + saved(talk) == ["interested", becomes]
    assert talk.effect == EndCall("done")


def test_a_sale_left_for_another_subject_is_abandoned_at_the_queue() -> None:
    queue = {"key": "q", "type": "queue", "queue": "l1", "on": QUEUE_EDGES}
    assert saved(sale("interested", queue, topic="billing")) == ["interested", "abandoned"]
    assert saved(sale("proposal", queue, topic="billing")) == ["proposal"]


def test_an_end_and_the_fallback_queue_leave_no_lead_open() -> None:
    talk = sale("new", GOODBYE)
    assert saved(talk) == ["new", "abandoned"]
    assert talk.played() == EndCall("done")
    talk = sale("new", menu("more", k1="goodbye"))
    saved(talk)
    state, _ = escape(talk.flow, talk.state)  # the person first,
    talk.state, talk.effect = escape(talk.flow, state)  # then the fallback queue
    assert saved(talk) == ["forwarded"]
    assert talk.effect == SendToQueue("l1", 1)


def test_where_the_text_says_so_a_hang_up_is_an_end_on_purpose() -> None:
    for allowed, reason in ((True, "done"), (False, "abandoned")):
        talk = Talk(make_flow(menu("main", k1="goodbye") | {"may_hang_up": allowed}))
        assert talk.hears(HungUp()) == EndCall(reason)


# -- proof

PROOF = {"key": "it", "type": "proof", "on": {"queued": "good", "no_mobile": "bad", "failed": "odd"}}
TICKET = {"ticket_id": "t-1", "protocol": "263260000017", "category": "cancellation"}


def proving(**facts: Any) -> Talk:
    ends = [menu(key, k1="goodbye") for key in ("good", "bad", "odd")]
    return Talk(make_flow(PROOF, *ends), ticket=TICKET, **facts)


def test_the_proof_goes_to_the_callers_mobile() -> None:
    talk = proving()
    args = {"ticket_id": "t-1", "category": "cancellation", "to": "+5516999990000"}
    assert talk.effect == Act("send_proof", args, "it:send_proof:1")
    assert talk.hears(NoInput()) == talk.effects[0]
    talk.hears(ActDone("send_proof", {}))
    assert talk.state.node == "good"
    talk = proving(contact_phone="+5511912345678")
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["to"] == "+5511912345678"


@pytest.mark.parametrize("caller", ["", "+551633330000"])
def test_without_a_mobile_there_is_no_message_to_promise(caller: str) -> None:
    assert proving(caller=caller).state.node == "bad"


def test_a_proof_that_cannot_be_queued_is_said() -> None:
    talk = proving()
    talk.hears(ActFailed("send_proof", "disk"))
    assert talk.state.node == "odd"


def test_all_plans_heard_are_sent_when_none_was_chosen() -> None:
    talk = call({"type": "send_plans", **NEXT}, plan=None, plan_ids=[4, 5])
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["plan_ids"] == [4, 5]


def test_a_lookup_keeps_its_answer() -> None:
    node = {"type": "lookup", "name": "neighbourhood", "args": {"id": {"fact": "neighbourhood.id"}, "x": 1}}
    talk = call(node | {"into": "place"} | NEXT)
    assert talk.effect == Lookup("neighbourhood", {"id": 2, "x": 1}, "system.one_moment", early=True)
    assert talk.hears(LookupDone("plans", {})) == talk.effects[0]
    talk.hears(LookupDone("neighbourhood", {"name": "x"}))
    assert talk.state.facts["place"] == {"name": "x"}
    assert talk.state.node == "good"
    talk = call(node | {"into": "place"} | NEXT)
    talk.hears(LookupFailed("neighbourhood", "away", digits="1"))
    assert talk.state.node == "goodbye"  # the key pressed while waiting answered the menu behind


@pytest.mark.parametrize(
    ("event", "to"),
    [
        (LookupDone("opening", {"open": True}), "good"),
        (LookupDone("opening", {"open": False, "opens_at": "2026-11-23T08:00"}), "bad"),
        (LookupDone("opening", {}), "bad"),
        (LookupFailed("opening", "away"), "odd"),
    ],
)
def test_hours(event: Any, to: str) -> None:
    node = {"key": "it", "type": "hours", "queue": "l1", "on": {"open": "good", "closed": "bad", "failed": "odd"}}
    talk = Talk(make_flow(node, *(menu(key, k1="goodbye") for key in ("good", "bad", "odd"))))
    assert talk.effect == Lookup("opening", {"queue": "l1"})
    assert talk.hears(NoInput()) == Lookup("opening", {"queue": "l1"})
    talk.hears(event)
    assert talk.state.node == to


# -- message


def message() -> Talk:
    node = {"key": "it", "type": "message", "prompts": ["speak.now"], "empty": "empty", **NEXT}
    return Talk(make_flow(node, *(menu(key, k1="goodbye") for key in ("good", "bad", "empty"))))


def test_a_message_is_recorded_and_saved() -> None:
    talk = message()
    assert talk.effect == Record(("speak.now",), 120, ("tone.record",), "0*9")
    assert talk.hears(NoInput()) == Record(("speak.now",), 120, ("tone.record",), "0*9")
    saving = Act("save_recording", {"recording_id": "r-1", "seconds": 4.5}, "it:save_recording:1")
    assert talk.hears(Recorded("r-1", 4.5)) == saving
    assert talk.hears(Started()) == saving
    assert talk.hears(Recorded("r-2", 4.5)) == saving
    talk.hears(ActDone("save_recording", {}))
    assert talk.state.node == "good"
    assert talk.state.facts["recording_id"] == "r-1"


def test_a_person_asked_for_in_the_middle_of_a_message_comes_at_once_and_what_was_said_is_kept() -> None:
    talk = message()
    talk.hears(Recorded("r-1", 4.5, "9"))
    assert talk.state.node == "person"
    assert talk.effect == Act("save_recording", {"recording_id": "r-1", "seconds": 4.5}, "it:save_recording:1")
    talk.hears(ActDone("save_recording", {}))
    assert talk.prompts[-1] == "system.transferring"


@pytest.mark.parametrize(("key", "seconds"), [("9", 0.0), ("9", 0.4), ("*", 6.0)])
def test_nothing_is_kept_of_a_message_that_was_not_begun_or_was_given_up(key: str, seconds: float) -> None:
    node = {"key": "it", "type": "message", "prompts": ["speak.now"], "empty": "main", "next": "main", "failed": "main"}
    talk = Talk(make_flow(menu("main", k1="it"), node))
    talk.press("1")
    talk.hears(Recorded("r-1", seconds, key))
    assert talk.state.node == {"9": "person", "*": "main"}[key]
    assert not [effect for effect in talk.effects if isinstance(effect, Act)]


def test_a_message_can_be_begun_anew_but_not_for_ever() -> None:
    talk = message()
    for _ in range(3):
        assert isinstance(talk.hears(Recorded("r-1", 6.0, "0")), Record)
    talk.hears(Recorded("r-1", 6.0, "0"))
    assert talk.state.node == "person"


def test_an_empty_message_and_one_that_cannot_be_saved() -> None:
    talk = message()
    talk.hears(Recorded("r-1", 0.0))
    assert talk.state.node == "empty"
    talk = message()
    talk.hears(Recorded("r-1", 9.0))
    talk.hears(ActFailed("save_recording", "disk"))
    assert talk.state.node == "bad"


# -- queue


def queue(**fields: Any) -> Talk:
    edges = QUEUE_EDGES | {"timeout": "good", "failed": "bad"}
    return call({"type": "queue", "queue": "l1", "on": edges, **fields}, protocol="")


def test_a_queue_without_words() -> None:
    assert queue(priority=2).effect == SendToQueue("l1", 2)


def test_a_queue_with_words_and_keys_pressed_into_them() -> None:
    talk = queue(prompts=["one.moment"])
    assert talk.effect == Play(("one.moment",))
    assert talk.hears(LookupDone("x", {})) == SendToQueue("l1", 0)
    talk = queue(prompts=["one.moment"])
    assert talk.played("5") == SendToQueue("l1", 0)
    assert talk.state.ahead == ""


@pytest.mark.parametrize(("reason", "to"), [("timeout", "good"), ("failed", "bad"), ("rubbish", "bad")])
def test_the_way_on_when_the_queue_gives_the_caller_back(reason: str, to: str) -> None:
    talk = queue()
    talk.left(reason)
    assert talk.state.node == to
    assert talk.state.facts["queue_left"] == reason


def test_a_caller_in_a_queue_stays_there_on_a_meaningless_event() -> None:
    talk = queue()
    assert talk.hears(Played()) == SendToQueue("l1", 0)


def test_a_frustrated_caller_goes_before_others() -> None:
    edges = dict.fromkeys(QUEUE_EDGES, "goodbye")
    node = {"key": "it", "type": "queue", "queue": "l1", "on": edges}
    assert Talk(make_flow(node, GOODBYE), protocol="", frustrated=True).effect == SendToQueue("l1", 1)


def test_a_queue_left_that_nobody_waited_for() -> None:
    talk = Talk(make_flow(menu("main", k1="goodbye")))
    assert talk.hears(QueueLeft("l1", "timeout")) == talk.effects[0]
