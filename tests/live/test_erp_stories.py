"""The same people ring up providers with SGP, HubSoft, IXC and MK-Auth: the same stories, and what is said when the
provider's system does not answer.

Four houses, each with its simulated system, live through the same evening: the stories; then the system takes five
seconds for one answer; then it stalls for ten; then nobody listens there. The tests look at what was heard and done.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Lock
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, select, update

from prosa.caller import Caller
from prosa.erp_sim.serve import settings_for
from tests.conftest import free_port
from tests.live import caller_stories as stories
from tests.live.caller_stories import BILLING, MINE, YES, Told, can, ring
from tests.live.conftest import House, eventually, start_house, stop_house
from ura.models import Call, ErpRequest, ErpRequestState, Operation, OutboxMessage, OutboxState, TrustUnlock
from ura.settings import ROOT

pytestmark = [pytest.mark.live, pytest.mark.timeout(540)]

SYSTEMS = ("sgp", "hubsoft", "ixc", "mkauth")
SOON_S = 2.0  # so soon somebody who waits hears something
ASKED_S = 12.0  # a question is given up in this time
SLOW_S, STALL_S = 5, 10
RESTS_S, AGAIN_S = 60, 10  # a system that failed often is left alone for less than that
READY_S = 60
Story = Callable[[House, Caller], Awaitable[Told]]


@dataclass
class Provider:
    """A house and the system that it asks. `told`: each story, or how it went wrong. `done`, `done_later`: what the
    system had been made to do by the stories, and after that. `wish`, `copy`: what became of the one that nobody
    answered, and of the invoice that nobody could look up. `figures`: what /metrics said at the end."""

    house: House
    control: httpx.Client
    told: dict[str, Told | Exception] = field(default_factory=dict)
    done: dict[str, Any] = field(default_factory=dict)
    done_later: dict[str, Any] = field(default_factory=dict)
    wish: ErpRequest | None = None
    copy: OutboxMessage | None = None
    figures: str = ""
    later_at: float = 0

    async def tell(self, name: str, story: Awaitable[Told]) -> None:
        try:
            self.told[name] = await story
        except Exception as error:
            self.told[name] = error

    async def go_on(self, name: str, story: Callable[[Told], Awaitable[Told]]) -> None:
        if isinstance(told := self.told[name], Told):
            await self.tell(name, story(told))

    def heard(self, name: str) -> Told:
        """Raises what went wrong."""
        told = self.told[name]
        if isinstance(told, Exception):
            raise told
        return told

    def fault(self, kind: str, **more: Any) -> None:
        self.control.post("/_sim/fault", json={"fault": kind, **more}).raise_for_status()

    def state(self) -> dict[str, Any]:
        """What the system was made to do."""
        found: dict[str, Any] = self.control.get("/_sim/state").json()
        return found

    async def next_month(self) -> None:
        """Nobody has unlocked anything yet."""
        self.control.post("/_sim/reset").raise_for_status()
        async with self.house.sessions() as session:
            await session.execute(delete(TrustUnlock))
            await session.commit()

    async def now_and_then(self) -> None:
        """Asked often, the pause is over every few seconds: a system that failed is left alone for a while, and whoever
        asks before that has another pause."""
        if time.monotonic() - self.later_at > AGAIN_S:
            self.later_at = time.monotonic()
            await self.later()

    async def later(self) -> None:
        """The pause after a failed try is over."""
        async with self.house.sessions() as session:
            for table, waits in ((ErpRequest, ErpRequestState.QUEUED), (OutboxMessage, OutboxState.QUEUED)):
                await session.execute(update(table).where(table.state == waits).values(next_at=datetime.now(UTC)))
            await session.commit()


# -- the four houses


@contextmanager
def simulator(system: str, log: Path) -> Iterator[tuple[int, httpx.Client]]:
    """As an installer starts it; its port, and what speaks to its control port."""
    port, control = free_port(), free_port()
    command = [sys.executable, "-m", "prosa.main", "erp-sim", system, f"--port={port}", f"--control-port={control}"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
    with httpx.Client(base_url=f"http://127.0.0.1:{control}", timeout=10, trust_env=False) as client:
        try:
            give_up = time.monotonic() + READY_S
            while not _answers(client):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
                time.sleep(0.05)  # between two questions whether the simulator is up; READY_S ends them
            yield port, client
        finally:
            process.kill()
            process.wait(10)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/_sim/state").is_success
    except httpx.HTTPError:
        return False


@dataclass
class Turns:
    """Who works when. One house at a time `starts`, and nobody calls before all have started; then one at a time
    `talks`, with all its callers at once: what a house asks within its greeting has a second, which a machine that does
    all this fourfold does not have. What comes after that is waiting, and all wait together."""

    starts: Lock = field(default_factory=Lock)
    all_started: Barrier = field(default_factory=lambda: Barrier(len(SYSTEMS)))
    talks: Lock = field(default_factory=Lock)


def live_through(system: str, folder: Path, turns: Turns) -> Provider:
    """A house and its evening."""
    rtp = 46000 + 500 * SYSTEMS.index(system)
    with ExitStack() as stack:
        stack.callback(turns.all_started.abort)  # the others need not wait for one that cannot start
        with turns.starts:
            port, control = stack.enter_context(simulator(system, folder / f"{system}.log"))
            given = {name.removeprefix("PROSA_").lower(): text for name, text in settings_for(system, port).items()}
            house = start_house(folder / system, rtp_first_port=rtp, rtp_last_port=rtp + 499, agi_workers=1, **given)
            stack.callback(stop_house, house)
        turns.all_started.wait(len(SYSTEMS) * READY_S)
        one = Provider(house, control)
        with turns.talks:
            asyncio.run(tells_stories(one))
        asyncio.run(has_a_slow_system(one))
        return one


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Provider]:
    """After the evening: what was heard and written down is still there."""
    folder, turns = tmp_path_factory.mktemp("providers"), Turns()
    with ThreadPoolExecutor(len(SYSTEMS)) as threads:
        lived = {system: threads.submit(live_through, system, folder, turns) for system in SYSTEMS}
    troubles = [trouble for each in lived.values() if (trouble := each.exception())]
    for trouble in sorted(troubles, key=lambda each: isinstance(each, BrokenBarrierError)):
        raise trouble  # why one did not start, rather than that the others waited for it
    return {system: each.result() for system, each in lived.items()}


# -- the stories


STORIES: dict[str, tuple[Story, tuple[str, ...]]] = {
    "overdue": (partial(stories.overdue, to_the_end=False), SYSTEMS),
    "outage": (stories.outage, SYSTEMS),
    "blocked": (stories.blocked, SYSTEMS),
    "two contracts": (stories.two_contracts, SYSTEMS),
    "in order": (stories.in_order, SYSTEMS),
    "company": (stories.company, SYSTEMS),
    "LOS": (stories.los, ("sgp", "hubsoft", "ixc")),
    "LOS by its lights": (stories.los_by_its_lights, ("mkauth",)),  # which tells nothing of the line
    "weak signal": (stories.weak_signal, ("sgp", "ixc")),  # HubSoft tells alarms, no power
}


async def about_to_ask(house: House, phone: Caller) -> Told:
    told = await ring(house, phone, "overdue")
    await told.dials(BILLING)
    await told.is_known()
    await told.hears(MINE)
    return told


async def invoices_after_all(told: Told) -> Told:
    """Late, and true all the same."""
    await told.call.press("1")
    await told.hears("system.one_moment", "invoices.found")
    await told.call.hang_up()
    return told


async def no_invoices(told: Told) -> Told:
    """What cannot be looked up is not "nothing": it is promised for later, with the protocol."""
    await told.call.press("1")
    await told.hears("system.one_moment", "invoices.failed")
    await told.turn("send_invoice.oldest", "1")
    await told.hears("send_invoice.later", "protocol.intro")
    await told.call.hang_up()
    return told


async def about_to_wish(house: House, phone: Caller) -> Told:
    told = await ring(house, phone, "blocked")
    await told.dials(BILLING)
    await told.is_known()
    await told.turn(MINE, "2")
    await told.hears("unlock.confirm")
    return told


async def wish(told: Told) -> Told:
    """Not done, not refused: written down, under the call's protocol."""
    await told.call.press(YES)
    await told.hears("system.one_moment", "unlock.queued", "protocol.intro", "end.anything_else")
    await told.call.hang_up()
    return told


