"""Each defect of pyst2 0.5.1 that agi/session.py works around. Red after an upgrade: delete that workaround.

The numbers are those under which the defects were found. 16 to 19 (its Manager and configuration reader) and 15 (its
own FastAGI server) are answered by not importing those modules, which tests/test_house_rules.py forbids.
"""

import inspect
import io
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import files, version
from pathlib import Path

import pytest
import time_machine
from asterisk import agi as pyst2
from asterisk.agi import AGI, AGIAppError, AGIHangup, AGIResultHangup, AGISIGPIPEHangup, AGIUnknownError
from asterisk.config import Config, ParseError
from asterisk.manager import Manager, ManagerMsg, ManagerSocketException

pytestmark = pytest.mark.filterwarnings(r"ignore:(setDaemon|isSet)\(\):DeprecationWarning")  # of its Manager

HEADER = "agi_uniqueid: 1.1\nagi_callerid: 11987654321\n\n"


@pytest.fixture(autouse=True)
def _keep_sighup() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


class Talk:
    """pyst2 as it is, on a script of replies."""

    def __init__(self, replies: str = "", header: str = HEADER) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.agi = AGI(io.StringIO(header + replies), self.out, self.err)

    @property
    def asked(self) -> list[str]:
        return self.out.getvalue().splitlines()


def test_this_is_the_version_that_the_workarounds_were_written_for() -> None:
    assert version("pyst2") == "0.5.1"


def test_1_the_constructor_takes_over_sighup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    talk = Talk()
    assert signal.getsignal(signal.SIGHUP) == talk.agi._handle_sighup


def test_2_the_callers_number_and_every_command_go_to_stderr() -> None:
    talk = Talk("200 result=0\n")
    talk.agi.set_variable("CPF", "12345678909")
    assert "11987654321" in talk.err.getvalue()
    assert "12345678909" in talk.err.getvalue()


def test_3_a_line_break_in_a_value_is_a_second_command_and_quotes_are_not_escaped() -> None:
    talk = Talk("200 result=0\n" * 2)
    talk.agi.set_variable("NAME", "José\nHANGUP")
    assert talk.asked[1].startswith("HANGUP")
    talk.agi.set_variable("NAME", 'a"b')
    assert talk.asked[-1] == 'SET VARIABLE "NAME" "a"b"'


def test_4_file_names_are_not_quoted() -> None:
    talk = Talk("200 result=0\n")
    talk.agi.get_data("my prompt", 1000, 1)
    assert talk.asked == ["GET DATA my prompt 1000 1"]


def test_5_database_get_quotes_twice() -> None:
    talk = Talk("200 result=1 (x)\n")
    talk.agi.database_get("family", "key")
    assert talk.asked == ['DATABASE GET ""family"" ""key""']


def test_6_it_writes_text_and_reads_strict_utf_8() -> None:
    class Bytes(io.BytesIO):
        pass

    with pytest.raises(UnicodeDecodeError):
        AGI(Bytes("agi_calleridname: José\n\n".encode("latin-1")), io.StringIO(), io.StringIO())
    agi = AGI(Bytes(b"\n200 result=0\n"), io.BytesIO(), io.StringIO())
    with pytest.raises(TypeError):
        agi.noop()


def test_7_hangup_is_taken_for_a_reply() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Talk("HANGUP\n").agi.noop()


def test_8_end_of_file_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Talk("").agi.noop()


@pytest.mark.parametrize("reply", ["100 Trying\n200 result=0\n", "511 Command Not Permitted on a dead channel\n"])
def test_9_trying_and_dead_channels_are_unknown_errors(reply: str) -> None:
    with pytest.raises(AGIUnknownError):
        Talk(reply).agi.noop()


def test_10_a_usage_text_without_end_is_read_for_ever() -> None:
    class Endless(io.StringIO):
        reads = 0

        def readline(self, size: int | None = -1, /) -> str:
            line = super().readline()
            self.reads += not line
            if self.reads > 1000:
                raise InterruptedError
            return line

    agi = AGI(Endless(HEADER + "520-Invalid command syntax.  Proper usage follows:\n"), io.StringIO(), io.StringIO())
    with pytest.raises(InterruptedError):
        agi.noop()


def test_11_minus_one_is_an_application_error_and_no_hangup() -> None:
    with pytest.raises(AGIAppError) as raised:
        Talk("200 result=-1\n").agi.stream_file("x")
    assert not isinstance(raised.value, AGIHangup)


def test_12_a_variable_whose_value_is_the_word_hangup_is_taken_for_one() -> None:
    """Answered by reading no variable that we did not set."""
    with pytest.raises(AGIResultHangup):
        Talk("200 result=1 (hangup)\n").agi.execute("GET VARIABLE", "NAME")


def test_13_get_data_throws_the_timeout_marker_away() -> None:
    assert Talk("200 result=1234 (timeout)\n").agi.get_data("x") == "1234"
    assert Talk("200 result=1234\n").agi.get_data("x") == "1234"


