"""From the journal into the database: nothing lost, nothing twice, whatever dies in between."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from ura import journal
from ura.db import Sessions, make_engine, make_sessions
from ura.journal import Journal
from ura.models import Call, CallStep, Ticket
from ura.models.journal_offset import JournalOffset
from worker.projector import LOOK_FOR_DEAD_EVERY, TOGETHER_S, Projector

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).isoformat()


def _call_id(number: int) -> str:
    return f"{number:032x}"


def _opened(number: int) -> dict[str, Any]:
    return {
        "call_id": _call_id(number),
        "uniqueid": f"1700000000.{number}",
        "linkedid": f"1700000000.{number}",
        "protocol": f"26326{number:07d}",
        "caller": "+5511987654321",
        "did": "551133330001",
        "door": "flow",
        "flow_key": "provedor",
        "flow_version": 1,
        "opened_at": AT,
    }


def _ticket(number: int) -> dict[str, Any]:
    return {
        "ticket_id": f"{number:032x}",
        "call_id": _call_id(number),
        "protocol": f"26326{number:07d}",
        "category": "complaint",
        "summary": "x",
        "phone": "+5511987654321",
        "queue": "l1",
        "at": AT,
    }


def _write_calls(writer: Journal, numbers: range) -> None:
    for number in numbers:
        writer.append("call_opened", _call_id(number), _opened(number))
        for seq in range(3):
            step = {"call_id": _call_id(number), "seq": seq, "node": "menu", "event": "DigitsEntered"}
            writer.append("call_step", f"{_call_id(number)}:{seq}", {**step, "detail": {"keys": "1"}, "at": AT})
        writer.append("ticket_opened", f"{number:032x}", _ticket(number))


async def _drain(projector: Projector) -> None:
    while await projector.step():
        pass


async def _counts(sessions: Sessions) -> tuple[int, int, int]:
    async with sessions() as session:
        calls, steps, tickets = [
            await session.scalar(select(func.count()).select_from(table)) or 0 for table in (Call, CallStep, Ticket)
        ]
    return calls, steps, tickets


async def test_calls_reach_the_database_once_and_the_file_of_a_dead_writer_goes(
    sessions: Sessions, tmp_path: Path
) -> None:
    folder = tmp_path / "journal"
    writer = Journal(folder, "agi")
    _write_calls(writer, range(20))
    await writer.sync()
    await _drain(Projector(folder, sessions))
    assert await _counts(sessions) == (20, 60, 20)
    assert journal.files(folder) == [writer.path]
    writer.close()
    await _drain(Projector(folder, sessions))  # a new worker asks the database where the last one stopped
    assert await _counts(sessions) == (20, 60, 20)
    assert journal.files(folder) == []


async def test_a_file_that_does_not_grow_is_seldom_opened_and_one_that_grows_at_once(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    is_abandoned = journal.is_abandoned
    monkeypatch.setattr(journal, "is_abandoned", lambda path: opened.append(path) or is_abandoned(path))
    writer = Journal(tmp_path, "agi")
    projector = Projector(tmp_path, sessions)
    _write_calls(writer, range(1))
    await _drain(projector)
    opened.clear()
    for _ in range(3 * LOOK_FOR_DEAD_EVERY):
        await projector.step()
    assert len(opened) == 3
    _write_calls(writer, range(1, 2))
    assert await projector.step() == 5
    writer.close()
    for _ in range(LOOK_FOR_DEAD_EVERY):
        await projector.step()
    assert journal.files(tmp_path) == []


async def test_what_comes_within_half_a_second_shares_a_transaction_unless_somebody_waits(
    sessions: Sessions, tmp_path: Path
) -> None:
    now = 0.0
    woken = asyncio.Event()
    projector = Projector(tmp_path, sessions, {"ticket_opened": woken}, clock=lambda: now)
    writer = Journal(tmp_path, "agi")
    assert projector.is_time()
    writer.append("call_opened", _call_id(1), _opened(1))
    await projector.step()
    assert not projector.is_time()
    writer.append("call_opened", _call_id(2), _opened(2))
    assert not projector.is_time()
    writer.append("ticket_opened", f"{2:032x}", _ticket(2))
    assert projector.is_time()
    await projector.step()
    assert woken.is_set()
    writer.append("call_opened", _call_id(3), _opened(3))
    assert not projector.is_time()
    now = TOGETHER_S
    assert projector.is_time()
    writer.close()


async def test_applying_everything_again_changes_nothing(sessions: Sessions, tmp_path: Path) -> None:
    """A restored database or a copied journal: the place is lost, the ids still say what is there."""
    first = Journal(tmp_path / "a", "agi")
    _write_calls(first, range(5))
    await _drain(Projector(tmp_path / "a", sessions))
    copy = tmp_path / "b" / "copy-1-1.journal"
    copy.parent.mkdir()
    copy.write_bytes(first.path.read_bytes())
    first.close()
    await _drain(Projector(tmp_path / "b", sessions))
    assert await _counts(sessions) == (5, 15, 5)


async def test_a_record_at_fault_is_put_aside_and_the_others_arrive(sessions: Sessions, tmp_path: Path) -> None:
    writer = Journal(tmp_path, "agi")
    _write_calls(writer, range(2))
    writer.append("ticket_opened", "broken", {"ticket_id": "x"})
    writer.append("no_such_kind", "strange", {})
    _write_calls(writer, range(2, 4))
    await _drain(Projector(tmp_path, sessions))
    assert await _counts(sessions) == (4, 12, 4)
    bad = writer.path.with_suffix(".bad").read_bytes().splitlines()
    assert [record.key for line in bad if (record := journal.decode(line))] == ["broken", "strange"]
    writer.close()


def _with_a_defect(original: Callable[..., Awaitable[Any]], about: str) -> Callable[..., Awaitable[Any]]:
    async def fails_for_one(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> Any:
        if any(about in (row.get("id"), row.get("subject")) for row in rows):
            raise RuntimeError("a defect of ours")
        return await original(session, rows)

    return fails_for_one


@pytest.mark.parametrize("place", ["ticket_clock.wound_up", "erp_requests.mirror_tickets", "domain_events.record_rows"])
async def test_a_defect_of_ours_in_what_hangs_on_a_record_puts_that_one_aside_and_the_others_arrive(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Deadlines, the provider's own system, other programs: none of them may keep calls from the database."""
    module, name = place.split(".")
    original, fatal = getattr(import_module(f"ura.{module}"), name), f"{100:032x}"
    monkeypatch.setattr(f"ura.{place}", _with_a_defect(original, fatal))
    writer = Journal(tmp_path, "agi")
    _write_calls(writer, range(2))
    writer.append("ticket_opened", fatal, {**_ticket(100), "call_id": None, "contract_id": "7"})
    _write_calls(writer, range(2, 4))
    with capture_logs() as logs:
        await _drain(Projector(tmp_path, sessions, mirror=True))
    assert await _counts(sessions) == (4, 12, 4)
    [line] = writer.path.with_suffix(".bad").read_bytes().splitlines()
    record = journal.decode(line)
    assert record
    assert record.key == fatal
    assert [(each["key"], each["error"]) for each in logs if each["event"] == "journal record put aside"] == [
        (fatal, "RuntimeError")
    ]
    _write_calls(writer, range(4, 5))
    await _drain(Projector(tmp_path, sessions, mirror=True))
    assert await _counts(sessions) == (5, 15, 5)
    writer.close()


