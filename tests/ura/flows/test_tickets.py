"""Tickets, callbacks and recordings of the flow that ships with Prosa, at each single step of it (R07)."""

from typing import Any

from tests.ura.flows.test_shipped import every_answer, places, provedor
from ura.flows.effects import Act
from ura.flows.engine import step
from ura.flows.events import ActDone, ActFailed, HungUp

# Heard → the fact without which it is a lie; for a ticket: of one of these categories.
PROMISES: dict[str, tuple[str, set[str]]] = {
    "complaint.registered": ("ticket", {"complaint"}),
    "complaint.message_saved": ("recording_id", set()),
    "cancel.registered": ("ticket", {"cancellation"}),
    "cancel.will_call": ("ticket", {"cancellation"}),
    "dispute.done": ("ticket", {"complaint"}),
    "noted.done": ("ticket", {"billing"}),
    "person.ticket_done": ("ticket", {"sales", "support", "billing", "fallback"}),
    "person.message_saved": ("ticket", {"message"}),
    "person.callback_done": ("callback", set()),
    "person.insists": ("callback", set()),
    "person.insists_again": ("callback", set()),
}
WRITTEN = {"open_ticket": "ticket", "dispute_invoice": "ticket", "request_callback": "callback"}


def promised(effect: Any) -> list[str]:
    return [prompt for prompt in getattr(effect, "prompts", ()) if isinstance(prompt, str) and prompt in PROMISES]


def test_what_is_promised_is_written_down_wherever_it_is_heard() -> None:
    met = set()
    for state, effect in places():
        for event in every_answer(effect):
            new, said = step(provedor(), state, event)
            for prompt in promised(said):
                fact, categories = PROMISES[prompt]
                assert new.facts.get(fact), (new.node, prompt)
                assert not categories or new.facts[fact]["category"] in categories, (new.node, prompt)
                met.add(prompt)
    assert met == set(PROMISES)


def test_an_act_is_known_when_it_is_done_and_not_when_it_failed() -> None:
    met = set()
    for state, effect in places():
        if not isinstance(effect, Act) or effect.name not in WRITTEN:
            continue
        fact = WRITTEN[effect.name]
        done, _ = step(provedor(), state, ActDone(effect.name, {"ticket_id": "new", "callback_id": "new"}))
        assert "new" in done.facts[fact].values(), state.node
        failed, said = step(provedor(), state, ActFailed(effect.name, "x"))
        assert failed.facts.get(fact) == state.facts.get(fact), state.node
        assert promised(said) == [], state.node
        met.add(effect.name)
    assert met == set(WRITTEN)


def test_a_hang_up_at_each_single_step_opens_what_is_owed_and_nothing_else() -> None:
    for state, _ in places():
        expected = [each["name"] for each in state.owed if each["name"] != "save_lead"]
        expected += ["save_steps"] if state.data.get("answers") else []
        acts = []
        now, effect = step(provedor(), state, HungUp())
        while isinstance(effect, Act):
            acts.append(effect)
            now, effect = step(provedor(), now, ActDone(effect.name, {"ticket_id": "new", "callback_id": "new"}))
        assert [act.name for act in acts if act.name != "save_lead"] == expected, state.node
        assert len({act.key + act.name for act in acts}) == len(acts), state.node
        for fact in ("ticket", "callback", "recording_id"):
            assert now.facts.get(fact) == state.facts.get(fact), state.node
