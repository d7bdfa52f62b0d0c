"""docker-compose.yml fits the settings and the image it is about."""

from typing import Any

import yaml

from ura.settings import ROOT, Settings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {"setup", "asterisk", "agi", "api", "worker"}
# Not an installer's choice: the image says where its state is and installs Asterisk, and these doors stay on loopback.
THE_IMAGES_OWN = {"state_dir", "asterisk_dir", "agi_host", "ami_host", "ami_user", "http_host"}


def test_services_are_those_of_the_design() -> None:
    assert set(COMPOSE["services"]) == {*OURS, "postgres"}
    assert "version" not in COMPOSE  # docker-compose 1.29 would fall back to rules that Compose v2 does not know


def test_every_variable_is_a_setting() -> None:
    for name in OURS:
        given = {key.removeprefix("PROSA_").lower() for key in COMPOSE["services"][name]["environment"]}
        assert given <= set(Settings.model_fields)


def test_every_setting_that_is_the_installers_reaches_the_container() -> None:
    """Half an SMS gateway or an ERP without its authority would be found out by callers."""
    given = {key.removeprefix("PROSA_").lower() for key in COMPOSE["services"]["agi"]["environment"]}
    assert set(Settings.model_fields) - given == THE_IMAGES_OWN


def test_the_defaults_are_those_of_the_settings() -> None:
    written: dict[str, str | None] = COMPOSE["services"]["agi"]["environment"]
    for name, value in written.items():
        default = (value or "").partition(":-")[2].removesuffix("}")
        if default:
            field = Settings.model_fields[name.removeprefix("PROSA_").lower()]
            assert default == str(field.default)


def test_database_has_no_port_and_shares_its_socket() -> None:
    postgres = COMPOSE["services"]["postgres"]
    assert postgres["network_mode"] == "none"
    assert "ports" not in postgres
    for name in OURS:
        assert "postgres-socket:/var/run/postgresql" in COMPOSE["services"][name]["volumes"]


def test_image_gets_asterisk_from_the_same_script_as_a_bare_machine() -> None:
    lines = (ROOT / "docker/Dockerfile").read_text().splitlines()
    assert any(line.startswith("RUN scripts/install-asterisk.sh") for line in lines)
    assert any("--require-hashes -r requirements/base.txt" in line for line in lines)
    assert "USER asterisk" in lines