async def test_a_half_written_last_record_is_reported_and_the_rest_drained(sessions: Sessions, tmp_path: Path) -> None:
    writer = Journal(tmp_path, "agi")
    _write_calls(writer, range(3))
    writer.close()
    with writer.path.open("ab") as file:
        file.write(b'deadbeef ["ticket_op')
    await _drain(Projector(tmp_path, sessions))
    assert await _counts(sessions) == (3, 9, 3)
    assert writer.path.with_suffix(".bad").read_bytes().startswith(b"deadbeef")
    assert journal.files(tmp_path) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_is_away_is_waited_for(sessions: Sessions, database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    writer = Journal(folder, "agi")
    file = Path(database_url.removeprefix("sqlite+aiosqlite:///"))
    away = make_engine(f"sqlite+aiosqlite:///{tmp_path}/not/there/prosa.db")
    _write_calls(writer, range(3))
    running = asyncio.create_task(Projector(folder, make_sessions(away)).run())
    await asyncio.sleep(0)
    assert journal.waiting(folder, {}) == 15
    (tmp_path / "not" / "there").mkdir(parents=True)
    (tmp_path / "not" / "there" / "prosa.db").write_bytes(file.read_bytes())
    back = make_sessions(away)
    async with asyncio.timeout(10):
        while await _counts(back) != (3, 9, 3):
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await away.dispose()
    writer.close()


A_DAY, WRITERS = 24 * 60, 3  # a call a minute


async def test_a_day_without_a_database_is_drained_whole_in_order_and_once(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R37. Three workers' files, many each; every tenth call went on with another worker, and each queued twice. Who
    drains is started again and again, and is given some files a second time under another name."""
    monkeypatch.setattr(journal, "ROTATE_AT_BYTES", 80_000)
    monkeypatch.setattr(journal, "READ_AT_MOST_BYTES", 30_000)
    folder, began = tmp_path / "journal", datetime(2026, 11, 22, tzinfo=UTC)
    writers, lines = [Journal(folder, f"agi{number}") for number in range(WRITERS)], 0
    for number in range(A_DAY):
        first, then = writers[number % WRITERS], writers[(number + (number % 10 == 0)) % WRITERS]
        moment = began + timedelta(minutes=number)
        told = [
            (first, "call_opened", _call_id(number), {**_opened(number), "opened_at": moment.isoformat()}),
            *((then if seq else first, *_step(number, seq, moment)) for seq in range(3)),
            (first, "call_queued", _call_id(number), _queued(number, "l1", moment, 40)),
            (then, "ticket_opened", f"{number:032x}", {**_ticket(number), "at": moment.isoformat()}),
            (then, "call_queued", _call_id(number), _queued(number, "vendas", moment, 50)),
            (then, "call_closed", _call_id(number), _closed(number, moment)),
        ]
        for writer, kind, key, data in told:
            writer.append(kind, key, data)
        lines += len(told)
        if number % 20 == 0:
            for writer in writers:
                await writer.sync()
    files = journal.files(folder)
    assert min(sum(file.name.startswith(f"agi{number}-") for file in files) for number in range(WRITERS)) >= 3
    assert journal.waiting(folder, {}) == lines == A_DAY * 8  # what the panel says
    for file in files[::4]:  # as a restored disk might have them
        (folder / f"again-1-{file.name.rsplit('-', 1)[1]}").write_bytes(file.read_bytes())
    for writer in writers:
        writer.close()

    left = [journal.waiting(folder, {})]
    while left[-1]:
        projector = Projector(folder, sessions)
        for _ in range(4):
            await projector.step()
        async with sessions() as session:
            offsets = {row.file: row.offset for row in await session.scalars(select(JournalOffset))}
        left.append(journal.waiting(folder, offsets))
        assert left[-1] < left[-2]
    await Projector(
        folder, sessions
    ).step()  # which finds that nothing is left in them, and that their writers are gone

    assert await _counts(sessions) == (A_DAY, 3 * A_DAY, A_DAY)
    async with sessions() as session:
        calls = list(await session.scalars(select(Call).order_by(Call.opened_at)))
        steps = list(await session.scalars(select(CallStep).order_by(CallStep.call_id, CallStep.seq)))
        numbers = set(await session.scalars(select(Ticket.protocol)))
    assert [call.id for call in calls] == [_call_id(number) for number in range(A_DAY)]
    assert {(call.queue, str(call.outcome), call.last_node) for call in calls} == {("vendas", "done", "end")}
    assert all(call.ended_at - call.opened_at == timedelta(minutes=1) for call in calls if call.ended_at)
    assert all(call.ended_at for call in calls)
    assert [(step.call_id, step.seq) for step in steps] == [(call.id, seq) for call in calls for seq in range(3)]
    assert all(early.at <= late.at for early, late in pairwise(steps))
    assert len(numbers) == A_DAY
    assert list(folder.iterdir()) == []


def _step(number: int, seq: int, moment: datetime) -> tuple[str, str, dict[str, Any]]:
    at = (moment + timedelta(seconds=10 * seq)).isoformat()
    data = {"call_id": _call_id(number), "seq": seq, "node": "menu", "event": "digits", "detail": {}, "at": at}
    return "call_step", f"{_call_id(number)}:{seq}", data


def _queued(number: int, queue: str, moment: datetime, after_s: int) -> dict[str, Any]:
    return {"call_id": _call_id(number), "queue": queue, "at": (moment + timedelta(seconds=after_s)).isoformat()}


def _closed(number: int, moment: datetime) -> dict[str, Any]:
    ended_at = (moment + timedelta(minutes=1)).isoformat()
    return {"call_id": _call_id(number), "outcome": "done", "ended_at": ended_at, "last_node": "end"}


def _project_until_killed(folder: Path, url: str) -> None:
    async def main() -> None:
        projector = Projector(folder, make_sessions(make_engine(url)))
        await projector.run()

    asyncio.run(main())


async def test_a_worker_killed_at_any_moment_loses_and_doubles_nothing(
    sessions: Sessions, database_url: str, tmp_path: Path
) -> None:
    """kill -9 again and again while it drains; the database says how far each got."""
    folder = tmp_path / "journal"
    writer = Journal(folder, "agi")
    chance = random.Random(7)
    for turn in range(8):
        _write_calls(writer, range(turn * 50, turn * 50 + 50))
        pid = os.fork()
        if pid == 0:
            try:
                _project_until_killed(folder, database_url)
            finally:
                os._exit(1)
        await asyncio.sleep(chance.uniform(0.02, 0.5))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    await _drain(Projector(folder, sessions))
    assert await _counts(sessions) == (400, 1200, 400)
    writer.close()
