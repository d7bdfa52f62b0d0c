"""The command `prosa`: help at once, wrong input named, and every command in its place."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from prosa.main import IMPORTED, app
from prosa.run import CannotStart, Steps, _prepare
from tests.conftest import free_port
from ura.imports import ImportKind
from ura.settings import ROOT, Settings

COMMANDS = [
    "run", "call", "doctor", "simulate", "flow", "backup", "restore", "db", "prompts", "voices", "demo", "user",
    "import", "calls",
]  # fmt: skip


def prosa(*arguments: str, state: Path, text: str = "", **settings: str) -> Result:
    env = {"PROSA_STATE_DIR": str(state), **{f"PROSA_{key}": value for key, value in settings.items()}}
    return CliRunner().invoke(app, arguments, env=env, input=text)


def test_help_names_every_command_and_needs_nothing_heavy(tmp_path: Path) -> None:
    shown = prosa("--help", state=tmp_path)
    assert all(f"\n  {command} " in shown.stdout for command in COMMANDS)
    script = "import sys, prosa.main; print({'sqlalchemy', 'numpy', 'structlog'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    said = prosa("doctor", state=tmp_path, HTTP_PORT="eight")
    assert said.exit_code == 1
    assert said.stderr.startswith("PROSA_HTTP_PORT: ")
    assert "'eight'" in said.stderr


def test_keys_that_no_telephone_has_are_refused(tmp_path: Path) -> None:
    said = prosa("call", "551133330001", "--keys", "1,x", state=tmp_path)
    assert (said.exit_code, said.stderr) == (1, "--keys 1,x: only 0-9, * and # can be pressed.\n")


def test_a_call_that_nobody_answers_says_where_it_went(tmp_path: Path) -> None:
    port = str(free_port())
    began = time.monotonic()
    said = prosa("call", "551133330001", state=tmp_path, SIP_PORT=port)
    assert said.exit_code == 1
    assert f"127.0.0.1:{port}" in said.stderr
    assert time.monotonic() - began < 30


def test_the_doctor_names_a_command_for_everything_that_is_wrong(tmp_path: Path) -> None:
    said = prosa("doctor", state=tmp_path / "nothing")
    assert said.exit_code == 1
    lines = said.stdout.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("BAD"):
            assert lines[place + 1].startswith("     -> "), line
    assert "     -> prosa db upgrade (address: PROSA_DATABASE_URL)" in lines
    assert "     -> prosa run" in lines


def test_commands_of_other_modules_keep_their_own_options(tmp_path: Path) -> None:
    simulated = prosa("simulate", "provedor", "--keys", "9", "--now", "2026-11-23T10:00", state=tmp_path)
    assert simulated.exit_code == 0, simulated.stderr
    assert "[9]" in simulated.stdout
    assert "--keys" in prosa("simulate", "--help", state=tmp_path).stdout
    checked = prosa("flow", "check", str(ROOT / "ura/flows/library/provedor.yaml"), state=tmp_path)
    assert checked.exit_code == 0, checked.stderr
    assert checked.stdout.startswith("ok")


def test_a_csv_file_is_shown_before_it_is_stored(tmp_path: Path) -> None:
    file = tmp_path / "planos.csv"
    file.write_text((ROOT / "ura/demo/plans.csv").read_text("utf-8"), "latin-1")
    assert prosa("db", "upgrade", state=tmp_path).exit_code == 0
    refused = prosa("import", "plans", str(file), state=tmp_path, text="n\n")
    assert refused.exit_code == 0, refused.stderr
    assert "8 good rows, 0 errors" in refused.stdout
    assert "Nothing was stored." in refused.stdout

    file.write_text("isto;não;é\n1;2;3\n", "utf-8")
    wrong = prosa("import", "plans", str(file), "--yes", state=tmp_path)
    assert wrong.exit_code == 1
    assert "no row can be stored" in wrong.stderr


def test_every_kind_of_file_has_its_command() -> None:
    assert set(IMPORTED) == {kind.value for kind in ImportKind}


def test_a_password_is_changed_and_somebody_is_shut_out(tmp_path: Path) -> None:
    def said(*arguments: str, text: str = "") -> tuple[int, str]:
        result = prosa(*arguments, state=tmp_path, text=text)
        return result.exit_code, result.stderr or result.stdout.splitlines()[-1]

    assert prosa("db", "upgrade", state=tmp_path).exit_code == 0
    assert said("user", "add", "bia@example.com", text="uma-senha-boa\n")[0] == 0
    assert said("user", "password", "Bia@example.com", text="outra-senha-boa\n")[0] == 0
    assert said("user", "password", "bia@example.com", text="curta\n")[0] == 1
    assert said("user", "disable", "bia@example.com")[0] == 0
    assert said("user", "disable", "ana@example.com") == (1, "There is no user ana@example.com.\n")

    assert said("token", "create", "erp", "--scope", "calls:read")[0] == 0
    assert said("token", "revoke", "erp")[0] == 0
    assert said("token", "revoke", "erp") == (1, "There is no token erp.\n")


def test_a_port_that_is_taken_keeps_prosa_from_starting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = prosa("run", state=tmp_path, HTTP_PORT=str(port), SIP_PORT=str(free_port()))
    assert said.exit_code == 1
    assert f"HTTP: port {port}/tcp is taken" in said.stdout
    assert f"PROSA_HTTP_PORT={port + 1}" in said.stdout


@pytest.mark.parametrize("command", ["db", "prompts", "voices", "demo", "user", "import", "calls"])
def test_a_group_without_a_command_shows_its_own(command: str, tmp_path: Path) -> None:
    assert "Commands:" in prosa(command, "--help", state=tmp_path).stdout


async def test_without_its_secret_nothing_starts_and_the_setting_is_named(tmp_path: Path) -> None:
    settings = Settings(environment="production", state_dir=tmp_path, ami_secret=SecretStr("a" * 32))
    with pytest.raises(CannotStart, match="PROSA_SECRET_KEY is not set"):
        await _prepare(settings, Steps(lambda line: None))


def test_calls_are_compared_with_asterisks_list_which_must_be_there(tmp_path: Path) -> None:
    state, file = tmp_path / "state", tmp_path / "Master.csv"
    assert prosa("db", "upgrade", state=state).exit_code == 0
    said = prosa("calls", "compare", state=state)
    assert said.exit_code == 1
    assert said.stderr.startswith("Asterisk's list cannot be read: ")
    row = ["", "+5511987654321", "h", "flow", "", "PJSIP/trunk-1", "", "Return", "", *["2026-11-23 11:00:00"] * 3]
    row += ["9", "9", "ANSWERED", "DOCUMENTATION", "prosa0-1.1", "retorno:263270000017"]
    file.write_text(",".join(row) + "\n")
    said = prosa("calls", "compare", "--file", str(file), "--days", "36500", state=state)
    assert (said.exit_code, said.stdout.splitlines()[-1]) == (
        1, "1 calls in Asterisk's list, 0 in our records: 1 differ",
    )  # fmt: skip
    assert "somebody is to call back" in said.stdout
    assert "87654321" not in said.stdout
    file.write_text("")
    assert prosa("calls", "compare", "--file", str(file), state=state).exit_code == 0
