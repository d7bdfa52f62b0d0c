"""What the drills ask a running house: its processes, its channels, its sockets, its tickets."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from prosa import asterisk as asterisks
from prosa.caller import Call as Phoned
from tests.bench.measure import Drops, family
from tests.live.conftest import House
from ura.models import Call, Ticket
from ura.users import create_api_token

LANDLINE, MOBILE, CORPORATE = "551133330001", "5511933330002", "551133330003"


async def until(test: Callable[[], bool], timeout_s: float = 10, what: str = "") -> float:
    """Ask until it is so, with a deadline; returns how many seconds that took."""
    began = time.monotonic()
    while not test():
        if time.monotonic() - began > timeout_s:
            pytest.fail(f"not within {timeout_s} s: {what or test.__name__}")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def workers(house: House) -> list[int]:
    """The agi workers' processes."""
    agi = house.pid("agi")
    return [pid for pid in family(agi) if pid != agi]


async def phone_door_open(house: House, killed: int) -> None:
    """After the death of the phone door's parent: another one's workers take calls."""
    await until(lambda: house.pid("agi") != killed and len(workers(house)) >= 2, 20, "two workers of a new parent")
    await until(
        lambda: all(re.search(rf"agi worker ready .*pid={pid}\b", house.log("agi")) for pid in workers(house)), 20
    )


def ask(house: House, line: str) -> str:
    """Asterisk's command line."""
    inside = Path(f"/proc/{house.pid('asterisk')}/root/run/asterisk/asterisk.ctl")
    control = inside if inside.exists() else asterisks.home_dir(house.settings) / "run/asterisk.ctl"
    running = asterisks.Asterisk(
        house.process,  # type: ignore[arg-type]  # not Asterisk's, but it is not asked
        Path("/"),
        str(control),
        Path(),
    )
    return running.command(line)


def channels(house: House) -> int:
    return int(ask(house, "core show channels count").split()[0])


async def no_channels(house: House, timeout_s: float = 10) -> None:
    """The common pass line: none left 10 s after the last hang-up."""
    await until(lambda: channels(house) == 0, timeout_s, "no channel left")


def restarted_after(call: Phoned, moment: float) -> float | None:
    """Seconds from a moment until a prompt began that had not begun before."""
    began = [call.moment(one.started_s) for one in call.hearings()]
    return min((at - moment for at in began if at > moment), default=None)


async def choose_by_letters(call: Phoned) -> None:
    """Through sales and the second city, to the question for the first letters of the neighbourhood."""
    await call.heard("greeting.welcome", "greeting.again")
    await call.press("1")
    await call.heard("protocol.intro")
    await call.press("1")
    for prompt, keys in (("choose.city", "2"), ("choose.method", "2")):
        await call.heard(prompt, timeout_s=30)
        await call.press(keys)
    await call.heard("choose.letters")


async def complain(call: Phoned) -> None:
    """Who knows the way cuts each prompt. Returns when the caller has been told that it is registered."""
    await call.heard("greeting.welcome", "greeting.again")
    await call.press("4")
    await call.heard("protocol.intro")
    await call.press("1")
    await call.heard("complaint.registered", timeout_s=15)


async def tickets_of(house: House, callers: Iterable[str], category: str = "complaint") -> Counter[str]:
    """Caller → tickets of this category."""
    wanted = set(callers)
    async with house.sessions() as session:
        rows = await session.execute(
            select(Call.caller).join(Ticket, Ticket.call_id == Call.id).where(Ticket.category == category)
        )
        return Counter(caller for (caller,) in rows if caller in wanted)


async def calls_of(house: House, callers: Iterable[str]) -> list[Call]:
    wanted = set(callers)
    async with house.sessions() as session:
        return [call for call in await session.scalars(select(Call)) if call.caller in wanted]


async def waiting_records(house: House) -> int:
    """Journal records that the database does not have yet; what the health page says."""
    async with httpx.AsyncClient() as api:
        text = (await api.get(f"http://127.0.0.1:{house.settings.http_port}/metrics", timeout=15)).text
    found = re.search(r"^ura_journal_waiting_records (\d+)", text, re.MULTILINE)
    assert found, text
    return int(found[1])


async def token(house: House, *scopes: str) -> str:
    """A new key to the API."""
    now = datetime.now(UTC)
    async with house.sessions() as session:
        made = await create_api_token(
            session,
            name=f"drill-{time.monotonic_ns()}",
            scopes=scopes,
            expires_at=now + timedelta(hours=1),
            now=now,
            actor="drill",
        )
        await session.commit()
        return made


@dataclass(frozen=True)
class Listening:
    proto: str
    address: str
    port: int


def inodes(pids: Iterable[int]) -> set[str]:
    """The sockets that these processes hold."""
    found = set()
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(fd.readlink())
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def sockets(pids: Iterable[int]) -> set[Listening]:
    """Every socket of these processes on which somebody could call: TCP that listens, UDP that is bound."""
    theirs = inodes(pids)
    found = set()
    for proto in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{proto}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in theirs and (proto.startswith("udp") or fields[3] == "0A"):
                address, _, port = fields[1].partition(":")
                found.add(Listening(proto, address, int(port, 16)))
    return found


def drops(house: House) -> Drops:
    """`with drops(house) as lost: …`: datagrams thrown away at Asterisk's sockets, closed ones too."""
    settings = house.settings
    media = range(settings.rtp_first_port, settings.rtp_last_port + 1)
    return Drops(lambda port: port == settings.sip_port or port in media)
