"""One house in hard times: prompts damaged (R16), the voice engine unreachable (R17), names that nobody resolves (R19),
the database slow, then gone (R07 R37), a flow in it that cannot run, the journal's disk full (R38), more callers than
lines (R13).

It runs in a mount namespace of its own, with its own /etc/hosts and /etc/resolv.conf, a small journal disk and a copy
of the prompts. PostgreSQL is reached by a name, and besides /etc/hosts there is only a name server that never answers.
"""

import asyncio
import errno
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import delete, func, select, update

from prosa.caller import Call as Phoned
from prosa.caller import Caller
from tests.bench.measure import family
from tests.bench.probe import Probe, Timing
from tests.live.conftest import House, eventually, start_house, stop_house
from tests.live.drills.crowd import Crowd
from tests.live.drills.postgres import Postgres
from tests.live.drills.tools import (
    LANDLINE,
    calls_of,
    channels,
    inodes,
    no_channels,
    restarted_after,
    tickets_of,
    until,
)
from ura import coverage, outbox
from ura.models import Call, City, FlowState, FlowVersion, Neighbourhood, OutboxMessage, OutboxState
from ura.prompts import name_key
from ura.settings import ROOT, Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

DATABASE_NAME, NAME_SERVER = "banco.prosa.test", "127.0.0.253"
JOURNAL_BYTES = 1 << 20
MAX_CALLS = 40
AWAY_S = 30
DAMAGED, MISSING, EMPTY = "support.menu", "greeting.welcome", "menu.main"
LAUNCH = """
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/audio" "$2/prompts/audio"
mkdir -p "$3/journal"
mount -t tmpfs -o "size=$4,mode=2775" tmpfs "$3/journal"
shift 4
exec "$@"
"""


@dataclass
class HardTimes:
    house: House
    postgres: Postgres
    folder: Path

    @property
    def settings(self) -> Settings:
        return self.house.settings

    @property
    def journal(self) -> Path:
        """The journal folder as the house sees it."""
        return Path(f"/proc/{self.house.process.pid}/root{self.house.settings.journal_dir.resolve()}")

    def prompt(self, key: str) -> Path:
        return self.folder / "audio" / f"{key.replace('.', '/')}.alaw"

    def resolve_database(self, *, yes: bool) -> None:
        (self.folder / "hosts").write_text(
            f"127.0.0.1 localhost {socket.gethostname()}\n" + (f"127.0.0.1 {DATABASE_NAME}\n" if yes else "")
        )

    async def waiting(self) -> int:
        """What the health page says."""
        async with httpx.AsyncClient() as api:
            text = (await api.get(f"http://127.0.0.1:{self.settings.http_port}/metrics", timeout=15)).text
        found = re.search(r"^ura_journal_waiting_records (\d+)", text, re.MULTILINE)
        assert found, text
        return int(found[1])


