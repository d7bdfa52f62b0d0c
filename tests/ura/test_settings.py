"""What an installer forgot is said at the start, by its name: not found out by a caller."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from prosa.erp_sim.serve import SETTINGS
from ura import settings
from ura.settings import ERP_NEEDS, NEEDS, ROOT, Settings

URL = "https://provedor.example"
WHOLE: dict[str, dict[str, Any]] = {
    system: {"erp": system, "erp_url": URL, **{name.removeprefix("PROSA_").lower(): v for name, v in given.items()}}
    for system, given in SETTINGS.items()
}
# Each block as somebody fills it in who forgets nothing.
BLOCKS: dict[str, dict[str, Any]] = {
    "sms": {"sms_url": "https://sms.example", "sms_status_path": "status", "sms_taken_words": "ok"},
    "zenvia": {"zenvia_token": "token", "zenvia_from": "provedor"},
    "whatsapp": {
        "whatsapp_token": "token",
        "whatsapp_phone_id": "1234",
        "whatsapp_app_secret": "secret",
        "whatsapp_verify_token": "word",
    },
    "smtp": {
        "smtp_host": "mail.example",
        "mail_from": "Provedor <nao-responda@provedor.example>",
        "smtp_user": "prosa",
        "smtp_password": "secret",
    },
    "radius": {"radius_accounting_url": "mysql+aiomysql://prosa@127.0.0.1/radius", "radius_coa_secret": "secret"},
}


def refused(**given: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        Settings(**given)
    return "; ".join(settings.troubles(raised.value))


@pytest.mark.parametrize(("system", "missing"), [(each, name) for each, names in ERP_NEEDS.items() for name in names])
def test_what_an_erp_needs_and_has_not_is_named(system: str, missing: str) -> None:
    Settings(**WHOLE[system])
    said = refused(**{**WHOLE[system], missing: ""})
    assert said == f"PROSA_{missing.upper()} is not set, and PROSA_ERP={system} needs it"


@pytest.mark.parametrize("system", ERP_NEEDS)
def test_everything_that_is_missing_is_named_at_once(system: str) -> None:
    said = refused(erp=system)
    assert [name for name in ERP_NEEDS[system] if f"PROSA_{name.upper()} is not set" not in said] == []


@pytest.mark.parametrize("system", ERP_NEEDS)
def test_credentials_of_a_system_that_is_not_asked_are_a_mistake(system: str) -> None:
    """Else the URA would look callers up in tables of its own, and know nobody."""
    assert "is set, but PROSA_ERP is local" in refused(**{**WHOLE[system], "erp": "local"})


@pytest.mark.parametrize(("block", "here", "needed"), [
    (block, here, needed) for block, given in BLOCKS.items() for here, needed in NEEDS if {here, needed} <= set(given)
])  # fmt: skip
def test_half_a_block_says_what_is_missing(block: str, here: str, needed: str) -> None:
    Settings(**BLOCKS[block])
    said = refused(**{**BLOCKS[block], needed: ""})
    assert f"PROSA_{here.upper()} is set, but not PROSA_{needed.upper()}" in said
    assert "secret" not in said.replace("_secret", "")


def test_every_rule_belongs_to_a_block_that_is_tried() -> None:
    tried = {(here, needed) for given in BLOCKS.values() for here, needed in NEEDS if {here, needed} <= set(given)}
    untried = set(NEEDS) - tried
    assert untried == {("sms_refused_words", "sms_status_path"), ("sms_unknown_words", "sms_status_path")}


@pytest.mark.parametrize("name", ["erp_url", "genieacs_url", "public_url"])
@pytest.mark.parametrize("address", ["provedor.example", "http://provedor.example", "https://u:p@provedor.example"])
def test_an_address_that_would_send_passwords_in_the_open_is_named(name: str, address: str) -> None:
    said = refused(**{**WHOLE["sgp"], name: address})
    assert said.startswith(f"PROSA_{name.upper()}: an address ")
    assert address not in said


def test_links_are_signed_in_production_with_a_secret_that_somebody_chose() -> None:
    said = refused(environment="production", public_url="https://ura.provedor.example")
    assert said == "PROSA_PUBLIC_URL is set, but not PROSA_SECRET_KEY, which signs its links"


@pytest.mark.parametrize("address", ["sqlite:///radius.db", "mysql://prosa:word@host/radius", "radius"])
def test_an_accounting_that_nobody_can_ask_is_named_without_its_password(address: str) -> None:
    said = refused(radius_accounting_url=address)
    assert said.startswith("PROSA_RADIUS_ACCOUNTING_URL: it starts with postgresql+psycopg:// or mysql+aiomysql://")
    assert "word" not in said


def test_a_certificate_that_is_left_empty_is_none_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    """`PROSA_ERP_CA_FILE=` in a file of settings; else the first caller would meet a folder, no certificate."""
    given: dict[str, Any] = {"erp_ca_file": ""}
    assert Settings(**given).erp_ca_file is None
    assert refused(erp_ca_file=tmp_path / "ca.pem").startswith("PROSA_ERP_CA_FILE: there is no such file")
    (tmp_path / "ca.pem").touch()
    assert Settings(erp_ca_file=tmp_path / "ca.pem").erp_ca_file == tmp_path / "ca.pem"


def started(*command: str, state: Path, **given: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PROSA_")}
    env = {**clean, "PROSA_STATE_DIR": str(state), **{f"PROSA_{name.upper()}": value for name, value in given.items()}}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("command", [("prosa.main", "run"), ("agi",), ("api",), ("worker",)])
def test_no_door_opens_with_half_an_erp(command: tuple[str, ...], tmp_path: Path) -> None:
    ended = started(*command, state=tmp_path / "state", erp="sgp", erp_url=URL, sgp_app="prosa")
    assert ended.returncode != 0
    assert "PROSA_SGP_TOKEN is not set, and PROSA_ERP=sgp needs it" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("command", "missing"),
    [("agi", "secret_key"), ("worker", "secret_key"), ("worker", "ami_secret")],
)
def test_in_production_no_door_opens_without_its_secrets(command: str, missing: str, tmp_path: Path) -> None:
    given = {"environment": "production", "ami_secret": "a" * 32, "secret_key": "b" * 32, missing: ""}
    ended = started(command, state=tmp_path / "state", **given)
    assert ended.returncode != 0
    assert ended.stderr.startswith(f"{command} cannot start: PROSA_{missing.upper()} is not set.")
    assert not (tmp_path / "state").exists()
