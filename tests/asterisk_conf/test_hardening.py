"""The generated files, read as an attacker would (reliability.md: R32, R58, R59 and the hardening list)."""

import re
from pathlib import Path

import pytest

from agi import rescue
from prosa import asterisk as asterisks
from tests.asterisk_conf.reading import Step, dialplan, includes, lines, reachable, sections
from ura.settings import Settings

LOUD = {"Dial", "Originate", "Transfer", "BlindTransfer", "AttendedTransfer", "FollowMe", "Page", "ChanSpy", "DISA"}
SHELLS = {"System", "TrySystem", "Exec", "TryExec", "ExecIf", "EAGI", "DeadAGI", "SHELL", "EVAL", "FILE"}
BUILT_IN = {"Answer", "Goto", "GotoIf", "Hangup", "NoOp", "Set", "Wait"}  # pbx_builtins.c and friends: no module
FROM_MODULE = {
    "AGI": "res_agi",
    "Gosub": "app_stack",
    "Return": "app_stack",
    "ControlPlayback": "app_controlplayback",
    "PlayTones": "app_playtones",
    "StopPlayTones": "app_playtones",
    "Queue": "app_queue",
    "UserEvent": "app_userevent",
}


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    return asterisks.render(Settings(state_dir=tmp_path / "state"))


@pytest.fixture
def steps(etc: Path) -> list[Step]:
    return dialplan(etc / "extensions.conf")


def test_nothing_that_comes_in_can_get_out(etc: Path, steps: list[Step]) -> None:
    """R32: from the trunk, every step of every context that can be reached; none places a call."""
    queues = sections(etc / "queues.conf")["every-queue"]
    contexts = reachable(steps, includes(etc / "extensions.conf"), {dict(queues)["context"]}, "from-trunk")
    known = {step.context for step in steps}
    assert contexts == {
        *("from-trunk", "dids", "unknown-number", "inbound", "corporate", "caller", "flow"),
        *("to-queue", "max-wait", "queue-keys", "rescue", "goodbye", "say", "note"),
    }
    assert contexts <= known
    assert {step.application for step in steps if step.context in contexts} & (LOUD | SHELLS) == set()
    members = [value for part in sections(etc / "queues.conf").values() for name, value in part if name == "member"]
    assert members
    assert all(re.fullmatch(r"PJSIP/ramal-\d+,0,\d+", member) for member in members)  # phones of ours, no route


def test_graph_proof_notices_a_way_out() -> None:
    """The proof itself: an outbound context two jumps away is found."""
    steps = [
        Step("from-trunk", "s", "GotoIf", '$["${A}" = "1"]?middle,s,1:other,s,1'),
        Step("middle", "s", "Gosub", "outside,s,1(x)"),
        Step("outside", "s", "Dial", "PJSIP/trunk"),
    ]
    assert "outside" in reachable(steps, {}, set(), "from-trunk")


def test_applications_that_place_calls_are_not_even_loaded(etc: Path) -> None:
    modules = {value for name, value in sections(etc / "modules.conf")["modules"]}
    forbidden = (
        "app_dial app_originate app_exec app_system app_disa pbx_spool res_ari res_phoneprov func_shell func_curl"
    )
    assert not {f"{name}.so" for name in forbidden.split()} & modules
    assert "res_pjsip_endpoint_identifier_anonymous.so" not in modules
    assert ("autoload", "no") in sections(etc / "modules.conf")["modules"]


def test_every_application_of_the_dialplan_is_loaded(etc: Path, steps: list[Step]) -> None:
    modules = {value for name, value in sections(etc / "modules.conf")["modules"]}
    for application in {step.application for step in steps} - BUILT_IN:
        assert f"{FROM_MODULE[application]}.so" in modules


def test_what_was_dialled_and_who_dialled_are_filtered_before_the_server_is_asked(steps: list[Step]) -> None:
    raw = [step for step in steps if re.search(r"\$\{(EXTEN|CALLERID\((num|name)\))", step.arguments)]
    checked = [step for step in raw if "FILTER(" not in step.arguments and step.context != "caller"]
    assert [step.application for step in checked] == ["UserEvent"]  # after [caller], which [corporate] goes through
    inbound = [step for step in steps if step.context == "inbound"]
    assert inbound[0].application == "Gosub"
    assert inbound[0].arguments == "caller,s,1"


