"""Waiting for a person, on the real thing: what is heard from the moment nobody is free until somebody answers, or
until there is another way on."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from prosa.caller import Call as Phoned
from prosa.caller import Caller
from prosa.heard import silences
from prosa.run import Steps
from prosa.setup import prepare
from tests.conftest import run_apart
from tests.live.conftest import Database, House, eventually, register, start_house, stop_house
from tests.live.drills.tools import ask, no_channels, until
from ura.models import Attendant, Call, Callback, Queue, Ticket
from ura.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]

LANDLINE, CORPORATE = "551133330001", "551133330003"
RING_S, TOLD_AGAIN_S, MOST_CALLERS = 3, 5, 3
TALK_S = 130  # of those before: 130 s for who is next, 260 s for the one after
_numbers = count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Its people work day and night, and everything that happens every now and then happens often."""
    folder = tmp_path_factory.mktemp("waiting") / "state"
    run_apart(_furnish(Settings(state_dir=folder)))
    house = start_house(
        folder,
        rtp_first_port=47000,
        rtp_last_port=47399,
        queue_ring_s=RING_S,
        queue_wrap_up_s=0,
        queue_announce_s=TOLD_AGAIN_S,
        queue_offer_s=TOLD_AGAIN_S,
        queue_max_callers=MOST_CALLERS,
    )
    try:
        yield house
    finally:
        stop_house(house)


async def _furnish(settings: Settings) -> None:
    await prepare(settings, Steps(print).step)
    now = datetime.now(UTC)
    async with Database(settings.db_url) as session:
        await session.execute(update(Queue).values(business_hours=""))
        session.add(Attendant(name="Carla Dias", extension="301", queues=["l1", "corporativo"]))
        for hours in range(50):
            began = now - timedelta(hours=hours + 1)
            ended = began + timedelta(seconds=TALK_S)
            session.add(Call(id=uuid4().hex, opened_at=began, queue="l1", answered_at=began, ended_at=ended))
        await session.commit()


@pytest.fixture(autouse=True)
async def quiet_house(house: House) -> AsyncIterator[None]:
    """Each test begins with the waits of the demo, and leaves nobody behind."""
    await longest_wait(house, l1=300, corporativo=60)
    yield
    await no_channels(house)


@pytest.fixture
async def caller(house: House) -> AsyncIterator[Caller]:
    async with house.caller() as phone:
        yield phone


async def longest_wait(house: House, **seconds: int) -> None:
    async with house.sessions() as session:
        for queue, max_wait_s in seconds.items():
            await session.execute(update(Queue).where(Queue.key == queue).values(max_wait_s=max_wait_s))
        await session.commit()


async def callers_per_attendant(house: House, number: int) -> None:
    async with house.sessions() as session:
        await session.execute(update(Queue).values(callers_per_attendant=number))
        await session.commit()


@asynccontextmanager
async def attendants(house: House, *extensions: str) -> AsyncIterator[list[Caller]]:
    """Their phones, logged in."""
    async with AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(house.caller()) for _ in extensions]
        for phone, extension in zip(phones, extensions, strict=True):
            await register(house, phone, extension)
        yield phones


def new_number() -> str:
    """A second call of the same number would hear another greeting."""
    return f"+55119{87_600_000 + next(_numbers)}"


async def to_the_queue(caller: Caller, from_: str = "") -> Phoned:
    """Through the flow with the person's key; what is said on the way is cut."""
    call = await caller.dial(LANDLINE, from_=from_ or new_number())
    await call.heard("greeting.welcome")
    await call.press("9")
    await call.heard("protocol.intro")
    await call.press("5")
    await call.heard("person.transferring")
    await call.press("5")
    return call


async def talking(caller: Caller, attendant: Caller) -> tuple[Phoned, Phoned]:
    """The attendant has somebody on the line."""
    call = await to_the_queue(caller)
    await call.heard("queue.you_are_next")
    await call.press("5")  # heard enough
    ringing = await attendant.incoming()
    ringing.answer()
    await ringing.answered()
    return call, ringing


