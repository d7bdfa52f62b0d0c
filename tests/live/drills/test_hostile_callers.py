"""What callers can do to us, on the real thing (R07 R20 R24): hang up at any moment, press anything, call themselves
anything. And who can reach us at all (R32 R59), what our account at Asterisk's manager may do (R58), and where what
callers say is written (R60)."""

import asyncio
import os
import random
import re
import signal
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from prosa import asterisk as asterisks
from prosa.asterisk import DEMO_ATTENDANTS, DEMO_DIDS
from prosa.caller import Call as Phoned
from prosa.caller import Caller
from tests.bench.measure import family
from tests.live.conftest import House, eventually
from tests.live.drills.crowd import Crowd
from tests.live.drills.tools import (
    LANDLINE,
    Listening,
    ask,
    calls_of,
    channels,
    no_channels,
    phone_door_open,
    restarted_after,
    sockets,
    tickets_of,
    token,
    until,
    workers,
)
from ura.adapters.ami import Ami, AmiRefused
from ura.models import Call, CallStep
from ura.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(150)]


async def closed(house: House, number: str) -> Call:
    """The one record of this caller, once it is closed."""

    async def look() -> Call | None:
        found = await calls_of(house, [number])
        assert len(found) <= 1
        return found[0] if found and found[0].ended_at else None

    return await eventually(look, 15)


def connections(house: House) -> int:
    """Established connections to the phone door."""
    port = f":{house.settings.agi_port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


# --- hanging up


async def hangs_up_before_the_answer(call: Phoned) -> None:
    await call.hang_up()


async def hangs_up_in_the_greeting(call: Phoned) -> None:
    await call.heard("greeting.welcome")
    await call.hang_up()


async def hangs_up_when_asked_for_a_key(call: Phoned) -> None:
    await call.heard("menu.main", whole=True, timeout_s=40)
    await call.hang_up()


async def hangs_up_while_the_protocol_is_spoken(call: Phoned) -> None:
    await call.heard("greeting.welcome")
    await call.press("4")
    await call.heard("protocol.intro")
    await call.hang_up()


async def hangs_up_in_the_act(call: Phoned) -> None:
    await call.heard("greeting.welcome")
    await call.press("4")
    await call.heard("protocol.intro")  # cut by the next key
    await call.press("1")
    await call.hang_up()


async def hangs_up_while_recording(call: Phoned) -> None:
    await call.heard("greeting.welcome")
    await call.press("4")
    await call.heard("protocol.intro")  # cut by the next key
    await call.press("1")
    await call.heard("complaint.more", timeout_s=20)
    await call.press("1")
    await call.heard("person.message", whole=True, timeout_s=20)
    await call.hang_up()


async def test_whenever_a_caller_hangs_up_the_record_is_closed_once_and_nothing_is_left(house: House) -> None:
    moments = (
        hangs_up_before_the_answer,
        hangs_up_in_the_greeting,
        hangs_up_when_asked_for_a_key,
        hangs_up_while_the_protocol_is_spoken,
        hangs_up_in_the_act,
        hangs_up_while_recording,
    )
    async with house.caller() as one, house.caller() as other:
        calls = []
        for n, moment in enumerate(moments):
            calls.append(await (one, other)[n % 2].dial(LANDLINE, from_=f"+551997400000{n}"))
            if moment is hangs_up_before_the_answer:
                await calls[-1].hang_up()
        await asyncio.gather(*(moment(call) for moment, call in list(zip(moments, calls, strict=True))[1:]))
    await no_channels(house)
    await until(lambda: connections(house) == 0, 5, "no connection of a call is left")

    records = [await closed(house, f"+551997400000{n}") for n in range(1, len(moments))]
    assert [str(record.outcome) for record in records[:3]] == ["abandoned"] * 3
    assert {str(record.outcome) for record in records[3:]} <= {"abandoned", "done"}
    assert len({record.protocol for record in records}) == len(records)
    # The first one may have gone before we knew; if we knew, it is closed like the others.
    assert all(record.ended_at for record in await calls_of(house, ["+5519974000000"]))
    tickets = await tickets_of(house, [record.caller for record in records])
    assert tickets["+5519974000005"] == 1
    assert tickets["+5519974000004"] <= 1
    ended = {record.uniqueid for record in records}
    positions = house.settings.live_dir
    await until(
        lambda: not ended & {file.stem for file in positions.glob("*.json")}, 5, "no position of a call is left"
    )


