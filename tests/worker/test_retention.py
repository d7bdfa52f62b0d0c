"""R62: the clock moved 89 and 91 days, six months, five years: each class goes on its own day and not before."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update

from tests.factories import NOON, call_closed, call_opened, call_step, lead_saved, make_id, make_record, ticket_opened
from tests.fake_erp import FakeErp
from ura import call_lists, legal_holds, purges, ticket_moves, tickets
from ura.crypto import Keyring
from ura.db import Sessions
from ura.journal import Record
from ura.models import (
    Call,
    CallStep,
    HoldKind,
    Lead,
    LeadStatus,
    Purge,
    Recording,
    SurveyAnswer,
    Ticket,
    TicketEvent,
)
from ura.people import named
from ura.projection import apply_batch
from ura.purges import PurgeLogIsAppendOnly
from ura.settings import Settings
from ura.ticket_rules import Close
from ura.users import Actor, Permission
from worker.retention import Retention

PHONE = "+5511987654321"
ANA = Actor("ana", frozenset(Permission))


class House:
    """One call of today with its sound, its lead and its ticket, closed today; then time passes."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self.sessions, self.settings = sessions, settings
        self.erp = FakeErp()
        self.folder = settings.recordings_dir
        self.folder.mkdir(parents=True)

    async def call(self, *, at: datetime = NOON, closed: datetime | None = NOON, phone: str = PHONE) -> dict[str, str]:
        ids = {name: make_id() for name in ("call", "ticket", "lead", "recording")}
        call = ids["call"]
        await self.write(
            call_opened(call, at=at, caller=phone),
            call_step(call, 1, at=at),
            call_closed(call, at=at),
            ticket_opened(ids["ticket"], at=at, call_id=call, phone=phone),
            lead_saved(ids["lead"], "abandoned", at=at, call_id=call, phone=phone),
            make_record("recording_saved", call_id=call, recording_id=ids["recording"], path=f"{ids['recording']}.wav",
                        seconds=2.0, at=at),
            make_record("survey_answered", call_id=call, answer_id=make_id(), question="csat", value="5", at=at),
        )  # fmt: skip
        self.sound(ids).write_bytes(b"RIFF")
        if closed:
            async with self.sessions.begin() as session:
                ticket = await tickets.get_ticket(session, ids["ticket"])
                await ticket_moves.move(session, ticket, Close(text="Pronto"), actor=ANA, now=closed)
        return ids

    async def write(self, *records: Record) -> None:
        async with self.sessions.begin() as session:
            await apply_batch(session, records)

    def sound(self, ids: dict[str, str]) -> Path:
        return self.folder / f"{ids['recording']}.wav"

    async def after(self, days: float, *, at_once: int = 200) -> "dict[str, int]":
        """What is there when so many days have passed since NOON, and the worker has looked."""
        now = NOON + timedelta(days=days)
        await Retention(self.sessions, self.erp, self.settings, at_once=at_once, now=lambda: now).step()
        return await self.left()

    async def left(self) -> "dict[str, int]":
        async with self.sessions() as session:
            counted = {
                model.__tablename__: await session.scalar(select(func.count()).select_from(model)) or 0
                for model in (Call, CallStep, SurveyAnswer, Ticket, TicketEvent, Lead, Recording)
            }
        counted["sound"] = len(list(self.folder.iterdir()))
        return counted

    async def hold(self, kind: HoldKind, subject: str = "", phone: str = "") -> str:
        keyring = Keyring.of(self.settings)
        async with self.sessions.begin() as session:
            hold = await legal_holds.set_hold(
                session,
                hold_id=make_id(),
                kind=kind,
                subject=subject,
                person=named(phone=phone) if phone else None,
                reason="Processo 0001234-56.2027",
                actor="ana",
                keyring=keyring,
                now=NOON,
            )
        return hold.id


ALL = {
    "call": 1,
    "call_step": 1,
    "survey_answer": 1,
    "ticket": 1,
    "ticket_event": 2,
    "lead": 1,
    "recording": 1,
    "sound": 1,
}
NONE = dict.fromkeys(ALL, 0)


@pytest.fixture
async def house(sessions: Sessions, settings: Settings) -> House:
    return House(sessions, settings)


async def test_each_class_goes_on_its_own_day_and_not_before(house: House) -> None:
    await house.call()
    assert await house.after(89) == ALL
    without_sound = ALL | {"recording": 0, "sound": 0}
    assert await house.after(91) == without_sound
    assert await house.after(182) == without_sound
    assert await house.after(364) == without_sound
    without_lead = without_sound | {"lead": 0}
    assert await house.after(366) == without_lead
    assert await house.after(2 * 365 + 1) == without_lead
    assert await house.after(1825) == without_lead
    assert await house.after(1827) == NONE
    async with house.sessions() as session:
        lines = [(line.kind, line.rows, line.on_day) for line in reversed(await purges.list_purges(session))]
        assert await purges.find_break(session) is None
    day = NOON.date()
    assert lines == [
        ("recordings", 1, day + timedelta(days=91)),
        ("leads", 1, day + timedelta(days=366)),
        ("tickets", 1, day + timedelta(days=1827)),
        ("calls", 1, day + timedelta(days=1827)),
    ]


