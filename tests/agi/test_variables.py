"""The AGI environment is text from outside (R20 R22)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agi.variables import CallStart, encode_result, parse_environment
from tests.agi.fake_asterisk import header


def parse(**changes: str) -> CallStart:
    return parse_environment(header(**changes).splitlines(keepends=True)[:-1])


def test_a_clean_header_gives_the_call() -> None:
    start = parse(agi_network_script="queue-left?reason=timeout&n=1")
    assert (start.route, start.query) == ("queue-left", {"reason": "timeout", "n": "1"})
    assert (start.uniqueid, start.caller, start.did) == ("prosa-1700000000.1", "11987654321", "551133330001")
    assert start.oddities == ()


def test_a_second_value_for_a_key_never_counts_and_makes_the_caller_unknown() -> None:
    lines = header().splitlines(keepends=True)[:-1]
    start = parse_environment([*lines, b"agi_uniqueid: forged\n"])
    assert start.uniqueid == "prosa-1700000000.1"
    assert start.caller == ""
    assert start.oddities == ("agi_uniqueid repeated",)


@pytest.mark.parametrize("extra", [b"agi_admin: yes\n", b"HANGUP\n", b"SET VARIABLE X 1\n", b": x\n"])
def test_an_unknown_line_makes_the_caller_unknown(extra: bytes) -> None:
    start = parse_environment([*header().splitlines(keepends=True)[:-1], extra])
    assert (start.caller, start.oddities, start.did) == ("", ("unknown key",), "551133330001")


def test_a_missing_key_makes_the_caller_unknown() -> None:
    lines = [line for line in header().splitlines(keepends=True)[:-1] if b"agi_dnid" not in line]
    assert parse_environment(lines).oddities == ("agi_dnid missing",)


def test_arguments_are_known_keys() -> None:
    assert parse(agi_arg_1="x").oddities == ()


def test_a_latin_1_name_does_not_end_the_call() -> None:
    raw = header().replace(b"agi_calleridname: unknown", "agi_calleridname: José".encode("latin-1"))
    assert parse_environment(raw.splitlines(keepends=True)[:-1]).caller == "11987654321"


@pytest.mark.parametrize("word", ["unknown", "Unknown", ""])
def test_no_number_is_unknown(word: str) -> None:
    assert parse(agi_callerid=word).caller == ""


@pytest.mark.parametrize("uniqueid", ["../../etc/passwd", "a/b", "", ".hidden", "x" * 80, "a b"])
def test_a_uniqueid_that_could_be_a_path_is_none(uniqueid: str) -> None:
    assert parse(agi_uniqueid=uniqueid).uniqueid == ""


@given(st.lists(st.binary(max_size=200), max_size=70))
@example([b"agi_network_script: a?" + b"b=1&" * 3000])
@example([b"\xff\xfe: \0"])
def test_the_parser_is_total(lines: list[bytes]) -> None:
    start = parse_environment(lines)
    assert start.caller == ""
    assert start.oddities


def test_the_result_comes_last_and_empty_values_stay_out() -> None:
    values = {"URA_CALL_ID": "ab12", "URA_QUEUE": "l1", "URA_PRIORITY": ""}
    assert encode_result("queue", values) == "URA_CALL_ID=ab12,URA_QUEUE=l1,URA_RESULT=queue"


@pytest.mark.parametrize("value", ["${SHELL(id)}", "a,b", "a=b", "a b", 'a"', "a\n"])
def test_a_value_that_the_dialplan_could_evaluate_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="opaque"):
        encode_result("queue", {"URA_QUEUE": value})