async def newcomer(house: House, phone: Caller, story: str) -> Told:
    """Nobody knows who calls; what needs no system is still there."""
    told = await ring(house, phone, story)
    await told.dials(BILLING)
    if not can(house, "find_by_phone"):
        await told.keys_document("identify.how")
    await told.hears("identify.failed", MINE)
    await told.call.hang_up()
    return told


# -- the evening


async def tells_stories(one: Provider) -> None:
    async with one.house.caller() as first, one.house.caller() as second, one.house.caller() as third:
        phones = cycle((first, second, third))
        await asyncio.gather(
            *(
                one.tell(name, story(one.house, phone))
                for (name, (story, told_by)), phone in zip(STORIES.items(), phones, strict=False)
                if one.house.settings.erp in told_by
            )
        )
        one.done = one.state()
        await one.next_month()


async def has_a_slow_system(one: Provider) -> None:
    async with one.house.caller() as first, one.house.caller() as second:
        await is_slow(one, first)
        await stalls(one, first, second)
        await recovers(one)
        one.fault("refuse")
        await one.tell("away", newcomer(one.house, first, "suspended"))
        one.done_later = one.state()
        await tell_figures(one)


async def is_slow(one: Provider, phone: Caller) -> None:
    """The answer is there at last: within what a question may take, and long after a caller has begun to wonder."""
    await one.tell("slow", about_to_ask(one.house, phone))
    one.fault("stall_after", seconds=SLOW_S, times=1)
    await one.go_on("slow", invoices_after_all)
    one.fault("none")