def test_14_there_is_no_deadline() -> None:
    """Who reads for it sees an hour pass, and the reply is taken as if nothing had been."""
    began = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with time_machine.travel(began, tick=False) as clock:

        class Slow(io.StringIO):
            def readline(self, size: int | None = -1, /) -> str:
                clock.shift(3600)
                return super().readline()

        agi = AGI(Slow(HEADER + "200 result=1 (x)\n"), io.StringIO(), io.StringIO())
        assert agi.get_variable("NAME") == "x"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (BrokenPipeError(32, "Broken pipe"), AGISIGPIPEHangup),
        (ConnectionResetError(104, "Reset"), ConnectionResetError),
    ],
)
def test_14_one_lost_connection_in_two_is_no_hangup(error: OSError, raised: type[Exception]) -> None:
    class Lost(io.StringIO):
        def flush(self) -> None:
            raise error

    with pytest.raises(raised):
        AGI(io.StringIO(HEADER), Lost(), io.StringIO()).noop()
    assert issubclass(raised, AGIHangup) == (error.errno == 32)


def test_15_its_own_server_is_not_importable() -> None:
    with pytest.raises(ModuleNotFoundError, match="SocketServer"):
        __import__("asterisk.fastagi")


class Wire(io.BytesIO):
    """Where its Manager writes."""


def connected() -> Manager:
    """A Manager on a wire, without its three threads."""
    manager = Manager()
    manager._sock = Wire()
    manager._connected.set()
    return manager


def end(manager: Manager) -> None:
    """So that it does not log off when it is forgotten, and wait for an answer (18); and is forgotten now."""
    manager._connected.clear()
    manager._running.clear()
    del manager.message_thread, manager.event_dispatch_thread


def test_16_managers_replies_are_taken_as_they_come_whoever_asked() -> None:
    manager = connected()
    for number in (2, 1):
        manager._response_queue.put(ManagerMsg(["Response: Success\r\n", f"ActionID: {number}\r\n"]))
    assert manager.send_action({"Action": "Status", "ActionID": "1"})["ActionID"] == "2"
    assert manager.send_action({"Action": "Ping", "ActionID": "2"})["ActionID"] == "1"
    end(manager)


def test_17_an_event_with_channel_variables_ends_managers_reader_and_it_still_says_connected() -> None:
    manager = connected()
    manager._running.set()
    manager._receive_data = lambda: None
    manager._message_queue.put(["Event: Newchannel\r\n", "ChanVariable(PJSIP/1): NAME=x\r\n"])
    manager._message_queue.put(["Event: Hangup\r\n"])
    with pytest.raises(AttributeError, match="has_key"):
        manager.message_loop()
    assert manager.connected()
    assert manager._event_queue.empty()
    assert manager._message_queue.qsize() == 1  # and this one nobody will read
    end(manager)


def test_18_one_action_of_a_manager_leaks_into_the_next() -> None:
    manager = connected()
    for _ in range(2):
        manager._response_queue.put(ManagerMsg(["Response: Success\r\n"]))
    try:
        manager.send_action(Action="Ping")
        manager.send_action(Channel="PJSIP/1")
        assert manager._sock.getvalue().count(b"Action: Ping\r\n") == 2
    finally:
        Manager.send_action.__defaults__[0].clear()
        end(manager)


def test_18_a_manager_connects_by_ipv4_only_and_has_no_deadline_to_set() -> None:
    manager = Manager()
    with pytest.raises(ManagerSocketException) as refused:
        manager.connect("::1", 5038)
    end(manager)
    assert refused.value.args[0] in (socket.EAI_ADDRFAMILY, socket.EAI_NONAME)  # before anybody was called
    assert list(inspect.signature(Manager.connect).parameters) == ["self", "host", "port"]


def test_18_a_manager_that_is_forgotten_talks_to_asterisk() -> None:
    class Asked(Exception):
        pass

    class Forgotten(Manager):
        def logoff(self) -> None:
            raise Asked

    manager = Forgotten()
    manager._connected.set()
    manager._running.set()
    with pytest.raises(Asked):
        manager.__del__()
    end(manager)


@pytest.mark.parametrize("text", ["[trunk](!)\ntype=endpoint\n", '#include "more.conf"\n', "#exec /bin/true\n"])
def test_19_its_configuration_reader_refuses_files_of_today(tmp_path: Path, text: str) -> None:
    (tmp_path / "pjsip.conf").write_text(text)
    with pytest.raises(ParseError):
        Config(str(tmp_path / "pjsip.conf"))


def test_19_its_configuration_reader_cuts_a_value_at_an_escaped_semicolon(tmp_path: Path) -> None:
    (tmp_path / "pjsip.conf").write_text("[trunk]\ncontact=sip:a@b\\;transport=tcp\n")
    assert Config(str(tmp_path / "pjsip.conf")).categories[0].items[0].value == "sip:a@b\\"


def test_20_it_ships_no_test() -> None:
    shipped = files("pyst2")
    assert shipped
    assert [file for file in shipped if "test" in file.name] == []


def test_what_we_use_of_it_is_there() -> None:
    for name in ("answer", "noop", "set_variable", "get_variable", "get_data", "appexec", "stream_file", "record_file"):
        assert callable(getattr(AGI, name))
    assert pyst2.re_kv.findall(" result=12 (timeout)") == [("result", "12", "timeout")]
