"""A port that is taken is named, with the setting that moves it."""

import os
import socket
from pathlib import Path

import pytest

from prosa import ports
from tests.conftest import free_port
from ura.settings import Settings


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path,
        sip_port=free_port(socket.SOCK_DGRAM),
        agi_port=free_port(),
        ami_port=free_port(),
        http_port=free_port(),
    )


def test_free_ports_are_no_trouble(config: Settings) -> None:
    assert ports.troubles(config) == []


def test_a_taken_port_is_named_with_its_owner_and_the_setting_that_moves_it(config: Settings) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip,
        socket.create_server(("127.0.0.1", config.http_port)),
    ):
        sip.bind(("127.0.0.1", config.sip_port))
        first, second = ports.troubles(config)
    assert first.startswith(f"SIP: port {config.sip_port}/udp is taken by ")
    assert f"(pid {os.getpid()})" in first
    assert first.endswith(f"PROSA_SIP_PORT={config.sip_port + 1}")
    assert second.startswith(f"HTTP: port {config.http_port}/tcp is taken")


def test_an_address_that_is_not_ours_is_told_from_a_port_that_is_taken(config: Settings) -> None:
    (trouble,) = ports.troubles(config.model_copy(update={"agi_host": "192.0.2.1"}))
    assert trouble.startswith("FastAGI: 192.0.2.1:")
    assert "PROSA_AGI_HOST" in trouble


def test_a_range_for_sound_that_is_taken_or_holds_our_own_port_is_told(config: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sound:
        sound.bind(("127.0.0.1", 0))
        port = sound.getsockname()[1]
        taken = config.model_copy(update={"rtp_first_port": port, "rtp_last_port": port})
        (trouble,) = ports.troubles(taken)
    assert trouble.startswith(f"RTP: of the ports {port} to {port}/udp at least half are taken by ")
    assert f"(pid {os.getpid()})" in trouble
    assert "PROSA_RTP_FIRST_PORT" in trouble
    here = config.sip_port
    among = config.model_copy(update={"rtp_first_port": here, "rtp_last_port": here + 1})
    (trouble,) = ports.troubles(among)
    assert trouble.startswith(f"SIP: port {here}/udp lies among those for sound")
