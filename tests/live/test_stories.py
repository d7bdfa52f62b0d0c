"""Whole calls from the INVITE to the record, on the real thing, told as a customer would tell them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Row, delete, select

from prosa import calling
from prosa.caller import Call as Phoned
from prosa.caller import Caller, CallerError
from tests.live.conftest import House, eventually, register, start_house, stop_house
from ura import call_lists, incidents, phones
from ura.call_lists import Difference
from ura.models import Call, CallStep, Lead, LeadStatus, Neighbourhood, Outage
from ura.prompts import name_key
from ura.settings import ROOT

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

LANDLINE, MOBILE, CORPORATE = "551133330001", "5511933330002", "551133330003"
PALMEIRAS = "Jardim das Palmeiras"
IVONE = "+551133331105"  # of the demo: an outage touches her


async def recorded(house: House, caller: str) -> Call:
    """The call record of this caller, once it is closed."""

    async def closed() -> Call | None:
        async with house.sessions() as session:
            found: Call | None = await session.scalar(
                select(Call).where(Call.caller == caller, Call.ended_at.is_not(None))
            )
            return found

    return await eventually(closed)


async def steps_of(house: House, call_id: str) -> list[CallStep]:
    async with house.sessions() as session:
        return list(await session.scalars(select(CallStep).where(CallStep.call_id == call_id).order_by(CallStep.seq)))


def spoken_digits(call: Phoned, after: str) -> str:
    """The digits that were spoken right after a prompt."""
    digits, listening = "", False
    for one in call.hearings():
        if one.key == call.same(after):
            digits, listening = "", True
        for digit in "0123456789":
            if listening and one.key in (call.same(f"digit.{digit}"), call.same(f"digit.end.{digit}")):
                digits += digit
    return digits


async def choose_home_in_palmeiras(call: Phoned) -> None:
    """Through sales to the plans: home, the second city, the neighbourhood by its first letters."""
    await call.heard("menu.main")
    await call.press("1")
    await call.heard("protocol.intro")
    await call.heard("sales.audience")
    await call.press("1")
    await call.heard("choose.city")
    await call.press("2")
    await call.heard("choose.method")
    await call.press("2")
    await call.heard("choose.letters")
    await call.press("7256#")
    await call.heard(name_key(PALMEIRAS))
    await call.press("1")


async def test_who_hangs_up_at_the_plans_has_heard_them_in_time_and_is_an_abandoned_lead(
    house: House, caller: Caller
) -> None:
    call = await caller.dial(LANDLINE, from_="+5519987650001")
    await call.answered()
    await choose_home_in_palmeiras(call)
    await call.heard("sales.covered")
    for plan in ("Essencial 200 Mega", "Família 400 Mega", "Turbo 600 Mega"):
        last = await call.heard(name_key(plan), timeout_s=30)
    assert call.moment(last.started_s) - (call.answered_at or 0) <= 90
    assert call.answer_ms < 1000
    await call.hang_up()

    record = await recorded(house, "+5519987650001")
    assert (str(record.outcome), record.did, record.flow_key) == ("abandoned", LANDLINE, "provedor")
    assert record.protocol == spoken_digits(call, "protocol.intro")
    assert {"main", "audience", "neighbourhood", "plans"} <= {
        step.node.rpartition("/")[2] for step in await steps_of(house, record.id)
    }

    async def lead() -> Row[tuple[str, str]] | None:
        query = select(Lead.phone, Neighbourhood.name).join(Neighbourhood, Neighbourhood.id == Lead.neighbourhood_id)
        query = query.where(Lead.call_id == record.id, Lead.status == LeadStatus.ABANDONED)
        async with house.sessions() as session:
            return (await session.execute(query)).one_or_none()

    # Asterisk's word that the call has ended may be in the database before our own of what became of it.
    assert tuple(await eventually(lead)) == ("+5519987650001", PALMEIRAS)


async def test_a_corporate_customer_hears_no_menu_and_is_answered_by_their_own_queue(
    house: House, caller: Caller, attendant: Caller
) -> None:
    await register(house, attendant, "201")
    call = await caller.dial(CORPORATE, from_="+5519987650003")
    ringing = await attendant.incoming()
    assert (call.answered_at or 0) - (call.dialled_at or 0) < 2
    ringing.answer()
    await ringing.answered()
    speech = house.settings.prompts_dir / "audio" / "greeting" / "welcome.alaw"
    call.say(speech)
    await ringing.heard("greeting.welcome")
    ringing.say(house.settings.prompts_dir / "audio" / "end" / "thanks.alaw")
    await call.heard("end.thanks")
    await call.hang_up()
    await ringing.ended()
    assert [one.key for one in call.hearings() if one.key.startswith(("menu.", "greeting.", "protocol."))] == []

    record = await recorded(house, "+5519987650003")
    assert (str(record.door), record.queue, record.attendant) == ("corporate", "corporativo", "201")
    assert record.answered_at is not None


async def test_both_numbers_of_the_flow_greet_within_five_seconds(house: House, caller: Caller) -> None:
    for number, from_ in ((LANDLINE, "+5519987650004"), (MOBILE, "+5519987650005")):
        call = await caller.dial(number, from_=from_)
        await call.answered()
        greeting = await call.heard("greeting.welcome", whole=True)
        menu = await call.heard("menu.main")
        assert menu.started_s - greeting.started_s <= 5
        await call.hang_up()
        assert (await recorded(house, from_)).did == number


async def test_several_callers_at_once_are_recorded_each_with_a_protocol_of_their_own(house: House) -> None:
    numbers = [f"+55199876501{n:02}" for n in range(8)]
    async with house.caller() as one, house.caller() as other:
        calls = [await (one, other)[n % 2].dial(LANDLINE, from_=number) for n, number in enumerate(numbers)]
        await asyncio.gather(*(call.heard("menu.main", timeout_s=20) for call in calls))
        for call in calls:
            await call.press("2")
        await asyncio.gather(*(call.heard("protocol.intro", timeout_s=20) for call in calls))
        await asyncio.gather(*(call.hang_up() for call in calls))
    records = [await recorded(house, number) for number in numbers]
    assert len({record.protocol for record in records}) == 8


async def test_what_is_typed_of_an_outage_is_heard_by_who_it_touches(house: House) -> None:
    """Within a minute, in the voice of everything else."""
    words = "Um poste caiu na rodovia."
    async with house.sessions() as session:
        for outage in (await session.scalars(select(Outage).where(Outage.closed_at.is_(None)))).all():
            now = datetime.now(UTC)
            await incidents.tell(session, outage, text=words, ends_at=outage.ends_at, actor="test", now=now)
        await session.commit()

    async def rendered() -> bool:
        return name_key(words) in calling.fingerprints(house.settings)

    await eventually(rendered, timeout_s=60)
    house.index = calling.fingerprints(house.settings)
    async with house.caller() as phone:
        call = await phone.dial(LANDLINE, from_=IVONE)
        cause = await call.heard("outage.fibre_cut")
        said = await call.heard(name_key(words), whole=True)
        then = await call.heard("outage.estimate", "outage.no_estimate")
        assert cause.started_s < said.started_s < then.started_s
        await call.hang_up()


async def test_asterisks_own_list_of_calls_and_ours_agree(house: House, caller: Caller) -> None:
    """R46: who hangs up at once, in the greeting, in the menu and in a queue is in both, once."""
    since = datetime.now(UTC).replace(microsecond=0)
    numbers = {f"+55199876500{n}" for n in (91, 92, 93, 94)}
    at_once, greeted, chosen, waiting = sorted(numbers)
    call = await caller.dial(LANDLINE, from_=at_once)
    await call.answered()
    await call.hang_up()
    for number, did, heard in (
        (greeted, LANDLINE, "greeting.welcome"), (chosen, MOBILE, "menu.main"), (waiting, CORPORATE, "system.corporate")
    ):  # fmt: skip
        call = await caller.dial(did, from_=number)
        await call.heard(heard)
        await call.hang_up()
    for number in numbers:
        await recorded(house, number)
    file = house.settings.state_dir / call_lists.LIST
    async with house.sessions() as session:
        found = await call_lists.compare(session, file, since=since, now=datetime.now(UTC) + call_lists.SETTLES)
        assert (found.asterisks, found.ours, found.odd) == (4, 4, [])
        await session.execute(delete(Call).where(Call.caller == chosen))
        found = await call_lists.compare(session, file, since=since, now=datetime.now(UTC) + call_lists.SETTLES)
        assert [(odd.what, odd.caller) for odd in found.odd] == [(Difference.NOT_OURS, phones.mask(chosen))]
        await session.rollback()


async def test_the_terminal_tells_what_a_caller_hears(house: House) -> None:
    env = {
        **os.environ,
        "PROSA_STATE_DIR": str(house.settings.state_dir),
        "PROSA_SIP_PORT": str(house.settings.sip_port),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "prosa.main", "call", LANDLINE, "--keys", "2", "--listen", "3"),
        *("--from", "+5519987650006"),
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate()
    lines = out.decode().splitlines()
    assert process.returncode == 0
    assert any("greeting.welcome" in line for line in lines)
    assert any(line.endswith("key 2") for line in lines)
    assert lines[-1].startswith("answered in ")


@pytest.mark.parametrize(("door", "door_number"), [("worker", 51), ("api", 52), ("agi", 53), ("asterisk", 54)])
async def test_a_door_that_was_killed_is_open_again_and_calls_go_on(house: House, door: str, door_number: int) -> None:
    before = house.pid(door)
    os.kill(before, signal.SIGKILL)
    killed_at = time.monotonic()

    async def is_back() -> bool:
        return house.pid(door) != before

    await eventually(is_back, 15)
    numbers = iter(f"+55199876{door_number}{n:03}" for n in range(1000))  # a second call would hear a shorter greeting

    async def answers() -> str:
        number = next(numbers)
        async with house.caller() as phone:
            call = await phone.dial(LANDLINE, from_=number)
            try:
                await call.heard("greeting.welcome", timeout_s=5)
            except CallerError:
                return ""
            return number

    number = await eventually(answers, 30)
    assert time.monotonic() - killed_at < 30
    assert str((await recorded(house, number)).door) == "flow"


def test_on_another_machine_a_house_from_a_backup_knows_its_people_and_answers_its_first_call(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """R44. The other machine has our files, an empty state folder and what `prosa backup` made beside calls."""
    folder = tmp_path_factory.mktemp("moved")
    began = time.monotonic()

    def prosa(command: str, state: Path) -> str:
        env = {**os.environ, "PROSA_STATE_DIR": str(state)}
        arguments = (sys.executable, "-m", "prosa.main", command, str(folder / "prosa.tar.gz"))
        return subprocess.run(arguments, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout

    assert "sqlite" in prosa("backup", house.settings.state_dir)
    assert "Next: prosa run" in prosa("restore", folder / "state")
    moved = start_house(folder / "state", rtp_first_port=46600, rtp_last_port=46799)
    assert "  log-in    as before" in moved.lines

    async def story() -> None:
        async with moved.caller() as phone:
            call = await phone.dial(LANDLINE, from_="+5519987650030")
            await call.heard("greeting.welcome")
            await call.heard("menu.main")
            await call.hang_up()
        assert (await recorded(moved, "+5519987650030")).protocol
        async with house.sessions() as before, moved.sessions() as after:
            names = [list(await session.scalars(select(Neighbourhood.name))) for session in (before, after)]
        assert names[0] == names[1]

    asyncio.run(story())
    stop_house(moved)
    assert time.monotonic() - began < 120


def test_nothing_is_left_when_prosa_itself_is_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = start_house(tmp_path_factory.mktemp("killed") / "state", rtp_first_port=46000, rtp_last_port=46199)
    pids = [house.pid(door) for door in ("asterisk", "agi", "api", "worker")]
    house.process.kill()
    house.process.wait()
    deadline = time.monotonic() + 5
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_calls_in_progress_come_first_when_prosa_stops(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No new call gets in; the one that is there ends by itself, and its record is kept."""
    house = start_house(
        tmp_path_factory.mktemp("drained") / "state", rtp_first_port=46200, rtp_last_port=46399, drain_s=30
    )

    async def story() -> None:
        async with house.caller() as phone:
            call = await phone.dial(LANDLINE, from_="+5519987650020")
            await call.heard("greeting.welcome")
            house.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(house.until, "stopping: 1 call in progress", 10)
            late = await phone.dial(LANDLINE, from_="+5519987650021")
            with pytest.raises(CallerError, match="503"):
                await late.answered()
            await call.heard("menu.main")
            await call.press("2")
            await call.heard("protocol.intro")
            await call.hang_up()
        assert await asyncio.to_thread(house.process.wait, 30) == 0
        assert (await recorded(house, "+5519987650020")).protocol

    asyncio.run(story())
