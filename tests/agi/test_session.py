"""Every reply that Asterisk can give, and every way in which a caller can go (R22); any text in a command (R23)."""

import asyncio

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agi.session import CommandRefused, LineLost, NotPlayed, Session, encode, quote
from tests.agi.conftest import Line
from tests.agi.fake_asterisk import parse_args
from ura.errors import HungUp

NASTY = ['a "b" c', "back\\slash", "x; y", "tab\there", "çãé", "", " ", '"', "\\", 'C:\\"', "a\\"]


# -- commands


@pytest.mark.parametrize("words", [("SET VARIABLE", "NAME"), ("VERBOSE",), ("EXEC", "NoOp"), ("STREAM FILE",)])
@given(text=st.text())
@example("José\n")
@example("\\")
@example('"')
@example("${SHELL(id)}")
def test_any_text_is_one_argument_of_one_line_or_refused(words: tuple[str, ...], text: str) -> None:
    """R23, as Asterisk itself would split it."""
    try:
        line = encode(words[0], *map(quote, words[1:]), quote(text))
    except CommandRefused:
        assert any(c in text for c in "\r\n\0") or not _encodable(text)
        return
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parse_args(line.decode().removesuffix("\n")) == [*" ".join(words).split(), text]


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1), max_size=30)
)
def test_unquoted_arguments_arrive_as_they_were_given(args: list[str]) -> None:
    line = encode("EXEC", *args)
    assert parse_args(line.decode().removesuffix("\n")) == ["EXEC", *args]


@pytest.mark.parametrize("args", [("x" * 9000,), ("a",) * 40, ("\ud800",)])
def test_what_asterisk_could_not_take_is_refused(args: tuple[str, ...]) -> None:
    with pytest.raises(CommandRefused):
        encode("NOOP", *args)


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(CommandRefused):
        encode(" ")


@pytest.mark.parametrize("text", NASTY)
async def test_pyst2s_own_methods_go_through_the_encoder(line: Line, text: str) -> None:
    line.says("200 result=1\n200 result=0 endpos=1\n")
    await line.session.run(line.session.set_variable, "NAME", text)
    await line.session.run(line.session.stream_file, text or "silence", "12#")
    assert parse_args(await line.asked()) == ["SET", "VARIABLE", "NAME", text]
    assert parse_args(await line.asked()) == ["STREAM", "FILE", text or "silence", "12#", "0"]


# -- replies


async def test_keys_come_back(line: Line) -> None:
    line.says("200 result=123\n")
    assert await line.session.run(line.session.get_data, "menu", 5000, 3) == "123"
    assert not line.session.timed_out()


async def test_a_timeout_is_told_from_a_finished_input(line: Line) -> None:
    line.says("200 result=12 (timeout)\n")
    assert await line.session.run(line.session.get_data, "menu", 5000, 3) == "12"
    assert line.session.timed_out()


async def test_hangup_is_no_reply(line: Line) -> None:
    line.says("HANGUP\n200 result=0\n")
    with pytest.raises(HungUp):
        await line.session.run(line.session.noop)
    with pytest.raises(HungUp):  # and from now on nothing is asked any more
        await line.session.run(line.session.noop)
    await line.hangs_up()


async def test_trying_is_skipped(line: Line) -> None:
    line.says("100 Trying\n100 result=0 Trying...\n200 result=0\n")
    await line.session.run(line.session.noop)


async def test_a_dead_channel_is_a_hangup(line: Line) -> None:
    line.says("511 Command Not Permitted on a dead channel or intercept routine\n")
    with pytest.raises(HungUp):
        await line.session.run(line.session.answer)


async def test_end_of_file_is_a_hangup(line: Line) -> None:
    await line.hangs_up()
    with pytest.raises(HungUp):
        await line.session.run(line.session.answer)


async def test_minus_one_and_then_hangup_means_that_the_caller_went_while_it_played(line: Line) -> None:
    line.says("200 result=-1\nHANGUP\n200 result=0\n")
    with pytest.raises(HungUp):
        await line.session.run(line.session.get_data, "menu")