# --- keys during everything

PRESSES_S, KEY_S = 60, 0.15


async def test_random_keys_all_the_time_never_leave_a_caller_stuck_or_without_a_last_word(house: House) -> None:
    ends_at = time.monotonic() + PRESSES_S

    async def hammer(phone: Caller, number: str, chance: random.Random) -> None:
        """One call: keys until it ends or the minute is over."""
        call = await phone.dial(LANDLINE, from_=number)
        await until(lambda: call.sound_at is not None, 10, "a first word")
        while call.ended_at is None and time.monotonic() < ends_at:
            keys = "".join(chance.choices("0123456789*#", k=10))
            await call.press(keys, hold_ms=80, gap_ms=round(KEY_S * 1000) - 80)  # longer ones queue up in the phone
        if call.ended_at is None:  # not stuck: left alone, it speaks again or ends
            stopped_at = time.monotonic()
            await until(
                lambda: call.ended_at is not None or restarted_after(call, stopped_at) is not None,
                40,
                f"a word for {number}; heard: {[one.key for one in call.hearings()][-8:]}",
            )
        ended_by_us = call.ended_at is not None
        if not ended_by_us:
            await call.hang_up()
        record = await closed(house, number)
        if ended_by_us:  # by the flow, whose every end has words; the next key may have cut them
            heard = [one.key for one in call.hearings()]
            assert str(record.outcome) in ("done", "failed"), f"{number} was dropped after {heard[-3:]}"
            assert (call.ended_at or 0) - call.moment(call.hearings()[-1].ended_s) < 2

    async def again_and_again(phone: Caller, seed: int) -> int:
        chance, calls = random.Random(seed), 0
        while time.monotonic() < ends_at:
            await hammer(phone, f"+551997510{seed}{calls:03}", chance)
            calls += 1
        return calls

    async with house.caller() as phone:
        calls = await asyncio.gather(*(again_and_again(phone, seed) for seed in range(4)))
    assert min(calls) >= 1
    await no_channels(house)


async def test_twenty_who_type_the_whole_way_at_once_arrive_without_a_lost_key(house: House, tmp_path: Path) -> None:
    """Keys of 100 ms with 80 ms between them: sales, for the home, the second city."""
    first = 5519975200000
    async with Crowd(tmp_path / "quick", house.settings.sip_port, first_number=first) as crowd:
        crowd.dial(LANDLINE, [(1.5, "1"), (1.68, "1"), (1.86, "2")], 4, calls=20, per_second=20, at_once=20)
        result = await crowd.ended(30)
        assert result.failed == 0, crowd.complaints()
    records = [await closed(house, f"+{first + n}") for n in range(20)]
    async with house.sessions() as session:
        mine = CallStep.call_id.in_([record.id for record in records])
        steps = list(await session.scalars(select(CallStep).where(mine, CallStep.event == "digits")))
    cities = [step for step in steps if step.node.endswith("neighbourhood") and step.detail.get("keys") == "2"]
    assert sorted(step.call_id for step in cities) == sorted(record.id for record in records)


# --- who they say they are

HOSTILE = [
    ("+5519976000001", "<script>alert(1)</script>"),
    ("+5519976000002", "a\",b';DROP TABLE call;--"),
    ("+5519976000003", "${{SHELL(touch {canary})}}"),
    ("+5519976000004", "=cmd|' /C calc'!A0"),
    ("+5519976000005", "$(touch {canary}) `touch {canary}` %7B%7B7*7%7D%7D"),
    ("+5519976000006", "x" * 300),
    ("+5519976000007", "José\u202e\u0000é 😀".replace("\u0000", "")),
]
NO_NUMBER = ["anonymous", "1199999%24%7BSHELL%28id%29%7D", "9" * 60, "%22%3E%3Cb%3E", "0%00", "%0d%0aX-Evil:%201"]


