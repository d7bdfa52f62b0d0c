"""How a call is shown, where it takes more than its own columns."""

from types import SimpleNamespace
from typing import cast

from api.call_views import first_aid
from api.reader import titles_in
from ura.flows import documents
from ura.models import StepAnswer, StepResult


def answer(node: str, step: str, said: StepResult) -> StepAnswer:
    return cast(StepAnswer, SimpleNamespace(node=node, step=step, answer=said))


def test_first_aid_is_told_in_the_order_and_the_words_of_the_flow() -> None:
    titles = titles_in(documents.shipped("provedor"))
    said = [
        answer("no_signal", "outlet", StepResult.NOT_DONE),
        answer("no_signal", "power", StepResult.DONE),
        answer("wifi", "wifi_on", StepResult.SKIPPED),
    ]
    assert first_aid(said, titles) == [
        ("Sem internet", [("Aparelho ligado", StepResult.DONE), ("Tomada com energia", StepResult.NOT_DONE)]),
        ("Wi-Fi", [("Wi-Fi ligado, modo avião desligado", StepResult.SKIPPED)]),
    ]


def test_steps_of_a_flow_that_is_not_known_are_told_by_their_keys() -> None:
    assert first_aid([answer("old", "step", StepResult.DONE)], {}) == [("old", [("step", StepResult.DONE)])]


def test_every_step_of_the_shipped_flow_has_a_title() -> None:
    titles = titles_in(documents.shipped("provedor"))
    steps = {key: title for key, title in titles.items() if "/" in key}
    assert len(steps) > 20
    assert all(steps.values())
