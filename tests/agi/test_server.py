"""Who may come in, how many, for how long; and that every call ends once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import structlog

from agi import server as module
from agi.server import Answer, Server
from agi.session import Session
from agi.variables import CallStart
from agi.wire import Wire
from tests.agi.fake_asterisk import HANG_UP, FakeAsterisk, header

Start = Callable[..., Awaitable[int]]


class Desk:
    """An `Answer` that greets, asks for a key and hangs up; and remembers how each call ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.holding = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, session: Session, start: CallStart) -> None:
        try:
            await session.run(session.answer)
            self.holding.set()
            await self.go_on.wait()
            key = await session.run(session.get_data, "menu", 1000, 1)
            if key == "8":
                raise RuntimeError("a defect")
            await session.run(session.appexec, "MSet", f"URA_RESULT=end,KEY={key}")
            self.ended.append("done")
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[tuple[Server, int]]]]:
    servers: list[Server] = []

    async def start(answer: Answer, max_calls: int = 500) -> tuple[Server, int]:
        sock = socket.create_server(("127.0.0.1", 0))
        server = Server(answer, max_calls=max_calls)
        await server.listen(sock)
        servers.append(server)
        return server, sock.getsockname()[1]

    yield start
    for server in servers:
        server.drain()
        await server.drained(limit_s=0)