async def test_hostile_names_and_numbers_are_text_from_the_call_to_the_api(house: House, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    began = len(house.log("agi").splitlines())
    async with house.caller() as phone:
        for number, name in HOSTILE:
            call = await phone.dial(LANDLINE, from_=number, name=name.replace("{canary}", str(canary)))
            await call.heard("greeting.welcome")
            await call.hang_up()
        for number in NO_NUMBER:
            call = await phone.dial(LANDLINE, from_=number)
            await until(lambda call=call: call.ended_at is not None or call.sound_at is not None, 10, "an answer")
            if call.ended_at is None:
                await call.hang_up()
    for number, _ in HOSTILE:
        await closed(house, number)
    assert not canary.exists()
    assert [line for line in house.log("agi").splitlines()[began:] if "error" in line or "odd AGI" in line] == []

    key = await token(house, "calls:read", "phones:see")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.settings.http_port}/api/v1") as api:
        answer = await api.get("/calls", params={"limit": 50}, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    listed = {row["caller"] for row in answer.json()["items"]}
    assert {number for number, _ in HOSTILE} <= listed
    assert all(re.fullmatch(r"(\+\d{8,15})?", caller) for caller in listed)


# --- who can reach us, and what is written where


SIP_OPTIONS = (
    "OPTIONS sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK-{n};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:stranger@{me}>;tag=1\r\nTo: <sip:100@127.0.0.1>\r\nCall-ID: {n}@{me}\r\nCSeq: 1 OPTIONS\r\n"
    "Contact: <sip:stranger@{me}>\r\nContent-Length: 0\r\n\r\n"
)
# A question for an address, and an answer that nobody asked for, which points to itself (RFC 1035).
DNS_QUESTION = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05prosa\x04test\x00\x00\x01\x00\x01"
DNS_ANSWER = b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + DNS_QUESTION[12:] + b"\xc0\x20" + b"\xff" * 40


def knock(where: Listening) -> list[bytes]:
    """What comes back for datagrams of every kind that somebody may listen for, once all have been read there."""
    ours, address = (socket.AF_INET, "127.0.0.1") if where.proto == "udp" else (socket.AF_INET6, "::1")
    with socket.socket(ours, socket.SOCK_DGRAM) as stranger:
        stranger.bind((address, 0))
        stranger.settimeout(0.5)
        me = f"{address}:{stranger.getsockname()[1]}"
        options = SIP_OPTIONS.format(me=me, n=time.monotonic_ns()).encode()
        for datagram in (
            b"",
            b"\0",
            options,
            DNS_QUESTION,
            DNS_ANSWER,
            DNS_ANSWER[:20],
            os.urandom(500),
            b"\xff" * 1400,
        ):
            stranger.sendto(datagram, (address, where.port))
        heard = []
        try:
            while True:
                heard.append(stranger.recv(2000))
        except TimeoutError:
            pass
    rows = [line.split() for line in Path(f"/proc/net/{where.proto}").read_text().splitlines()[1:]]
    assert [row[4] for row in rows if row[1].endswith(f":{where.port:04X}")] == ["00000000:00000000"]  # none waits
    return heard


async def test_only_the_four_doors_listen_and_only_on_this_machine(house: House) -> None:
    settings = house.settings
    async with house.caller() as phone:
        call = await phone.dial(LANDLINE, from_="+5519976100000")
        await call.heard("greeting.welcome")
        found = sockets(family(house.process.pid))
        await call.hang_up()
        # The only ones that are not on loopback: from these pjproject would ask name servers (resolver.c 2.16,
        # init_sock: any address, and no setting for it). Asterisk makes them even where resolv.conf names no server,
        # for then the C library names 127.0.0.1 (res_pjsip/config_system.c 22, in create_resolver_and_set_nameservers).
        asks = {each for each in found if each.proto in ("udp", "udp6") and not each.address.strip("0")}
        assert [knock(each) for each in asks] == [[] for _ in asks]
        assert knock(Listening("udp", "0100007F", settings.sip_port)) != []  # one that does answer is heard
        after = await phone.dial(LANDLINE, from_="+5519976100001")
        await after.heard("greeting.welcome")
        await after.hang_up()
    assert len(asks) <= 2
    assert asks <= sockets([house.pid("asterisk")])
    assert all(each.port >= 32768 for each in asks)
    found -= asks
    assert {each.address for each in found} == {"0100007F"}
    media = {
        each for each in found if each.proto == "udp" and settings.rtp_first_port <= each.port <= settings.rtp_last_port
    }
    assert 1 <= len(media) <= 2  # of the call in progress: RTP, RTCP
    assert found - media == {
        Listening("udp", "0100007F", settings.sip_port),
        Listening("tcp", "0100007F", settings.agi_port),
        Listening("tcp", "0100007F", settings.ami_port),
        Listening("tcp", "0100007F", settings.http_port),
    }


INVITE = (
    "INVITE sip:{number}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK-{n};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:{who}@127.0.0.1>;tag=1\r\nTo: <sip:{number}@127.0.0.1>\r\nCall-ID: {n}@{me}\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:{who}@{me}>\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}"
)
SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
)
ABROAD = (
    "00155512345678",
    "0015551234567",
    "+15551234567",
    "0900123456",
    "90015551234567",
    "190",
    "s",
    "h",
    "201",
    "1",
)


