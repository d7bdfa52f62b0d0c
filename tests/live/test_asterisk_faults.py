"""Whatever happens to our server, the caller hears something true and gets a way on (dialplan/ on a real Asterisk):
nobody listens (R01), somebody listens and never speaks (R03). And whatever callers call themselves (R20).

The server is a fake with one fault each; the callers are real SIP phones.
"""

import asyncio
import csv
import re
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from agi.variables import parse_environment
from prosa import asterisk as asterisks
from prosa.asterisk import Asterisk
from prosa.caller import Call, Caller
from prosa.heard import Fingerprints
from tests.conftest import free_port
from tests.live.fake_agi import Session, die, listening, refuse, speak_never, then_end, then_queue
from ura.db import make_engine, make_sessions
from ura.models import Call as CallRow
from ura.models import Category, Door, Ticket
from ura.settings import Settings
from worker.projector import Projector

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]

LANDLINE, CORPORATE = "551133330001", "551133330003"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        state_dir=tmp_path_factory.mktemp("asterisk") / "state",
        sip_port=free_port(socket.SOCK_DGRAM),
        ami_port=free_port(),
        agi_port=free_port(),
        rtp_first_port=41000,
        rtp_last_port=41399,
        max_calls=20,
    )


@pytest.fixture(scope="module")
def asterisk(settings: Settings) -> Iterator[Asterisk]:
    if asterisks.find(settings) is None:
        asterisks.install(settings)
    running = asterisks.start(settings)
    yield running
    asterisks.stop(running)


@pytest.fixture(scope="module")
def prompts() -> Fingerprints:
    return Fingerprints.of_folders(asterisks.PROMPTS)


@pytest.fixture
async def caller(asterisk: Asterisk, settings: Settings, prompts: Fingerprints) -> AsyncIterator[Caller]:
    async with Caller(settings.sip_port, index=prompts) as phone:
        yield phone
    await no_channels(asterisk)


@pytest.fixture
async def crowd(asterisk: Asterisk, settings: Settings, prompts: Fingerprints) -> AsyncIterator[list[Caller]]:
    """Five phones with four lines each."""
    async with AsyncExitStack() as stack:
        phones = [Caller(settings.sip_port, index=prompts) for _ in range(5)]
        yield await asyncio.gather(*(stack.enter_async_context(phone) for phone in phones))
    await no_channels(asterisk)


async def all_dial(crowd: list[Caller], number: str) -> list[Call]:
    return [await phone.dial(number) for _ in range(4) for phone in crowd]


async def until(test: Callable[[], bool], timeout_s: float = 5) -> None:
    """Asterisk and the fake server do not tell us; ask until it is so."""
    async with asyncio.timeout(timeout_s):
        while not test():
            await asyncio.sleep(0.02)


async def no_channels(asterisk: Asterisk) -> None:
    """Every test ends here: nothing of its calls may be left."""
    await until(lambda: "0 active channels" in asterisk.command("core show channels"))


def queues(asterisk: Asterisk) -> list[str]:
    """The arguments of each Queue() that runs: name,,,,longest wait."""
    lines = asterisk.command("core show channels concise").splitlines()
    return [fields[6] for line in lines if (fields := line.split("!"))[5:6] == ["Queue"]]


REFUSED = r"\[(C-[0-9a-f]+)\] res_agi\.c: Connecting to '[^']+' failed for url '[^']+/inbound': Connection refused"


def refused(settings: Settings) -> set[str]:
    """Asterisk's own ids of the calls of which its log says that nobody listens."""
    log = settings.state_dir / "asterisk/log/messages.log"
    return set(re.findall(REFUSED, log.read_text(errors="replace"))) if log.exists() else set()


def spoke_s(call: Call, since: float | None) -> float:
    """Seconds from a moment until the first prompt heard."""
    first = min(call.moment(one.started_s) for one in call.hearings())
    return first - (since or 0.0)


