"""Each defect of panoramisk 1.4 that ura/adapters/ami.py works around. Red after an upgrade: delete that workaround.

1 to 10 are of its FastAGI server, 21 and 22 of its CallManager and testing modules: all answered by not importing
those, which tests/test_house_rules.py forbids.
"""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import pytest
from panoramisk import CallManager, Manager, fast_agi
from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message
from panoramisk.utils import parse_agi_result

from tests.fake_ami import SECRET, FakeAmi, block


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAmi]:
    async with FakeAmi().serve() as fake:
        yield fake


def plain(asterisk: FakeAmi, **config: Any) -> Manager:
    """A Manager as upstream means it to be used."""
    given = {"host": "127.0.0.1", "port": asterisk.port, "username": "prosa", "secret": SECRET, "reconnect_timeout": 0}
    return Manager(**{**given, **config}, loop=asyncio.get_running_loop())


async def until(done: Any) -> None:
    async with asyncio.timeout(5):
        while not done():
            await asyncio.sleep(0.002)


def test_this_is_the_version_that_the_workarounds_were_written_for() -> None:
    assert version("panoramisk") == "1.4"


async def test_1_its_fastagi_server_never_leaves_a_header_that_ends_too_soon() -> None:
    """At end of file it reads on at once and for ever, and the loop never turns again."""
    reads = 0

    class Closed:
        async def read(self, _size: int) -> bytes:
            nonlocal reads
            reads += 1
            if reads > 1000:
                raise InterruptedError
            return b""

    with pytest.raises(InterruptedError):
        await fast_agi.Application(loop=asyncio.get_running_loop()).handler(Closed(), None)