def invite(settings: Settings, host: str, number: str, who: str) -> int:
    """A call from that address: the first answer that is not "100 Trying"."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((host, 0))
        stranger.settimeout(5)
        me, sdp, n = f"{host}:{stranger.getsockname()[1]}", SDP.format(host=host), time.monotonic_ns()
        sent = INVITE.format(number=number, who=who, me=me, n=n, length=len(sdp), sdp=sdp)
        stranger.sendto(sent.encode(), (settings.sip_host, settings.sip_port))
        while (answer := stranger.recv(4000).decode()).startswith("SIP/2.0 100"):
            pass
        to = re.search(r"^To: .*$", answer, re.MULTILINE | re.IGNORECASE)
        assert to is not None
        lines = sent.partition("\r\n\r\n")[0].split("\r\n")
        kept = [line for line in lines if line.startswith(("Via", "Max-Forwards", "From", "Call-ID"))]
        ended = [lines[0].replace("INVITE", "ACK"), *kept, to[0].strip(), "CSeq: 1 ACK", "Content-Length: 0", "", ""]
        stranger.sendto("\r\n".join(ended).encode(), (settings.sip_host, settings.sip_port))
    return int(answer.split()[1])


async def test_a_call_from_an_address_that_is_no_carriers_is_refused_whatever_it_dials(house: House) -> None:
    """R32, from another address than the trunk's, under every name that we know: no call, no channel, no record."""
    numbers = (*(did.number for did in DEMO_DIDS), *ABROAD)
    names = ("stranger", "trunk", "anonymous", f"ramal-{DEMO_ATTENDANTS[0].extension}")
    async with house.sessions() as session:
        before = set(await session.scalars(select(Call.id)))
    heard = house.log("agi")
    answers = {
        (number, name): await asyncio.to_thread(invite, house.settings, "127.0.0.2", number, name)
        for number in numbers
        for name in names
    }
    assert set(answers.values()) <= {401, 403}, answers
    assert channels(house) == 0
    assert house.log("agi") == heard  # and our server was not even asked
    assert await asyncio.to_thread(invite, house.settings, "127.0.0.1", "0900123456", "5519976200000") == 200
    await eventually(lambda: calls_of(house, ["+5519976200000"]))  # the carrier's call: the message is a good one
    ask(house, "channel request hangup all")
    await no_channels(house)
    carriers = await closed(house, "+5519976200000")
    async with house.sessions() as session:
        after = set(await session.scalars(select(Call.id)))
    assert after - before == {carriers.id}