async def test_server_down_is_heard_at_once_and_leads_to_a_person(
    crowd: list[Caller], settings: Settings, sqlite_template: Path, tmp_path: Path
) -> None:
    """R01, to the database, with a line about each call in Asterisk's log."""
    before = refused(settings)
    calls = await all_dial(crowd, LANDLINE)
    for call in calls:
        await call.answered()
        await call.heard("system.one_moment")
        assert spoke_s(call, call.answered_at) < 0.5
        await call.heard("rescue.menu")
    for call in calls:
        # Nobody is logged in: the queue gives the caller back, and the call ends with a promise.
        await call.heard("rescue.registered", "system.all_busy", timeout_s=30)
        await call.ended(30)
    assert len(refused(settings) - before) == 20
    engine = make_engine(f"sqlite+aiosqlite:///{shutil.copyfile(sqlite_template, tmp_path / 'prosa.db')}")
    shutil.copytree(settings.journal_dir, tmp_path / "journal")
    projector = Projector(tmp_path / "journal", make_sessions(engine))
    while await projector.step():
        pass
    async with make_sessions(engine)() as session:
        tickets = list(await session.scalars(select(Ticket)))
        rescued = set(await session.scalars(select(CallRow.id).where(CallRow.door == Door.RESCUE)))
    await engine.dispose()
    assert len(tickets) == len({ticket.call_id for ticket in tickets}) == 20
    assert {ticket.category for ticket in tickets} == {Category.FALLBACK}
    assert {ticket.call_id for ticket in tickets} == rescued


async def test_who_waits_without_the_server_has_a_wait_that_ends(
    caller: Caller, asterisk: Asterisk, settings: Settings, prompts: Fingerprints
) -> None:
    """Nobody can say what is configured: the dialplan's own waits hold."""
    async with Caller(settings.sip_port, index=prompts) as phone:
        for extension in ("101", "201"):
            await phone.register(f"ramal-{extension}", asterisks.attendant_secret(settings, extension))
        at_home = await caller.dial(LANDLINE)
        await at_home.heard("rescue.menu")
        await at_home.press("1")
        at_work = await caller.dial(CORPORATE)
        await until(lambda: set(queues(asterisk)) == {"l1,,,,300", "corporativo,,,,60"}, 10)
        await at_home.hang_up()
        await at_work.hang_up()


@pytest.mark.parametrize("key", ["1", "*", "#"])
async def test_a_key_cuts_what_the_dialplan_says_and_is_not_lost(caller: Caller, key: str) -> None:
    """The server is away: who presses into the first words goes on to a person, and no menu asks once more."""
    call = await caller.dial(LANDLINE)
    await call.heard("system.one_moment")
    await call.press(key)
    await call.heard("rescue.registered", "system.all_busy", timeout_s=30)  # nobody is logged in
    assert [said for said in call.hearings() if said.key == "rescue.menu"] == []
    assert not next(said for said in call.hearings() if said.key == "system.one_moment").complete
    await call.hang_up()


async def test_a_key_that_stays_alone_in_a_number_is_told_before_the_wait_is_over(
    caller: Caller, settings: Settings
) -> None:
    """What agi/channel.py counts on: GET DATA with 0 ms waits as the channel's TIMEOUTs say, and tells what it has."""
    told = asyncio.Queue[tuple[str, float]]()

    async def asks_for_a_number(session: Session) -> None:
        for line in ("TIMEOUT(absolute) 3600", "TIMEOUT(response) 30", "TIMEOUT(digit) 2"):
            await session.command(f"SET VARIABLE {line}")
        now = asyncio.get_running_loop().time
        since = now()
        told.put_nowait((await session.command('GET DATA "own/system/one_moment" 0 11'), now() - since))
        await session.finish(URA_RESULT="end")

    async with listening(asks_for_a_number, settings.agi_port):
        call = await caller.dial(LANDLINE)
        await call.heard("system.one_moment")
        await call.press("9")
        reply, seconds = await asyncio.wait_for(told.get(), 40)
        await call.ended()
    assert reply == "200 result=9 (timeout)"
    assert 2 <= seconds < 30


async def test_corporate_caller_waits_for_people_and_not_for_a_frozen_server(
    caller: Caller, asterisk: Asterisk, settings: Settings, prompts: Fingerprints
) -> None:
    async with listening(speak_never, settings.agi_port), Caller(settings.sip_port, index=prompts) as phone:
        await phone.register("ramal-201", asterisks.attendant_secret(settings, "201"))
        call = await caller.dial(CORPORATE)
        said = await call.heard("system.corporate", whole=True)
        next_ = await call.heard("queue.you_are_next")
        assert next_.started_s - said.ended_s < 3
        assert queues(asterisk) == ["corporativo,,,,60"]
        await phone.incoming()
        await call.hang_up()


