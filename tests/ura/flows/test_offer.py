"""Plans, three in a breath: hearing more, having one sent, talking to sales."""

from typing import Any

import pytest

from tests.fakes import PLANS
from tests.ura.flows.making import WAYS_OUT, Talk, make_flow, menu
from ura.flows.effects import Act, Lookup
from ura.flows.events import ActDone, ActFailed, HungUp, LookupDone, LookupFailed, NoInput

EDGES = ("sent", "number", "sales", "done", "none", "failed", "not_sent")
OFFER = {"key": "plans", "type": "offer_plans", "on": {edge: edge for edge in EDGES}}


def offering(plans: Any = PLANS, **facts: Any) -> Talk:
    flow = make_flow(menu("main", k1="plans"), OFFER, *(menu(edge, k1="main") for edge in EDGES))
    talk = Talk(flow, neighbourhood={"id": 7}, audience="home", **facts)
    assert talk.press("1") == Lookup("plans", {"neighbourhood_id": 7, "audience": "home"}, "system.one_moment")
    talk.hears(LookupDone("plans", {"plans": plans}))
    return talk


def test_three_plans_are_spoken_with_price_set_up_and_conditions() -> None:
    talk = offering()
    assert talk.prompts[:9] == [
        "plans.intro",
        "plans.option_1",
        "<name name.plano_100>",
        "plans.price",
        "<money 79.90>",
        "plans.per_month",
        "plans.setup_free",
        "<name name.condicoes_100>",
        "plans.option_2",
    ]
    assert talk.prompts[talk.prompts.index("plans.setup") :][:2] == ["plans.setup", "<money 50.00>"]
    assert talk.prompts[-4:] == ["plans.send", "plans.more", "plans.sales", "plans.done"]
    assert talk.state.facts["plan_ids"] == [1, 2, 3]


def test_more_plans_and_back() -> None:
    talk = offering()
    talk.press("4")
    assert talk.prompts[:2] == ["plans.option_1", "<name name.plano_600>"]
    assert "plans.more" not in talk.prompts
    assert talk.state.facts["plan_ids"] == [1, 2, 3, 4]
    talk.press("*")
    assert talk.prompts[0] == "plans.intro"
    talk.press("*")
    assert talk.state.node == "main"


def test_there_is_no_more_than_there_is() -> None:
    talk = offering(PLANS[:2])
    assert "plans.more" not in talk.prompts
    talk.press("4")
    assert talk.prompts[0] == "system.invalid"
    talk = offering(PLANS[:2])
    talk.press("3")
    assert talk.prompts[0] == "system.invalid"


def test_send_me_this_goes_to_the_callers_mobile() -> None:
    talk = offering()
    assert talk.press("2") == Act("send_plans", {"plan_ids": [2], "to": "+5516999990000"}, "plans:send_plans:2")
    talk.hears(ActDone("send_plans", {}))
    assert talk.state.node == "sent"
    assert talk.state.facts["plan"]["id"] == 2


@pytest.mark.parametrize("caller", ["", "+551633330000"])
def test_without_a_mobile_the_number_is_asked(caller: str) -> None:
    talk = offering(caller=caller)
    talk.press("1")
    assert talk.state.node == "number"


def test_a_number_given_wins_over_the_callers() -> None:
    talk = offering(caller="+551633330000", contact_phone="+5516988880000")
    assert talk.press("1") == Act("send_plans", {"plan_ids": [1], "to": "+5516988880000"}, "plans:send_plans:2")


def test_a_message_that_cannot_be_queued_is_said() -> None:
    talk = offering()
    talk.press("1")
    talk.hears(ActFailed("send_plans", "disk"))
    assert talk.state.node == "not_sent"


def test_a_flow_that_does_not_tell_them_apart_has_one_edge_for_both_troubles() -> None:
    edges = {edge: edge for edge in EDGES if edge != "not_sent"}
    flow = make_flow(OFFER | {"on": edges}, *(menu(edge, k1="plans") for edge in edges))
    talk = Talk(flow)
    talk.hears(LookupDone("plans", {"plans": PLANS}))
    talk.press("1")
    talk.hears(ActFailed("send_plans", "disk"))
    assert talk.state.node == "failed"


@pytest.mark.parametrize(("key", "edge"), [("5", "sales"), ("6", "done")])
def test_sales_and_done(key: str, edge: str) -> None:
    talk = offering()
    talk.press(key)
    assert talk.state.node == edge


def test_nothing_offered_here() -> None:
    assert offering([]).state.node == "none"


@pytest.mark.parametrize("plans", [None, {}, [{"name": "no id"}, 3]])
def test_an_answer_that_cannot_be_read_is_not_taken_for_nothing_offered(plans: Any) -> None:
    assert offering(plans).state.node == "failed"


def test_a_plan_that_cannot_be_read_does_not_cost_the_others() -> None:
    assert offering([3, PLANS[0]]).state.facts["plan_ids"] == [1]


def test_prices_away() -> None:
    talk = Talk(make_flow(OFFER, *(menu(edge, k1="plans") for edge in EDGES)))
    lookup = talk.effect
    assert talk.hears(NoInput()) == lookup
    talk.hears(LookupFailed("plans", "away"))
    assert talk.state.node == "failed"


def test_a_set_up_price_nobody_can_read_is_spoken_as_it_is() -> None:
    talk = offering([{"id": 1, "prompt": "name.x", "price": "1.00", "setup_price": "a lot"}])
    assert "plans.setup" in talk.prompts


def test_hanging_up_on_the_plans_leaves_an_abandoned_lead() -> None:
    lead = {"key": "lead", "type": "lead", "status": "interested", "next": "plans", "failed": "plans"}
    flow = make_flow(lead, OFFER | WAYS_OUT, *(menu(edge, k1="plans") for edge in EDGES))
    talk = Talk(flow)
    talk.hears(ActDone("save_lead", {"lead_id": "l-1"}))
    talk.hears(LookupDone("plans", {"plans": PLANS}))
    effect = talk.hears(HungUp())
    assert isinstance(effect, Act)
    assert (effect.args["lead_id"], effect.args["status"]) == ("l-1", "abandoned")