async def test_our_account_at_the_manager_cannot_do_what_would_own_the_machine(house: House, tmp_path: Path) -> None:
    """R58, on the real AMI: who has our secret can neither place a call, nor write a file, nor run anything."""
    canary = tmp_path / "canary"
    etc = asterisks.home_dir(house.settings) / "etc"
    before = {file.name: file.read_bytes() for file in etc.glob("*.conf")}
    shell = f"SHELL(touch {canary})"
    wanted: list[dict[str, str]] = [
        {"action": "Command", "Command": "core show version"},
        {"action": "Command", "Command": f"!touch {canary}"},
        {"action": "Originate", "Channel": "Local/s@inbound", "Application": "Wait", "Data": "5"},
        {"action": "Originate", "Channel": "Local/s@inbound", "Application": "System", "Data": f"touch {canary}"},
        {"action": "Originate", "Channel": "PJSIP/trunk/sip:0900123456@127.0.0.1", "Exten": "s", "Context": "inbound"},
        {"action": "Redirect", "Channel": "x", "Exten": "s", "Context": "inbound", "Priority": "1"},
        {
            **{"action": "UpdateConfig", "SrcFilename": "manager.conf", "DstFilename": "manager.conf"},
            **{"Action-000000": "NewCat", "Cat-000000": "intruder"},
        },
        {"action": "GetConfig", "Filename": "manager.conf"},
        {"action": "CreateConfig", "Filename": "intruder.conf"},
        {"action": "Getvar", "Variable": shell},
        {"action": "Setvar", "Variable": "GLOBAL(AGI_URL)", "Value": "agi://127.0.0.2"},
        {"action": "ModuleLoad", "Module": "app_originate.so", "LoadType": "load"},
        {"action": "Reload"},
        {"action": "DBPut", "Family": "x", "Key": "y", "Val": "z"},
        {"action": "AGI", "Channel": "x", "Command": f"EXEC System touch {canary}"},
        {"action": "Filter", "Operation": "Add", "Filter": "Event: .*"},
    ]
    async with Ami.from_settings(house.settings).connected() as link:
        for each in wanted:
            with pytest.raises(AmiRefused, match=r"Permission denied|Access Forbidden|Invalid/unknown command"):
                await link.ask(**each)
        assert await link.ask("QueueSummary", many=True)  # what it is there for is allowed
    assert channels(house) == 0
    assert not canary.exists()
    assert {file.name: file.read_bytes() for file in etc.glob("*.conf")} == before


MARKED_NUMBER, MARKED_NAME, MARKED_CEP = "19976543217", "Quintanilha", "13094817"
MARKED_CPF, WRITTEN_CPF = "77788899941", "777.888.999-41"  # of the demo: found when it is keyed
MARKS = (MARKED_NUMBER, MARKED_NAME, MARKED_CEP, MARKED_CPF, WRITTEN_CPF)
# Call records, which are there to be read by those who may, and what they may hold: a caller's number, in the CDR the
# name that came with it, too. Never what was keyed in. Nothing else may hold any of it.
RECORDS = {
    "prosa.db": {MARKED_NUMBER},
    "journal/": {MARKED_NUMBER},
    "asterisk/log/cdr-csv/": {MARKED_NUMBER, MARKED_NAME},
}
DURING = {"live/": {MARKED_NUMBER}}  # where a call in progress stands
TABLES = {
    *("call", "callback", "dropped_call", "identification_attempt", "lead", "outage_call", "outbox", "ticket"),
    "waiting_list",
}


def found_in(state: Path) -> dict[str, set[str]]:
    """File → the marks in it."""
    found = {}
    for file in state.rglob("*"):
        if file.is_symlink() or not file.is_file():
            continue
        try:
            content = file.read_bytes()
        except FileNotFoundError:  # of a call that has just ended
            continue
        found[str(file.relative_to(state))] = {mark for mark in MARKS if mark.encode() in content}
    return found