@pytest.fixture(scope="module")
def black_hole() -> Iterator[None]:
    """A name server that takes every question and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((NAME_SERVER, 53))
        yield


@pytest.fixture(scope="module")
def times(tmp_path_factory: pytest.TempPathFactory, black_hole: None) -> Iterator[HardTimes]:
    folder = tmp_path_factory.mktemp("hard")
    postgres = Postgres()
    try:
        postgres.start()
        postgres.create("prosa")
        (folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\noptions timeout:5 attempts:2\n")
        shutil.copytree(ROOT / "prompts/audio", folder / "audio")
        times = HardTimes(None, postgres, folder)  # type: ignore[arg-type]
        times.resolve_database(yes=True)
        voice = times.prompt(DAMAGED)
        voice.write_bytes(voice.read_bytes()[::-1])  # the right length, and a screech
        state = folder / "state"
        url = "postgresql+psycopg://prosa@{}:" + f"{postgres.port}/prosa"
        times.house = start_house(
            state,
            launcher=[
                *("unshare", "--mount", "--propagation", "private", "/bin/sh", "-euc", LAUNCH, "sh"),
                *(str(folder), str(ROOT), str(state), str(JOURNAL_BYTES)),
            ],
            database_url=url.format(DATABASE_NAME),
            max_calls=MAX_CALLS,
            tts_engines="gtts",
            sms_url="http://sms.prosa.test/send",
            rtp_first_port=46000,
            rtp_last_port=46999,
        )
        times.house.settings = times.house.settings.model_copy(update={"database_url": url.format("127.0.0.1")})
        try:
            yield times
        finally:
            stop_house(times.house)
    finally:
        postgres.remove()


@pytest.fixture
async def caller(times: HardTimes) -> AsyncIterator[Caller]:
    async with times.house.caller() as phone:
        yield phone
    await no_channels(times.house)


async def complain(call: Phoned) -> None:
    """Who knows the way cuts each prompt. Returns when the caller has been told that it is registered."""
    await call.heard("greeting.welcome", "greeting.again")
    await call.press("4")
    await call.heard("protocol.intro")
    await call.press("1")
    await call.heard("complaint.registered", timeout_s=15)


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


def told(times: HardTimes, door: str, words: str, since: int = 0) -> list[str]:
    return [line for line in times.house.log(door)[since:].splitlines() if words in line]


# --- prompts


async def test_a_damaged_missing_or_empty_prompt_is_the_next_best_sentence_and_never_silence(
    times: HardTimes, caller: Caller
) -> None:
    missing, empty = times.prompt(MISSING), times.prompt(EMPTY)
    kept = {file: file.read_bytes() for file in (missing, empty)}
    missing.unlink()
    empty.write_bytes(b"")
    try:
        calls = [await caller.dial(LANDLINE, from_=f"+551998100000{n}") for n in range(4)]
        for call in calls:
            await call.heard("fallback.prompt")  # instead of the greeting
            assert call.first_sound_ms < 2000
        for call in calls:
            await call.heard("fallback.prompt")  # instead of the menu
        pressed_at = time.monotonic()
        for call in calls:
            await call.press("2")
        for call in calls:
            await call.heard("protocol.intro")
        for call in calls:
            again = await call.heard("fallback.prompt", since=pressed_at, timeout_s=30)  # the damaged support menu
            before = [one for one in call.hearings() if one.ended_s <= again.started_s + 0.1]
            assert again.started_s - before[-1].ended_s < 2
            await call.hang_up()
        for key in (MISSING, EMPTY):
            lines = told(times, "agi", f"key={key}")
            assert 1 <= len(lines) <= times.settings.agi_workers, lines  # once a process
            assert all("prosa prompts build" in line for line in lines)
        assert len(told(times, "agi", f"key={DAMAGED}")) >= 1
    finally:
        for file, content in kept.items():
            file.write_bytes(content)
    call = await caller.dial(LANDLINE, from_="+5519981000009")
    await call.heard(MISSING)  # made good while we run
    await call.heard(EMPTY, timeout_s=20)
    await call.hang_up()


async def test_a_name_without_a_voice_costs_one_word_and_nothing_is_synthesised_in_a_call(
    times: HardTimes, caller: Caller
) -> None:
    async with times.house.sessions() as session:
        city = (await session.scalars(select(City).order_by(City.name))).all()[1]
        place = await coverage.save_neighbourhood(
            session, city_id=city.id, name="Xyzumbi", status="covered", prompt_key=name_key("Xyzumbi")
        )
        await session.commit()
        place_id = place.id
    before = set(family(times.house.process.pid))
    call = await caller.dial(LANDLINE, from_="+5519981000010")
    await choose_by_letters(call)
    await call.press("9998#")
    pressed_at = call.keys[-1][0]
    await call.heard("fallback.name", since=pressed_at)
    assert (restarted_after(call, pressed_at) or 9) < 1
    assert set(family(times.house.process.pid)) == before
    await call.hang_up()
    async with times.house.sessions() as session:
        await session.delete(await session.get_one(Neighbourhood, place_id))
        await session.commit()


# --- the database


async def test_a_slow_lookup_is_bridged_with_words_and_a_caller_may_leave_meanwhile(
    times: HardTimes, caller: Caller
) -> None:
    """By letters, because what they find is never remembered: each caller's question goes to the database."""
    stay = await caller.dial(LANDLINE, from_="+5519981000020")
    leave = await caller.dial(LANDLINE, from_="+5519981000021")
    await asyncio.gather(*map(choose_by_letters, (stay, leave)))
    url = f"postgresql://prosa@127.0.0.1:{times.postgres.port}/prosa"
    with psycopg.connect(url) as lock:
        lock.execute("LOCK TABLE neighbourhood IN ACCESS EXCLUSIVE MODE")
        await asyncio.gather(stay.press("7256#"), leave.press("7256#"))
        for call in (stay, leave):
            moment = await call.heard("system.one_moment", since=call.keys[-1][0], timeout_s=5)
            assert call.moment(moment.started_s) - call.keys[-1][0] < 2
        await leave.hang_up()
        await stay.heard("sales.lookup_failed", timeout_s=10)
        lock.rollback()
    await stay.hang_up()

    async def closed() -> bool:
        found = await calls_of(times.house, ["+5519981000020", "+5519981000021"])
        return len(found) == 2 and all(call.ended_at for call in found)

    await eventually(closed)