def test_every_conversation_with_the_server_has_the_guards(steps: list[Step]) -> None:
    """AGIEXITONHANGUP on every call; seconds for the first word; T leads to a person."""
    assert Step("caller", "s", "Set", "AGIEXITONHANGUP=yes") in steps
    asked = [place for place, step in enumerate(steps) if step.application == "AGI" and "AGI_URL" in step.arguments]
    assert [steps[place - 1] for place in asked] == [
        Step("from-attendant", "*77", "Set", "TIMEOUT(absolute)=120"),
        Step("flow", "ask", "Set", "TIMEOUT(absolute)=4"),
        Step("max-wait", "s", "Set", "TIMEOUT(absolute)=2"),
    ]
    assert {("flow", "T"), ("max-wait", "T")} <= {(step.context, step.extension) for step in steps}


def test_keys_hammered_into_what_the_dialplan_says_lead_nowhere(steps: list[Step]) -> None:
    """R25, corporate callers and the rescue among them: a key cuts the words, and only the rescue asks which it was."""
    said = [step for step in steps if step.application == "ControlPlayback"]
    assert [step.arguments.rpartition(",")[2] for step in said] == ["0123456789*#"] * 2
    assert {step.application for step in steps} & {"Background", "BackGround", "Read", "WaitExten"} == set()
    assert {step.context for step in steps if re.fullmatch("[0-9*#A-D]|_.", step.extension)} == {"queue-keys"}
    assert {step.context for step in steps if "${URA_KEY}" in step.arguments} == {"rescue"}
    [corporate] = [
        place
        for place, step in enumerate(steps)
        if step.context == "corporate" and step.application == "Gosub" and step.arguments.startswith("say,")
    ]
    assert [step.application for step in steps[corporate + 1 : corporate + 4]] == ["Set", "Set", "Goto"]


def test_ami_account_can_do_what_the_worker_needs_and_nothing_else(etc: Path) -> None:
    """R58."""
    manager = sections(etc / "manager.conf")
    assert set(manager) == {"general", "prosa"}
    account = manager["prosa"]
    assert dict(account)["read"].split(",") == ["system", "call", "agent", "user"]
    assert dict(account)["write"].split(",") == ["agent", "reporting"]
    assert ("deny", "0.0.0.0/0.0.0.0") in account
    assert [value for name, value in account if name == "permit"] == ["127.0.0.1"]
    assert len(dict(account)["secret"]) >= 30


def test_only_sip_and_rtp_could_ever_be_reached_from_outside(tmp_path: Path) -> None:
    """R59: with SIP on every address, the rest stays on loopback."""
    etc = asterisks.render(Settings(state_dir=tmp_path / "state", sip_host="0.0.0.0"))
    assert dict(sections(etc / "manager.conf")["general"])["bindaddr"] == "127.0.0.1"
    assert dict(sections(etc / "http.conf")["general"])["enabled"] == "no"
    assert dict(sections(etc / "pjsip.conf")["transport-udp"])["bind"] == "0.0.0.0:5060"


def test_strangers_get_nowhere(etc: Path) -> None:
    pjsip = sections(etc / "pjsip.conf")
    trunk = pjsip["trunk"]
    assert dict(trunk)["identify_by"] == "ip"  # by name as well, "From: trunk" from anywhere would be the trunk
    assert ("deny", "0.0.0.0/0.0.0.0") in trunk
    assert dict(trunk)["allow_unauthenticated_options"] == "no"
    assert "aors" not in dict(trunk)  # nowhere to send a call to
    assert dict(pjsip["attendant"])["identify_by"] == "username"
    secrets = [value for part in pjsip.values() for name, value in part if name == "password"]
    assert len(secrets) == 2
    assert len(set(secrets)) == 2
    assert all(len(secret) >= 30 for secret in secrets)