async def test_server_that_takes_the_call_and_never_speaks_is_left_within_five_seconds(
    crowd: list[Caller], settings: Settings
) -> None:
    async with listening(speak_never, settings.agi_port) as agi:
        calls = await all_dial(crowd, LANDLINE)
        stay, leave = calls[::2], calls[1::2]
        await until(lambda: len(agi.sessions) == 20)
        for call in leave:
            await call.hang_up()
        await until(lambda: agi.gone == 10, timeout_s=1)
        for call in stay:
            await call.heard("rescue.menu", "system.limited")
            assert spoke_s(call, call.dialled_at) < 5
        for call in stay:
            await call.hang_up()


async def test_worker_that_dies_is_followed_by_another_which_resumes(caller: Caller, settings: Settings) -> None:
    async def dies_once(session: Session) -> None:
        await (die if session.path == "inbound" else then_end)(session)

    async with listening(dies_once, settings.agi_port) as agi:
        call = await caller.dial(LANDLINE)
        await call.ended()
    assert agi.paths == ["inbound", "resume"]


async def test_workers_that_keep_dying_lead_to_a_person(caller: Caller, settings: Settings) -> None:
    async with listening(die, settings.agi_port) as agi:
        call = await caller.dial(LANDLINE)
        await call.heard("rescue.menu", "system.limited")
        await call.hang_up()
    assert agi.paths == ["inbound", "resume", "resume"]


async def test_full_worker_is_followed_by_another_which_begins_the_call(caller: Caller, settings: Settings) -> None:
    async def first_is_full(session: Session) -> None:
        await (refuse if len(agi.sessions) == 1 else then_end)(session)

    async with listening(first_is_full, settings.agi_port) as agi:
        call = await caller.dial(LANDLINE)
        await call.ended()
    assert agi.paths == ["inbound", "inbound"]


async def test_full_server_is_heard_at_once_and_leads_to_a_person(caller: Caller, settings: Settings) -> None:
    async with listening(refuse, settings.agi_port) as agi:
        call = await caller.dial(LANDLINE)
        await call.heard("system.one_moment")
        assert spoke_s(call, call.dialled_at) < 2
        await call.heard("rescue.menu")
        await call.hang_up()
    assert set(agi.paths) == {"inbound"}
    assert len(agi.paths) <= 3


async def test_call_that_was_not_recorded_is_left_in_the_cdr_to_be_called_back(
    caller: Caller, settings: Settings
) -> None:
    number, cdr = "+5511987650003", settings.state_dir / "asterisk/log/cdr-csv/Master.csv"

    async def flow(session: Session) -> None:
        await session.command("SET VARIABLE TIMEOUT(absolute) 3600")
        await session.command("SET VARIABLE URA_UNRECORDED yes")
        await session.command("GET DATA prosa/menu/main 5000 1")

    async with listening(flow, settings.agi_port):
        call = await caller.dial(LANDLINE, from_=number)
        await call.heard("menu.main")
        await call.hang_up()
        await until(lambda: cdr.exists() and number in cdr.read_text())
    rows = [row for row in csv.reader(cdr.read_text().splitlines()) if row[1] == number]
    assert [row[-1] for row in rows] == ["retorno"]


async def test_queue_with_nobody_logged_in_gives_the_caller_back_to_the_flow(
    caller: Caller, settings: Settings
) -> None:
    async def flow(session: Session) -> None:
        await (then_queue("suporte") if session.path == "inbound" else then_end)(session)

    async with listening(flow, settings.agi_port) as agi:
        call = await caller.dial(LANDLINE)
        await call.ended()
    assert agi.paths == ["inbound", "queue-left?reason=empty"]


async def test_queue_that_does_not_exist_becomes_l1(caller: Caller, settings: Settings) -> None:
    async def flow(session: Session) -> None:
        await (then_queue("nenhuma") if session.path == "inbound" else then_end)(session)

    async with listening(flow, settings.agi_port) as agi:
        call = await caller.dial(LANDLINE)
        await call.ended()
    assert agi.paths == ["inbound", "queue-left?reason=empty"]


async def test_call_waits_hears_its_place_and_reaches_the_attendant(
    caller: Caller, asterisk: Asterisk, settings: Settings, prompts: Fingerprints
) -> None:
    async with (
        listening(then_queue("l1", URA_PROTOCOL="263260000015"), settings.agi_port),
        Caller(settings.sip_port, index=prompts) as phone,
    ):
        await phone.register("ramal-101", asterisks.attendant_secret(settings, "101"))
        first = await caller.dial(LANDLINE, from_="+5511987650001")
        ringing = await phone.incoming()
        ringing.answer()
        await ringing.answered()
        second = await caller.dial(LANDLINE, from_="+5511987650002")
        await second.heard("queue.you_are_next")
        await second.hang_up()
        await ringing.hang_up()
        await first.ended()
    await no_channels(asterisk)
    with (settings.state_dir / "asterisk/log/cdr-csv/Master.csv").open() as file:
        rows = [row for row in csv.reader(file) if "263260000015" in row]
    assert {row[1] for row in rows} == {"+5511987650001", "+5511987650002"}