async def test_a_flow_that_cannot_run_changes_nothing_for_callers_and_is_told_once(
    times: HardTimes, caller: Caller
) -> None:
    at = len(times.house.log("agi"))
    async with times.house.sessions() as session:
        sound = await session.scalar(select(FlowVersion).where(FlowVersion.state == FlowState.PUBLISHED))
        assert sound is not None
        broken = {**sound.document, "nodes": [{"key": "greeting", "type": "nonsense"}]}
        await session.execute(update(FlowVersion).where(FlowVersion.id == sound.id).values(state=FlowState.RETIRED))
        session.add(
            FlowVersion(
                flow_key=sound.flow_key,
                number=sound.number + 1,
                state=FlowState.PUBLISHED,
                document=broken,
                checksum="0" * 64,
                created_at=datetime.now(UTC),
                published_at=datetime.now(UTC),
                author="drill",
            )
        )
        await session.commit()
        sound_id, number = sound.id, sound.number
    await until(lambda: len(told(times, "agi", "published flow cannot run", at)) >= 2, 10, "both workers say so")
    call = await caller.dial(LANDLINE, from_="+5519981000030")
    await call.heard("greeting.welcome")
    await call.heard("menu.main", timeout_s=20)
    await call.hang_up()
    lines = told(times, "agi", "published flow cannot run", at)
    assert len(lines) == times.settings.agi_workers, lines  # once each, however often they look
    assert all(f"version={number + 1}" in line for line in lines)
    async with times.house.sessions() as session:
        await session.execute(delete(FlowVersion).where(FlowVersion.checksum == "0" * 64))
        await session.execute(update(FlowVersion).where(FlowVersion.id == sound_id).values(state=FlowState.PUBLISHED))
        await session.commit()


def ring(times: HardTimes) -> Timing:
    probe = Probe("127.0.0.1", times.settings.sip_port)
    try:
        return probe.call(LANDLINE, "4")
    finally:
        probe.close()


async def test_half_a_minute_without_database_and_names_is_not_noticed_on_the_phone(times: HardTimes) -> None:
    """R37 and R19 in one: the server is gone, and every try to reach it asks a name server that never answers."""
    house, at = times.house, len(times.house.log("worker"))
    async with times.house.sessions() as session:
        message = await outbox.enqueue(
            session, kind="plans", to="+5519981000049", payload={"plan_ids": [1]}, now=datetime.now(UTC)
        )
        await session.commit()
    numbers = [f"+551998100004{n}" for n in range(4)]
    times.resolve_database(yes=False)
    times.postgres.stop()
    gone_at = time.monotonic()
    async with house.caller() as phone:
        calls = [await phone.dial(LANDLINE, from_=number) for number in numbers]
        ringing = [asyncio.to_thread(ring, times) for _ in range(6)]
        timings, _ = await asyncio.gather(asyncio.gather(*ringing), asyncio.gather(*map(complain, calls)))
        waiting = await times.waiting()
        while time.monotonic() - gone_at < AWAY_S:
            await asyncio.sleep(0.2)
        for call in calls:
            await call.hang_up()
    times.resolve_database(yes=True)
    times.postgres.start()

    # While it was away: answered at once, spoken to at once, each key answered at once. The loop never stood still.
    assert max(timing.answer_ms for timing in timings) < 200
    assert max(call.first_sound_ms for call in calls) < 700  # 300 of them: has this caller rung before?
    assert max(ms for timing in timings for ms in timing.keys_ms) < 100
    assert waiting > 10

    async def drained() -> bool:
        found = await calls_of(house, numbers)
        return len(found) == 4 and all(call.ended_at for call in found) and not await times.waiting()

    await eventually(drained, 30)
    assert await tickets_of(house, numbers) == dict.fromkeys(numbers, 1)
    assert len({call.protocol for call in await calls_of(house, numbers)}) == 4
    assert len(told(times, "worker", "database away; the journal keeps", at)) == 1
    assert len(told(times, "worker", "database back", at)) == 1
    assert "stands still" not in house.log("agi")
    async with house.sessions() as session:
        queued = await session.get_one(OutboxMessage, message)
        assert queued.state in (OutboxState.QUEUED, OutboxState.SENDING)  # not lost, not pretended
    await no_channels(house)