def strays(found: dict[str, set[str]], records: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is where it may not be."""
    rest = {}
    for name, marks in found.items():
        may = set[str]().union(*(each for place, each in records.items() if name.startswith(place)))
        if marks - may:
            rest[name] = marks - may
    return rest


def tables_with(file: Path, mark: str) -> set[str]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
    return {name for name, found in rows.items() if any(mark in str(value) for row in found for value in row)}


async def test_numbers_names_and_keyed_digits_are_in_call_records_only(house: House) -> None:
    state, number = house.settings.state_dir, f"+55{MARKED_NUMBER}"
    async with house.caller() as phone:
        call = await phone.dial(LANDLINE, from_=number, name=f"Zebedeu {MARKED_NAME}")
        await call.heard("greeting.welcome", "greeting.again")
        await call.press("1")
        await call.heard("sales.audience", timeout_s=30)
        await call.press("1")
        await call.heard("choose.city", timeout_s=20)
        await call.press("1")
        await call.heard("choose.method", timeout_s=20)
        await call.press("3")
        await call.heard("choose.cep", timeout_s=20)
        await call.press(MARKED_CEP + "#")
        await until(lambda: restarted_after(call, call.keys[-1][0]) is not None, 40, "an answer to the CEP")
        for pid in workers(house):  # a crash with the call in it
            os.kill(pid, signal.SIGKILL)
        struck_at = time.monotonic()
        await until(lambda: restarted_after(call, struck_at) is not None, 40, "the call goes on")
        await call.hang_up()

        known = await phone.dial(LANDLINE, from_=number, name=f"Zebedeu {MARKED_NAME}")
        await known.heard("greeting.welcome", "greeting.again")
        await known.press("3")
        await known.heard("protocol.intro", timeout_s=40)
        await known.press("#")
        await known.heard("identify.how", "identify.how.short", timeout_s=30)
        await known.press("1")
        await known.heard("identify.cpf", timeout_s=20)
        for pid in workers(house):  # a crash in the middle of the identification
            os.kill(pid, signal.SIGKILL)
        struck_at = time.monotonic()
        await known.heard("identify.cpf", since=struck_at, timeout_s=40)
        await known.press(MARKED_CPF)
        await known.heard("billing.mine", "billing.mine.short", timeout_s=20)
        assert strays(found_in(state), RECORDS | DURING) == {}
        await known.hang_up()

        before = house.pid("agi")
        os.kill(before, signal.SIGKILL)  # and one that the rescue takes
        second = await phone.dial(LANDLINE, from_=number, name=f"Zebedeu {MARKED_NAME}")
        await second.answered()
        # Who hangs up at the dialplan's own first word is in Asterisk's records only.
        await second.heard("rescue.menu", "greeting.welcome", "greeting.again", timeout_s=40)
        await second.hang_up()
        await phone_door_open(house, before)
    await no_channels(house)

    async def all_closed() -> bool:
        found = await calls_of(house, [number])
        return len(found) == 3 and all(call.ended_at for call in found)

    await eventually(all_closed, 15)
    await until(lambda: not list(house.settings.live_dir.glob("*.json")), 5, "no position of a call is left")
    found = found_in(state)
    assert strays(found, RECORDS) == {}
    assert "asterisk/log/messages.log" in found  # Asterisk's own were looked at, too
    assert "log/agi.log" in found
    assert [line for line in house.lines if any(mark in line for mark in MARKS)] == []
    tables = {mark: tables_with(state / "prosa.db", mark) for mark in MARKS}
    assert tables.pop(MARKED_NUMBER) <= TABLES
    assert set().union(*tables.values()) == set()
    # The search finds what is there.
    assert found["asterisk/log/cdr-csv/Master.csv"] == {MARKED_NUMBER, MARKED_NAME}
    assert {"call", "identification_attempt"} <= tables_with(state / "prosa.db", MARKED_NUMBER)