async def stalls(one: Provider, first: Caller, second: Caller) -> None:
    """Two callers are about to ask something when the system begins to stall; a third one dials then."""
    await asyncio.gather(
        one.tell("invoices", about_to_ask(one.house, first)), one.tell("wish", about_to_wish(one.house, second))
    )
    one.fault("stall", seconds=STALL_S)
    await asyncio.gather(
        one.go_on("invoices", no_invoices),
        one.go_on("wish", wish),
        one.tell("newcomer", newcomer(one.house, first, "offline")),
    )


async def recovers(one: Provider) -> None:
    """The system is well again, and what was wished for is asked for again."""
    if isinstance(one.told["wish"], Exception) or isinstance(one.told["invoices"], Exception):
        return

    async def given_up() -> bool:
        wish, copy = await newest_wish(one), await promised_copy(one)
        wish_waits = wish.state is ErpRequestState.QUEUED and wish.attempts > 0
        return wish_waits and copy.state is OutboxState.QUEUED and copy.attempts > 0

    async def settled() -> ErpRequest | None:
        await one.now_and_then()
        found = await newest_wish(one)
        return found if found.state in (ErpRequestState.DONE, ErpRequestState.FAILED) else None

    await eventually(given_up, STALL_S + ASKED_S)
    one.fault("none")
    one.wish = await eventually(settled, RESTS_S + ASKED_S)

    async def sent() -> OutboxMessage | None:
        await one.now_and_then()
        found = await promised_copy(one)
        return found if found.state in (OutboxState.SENT, OutboxState.FAILED) else None

    one.copy = await eventually(sent, RESTS_S + ASKED_S)


async def newest_wish(one: Provider) -> ErpRequest:
    """The one of the story before was granted."""
    unlocks = select(ErpRequest).where(ErpRequest.operation == Operation.TRUST_UNLOCK)
    async with one.house.sessions() as session:
        return (await session.scalars(unlocks.order_by(ErpRequest.created_at.desc()).limit(1))).one()


async def promised_copy(one: Provider) -> OutboxMessage:
    """The one of whoever asked for invoices that nobody could look up."""
    copies = select(OutboxMessage).where(OutboxMessage.kind == "invoice")
    async with one.house.sessions() as session:
        return (await session.scalars(copies.order_by(OutboxMessage.created_at.desc()).limit(1))).one()


async def tell_figures(one: Provider) -> None:
    """Once they tell of the last caller's failure: each process writes them down every few seconds."""

    async def of_the_last_call() -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{one.house.settings.http_port}/metrics")
        return answer.text if asked(answer.text, "agi", "find_by_", "failed") >= 2 else ""

    one.figures = await eventually(of_the_last_call)


