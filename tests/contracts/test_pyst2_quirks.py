"""Each defect of pyst2 0.5.1 that agi/session.py works around. Red after an upgrade: delete that workaround.

The numbers are those under which the defects were found. 16 to 19 (its Manager and configuration reader) and 15 (its
own FastAGI server) are answered by not importing those modules.
"""

import io
import signal
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from asterisk import agi as pyst2
from asterisk.agi import AGI, AGIAppError, AGIHangup, AGIResultHangup, AGIUnknownError

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


def test_14_there_is_no_deadline_and_one_broken_pipe_in_many_is_known() -> None:
    class Reset(io.StringIO):
        def flush(self) -> None:
            raise ConnectionResetError(104, "Connection reset by peer")

    agi = AGI(io.StringIO(HEADER), Reset(), io.StringIO())
    with pytest.raises(ConnectionResetError):
        agi.noop()
    assert not any("timeout" in name for name in vars(agi))


def test_15_its_own_server_is_not_importable() -> None:
    with pytest.raises(ModuleNotFoundError, match="SocketServer"):
        __import__("asterisk.fastagi")


def test_what_we_use_of_it_is_there() -> None:
    for name in ("answer", "noop", "set_variable", "get_variable", "get_data", "appexec", "stream_file", "record_file"):
        assert callable(getattr(AGI, name))
    assert pyst2.re_kv.findall(" result=12 (timeout)") == [("result", "12", "timeout")]