# --- the journal's disk


async def test_with_a_full_journal_nothing_is_promised_and_a_person_is_offered(
    times: HardTimes, caller: Caller
) -> None:
    filler, at = times.journal / "filler", len(times.house.log("agi"))
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError as full:
            if full.errno != errno.ENOSPC:
                raise
    for journal in times.journal.glob("*.journal"):  # what is left of the last page; blank lines are no records
        with journal.open("ab") as file:
            file.write(b"\n" * (-journal.stat().st_size % 4096))
    numbers = ["+5519981000051", "+5519981000052"]
    calls = [await caller.dial(LANDLINE, from_=number) for number in numbers]
    for call in calls:
        await call.heard("greeting.welcome")
    for call in calls:
        await call.press("4")
    for call in calls:
        await call.heard("complaint.offer", timeout_s=20)
        await call.press("1")
        await call.heard("complaint.failed", timeout_s=10)
    keys = [one.key for call in calls for one in call.hearings()]
    assert not {call.same("protocol.intro"), call.same("complaint.registered")} & set(keys)
    filler.unlink()
    for call in calls:
        await call.hang_up()
    assert told(times, "agi", "call not recorded; it goes on without a protocol", at)

    after = await caller.dial(LANDLINE, from_="+5519981000053")
    await complain(after)
    await after.hang_up()

    async def there() -> bool:
        return (await tickets_of(times.house, [*numbers, "+5519981000053"])) == {"+5519981000053": 1}

    await eventually(there, 15)


# --- more callers than lines


async def test_callers_beyond_the_limit_get_503_and_the_others_notice_nothing(
    times: HardTimes, caller: Caller, tmp_path: Path
) -> None:
    drops = asterisk_drops(times)
    async with Crowd(tmp_path / "crowd", times.settings.sip_port, first_number=5519983000000) as crowd:
        crowd.dial(
            LANDLINE,
            [(1.5, "4")],
            8,
            calls=200,
            per_second=12,
            at_once=round(MAX_CALLS * 1.2),
            may_be_refused=True,
        )
        listened = [await caller.dial(LANDLINE, from_=f"+551998100006{n}") for n in range(2)]
        for call in listened:
            await call.heard("menu.main", timeout_s=20)
        await until(lambda: crowd.refused() > 0, 20, "a 503")
        for call in listened:
            await call.press("4")
            await call.heard("protocol.intro", timeout_s=5)
            assert call.key_to_prompt_ms()[0] < 100 + 100 + 200  # the key is down for 100 ms; its own packets, our ear
        result = await crowd.ended(60)
        for call in listened:
            assert call.ended_at is None
            await call.hang_up()
    assert crowd.refused() > 5
    assert result.failed == 0, crowd.complaints()
    assert result.answer_p99_ms <= 200
    assert asterisk_drops(times) == drops
    await until(lambda: channels(times.house) == 0, 10)
    alarms = [line for line in times.house.log("worker").splitlines() if "callers are turned away" in line]
    assert len(alarms) == 1, alarms
    async with times.house.sessions() as session:
        accepted = await session.scalar(select(func.count()).where(coverage_call().like("+551998300%")))
    assert accepted == result.calls - crowd.refused()


def coverage_call():  # type: ignore[no-untyped-def]

    return Call.caller


def asterisk_drops(times: HardTimes) -> int:
    """Datagrams that the kernel threw away at sockets of Asterisk that are open now."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    mine = inodes([times.house.pid("asterisk")])
    return sum(int(row[-1]) for row in rows if row[9] in mine)