@pytest.mark.parametrize(
    ("file", "section", "name", "value"),
    [
        ("asterisk.conf", "options", "live_dangerously", "no"),
        ("asterisk.conf", "options", "verbose", "0"),
        ("asterisk.conf", "options", "disable_remote_console_shell", "yes"),
        ("asterisk.conf", "options", "maxcalls", "250"),
        ("asterisk.conf", "options", "minmemfree", "16"),
        ("rtp.conf", "general", "strictrtp", "yes"),
        ("cdr.conf", "general", "batch", "no"),
        ("cdr.conf", "general", "unanswered", "yes"),
        ("queues.conf", "general", "persistentmembers", "yes"),
        ("queues.conf", "general", "autofill", "yes"),
        ("logger.conf", "logfiles", "security.log", "security"),
    ],
)
def test_hardening_list(etc: Path, file: str, section: str, name: str, value: str) -> None:
    assert dict(sections(etc / file)[section])[name] == value


def test_what_callers_press_or_say_is_never_logged(etc: Path) -> None:
    """R60: a CPF is keys. No dtmf or verbose channel, no dtmf or dialplan events over AMI."""
    logged = {level for _, value in sections(etc / "logger.conf")["logfiles"] for level in value.split(",")}
    assert logged == {"notice", "warning", "error", "security"}


def test_no_name_is_looked_up_while_a_call_is_set_up(etc: Path) -> None:
    text = "\n".join(line for file in etc.glob("*.conf") for line in lines(file) if "stun" in line.lower())
    assert text == ""
    assert dict(sections(etc / "pjsip.conf")["trunk-addresses"])["srv_lookups"] == "no"
    assert dict(sections(etc / "pjsip.conf")["trunk"])["media_address"] == "127.0.0.1"


def test_prompts_that_asterisk_says_itself_are_whole(tmp_path: Path, etc: Path, steps: list[Step]) -> None:
    """R16: every one of them is among those whose content is looked at when Asterisk is started."""
    said = {f"own/{name}" for step in steps if step.arguments.startswith("say,") for name in _say_arguments(step)}
    queue = dict(sections(etc / "queues.conf")["every-queue"])
    said |= {value for name, value in queue.items() if name == "periodic-announce" or name.startswith("queue-")} - {""}
    said |= {rescue.MENU, rescue.REGISTERED, rescue.BUSY}
    assert len(said) >= 10
    settings = Settings(state_dir=tmp_path / "state")
    asterisks.furnish(settings, Path("/"))
    sounds = asterisks.home_dir(settings) / "data/sounds/pt_BR"
    assert [name for name in said if not name.startswith("own/") or not (sounds / f"{name}.alaw").exists()] == []


def test_app_queue_has_no_english_word_left(etc: Path) -> None:
    """app_queue.c 22, init_queue: what is not set here is said in Asterisk's own voice, or not at all."""
    defaults = (
        "youarenext thereare callswaiting quantity1 quantity2 holdtime minutes minute seconds thankyou reporthold"
    )
    queue = dict(sections(etc / "queues.conf")["every-queue"])
    said = {f"queue-{name}": queue[f"queue-{name}"] for name in defaults.split()}
    assert {value for value in [*said.values(), queue["periodic-announce"]] if value} == {
        "own/queue/you_are_next",
        "own/queue/there_are",
        "own/queue/still_waiting",
    }


def test_what_waiting_callers_are_told_can_be_set(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=tmp_path / "state",
        queue_max_callers=7,
        queue_ring_s=12,
        queue_wrap_up_s=3,
        queue_announce_s=90,
        queue_offer_s=10,
    )
    conf = sections(asterisks.render(settings) / "queues.conf")
    queue = dict(conf["every-queue"])
    assert (queue["maxlen"], queue["timeout"], queue["wrapuptime"]) == ("7", "12", "3")
    assert (queue["announce-frequency"], queue["min-announce-frequency"]) == ("90", "15")
    assert (queue["periodic-announce-frequency"], queue["periodic-announce-startdelay"]) == ("10", "10")
    assert dict(conf["corporativo"])["timeout"] == "12"


def _say_arguments(step: Step) -> list[str]:
    return step.arguments.partition("(")[2].rstrip(")").split(",")
