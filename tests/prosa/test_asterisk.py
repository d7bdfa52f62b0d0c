"""Asterisk's configuration is made from the settings, whatever they are."""

import shutil
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from prosa import asterisk as asterisks
from prosa import asterisk_config
from prosa.asterisk import AsteriskError, Attendant, Did
from tests.asterisk_conf.reading import dialplan, sections
from ura.settings import Settings


def test_settings_arrive_in_the_files(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=tmp_path,
        sip_host="10.1.2.3",
        sip_port=5099,
        trunk_hosts="198.51.100.7, 2001:db8::1",
        rtp_first_port=31000,
        rtp_last_port=31999,
        agi_port=4999,
        max_calls=7,
    )
    etc = asterisks.render(settings)
    assert dict(sections(etc / "pjsip.conf")["transport-udp"])["bind"] == "10.1.2.3:5099"
    hosts = [value for name, value in sections(etc / "pjsip.conf")["trunk-addresses"] if name == "match"]
    assert hosts == ["198.51.100.7", "2001:db8::1"]
    assert dict(sections(etc / "rtp.conf")["general"]) | {"rtpstart": "31000", "rtpend": "31999"} == dict(
        sections(etc / "rtp.conf")["general"]
    )
    assert dict(sections(etc / "extensions.conf")["globals"])["AGI_URL"] == "agi://127.0.0.1:4999"
    assert dict(sections(etc / "asterisk.conf")["options"])["maxcalls"] == "7"


def test_value_that_would_start_a_new_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AsteriskError, match="control character"):
        asterisks.render(Settings(state_dir=tmp_path, ami_user="prosa]\nwrite = all\n["))


def test_semicolon_does_not_become_a_comment(tmp_path: Path) -> None:
    etc = asterisks.render(Settings(state_dir=tmp_path, ami_secret=SecretStr("abc;def")))
    assert "secret = abc\\;def\n" in (etc / "manager.conf").read_text()


def test_odd_folders_are_fine(tmp_path: Path) -> None:
    etc = asterisks.render(Settings(state_dir=tmp_path / "estado de ação"))
    assert dict(sections(etc / "asterisk.conf")["directories"])["astetcdir"] == str(etc)
    assert dialplan(etc / "extensions.conf")


def test_no_trunk_means_no_calls_rather_than_everybodys(tmp_path: Path) -> None:
    etc = asterisks.render(Settings(state_dir=tmp_path, trunk_hosts=" , "))
    trunk = sections(etc / "pjsip.conf")["trunk"]
    assert ("deny", "0.0.0.0/0.0.0.0") in trunk
    assert "permit" not in dict(trunk)
    assert "match" not in dict(sections(etc / "pjsip.conf")["trunk-addresses"])


def test_did_is_known_in_every_form_a_carrier_may_send(tmp_path: Path) -> None:
    etc = asterisks.render(Settings(state_dir=tmp_path), dids=[Did("551140042000", "corporate")])
    doors = {step.extension: step.arguments for step in dialplan(etc / "extensions.conf") if step.application == "Goto"}
    forms = ["551140042000", "+551140042000", "1140042000", "01140042000"]
    assert [doors[form] for form in forms] == ["corporate,s,1"] * 4


def test_form_that_two_numbers_share_belongs_to_the_first(tmp_path: Path) -> None:
    etc = asterisks.render(
        Settings(state_dir=tmp_path), dids=[Did("551140042000", "corporate"), Did("1140042000", "landline")]
    )
    written = [line for line in (etc / "dids.conf").read_text().splitlines() if line.startswith("exten")]
    extensions = [line.split("=>")[1].split(",")[0].strip() for line in written]
    assert len(extensions) == len(set(extensions))


@pytest.mark.parametrize("number", ["", "12345,1,Dial(PJSIP/trunk)", "+5511", "1" * 16, "h"])
def test_did_that_is_no_number_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(AsteriskError, match="no telephone number"):
        asterisks.render(Settings(state_dir=tmp_path), dids=[Did(number, "landline")])


