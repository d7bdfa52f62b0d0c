"""`prosa simulate` and `prosa flow check`, as typed in a terminal."""

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