def waiting(house: House) -> list[str]:
    """The arguments of each Queue() that runs, also of those that have led to a conversation."""
    lines = ask(house, "core show channels concise").splitlines()
    return [fields[6] for line in lines if (fields := line.split("!"))[5:6] == ["Queue"]]


async def test_each_waiting_caller_hears_the_place_the_wait_and_that_the_place_has_changed(
    house: House, caller: Caller
) -> None:
    async with attendants(house, "101") as (ana,):
        await talking(caller, ana)
        first = await to_the_queue(caller)
        await first.heard("queue.wait.under_3")
        await first.heard("queue.you_are_next")
        second = await to_the_queue(caller)
        await second.heard("queue.wait.under_5")
        place = await second.heard("queue.there_are", whole=True)
        number = await second.heard("number.2")
        assert number.started_s - place.ended_s < 0.5
        await first.hang_up()
        await second.heard("queue.you_are_next")
        entered = next(one.started_s for one in second.hearings() if one.key == second.same("queue.wait.under_5"))
        assert [gap for gap in silences(second.recording, at_least_s=2) if gap[0] > entered] == []


async def test_who_is_next_is_not_left_with_music_alone_when_nobody_picks_up(house: House, caller: Caller) -> None:
    async with attendants(house, "101") as (ana,):
        call = await to_the_queue(caller)
        await call.heard("queue.you_are_next")
        await (await ana.incoming()).ended(RING_S + 2)
        await call.heard("queue.still_waiting", whole=True)
        await call.heard("queue.you_are_next")
        ringing = await ana.incoming()
        ringing.answer()
        await ringing.answered()
        call.say(house.settings.prompts_dir / "audio" / "greeting" / "welcome.alaw")
        await ringing.heard("greeting.welcome")
        ringing.say(house.settings.prompts_dir / "audio" / "end" / "thanks.alaw")
        await call.heard("end.thanks")
        await ringing.hang_up()
        await call.ended()


async def test_a_full_queue_says_so_and_calls_back(house: House, caller: Caller) -> None:
    number = new_number()
    async with attendants(house, "101"):
        calls = [await to_the_queue(caller) for _ in range(MOST_CALLERS)]
        await until(lambda: len(waiting(house)) == MOST_CALLERS)
        late = await to_the_queue(caller, number)
        await late.heard("person.queue_full")
        await late.heard("person.offers")
        await late.press("1")
        await late.heard("person.callback_done")
        await late.hang_up()
        assert not [one.key for one in late.hearings() if one.key.startswith("queue.")]
        for call in calls:
            assert call.ended_at is None
            await call.hang_up()
    await promised(house, Callback, number)


async def test_more_callers_than_an_attendant_is_to_serve_are_offered_another_way(house: House, caller: Caller) -> None:
    """G46: overflow by callers for each attendant, long before the queue itself is full."""
    async with attendants(house, "101"):
        await callers_per_attendant(house, 1)
        first = await to_the_queue(caller)
        await until(lambda: len(waiting(house)) == 1)
        second = await to_the_queue(caller)
        await second.heard("person.queue_full")
        await second.heard("person.offers")
        await second.hang_up()
        assert not [one.key for one in second.hearings() if one.key.startswith("queue.")]
        assert first.ended_at is None
        await first.hang_up()
        await callers_per_attendant(house, 5)


async def test_the_longest_wait_is_what_the_database_says_at_that_moment(house: House, caller: Caller) -> None:
    number = new_number()
    async with attendants(house, "101"):
        await longest_wait(house, l1=4)
        call = await to_the_queue(caller, number)
        await until(lambda: bool(waiting(house)))
        began = time.monotonic()
        sorry = await call.heard("person.queue_timeout")
        assert 3 < call.moment(sorry.started_s) - began < 6
        await call.heard("person.offers")
        await call.press("1")
        await call.heard("person.callback_done")
        await call.ended()
        assert call.code == 200
        await longest_wait(house, l1=77)
        after = await to_the_queue(caller)
        await until(lambda: waiting(house) == ["l1,,,,77"])
        await after.hang_up()
    await promised(house, Callback, number)