def test_attendants_get_a_phone_a_lasting_secret_and_their_queues(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    etc = asterisks.render(settings, attendants=[Attendant("333", ("l1", "noite"))])
    first = asterisks.attendant_secret(settings, "333")
    asterisks.render(settings, attendants=[Attendant("333", ("l1", "noite"))])
    assert asterisks.attendant_secret(settings, "333") == first
    pjsip = sections(etc / "pjsip.conf")
    assert dict(pjsip["ramal-333-login"])["password"] == first
    queues = sections(etc / "queues.conf")
    assert dict(queues["l1"])["member"] == dict(queues["noite"])["member"] == "PJSIP/ramal-333,0,333"
    assert "member" not in dict(queues["vendas"])
    assert "corporativo" in queues


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    etc = asterisks.render(Settings(state_dir=tmp_path))
    for file in (etc / "manager.conf", etc / "pjsip_attendants.conf", tmp_path / "secrets/attendant-101"):
        assert stat.S_IMODE(file.stat().st_mode) & stat.S_IRWXO == 0


def test_numbers_that_asterisk_says_are_our_pieces(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    asterisks.furnish(settings, Path("/"))
    asterisks.furnish(settings, Path("/"))  # a second start finds everything in place
    digits = tmp_path / "asterisk/data/sounds/pt_BR/digits"
    for name in ("0", "1", "19", "20", "90", "100", "100E", "200", "1000", "pt-e"):
        assert (digits / f"{name}.alaw").stat().st_size > 0
    assert (digits / "7.alaw").resolve() == asterisks.PROMPTS / "number/7.alaw"


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_asterisk_says_no_prompt_that_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """R16: Playback takes an empty file for a sentence that was said. One that is not there it notices."""
    audio = tmp_path / "prompts" / "audio"
    shutil.copytree(asterisks.PROMPTS, audio)
    manifest = audio.parent / "manifest.json"
    shutil.copyfile(asterisks.PROMPTS.parent / "manifest.json", manifest)
    monkeypatch.setattr(asterisk_config, "PROMPTS", audio)
    settings = Settings(state_dir=tmp_path / "state")
    own = tmp_path / "state/asterisk/data/sounds/pt_BR/own"
    asterisks.furnish(settings, Path("/"))
    copies = {file.relative_to(own): file.read_bytes() for file in own.rglob("*") if file.is_file()}
    assert {str(copy.parent.parts[0]) for copy in copies} == asterisk_config.OWN_PROMPTS
    for copy, whole in copies.items():
        match damage:
            case "missing":
                (audio / copy).unlink()
            case "empty":
                (audio / copy).write_bytes(b"")
            case "cut":
                (audio / copy).write_bytes(whole[:-1])
            case "garbage":
                (audio / copy).write_bytes(whole[::-1])
        assert (own / copy).read_bytes() == whole  # what happens while Asterisk runs changes nothing
    with capture_logs() as logs:
        asterisks.furnish(settings, Path("/"))
    assert {copy for copy in copies if (own / copy).exists()} == set()
    assert {entry["key"] for entry in logs} == {str(copy.with_suffix("")).replace("/", ".") for copy in copies}
    for copy, whole in copies.items():
        (audio / copy).write_bytes(whole)
    asterisks.furnish(settings, Path("/"))
    manifest.write_text("{")  # nobody can tell any more: those of the last start stay
    with capture_logs() as logs:
        asterisks.furnish(settings, Path("/"))
    assert [entry["event"] for entry in logs] == ["prompt_manifest_damaged"]
    assert {copy: (own / copy).read_bytes() for copy in copies} == copies


def test_numbers_of_the_last_start_are_there_when_the_database_is_not(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    assert asterisks.remembered(settings) == (asterisks.DEMO_DIDS, asterisks.DEMO_ATTENDANTS)
    asterisks.home_dir(settings).mkdir()
    ours = [Did("551140042000", "corporate")], [Attendant("333", ("l1",))]
    asterisks.remember(settings, *ours)
    assert asterisks.remembered(settings) == ours
    (asterisks.home_dir(settings) / "numbers.json").write_text('{"dids": 1')
    assert asterisks.remembered(settings) == (asterisks.DEMO_DIDS, asterisks.DEMO_ATTENDANTS)