async def test_waiting_caller_who_presses_1_is_given_back_to_the_flow(
    caller: Caller, settings: Settings, prompts: Fingerprints
) -> None:
    async def flow(session: Session) -> None:
        await (then_queue("l1") if session.path == "inbound" else then_end)(session)

    async with (
        listening(flow, settings.agi_port) as agi,
        Caller(settings.sip_port, index=prompts) as phone,
    ):
        await phone.register("ramal-101", asterisks.attendant_secret(settings, "101"))
        call = await caller.dial(LANDLINE)
        await phone.incoming()
        await call.press("1")
        await call.ended()
    assert agi.paths == ["inbound", "queue-left?reason=key"]


async def test_corporate_number_rings_its_own_queue_and_only_asks_the_server_how_long_to_wait(
    caller: Caller, settings: Settings, prompts: Fingerprints
) -> None:
    async with (
        listening(then_end, settings.agi_port) as agi,
        Caller(settings.sip_port, index=prompts) as phone,
    ):
        await phone.register("ramal-201", asterisks.attendant_secret(settings, "201"))
        call = await caller.dial(CORPORATE)
        await call.heard("system.corporate")
        ringing = await phone.incoming()
        ringing.answer()
        await ringing.answered()
        await call.hang_up()
        await ringing.ended()
    assert agi.paths == ["max-wait?queue=corporativo"]


async def test_corporate_caller_hears_a_promise_when_nobody_is_there(caller: Caller, settings: Settings) -> None:
    async with listening(then_end, settings.agi_port) as agi:
        call = await caller.dial(CORPORATE)
        await call.heard("rescue.registered", "system.all_busy", timeout_s=20)
        await call.ended()
    assert agi.paths == ["max-wait?queue=corporativo", "max-wait?queue=l1"]


async def test_one_call_too_many_gets_503_and_the_others_stay(
    crowd: list[Caller], caller: Caller, settings: Settings
) -> None:
    async with listening(speak_never, settings.agi_port) as agi:
        calls = await all_dial(crowd, LANDLINE)
        await until(lambda: len(agi.sessions) == settings.max_calls)
        excess = [await caller.dial(LANDLINE) for _ in range(4)]
        for call in excess:
            await call.ended(1)
            assert call.code == 503
        assert all(call.ended_at is None for call in calls)
        for call in calls:
            await call.hang_up()