class Written:
    """Where its FastAGI server writes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, data: bytes) -> None:
        self.lines.append(data.decode())

    async def drain(self) -> None:
        """At once."""

    def get_extra_info(self, name: str) -> str:
        return name

    def close(self) -> None:
        """Nothing is held."""


def talk(replies: str, encoding: str = "utf-8") -> fast_agi.Request:
    """A call of its FastAGI server in which Asterisk says this and closes."""
    reader = asyncio.StreamReader()
    reader.feed_data(replies.encode())
    reader.feed_eof()
    return fast_agi.Request(None, {}, reader, Written(), encoding)


async def test_2_hangup_is_taken_for_a_reply_and_each_later_one_for_the_next() -> None:
    request = talk("HANGUP\n200 result=1 (A)\n200 result=1 (B)\n")
    assert (await request.send_command("GET VARIABLE A"))["error"] == "AGIResultHangup"
    assert (await request.send_command("GET VARIABLE B"))["result"] == ("1", "A")


async def test_3_end_of_file_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await talk("").send_command("NOOP")


async def test_4_of_a_usage_text_one_line_is_read_and_of_one_line_the_next_reply() -> None:
    several = talk("520-Invalid command syntax.\nUsage: X\n520 End of proper usage.\n200 result=1 (A)\n")
    assert (await several.send_command("X"))["msg"] == "520-Invalid command syntax.Usage: X\n"
    assert (await several.send_command("GET VARIABLE A"))["error"] == "AGIUsageError"  # the end of the text
    alone = talk("520 Invalid command syntax.\n200 result=1 (A)\n")
    assert "result=1 (A)" in (await alone.send_command("X"))["msg"]


def test_5_a_dead_channel_is_unknown_and_a_failure_a_hangup_and_a_value_are_one() -> None:
    assert parse_agi_result("511 Command Not Permitted on a dead channel")["error"] == "AGIUnknownError"
    assert parse_agi_result("200 result=-1")["msg"] == "Error executing application, or hangup"
    assert parse_agi_result("200 result=1 (hangup)")["error"] == "AGIResultHangup"  # a variable with this value


async def test_6_errors_are_dictionaries_and_not_always_with_the_same_keys() -> None:
    assert (await talk("510 Invalid or unknown command\n").send_command("X"))["error"] == "AGIInvalidCommand"
    for reply in ("200 result=-1\n", "HANGUP\n"):
        assert not {"status_code", "result"} & (await talk(reply).send_command("X")).keys()


async def test_7_its_routes_need_what_python_no_longer_has() -> None:
    with pytest.raises(AttributeError, match="coroutine"):
        fast_agi.Application(loop=asyncio.get_running_loop()).add_route("x", lambda request: None)


def asked_for(path: str, name: str = "") -> asyncio.StreamReader:
    """The header of a call."""
    reader = asyncio.StreamReader()
    reader.feed_data(f"agi_network_script: {path}\nagi_calleridname: {name}\n\n".encode("latin-1"))
    return reader


async def test_7_a_query_is_part_of_the_route() -> None:
    application, reached = fast_agi.Application(loop=asyncio.get_running_loop()), list[str]()

    async def route(request: fast_agi.Request) -> None:
        reached.append(request.headers["agi_network_script"])

    application.add_route("inbound", route)
    await application.handler(asked_for("inbound"), Written())
    await application.handler(asked_for("inbound?door=1"), Written())
    assert reached == ["inbound"]


async def test_8_a_call_cannot_be_cancelled() -> None:
    application, begun = fast_agi.Application(loop=asyncio.get_running_loop()), asyncio.Event()

    async def route(request: fast_agi.Request) -> None:
        begun.set()
        await asyncio.Event().wait()

    application.add_route("inbound", route)
    call = asyncio.create_task(application.handler(asked_for("inbound"), Written()))
    await begun.wait()
    call.cancel()
    await call  # raises nothing
    assert not call.cancelled()


async def test_9_a_name_in_latin_1_costs_the_call() -> None:
    with pytest.raises(UnicodeDecodeError):
        await fast_agi.Application(loop=asyncio.get_running_loop()).handler(asked_for("inbound", "José"), Written())


def test_10_nothing_can_be_made_outside_a_running_loop() -> None:
    asyncio.run(asyncio.sleep(0))
    for make in (fast_agi.Application, Action):
        with pytest.raises(RuntimeError, match="no current event loop"):
            make()


async def test_11_a_refused_log_in_is_silent(asterisk: FakeAmi) -> None:
    manager = plain(asterisk, secret="wrong")
    transport, _ = await manager.connect()
    await until(lambda: asterisk.asked)
    await asyncio.sleep(0.01)
    assert not manager.authenticated
    assert not transport.is_closing()
    manager.close()


async def test_12_and_14_a_lost_connection_is_made_again_after_close_and_actions_are_sent_twice(
    asterisk: FakeAmi,
) -> None:
    asterisk.mute.add("Originate")
    manager = plain(asterisk, on_disconnect=lambda manager, _: manager.close())
    await manager.connect()
    await until(lambda: asterisk.log_ins == 1)
    manager.send_action({"Action": "Originate"})
    await until(lambda: asterisk.asked[-1]["Action"] == "Originate")
    asterisk.cut()
    await until(lambda: asterisk.log_ins == 2)
    await until(lambda: [fields["Action"] for fields in asterisk.asked].count("Originate") == 2)
    manager.connect = lambda *_: None
    manager.close()


def test_13_an_action_has_no_deadline_and_none_can_be_sent_before_connecting() -> None:
    assert "timeout" not in inspect.signature(Manager.send_action).parameters
    with pytest.raises(AttributeError):
        Manager().send_action({"Action": "Ping"})


async def test_15_a_callback_that_fails_fails_the_reader() -> None:
    manager = Manager(loop=asyncio.get_running_loop())
    manager.register_event("*", lambda manager, event: 1 / 0)
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory = manager
    with pytest.raises(ZeroDivisionError):
        protocol.data_received(block({"Event": "Hangup"}))


async def test_16_a_coroutine_callback_is_a_task_of_its_own() -> None:
    order: list[str] = []

    async def callback(manager: Manager, event: Message) -> None:
        await asyncio.sleep(0.01 if event["n"] == "1" else 0)
        order.append(event["n"])

    manager = Manager(loop=asyncio.get_running_loop())
    manager.register_event("*", callback)
    for number in "12":
        manager.dispatch(Message({"Event": "X", "n": number}))
    await until(lambda: len(order) == 2)
    assert order == ["2", "1"]


def test_17_a_letter_split_over_two_packets_is_lost() -> None:
    seen: list[Message] = []
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.encoding = "utf8"

    class Factory:
        dispatch = staticmethod(seen.append)

    protocol.factory = Factory()
    data = block({"Event": "X", "Name": "José"})
    middle = data.index("é".encode()) + 1
    protocol.data_received(data[:middle])
    protocol.data_received(data[middle:])
    assert seen[0]["name"] == "Jos"


async def test_18_a_line_break_in_a_value_is_a_line_of_its_own() -> None:
    assert "\r\nAction: Hangup\r\n" in str(Action({"Action": "X", "Name": "a\r\nAction: Hangup"}))


async def test_19_pings_are_sent_and_a_peer_that_answers_none_is_not_noticed(asterisk: FakeAmi) -> None:
    asterisk.mute.add("Ping")
    manager = plain(asterisk, ping_delay=0, ping_interval=0)
    transport, _ = await manager.connect()
    await until(lambda: [fields["Action"] for fields in asterisk.asked].count("Ping") >= 3)
    assert manager.authenticated
    assert not transport.is_closing()
    manager.connect = lambda *_: None
    manager.close()


def test_20_an_unknown_header_is_empty_text() -> None:
    assert Message({"Event": "X"}).no_such_header == ""


async def test_21_two_calls_of_one_second_are_one_and_none_is_ever_forgotten() -> None:
    manager = CallManager(loop=asyncio.get_running_loop())
    for event, uniqueid in (("Newchannel", "1700000000.1"), ("Newchannel", "1700000000.2"), ("Hangup", "1700000000.1")):
        manager.dispatch(Message({"Event": event, "Uniqueid": uniqueid}))
    assert list(manager.calls_queues) == ["1700000000"]
    assert manager.calls_queues["1700000000"].queue.qsize() == 3


def test_22_who_used_its_testing_module_speaks_with_wrong_line_ends_from_then_on() -> None:
    """In a process of its own, which is spoilt by it."""
    script = """
import asyncio
from panoramisk import Manager, testing, utils
async def main():
    before = utils.EOL, testing.Manager.defaults["protocol_factory"]
    testing.Manager()
    print(before[0] == "\\r\\n", utils.EOL == "\\n", testing.Manager.defaults["protocol_factory"] is not before[1])
asyncio.run(main())
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "True True True\n"


async def test_a_refused_list_is_waited_for_for_ever() -> None:
    action = Action({"Action": "QueueStatus"}, as_list=True)
    assert not action.add_message(Message({"Response": "Error", "Message": "Permission denied"}))
    assert not action.future.done()