async def test_who_waited_too_long_may_wait_on(house: House, caller: Caller) -> None:
    async with attendants(house, "101"):
        await longest_wait(house, l1=1)
        call = await to_the_queue(caller)
        await call.heard("person.queue_timeout")
        await longest_wait(house, l1=120)
        await call.press("4")
        await call.heard("queue.you_are_next", since=call.keys[-1][0])
        await until(lambda: waiting(house) == ["l1,,,,120"])
        await call.hang_up()


async def test_nobody_there_is_said_and_the_call_becomes_a_ticket(house: House, caller: Caller) -> None:
    number = new_number()
    call = await to_the_queue(caller, number)
    await call.heard("person.queue_empty")
    await call.heard("person.offers")
    await call.press("3")
    await call.heard("person.ticket_done")
    await call.ended()
    await promised(house, Ticket, number)


async def test_nobody_there_is_said_and_a_message_can_be_left(house: House, caller: Caller) -> None:
    number = new_number()
    call = await to_the_queue(caller, number)
    await call.heard("person.queue_empty")
    await call.press("2")
    await call.heard("person.message", whole=True)
    call.say(house.settings.prompts_dir / "audio" / "person" / "number.alaw")
    await asyncio.sleep(2)  # of speech
    await call.press("#")
    await call.heard("person.message_saved")
    await call.hang_up()
    await promised(house, Ticket, number)


async def test_who_waits_hears_when_the_last_attendant_leaves(house: House, caller: Caller) -> None:
    async with attendants(house, "101"):
        call = await to_the_queue(caller)
        await call.heard("queue.you_are_next")
    await call.heard("person.queue_empty")
    await call.heard("person.offers")
    await call.hang_up()


async def test_one_asks_for_a_call_back_and_any_other_key_changes_nothing(house: House, caller: Caller) -> None:
    number = new_number()
    async with attendants(house, "101") as (ana,):
        await talking(caller, ana)
        call = await to_the_queue(caller, number)
        await call.heard("queue.you_are_next", whole=True)
        await call.press("5")
        await call.heard("queue.you_are_next")  # again, so the caller is still there
        await call.press("1")
        await call.heard("person.callback_done")
        await call.hang_up()
    await promised(house, Callback, number)


async def test_corporate_callers_come_first_where_an_attendant_answers_for_both(house: House, caller: Caller) -> None:
    corporate = new_number()
    async with attendants(house, "301") as (carla,):
        mine, hers = await talking(caller, carla)
        at_home = await to_the_queue(caller)
        await at_home.heard("queue.you_are_next")
        at_work = await caller.dial(CORPORATE, from_=corporate)
        await at_work.heard("system.corporate")
        await at_work.heard("queue.you_are_next")
        await hers.hang_up()
        await mine.ended()
        ringing = await carla.incoming()
        assert corporate in ringing.remote
        ringing.answer()
        await ringing.answered()
        assert at_home.ended_at is None


async def test_a_corporate_caller_whose_people_do_not_answer_is_the_first_to_reach_the_others(
    house: House, caller: Caller
) -> None:
    await longest_wait(house, corporativo=4)
    async with attendants(house, "101", "201") as (ana, bruno):
        await talking(caller, ana)
        at_work = await caller.dial(CORPORATE, from_=new_number())
        at_home = await to_the_queue(caller)
        await at_home.heard("queue.you_are_next")
        await at_work.heard("queue.you_are_next")
        await bruno.incoming()
        await until(lambda: waiting(house) == 3 * ["l1,,,,300"])
        await at_work.heard("queue.you_are_next")
        await at_home.heard("queue.there_are")
        await at_home.heard("number.2")


async def promised(house: House, kind: type[Callback] | type[Ticket], number: str) -> None:
    """It is in the database."""

    async def kept() -> bool:
        async with house.sessions() as session:
            return await session.scalar(select(kind).where(kind.phone == number)) is not None

    await eventually(kept)