@pytest.mark.parametrize(
    ("number", "name", "filtered"),
    [
        ("+5511987654321", "Maria da Silva", ("+5511987654321", "Maria da Silva")),
        ("anonymous", "Anonymous", ("", "")),
        ("1199999%24%7BSHELL%28id%29%7D", "a,c;=cmd${SHELL(id)}<b>", ("1199999", None)),
        ("9" * 60, "x" * 300, ("9" * 20, None)),
    ],
    ids=["usual", "withheld", "hostile", "long"],
)
async def test_number_and_name_are_filtered_before_the_server_sees_them(
    caller: Caller, settings: Settings, number: str, name: str, filtered: tuple[str, str | None]
) -> None:
    async with listening(then_end, settings.agi_port) as agi:
        call = await caller.dial(LANDLINE, from_=number, name=name)
        await call.ended()
    environment = agi.sessions[0].environment
    seen = {
        key: "" if environment[key] == "unknown" else environment[key] for key in ("agi_callerid", "agi_calleridname")
    }
    assert seen["agi_callerid"] == filtered[0]
    assert set(seen["agi_calleridname"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789. ")
    assert len(seen["agi_calleridname"]) <= 40
    if filtered[1] is not None:
        assert seen["agi_calleridname"] == filtered[1]


class Trunk:
    """The carrier's side, byte by byte: what no telephone would send."""

    def __init__(self, sip_port: int) -> None:
        self._asterisk = ("127.0.0.1", sip_port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self._me = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def call(self, tag: int, dialled: bytes, number: bytes, name: bytes) -> None:
        """One call that the server ends. Raises when it was refused or not answered."""
        sdp = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
        mine = self._me.encode()
        common = (
            b"Via: SIP/2.0/UDP %b;branch=z9hG4bK%d;rport\r\nMax-Forwards: 70\r\nCall-ID: %d@%b\r\n"
            b'From: "%b" <sip:%b@127.0.0.1>;tag=%d\r\n' % (mine, tag, tag, mine, name, number, tag)
        )
        to = b"To: <sip:%b@127.0.0.1>" % dialled
        invite = b"INVITE sip:%b@127.0.0.1 SIP/2.0\r\n%b%b\r\nCSeq: 1 INVITE\r\nContact: <sip:x@%b>\r\n"
        body = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%b" % (len(sdp), sdp)
        self._socket.sendto(invite % (dialled, common, to, mine) + body, self._asterisk)
        while not (heard := self._socket.recv(4000)).startswith(b"BYE "):
            status = heard.split(b" ", 2)[1]
            assert status in (b"100", b"180", b"200"), heard
            if status == b"200" and b"%d@" % tag in heard:
                tagged = re.search(rb"^To: .*(;tag=[^;\r]+)", heard, re.MULTILINE)
                assert tagged is not None
                ack = b"ACK sip:%b@127.0.0.1 SIP/2.0\r\n%b%b%b\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
                self._socket.sendto(ack % (dialled, common, to, tagged[1]), self._asterisk)
        kept = [line for line in heard.split(b"\r\n") if line.startswith((b"Via", b"From", b"To", b"Call-ID", b"CSeq"))]
        self._socket.sendto(b"\r\n".join([b"SIP/2.0 200 OK", *kept, b"Content-Length: 0", b"", b""]), self._asterisk)

    def close(self) -> None:
        self._socket.close()


AT_ONCE = 16


def call_with(sip_port: int, some: bytes) -> None:
    """One call with these bytes in number, name and number dialled, which has the first of them in its digits."""
    escaped = b"".join(b"%%%02X" % byte for byte in some)
    name = b"".join(b"\\" * (byte in b'"\\') + bytes([byte]) for byte in some if byte not in b"\r\n")
    trunk = Trunk(sip_port)
    try:
        trunk.call(some[0], b"55%03d%b" % (some[0], escaped), b"119" + escaped, b"Ana" + name)
    finally:
        trunk.close()


async def test_any_byte_in_number_name_and_dialled_number_is_filtered_before_the_server_sees_it(
    asterisk: Asterisk, settings: Settings
) -> None:
    """R20: every byte but NUL, which ends a SIP name, in all three; in the name as it is, where SIP allows that."""
    chunks = [bytes(range(first, min(first + AT_ONCE, 256))) for first in range(1, 256, AT_ONCE)]
    async with listening(then_end, settings.agi_port) as agi:
        await asyncio.gather(*(asyncio.to_thread(call_with, settings.sip_port, chunk) for chunk in chunks))
    await no_channels(asterisk)
    assert agi.paths == ["inbound"] * len(chunks)
    seen = {session.environment["agi_arg_1"][2:5]: session.environment for session in agi.sessions}
    for chunk in chunks:
        environment = seen[f"{chunk[0]:03}"]
        start = parse_environment([f"{key}: {value}".encode() for key, value in environment.items() if key])
        digits = "".join(chr(byte) for byte in chunk if chr(byte) in "0123456789")
        assert start.oddities == ()
        assert start.caller == environment["agi_callerid"] == f"119{'+' * (ord('+') in chunk)}{digits}"
        assert start.did == environment["agi_arg_1"] == f"55{chunk[0]:03}{digits}"
        assert re.fullmatch("Ana[A-Za-z0-9. ]{0,16}", environment["agi_calleridname"])
        assert re.fullmatch("[0-9+]*|unknown", environment["agi_dnid"])


@pytest.mark.parametrize("dialled", ["0800999", "abc", "h", "T", "551133339999", "+5500'%22%24%2C", "100&PJSIP"])
async def test_number_that_is_not_ours_goes_to_the_flow_too(caller: Caller, settings: Settings, dialled: str) -> None:
    async with listening(then_end, settings.agi_port) as agi:
        call = await caller.dial(dialled)
        await call.ended()
    assert agi.paths == ["inbound"]


def test_log_of_all_this_has_no_error_and_nothing_runs_as_root(asterisk: Asterisk, settings: Settings) -> None:
    log = (settings.state_dir / "asterisk/log/messages.log").read_text(errors="replace")
    assert [line for line in log.splitlines() if "ERROR" in line] == []
    status = Path(f"/proc/{asterisk.process.pid}/status").read_text()
    assert "\nUid:\t0\t" not in status