async def test_a_ticket_is_kept_from_its_solution_on_and_its_call_with_it(house: House) -> None:
    await house.call(closed=NOON + timedelta(days=300))
    kept = await house.after(1900)
    assert (kept["ticket"], kept["call"], kept["call_step"]) == (1, 1, 1)
    gone = await house.after(2127)
    assert (gone["ticket"], gone["call"], gone["call_step"]) == (0, 0, 0)


async def test_an_open_ticket_is_never_too_old(house: House) -> None:
    await house.call(closed=None)
    kept = await house.after(4000)
    assert (kept["ticket"], kept["call"]) == (1, 1)


async def test_the_recording_of_a_call_that_led_to_a_contract_stays_as_long_as_the_contract_may_be_asked_for(
    house: House,
) -> None:
    ids = await house.call()
    async with house.sessions.begin() as session:
        await session.execute(update(Lead).where(Lead.id == ids["lead"]).values(status=LeadStatus.CONTRACT))
    assert (await house.after(1825))["sound"] == 1
    assert (await house.after(1827))["sound"] == 0


@pytest.mark.parametrize("kind", list(HoldKind))
async def test_what_is_held_stays_until_the_hold_is_lifted(house: House, kind: HoldKind) -> None:
    ids = await house.call()
    other = await house.call(phone="+5511987650000")
    hold_id = await house.hold(kind, ids.get(kind.value, ""), phone=PHONE if kind is HoldKind.PERSON else "")
    left = await house.after(4000)
    expected = {
        HoldKind.PERSON: ALL,
        HoldKind.TICKET: ALL | {"lead": 0},
        HoldKind.RECORDING: ALL | {"lead": 0, "ticket": 0, "ticket_event": 0},
    }
    assert left == expected[kind]
    assert house.sound(ids).exists()
    assert not house.sound(other).exists()
    async with house.sessions.begin() as session:
        hold = await legal_holds.get_hold(session, hold_id)
        assert await legal_holds.lift(session, hold, actor="rui", now=NOON)
        assert not await legal_holds.lift(session, hold, actor="rui", now=NOON)
    assert await house.after(4000) == NONE


async def test_who_is_held_by_a_document_is_asked_for_first_and_nothing_goes_while_nobody_answers(
    house: House,
) -> None:
    story = house.erp.world.subscribers[0].subscriber
    await house.call(phone=story.phones[0])
    keyring = Keyring.of(house.settings)
    async with house.sessions.begin() as session:
        await legal_holds.set_hold(
            session, hold_id=make_id(), kind=HoldKind.PERSON, person=named(document=story.document), reason="Procon",
            actor="ana", keyring=keyring, now=NOON,
        )  # fmt: skip
    house.erp.down = True
    assert await house.after(4000) == ALL
    house.erp.down = False
    assert await house.after(4000) == ALL
    house.erp.down = True  # it is remembered whose numbers these are
    assert await house.after(4001) == ALL


async def test_a_crash_between_the_sound_and_its_row_leaves_no_orphan(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies before the commit: the sound is gone, the row is taken away at the next turn, with its line."""
    await house.call()

    async def dies(*_: object, **__: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(purges, "record", dies)
        with pytest.raises(OSError, match="killed"):
            await house.after(91)
    between = await house.left()
    assert (between["sound"], between["recording"]) == (0, 1)
    after = await house.after(91)
    assert (after["sound"], after["recording"]) == (0, 0)
    async with house.sessions() as session:
        assert [line.rows for line in await purges.list_purges(session)] == [1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sound_that_no_row_knows_goes_when_the_longest_time_is_over(house: House) -> None:
    lost = house.folder / f"{make_id()}.wav"
    lost.write_bytes(b"RIFF")
    written = lost.stat().st_mtime
    days = (written - NOON.timestamp()) / 86_400
    assert (await house.after(days + 1825))["sound"] == 1
    assert (await house.after(days + 1827))["sound"] == 0


async def test_many_go_a_few_at_a_time(house: House) -> None:
    for _ in range(5):
        await house.call()
    assert await house.after(4000, at_once=2) == NONE
    async with house.sessions() as session:
        rows = [line.rows for line in await purges.list_purges(session) if line.kind == "calls"]
    assert rows == [1, 2, 2]


async def test_a_line_of_the_purge_log_that_was_touched_is_found(house: House) -> None:
    await house.call()
    await house.after(4000)
    async with house.sessions.begin() as session:
        line = (await session.scalars(select(Purge).order_by(Purge.id))).first()
        assert line is not None
        with pytest.raises(PurgeLogIsAppendOnly):
            await session.execute(update(Purge).values(rows=7))
        await session.execute(text(f"UPDATE purge SET rows = 7 WHERE id = {line.id}"))  # past us, in the database
        found = line.id
    async with house.sessions() as session:
        assert await purges.find_break(session) == found


async def test_asterisks_own_list_goes_with_its_time_and_is_in_the_purge_log(house: House) -> None:
    """It has callers' numbers, too."""
    file = house.settings.state_dir / call_lists.LIST
    file.parent.mkdir(parents=True)
    file.write_text("a call\nand another\n")
    os.utime(file, (NOON.timestamp(), NOON.timestamp()))
    await house.after(1)
    assert [each.read_text() for each in file.parent.iterdir()] == ["a call\nand another\n"]
    assert not file.exists()
    await house.after(91)
    assert not list(file.parent.iterdir())
    async with house.sessions() as session:
        assert [(each.kind, each.rows) for each in await purges.list_purges(session)] == [("asterisks_list", 2)]
