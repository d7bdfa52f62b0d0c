"""Asterisk as a process: several side by side, each with its own user, mounts and end."""

import os
import socket
from pathlib import Path

import pytest

from prosa import asterisk as asterisks
from prosa.asterisk import Asterisk, AsteriskError, Attendant, Did
from prosa.caller import Caller
from prosa.heard import Fingerprints
from tests.conftest import free_port
from tests.live.conftest import eventually
from tests.live.fake_agi import listening, then_end
from ura.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]


def make_settings(folder: Path, first_rtp_port: int) -> Settings:
    return Settings(
        state_dir=folder,
        sip_port=free_port(socket.SOCK_DGRAM),
        ami_port=free_port(),
        agi_port=free_port(),
        rtp_first_port=first_rtp_port,
        rtp_last_port=first_rtp_port + 99,
    )


def mounts() -> str:
    return Path("/proc/mounts").read_text()


def test_two_run_side_by_side_and_leave_nothing_behind(tmp_path: Path) -> None:
    before = mounts()
    one, other = make_settings(tmp_path / "one", 42000), make_settings(tmp_path / "other", 42200)
    first, second = asterisks.start(one), asterisks.start(other)
    try:
        for running, settings in ((first, one), (second, other)):
            assert f"127.0.0.1:{settings.sip_port}" in running.command("pjsip show transports")
        assert mounts() == before
    finally:
        asterisks.stop(first)
        asterisks.stop(second, gracefully=True)
    assert first.process.returncode is not None
    assert second.process.returncode == 0
    assert mounts() == before


def test_it_cannot_read_what_is_not_its_business(tmp_path: Path) -> None:
    """The database, the secrets and the rest of the machine are not even there for it."""
    settings = make_settings(tmp_path / "state", 42400)
    (tmp_path / "private").write_text("not for Asterisk")
    running = asterisks.start(settings)
    try:
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        assert "\nUid:\t0\t" not in status
        root = Path(f"/proc/{running.process.pid}/root")
        assert (root / str(settings.state_dir / "asterisk/etc").lstrip("/")).is_dir()
        if running.home != Path("/"):
            assert not (root / str(settings.state_dir / "secrets").lstrip("/")).exists()
            assert not (root / str(tmp_path / "private").lstrip("/")).exists()
    finally:
        asterisks.stop(running)


def test_own_name_resolves_and_nothing_else_is_asked(tmp_path: Path) -> None:
    running = asterisks.start(make_settings(tmp_path / "state", 42600))
    try:
        etc = Path(f"/proc/{running.process.pid}/root/etc")
        if os.geteuid() == 0:
            assert socket.gethostname() in (etc / "hosts").read_text()
            assert "nameserver" not in (etc / "resolv.conf").read_text()
    finally:
        asterisks.stop(running)


async def test_graceful_stop_lets_the_call_in_progress_end(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "state", 42800)
    running = asterisks.start(settings)
    try:
        async with Caller(settings.sip_port, index=Fingerprints.of_folders(asterisks.PROMPTS)) as caller:
            call = await caller.dial("551133330001")  # nobody listens on the FastAGI port: the rescue speaks
            await call.heard("system.one_moment")  # it asks for no server any more
            running.drain()
            async with listening(then_end, settings.agi_port):

                async def refused() -> bool:
                    late = await caller.dial("551133330001")
                    await late.ended()
                    return late.code >= 400

                await eventually(refused)  # as soon as it has heard of it
            assert call.ended_at is None
            assert running.process.poll() is None
            await call.hang_up()
            assert running.process.wait(10) == 0
    finally:
        asterisks.stop(running)


async def test_other_numbers_and_phones_are_read_while_a_call_goes_on(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "state", 43400)
    running = asterisks.start(settings)
    try:
        async with Caller(settings.sip_port) as caller:
            call = await caller.dial("551133330001")  # nobody listens on the FastAGI port: the rescue speaks
            await call.answered()
            dids = [*asterisks.DEMO_DIDS, Did("551133330009", "corporate")]
            phones = [Attendant("101", ("l1",)), Attendant("309", ("l1", "corporativo"))]
            asterisks.rewrite(running, settings, dids=dids, attendants=phones)
            asterisks.reload(running)

            async def has_read_them() -> bool:  # the phones and queues, which it reads on its own time
                told = [running.command(f"queue show {queue}") for queue in ("l1", "corporativo", "vendas")]
                served = ["ramal-309" in each for each in told] == [True, True, False] and "ramal-101" not in told[2]
                return served and "ramal-309" in running.command("pjsip show auths")

            await eventually(has_read_them)
            assert "551133330009" in running.command("dialplan show dids")
            async with Caller(settings.sip_port) as phone:
                await phone.register("ramal-309", asterisks.attendant_secret(settings, "309"))
                company = await caller.dial("551133330009")
                ringing = await phone.incoming()
                assert call.ended_at is None
                await company.hang_up()
                await ringing.ended()
            await call.hang_up()
    finally:
        asterisks.stop(running)
    assert [did.number for did in asterisks.remembered(settings)[0]] == [did.number for did in dids]


@pytest.mark.parametrize("what", ["sip", "ami"])
def test_port_that_is_taken_is_in_the_error(tmp_path: Path, what: str) -> None:
    settings = make_settings(tmp_path / "state", 43000)
    kind, port = {
        "sip": (socket.SOCK_DGRAM, settings.sip_port),
        "ami": (socket.SOCK_STREAM, settings.ami_port),
    }[what]
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        with pytest.raises(AsteriskError, match=r"(?s)cannot listen.*in use"):
            asterisks.start(settings)


def test_supervisor_that_is_killed_does_not_leave_a_deaf_asterisk(tmp_path: Path) -> None:
    """The next start ends the Asterisk of an earlier run, which would hold the ports."""
    settings = make_settings(tmp_path / "state", 43200)
    earlier = asterisks.start(settings)
    later: Asterisk | None = None
    try:
        later = asterisks.start(settings)
        assert earlier.process.wait(10) is not None
        assert "0 active channels" in later.command("core show channels")
    finally:
        asterisks.stop(earlier)
        if later:
            asterisks.stop(later)


def test_install_script_says_where_it_is(tmp_path: Path) -> None:
    home = asterisks.find(Settings(state_dir=tmp_path)) or asterisks.install(Settings(state_dir=tmp_path))
    assert asterisks.version(home) >= asterisks.WANTED_VERSION
    assert asterisks.install(Settings(state_dir=tmp_path, asterisk_dir=str(home))) == home