async def test_minus_one_and_then_nothing_means_that_the_file_is_missing(line: Line) -> None:
    line.says("200 result=-1 endpos=0\n200 result=0\n")
    with pytest.raises(NotPlayed):
        await line.session.run(line.session.stream_file, "nowhere")
    assert await line.asked() == 'STREAM FILE nowhere "" 0'
    assert await line.asked() == "NOOP"


@pytest.mark.parametrize(
    "usage",
    [
        "520 Invalid command syntax.  Proper usage not available.\n",
        "520-Invalid command syntax.  Proper usage follows:\nUsage: NOOP\n\n520 End of proper usage.\n",
    ],
)
async def test_usage_texts_are_read_to_their_end(line: Line, usage: str) -> None:
    from asterisk.agi import AGIUsageError

    line.says(usage + "200 result=0\n")
    with pytest.raises(AGIUsageError):
        await line.session.run(line.session.noop)
    await line.session.run(line.session.noop)  # still in step


async def test_an_unknown_command_leaves_the_line_in_step(line: Line) -> None:
    from asterisk.agi import AGIInvalidCommand

    line.says("510 Invalid or unknown command\n200 result=0\n")
    with pytest.raises(AGIInvalidCommand):
        await line.session.run(line.session.noop)
    await line.session.run(line.session.noop)


@pytest.mark.parametrize(
    "reply", ["", "OK\n", "404 result=0\n", "520-" + "\nx" * 100 + "\n", "x" * 20_000, "2", "\n", "\0\n"]
)
async def test_nonsense_loses_the_line_and_nothing_else(line: Line, reply: str) -> None:
    line.says(reply)
    with pytest.raises(LineLost):
        await line.session.run(line.session.noop, timeout_s=0.05)
    assert line.session.wire.ended


@pytest.mark.parametrize("said", ["HANGUP\n", "100 Trying\n", "2"], ids=["hangup", "trying", "bytes"])
async def test_whoever_keeps_talking_does_not_keep_a_command_alive(line: Line, said: str) -> None:
    async def talk() -> None:
        while True:
            line.says(said)
            await asyncio.sleep(0.01)

    talking = asyncio.create_task(talk())
    try:
        async with asyncio.timeout(20):
            with pytest.raises(LineLost):
                await line.session.run(line.session.noop, timeout_s=0.05)
    finally:
        talking.cancel()


async def test_the_word_hangup_in_a_result_is_a_hangup_because_we_read_no_variables(line: Line) -> None:
    line.says("200 result=-1 (hangup) endpos=8000\n")
    with pytest.raises(HungUp):
        await line.session.run(line.session.execute, "RECORD FILE", "x")
    assert line.session.recorded() == 8000


async def test_a_cancelled_call_stops_inside_its_command(line: Line) -> None:
    task = asyncio.create_task(line.session.run(line.session.answer))
    await line.asked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


REPLIES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"HANGUP\n",
                b"100 Trying\n",
                b"511 Dead\n",
                b"510 What\n",
                b"520-Usage\n",
                b"520 End\n",
                b"200 result=-1\n",
            ]
        ),
        st.builds(lambda tail: b"200 result=" + tail + b"\n", st.binary(max_size=40)),
        st.binary(max_size=60),
    ),
    max_size=12,
)


class _Script:
    """A wire that says these bytes and then goes."""

    def __init__(self, data: bytes) -> None:
        self._lines = data.splitlines(keepends=True)
        self.ended = False

    def write(self, data: bytes) -> None:
        assert data.endswith(b"\n")

    async def readline(self, timeout_s: float) -> bytes:
        return self._lines.pop(0) if self._lines else b""

    def abort(self) -> None:
        self.ended = True


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(REPLIES)
async def test_whatever_is_said_a_command_ends_in_a_known_way(replies: list[bytes]) -> None:
    """R22: `HANGUP` anywhere, replies that are none, nothing at all."""
    from asterisk.agi import AGIError

    session = Session(_Script(b"".join(replies)), {})  # type: ignore[arg-type]  # all that is used of a Wire
    for _ in range(14):
        try:
            await session.run(session.get_data, "menu", 1000, 4)
        except (HungUp, LineLost):
            return
        except (NotPlayed, AGIError):
            continue
    raise AssertionError("no end")