def asked(figures: str, door: str, operation: str, outcome: str) -> float:
    """How often this door's processes asked an operation (or those that begin so) with this outcome."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(figures)
        for sample in family.samples
        if sample.name == "ura_erp_calls_total"
        and sample.labels["process"].startswith(door)
        and sample.labels["operation"].startswith(operation)
        and sample.labels["outcome"] == outcome
    )


# -- what they heard, and what was done


@pytest.mark.parametrize(
    ("name", "system"), [(name, each) for name, (_, tellers) in STORIES.items() for each in tellers]
)
def test_a_story_ends_the_same_on_every_system(providers: dict[str, Provider], system: str, name: str) -> None:
    providers[system].heard(name)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_the_stories_changed_was_changed_once(providers: dict[str, Provider], system: str) -> None:
    one = providers[system]
    blocked = one.heard("blocked").person.contracts[0].contract.number
    assert one.done["unlocks"] == [blocked]
    visits = [name for name in ("LOS", "weak signal") if system in STORIES[name][1]]
    assert len(one.done["orders"]) == len(visits)
    assert one.done["tickets"] == []


@pytest.mark.parametrize("system", SYSTEMS)
async def test_the_second_copy_is_the_invoice_of_that_system(providers: dict[str, Provider], system: str) -> None:
    told = providers[system].heard("overdue")
    oldest = min(told.person.contracts[0].invoices, key=lambda each: each.invoice.due_on)
    async with told.house.sessions() as session:
        ours = select(OutboxMessage).join(Call, Call.id == OutboxMessage.call_id).where(Call.caller == told.caller)
        sent, _later = (await session.scalars(ours.order_by(OutboxMessage.created_at))).all()
    assert sent.state is OutboxState.SENT
    assert oldest.payload.line in sent.text
    assert oldest.payload.pix in sent.text


@pytest.mark.parametrize("name", ["invoices", "wish", "newcomer"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_who_waits_for_a_stalled_system_hears_something_soon_and_then_the_truth(
    providers: dict[str, Provider], system: str, name: str
) -> None:
    told = providers[system].heard(name)
    truth = {"invoices": "invoices.failed", "wish": "unlock.queued", "newcomer": "identify.failed"}[name]
    assert waited_s(told, "system.one_moment") <= SOON_S
    assert began(told, truth) - began(told, "system.one_moment") <= ASKED_S
    told.never("invoices.none", "unlock.granted", "unlock.not_blocked", "identify.not_found", "identify.missed")


@pytest.mark.parametrize("system", SYSTEMS)
def test_who_waits_for_a_slow_system_hears_something_soon_and_then_the_answer(
    providers: dict[str, Provider], system: str
) -> None:
    told = providers[system].heard("slow")
    assert waited_s(told, "system.one_moment") <= SOON_S
    [*_, (asked_at, _)] = told.call.keys
    assert SLOW_S <= began(told, "invoices.found") - asked_at <= ASKED_S
    told.never("invoices.none", "invoices.failed", "identify.failed")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_that_is_away_is_never_no_debt(providers: dict[str, Provider], system: str) -> None:
    told = providers[system].heard("away")
    told.never("invoices.", "unlock.", "identify.not_found", "identify.missed")


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_wish_that_nobody_answered_is_kept_and_done_once(providers: dict[str, Provider], system: str) -> None:
    one = providers[system]
    told = one.heard("wish")
    assert one.wish is not None
    assert one.wish.protocol == told.digits(after="protocol.intro")
    assert one.wish.state is ErpRequestState.DONE
    assert one.wish.attempts > 1
    assert one.wish.result is not None
    assert one.wish.result["verdict"] == "granted"
    assert one.done_later["unlocks"] == [told.person.contracts[0].contract.number]
    async with told.house.sessions() as session:
        news = select(OutboxMessage).where(OutboxMessage.call_id == one.wish.call_id)
        [message] = (await session.scalars(news)).all()
    assert (message.kind, message.to) == ("erp_result", told.caller)


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_invoice_that_nobody_could_look_up_goes_out_when_the_system_is_well(
    providers: dict[str, Provider], system: str
) -> None:
    one = providers[system]
    told = one.heard("invoices")
    told.never("send_invoice.sent", "invoices.none")
    oldest = min(told.person.contracts[0].invoices, key=lambda each: each.invoice.due_on)
    assert one.copy is not None
    assert one.copy.state is OutboxState.SENT
    assert one.copy.attempts > 1
    assert oldest.payload.line in one.copy.text


def began(told: Told, key: str) -> float:
    """The moment at which a prompt was heard last."""
    return max(told.call.moment(one.started_s) for one in told.call.hearings() if one.key == told.call.same(key))


def waited_s(told: Told, key: str) -> float:
    """How long nothing was heard before a prompt: since the one before it, or the caller's own key."""
    first = next(n for n, one in enumerate(told.call.hearings()) if one.key == told.call.same(key))
    *_, before, found = told.call.hearings()[: first + 1]
    at = told.call.moment(found.started_s)
    return at - max(told.call.moment(before.ended_s), *(pressed for pressed, _ in told.call.keys if pressed < at))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_figures_tell_of_failures_in_the_call_and_in_the_worker(
    providers: dict[str, Provider], system: str
) -> None:
    figures = providers[system].figures
    assert asked(figures, "agi", "open_invoices", "answered") > 0
    assert asked(figures, "agi", "open_invoices", "failed") > 0
    assert asked(figures, "worker", "trust_unlock", "failed") > 0
    assert asked(figures, "worker", "trust_unlock", "answered") == 2