async def dropped(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def until(server: Server) -> None:
    while server._tasks:
        await asyncio.wait(server._tasks)


async def test_a_call_is_answered(serve: Start, desk: Desk) -> None:
    server, port = await serve(desk)
    call = await FakeAsterisk(port, keys=["1"]).call()
    assert call.heard == ["menu"]
    assert call.variables == {"URA_RESULT": "end", "KEY": "1"}
    await until(server)
    assert server.calls == 0


@pytest.mark.parametrize("exit_on_hangup", [True, False])
@pytest.mark.parametrize("before", [1, 2, 3])
async def test_a_hangup_before_any_command_ends_the_call_once(
    serve: Start, desk: Desk, before: int, exit_on_hangup: bool
) -> None:
    server, port = await serve(desk)
    call = await FakeAsterisk(port, keys=["1"], hang_up_before=before, exit_on_hangup=exit_on_hangup).call()
    await until(server)
    assert call.status == "HANGUP"
    assert desk.ended == ["HungUp"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_hangup_while_it_plays_ends_the_call_once(serve: Start, desk: Desk) -> None:
    server, port = await serve(desk)
    await FakeAsterisk(port, keys=[HANG_UP]).call()
    await until(server)
    assert desk.ended == ["HungUp"]


async def test_a_defect_leaves_no_result_so_that_the_dialplan_takes_over(serve: Start, desk: Desk) -> None:
    server, port = await serve(desk)
    call = await FakeAsterisk(port, keys=["8"]).call()
    await until(server)
    assert (call.status, call.variables) == ("SUCCESS", {})
    assert desk.ended == ["RuntimeError"]


async def test_one_call_too_many_fails_at_once(serve: Start, desk: Desk) -> None:
    _, port = await serve(desk, max_calls=1)
    desk.go_on.clear()
    first = asyncio.create_task(FakeAsterisk(port, keys=["1"]).call())
    await desk.holding.wait()
    second = await FakeAsterisk(port).call()
    desk.go_on.set()
    assert (second.status, second.commands) == ("FAILURE", [])
    assert (await first).variables["URA_RESULT"] == "end"


async def test_asterisk_that_says_nonsense_loses_its_line_only(serve: Start, desk: Desk) -> None:
    server, port = await serve(desk)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(header())
    assert await reader.readline() == b"ANSWER\n"
    writer.write(b"what?\n")
    assert await dropped(reader)
    await until(server)
    assert desk.ended == ["LineLost"]
    writer.close()


async def test_an_odd_header_is_a_call_from_an_unknown_number(serve: Start) -> None:
    starts: list[CallStart] = []

    async def answer(session: Session, start: CallStart) -> None:
        starts.append(start)

    server, port = await serve(answer)
    await FakeAsterisk(port, header=header()[:-1] + b"agi_evil: 1\n\n").call()
    await until(server)
    assert (starts[0].caller, starts[0].did) == ("", "551133330001")


STRANGERS = {
    "says nothing and goes": b"",
    "goes in the middle of the header": b"agi_network: yes\nagi_re",
    "a mebibyte without a line end": b"x" * (1 << 20),
    "ten thousand lines": b"a: b\n" * 10_000,
    "65 lines": b"a: b\n" * 65 + b"\n",
    "only LF": b"\n",
    "only CRLF": b"\r\n",
    "a web browser": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of no call": b"agi_network: yes\nagi_type: PJSIP\n\n",
}


@pytest.mark.parametrize("data", STRANGERS.values(), ids=STRANGERS.keys())
async def test_strangers_are_dropped_and_the_next_call_is_answered(serve: Start, desk: Desk, data: bytes) -> None:
    server, port = await serve(desk)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    assert await dropped(reader)
    writer.close()
    assert (await FakeAsterisk(port, keys=["1"]).call()).variables["URA_RESULT"] == "end"
    await until(server)
    assert desk.ended == ["done"]


@pytest.mark.parametrize("data", [b"", b"agi_network: yes\n", b"\r" * 50, b"\xff\0\xfe"])
async def test_who_does_not_finish_the_header_is_dropped_in_time(
    serve: Start, desk: Desk, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEADER_S", 0.05)
    server, port = await serve(desk)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    assert await dropped(reader)
    await until(server)
    assert desk.ended == []
    writer.close()


async def test_a_thousand_silent_strangers_do_not_keep_a_caller_out(
    serve: Start, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 20)
    server, port = await serve(desk)
    strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await dropped(reader)  # beyond the limit even waiting is refused
    for _, stranger in [*strangers, (reader, writer)]:
        stranger.close()
    while server._tasks:
        await asyncio.wait(server._tasks)
    assert (await FakeAsterisk(port, keys=["1"]).call()).variables["URA_RESULT"] == "end"


@pytest.mark.parametrize("data", [b"\n", b"agi_request: x\n\n"])
async def test_who_is_no_asterisk_takes_no_callers_place_and_no_line_of_the_log(
    serve: Start, desk: Desk, data: bytes
) -> None:
    server, port = await serve(desk, max_calls=1)
    with structlog.testing.capture_logs() as logs:
        strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in strangers:
            writer.write(data)
        call = await FakeAsterisk(port, keys=["1"]).call()
        for reader, writer in strangers:
            assert await dropped(reader)
            writer.close()
        await until(server)
    assert call.variables["URA_RESULT"] == "end"
    assert (desk.ended, logs) == (["done"], [])


async def test_draining_takes_no_new_call_and_cuts_the_old_ones_at_the_limit(serve: Start, desk: Desk) -> None:
    server, port = await serve(desk)
    desk.go_on.clear()
    old = asyncio.create_task(FakeAsterisk(port).call())
    await desk.holding.wait()
    server.drain()
    with pytest.raises(ConnectionRefusedError):
        await FakeAsterisk(port).call()
    await server.drained(limit_s=0.01)
    assert desk.ended == ["CancelledError"]
    assert (await old).variables == {}


async def test_two_servers_share_one_socket(desk: Desk) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    one, two = Server(desk, max_calls=5), Server(desk, max_calls=5)
    await one.listen(sock.dup())
    await two.listen(sock.dup())
    one.drain()
    assert (await FakeAsterisk(sock.getsockname()[1], keys=["1"]).call()).variables["URA_RESULT"] == "end"
    two.drain()
    await two.drained(1)
    sock.close()


async def test_a_wire_that_never_opened_can_be_closed() -> None:
    wire = Wire(lambda _: None)
    wire.write(b"x")
    wire.close()
    wire.abort()
    assert await wire.readline() == b""
