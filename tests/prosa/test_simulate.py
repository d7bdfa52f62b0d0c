"""`prosa simulate` and `prosa flow check`, as typed in a terminal. And the README's stories, told by it."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from prosa import simulate as module
from prosa.simulate import flow_commands, simulate
from ura.flows import documents
from ura.flows.conduct import CallContext, CallResult
from ura.flows.events import Started
from ura.flows.facts import FIRST_FACTS
from ura.prompts import load_all
from ura.settings import ROOT

app = Typer()
app.command()(simulate)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_STATE_DIR", str(tmp_path / "var"))
    monkeypatch.delenv("PROSA_DATABASE_URL", raising=False)


def run(*words: str, program: Typer = app) -> tuple[int, str]:
    result = CliRunner().invoke(program, list(words))
    return result.exit_code, result.output


def test_sales_are_heard_to_the_plans_and_the_lead_is_shown() -> None:
    code, output = run("provedor", "--keys", "1,1,1,1,2,x", "--now", "2026-11-23T10:00")

    assert code == 0
    assert "Jardim das Palmeiras digite dois." in output
    assert "oitenta e nove reais e noventa centavos por mês." in output
    assert "[hang-up]" in output
    assert "status=abandoned" in output
    assert "<" not in output, "every prompt has a text"


def test_silence_ends_in_the_queue() -> None:
    code, output = run("provedor", "--now", "2026-11-23T10:00")
    assert code == 0
    assert "-> queue l1" in output


def test_a_queue_that_gives_back_a_lookup_that_fails_and_a_second_call() -> None:
    _, output = run("provedor", "--keys", "9,1", "--queue", "empty", "--fail", "opening", "--again")
    assert "Oi, de novo!" in output
    assert "-> queue l1, left: empty" in output
    assert "stored: request_callback" in output


def test_a_flow_is_told_what_the_phone_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[CallContext] = []

    async def kept(call: CallContext, *args: Any, **more: Any) -> CallResult:
        begun.append(call)
        return CallResult("end", call.state)

    monkeypatch.setattr(module, "conduct", kept)
    assert run("provedor", "--caller", "+551633330000")[0] == 0
    [event] = [call.event for call in begun]
    assert isinstance(event, Started)
    assert set(event.facts) == FIRST_FACTS
    assert event.facts["caller_kind"] == "landline"


def test_an_unknown_flow_is_said_in_one_line() -> None:
    assert run("nada") == (1, "No flow 'nada' comes with Prosa. There is: provedor.\n")


def test_the_shipped_flow_is_ok(tmp_path: Path) -> None:
    code, output = run(str(documents.LIBRARY / "provedor.yaml"), program=flow_commands)
    assert code == 0
    assert output.startswith("ok")


def test_a_wrong_flow_gets_remedies(tmp_path: Path) -> None:
    file = tmp_path / "meu.yaml"
    file.write_text("key: meu\ntitle: Meu\nstart: a\nperson: a\nnodes:\n- {key: a, type: say, prompts: [x], next: b}\n")

    code, output = run(str(file), program=flow_commands)

    assert code == 1
    assert "No fluxo 'meu', o nó 'a'" in output
    assert run(str(tmp_path / "none.yaml"), program=flow_commands)[0] == 1


# --- the README's table of who rings


def rings() -> dict[str, list[str]]:
    """Story → number and keys, as the README has them."""
    rows = re.findall(
        r"^\| ([^|]+) \| (\+\d+) \| ([\d,]+|none) \| .+ \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    return {story: ["--caller", number, "--keys", keys.replace("none", "")] for story, number, keys in rows}


@cache
def sentences() -> dict[str, str]:
    return load_all(ROOT / "prompts")


# What the README promises: what is heard, in this order, and what is written down; and what is not heard.
ENDS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "in order": (
        ["identify.street", "identify.street_keys", "diagnose.good", "support.wifi.on", "support.solved_yes"],
        ["support.restart.off", "visit.opened", "diagnose.blocked"],
    ),
    "blocked": (
        ["diagnose.blocked", "unlock.confirm", "unlock.granted_day", "end.thanks", "operation=trust_unlock"],
        ["invoices.found"],
    ),
    "overdue": (
        [
            *("identify.cpf", "identify.factor", "invoices.overdue", "invoices.amount"),
            *("currency.reais", "currency.centavos", "send_invoice.email", "send_invoice.sent"),
            *("stored: send_invoice", "email invoice: sent"),
        ],
        ["identify.not_found", "identify.factor_wrong", "invoices.failed"],
    ),
    "two contracts": (
        ["identify.which", "contract_id=5", "sms invoice: sent"],
        ["identify.cpf", "identify.factor"],
    ),
    "in an outage": (
        [
            *("outage.nearby", "outage.fibre_cut", "outage.estimate", "menu.main", "outage.again"),
            *("outage.subscribed", "wants_news=True"),
        ],
        ["diagnose.good", "support.wifi.on", "support.restart.off"],
    ),
    "LOS": (
        ["diagnose.los", "support.fiber_warning", "visit.opened", "visit.until", "operation=open_order"],
        ["support.restart.off", "steps.solved"],
    ),
    "company": (["-> queue corporativo"], ["menu.main", "identify.street"]),
}


def test_every_story_of_the_readme_is_told_here() -> None:
    assert rings().keys() == ENDS.keys()


@pytest.mark.parametrize("story", ENDS)
def test_the_keys_in_the_readme_end_as_it_tells(story: str) -> None:
    heard, unheard = ENDS[story]

    code, output = run("provedor", *rings()[story], "--now", "2026-11-23T10:00")

    assert code == 0
    rest = output
    for each in heard:
        words = sentences().get(each, each)
        assert words in rest, f"{each} is not (in this order) in:\n{output}"
        rest = rest.partition(words)[2]
    assert [each for each in unheard if sentences()[each] in output] == []
