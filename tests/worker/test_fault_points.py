"""R35: kill -9 at every point of "open a ticket", from the journal's first byte to the database's last.

A forked process does it all and is killed at its n-th point: n = 1, 2, 3 … until it gets through. A point is just
before and just after each wait (of the act and of the projector) and each call that touches the disk. What the next
start makes of it must be a ticket that is wholly there or not there at all, and there when its protocol was spoken.
"""

import asyncio
import os
import signal
import traceback
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.conftest import run_apart
from ura.acts import Acts
from ura.call_ids import call_id
from ura.db import make_engine, make_sessions
from ura.journal import Journal
from ura.models import Ticket, TicketEvent
from worker.projector import Projector

MOST_POINTS = 2000
TOUCHES_DISK = ("write", "fdatasync", "rename", "unlink", "replace")


@dataclass
class Points:
    """Counts; at the n-th the process is gone, as with the power cut off."""

    fatal: int
    passed: int = 0

    def pass_one(self) -> None:
        self.passed += 1
        if self.passed == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.pass_one()
            result = function(*args, **kwargs)
            self.pass_one()
            return result

        return counted


class Watched:
    """Awaits the same, and passes a point before and after each suspension."""

    def __init__(self, inner: Awaitable[Any], points: Points) -> None:
        self.inner, self.points = inner, points

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.inner.__await__()
        sent: Any = None
        while True:
            try:
                waits_for = steps.send(sent)
            except StopIteration as end:
                return end.value
            self.points.pass_one()
            sent = yield waits_for
            self.points.pass_one()


@dataclass(frozen=True)
class Facts:
    call_id: str
    protocol: str = "263260000015"
    caller: str = "+5511987650001"


async def open_and_project(url: str, folder: Path, facts: Facts, points: Points, speak: int) -> None:
    """What the phone door and the worker do, in one process: record the call, open the ticket, say so, project."""
    journal = Journal(folder, "agi")
    engine = make_engine(url)
    try:
        journal.append("call_opened", facts.call_id, opened(facts))
        await Watched(Acts(journal, facts)("open_ticket", {"category": "complaint", "queue": "l1"}, key="1"), points)
        os.write(speak, b"spoken")
        journal.close()  # the writer is gone: its file is applied and removed
        projector = Projector(folder, make_sessions(engine))
        while await Watched(projector.step(), points) or any(folder.glob("*.journal")):
            pass
    finally:
        await engine.dispose()


def opened(facts: Facts) -> dict[str, Any]:
    names = {"uniqueid": "u1", "linkedid": "u1", "did": "551133330001", "door": "flow", "flow_key": "provedor"}
    at = {"flow_version": 1, "opened_at": "2026-11-22T09:00:00.000+00:00"}
    return {"call_id": facts.call_id, "protocol": facts.protocol, "caller": facts.caller, **names, **at}


def fork_and_die_at(fatal: int, url: str, folder: Path, facts: Facts) -> tuple[bool, bool]:
    """Whether the protocol was spoken, and whether the process got through to its end."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            points = Points(fatal)
            for name in TOUCHES_DISK:
                setattr(os, name, points.around(getattr(os, name)))
            asyncio.run(open_and_project(url, folder, facts, points, writing))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        spoken = pipe.read()
    _, status = os.waitpid(pid, 0)
    ended = os.waitstatus_to_exitcode(status)
    assert ended in (0, -signal.SIGKILL), "the process failed by itself; see its traceback"
    return spoken == b"spoken", ended == 0


async def start_again(url: str, folder: Path, facts: Facts) -> tuple[int, int]:
    """A fresh projector applies what there is; how many tickets, and how many events of them, are there now."""
    engine = make_engine(url)
    try:
        projector = Projector(folder, make_sessions(engine))
        while await projector.step() or any(folder.glob("*.journal")):
            pass
        async with make_sessions(engine)() as session:
            tickets = await session.scalar(select(func.count()).where(Ticket.call_id == facts.call_id))
            events = await session.scalar(
                select(func.count()).select_from(TicketEvent).join(Ticket).where(Ticket.call_id == facts.call_id)
            )
            return tickets or 0, events or 0
    finally:
        await engine.dispose()


@pytest.mark.timeout(240)
def test_a_ticket_is_whole_or_absent_wherever_the_process_is_killed(database_url: str, tmp_path: Path) -> None:
    found: list[tuple[bool, int]] = []
    for fatal in range(1, MOST_POINTS):
        facts = Facts(call_id(f"fault-{fatal}"), protocol=f"26326{fatal:07d}")
        folder = tmp_path / f"journal-{fatal}"
        spoken, through = fork_and_die_at(fatal, database_url, folder, facts)
        after: list[tuple[int, int]] = []

        async def look(folder: Path = folder, facts: Facts = facts, after: list[tuple[int, int]] = after) -> None:
            after.append(await start_again(database_url, folder, facts))

        run_apart(look())
        [(tickets, events)] = after
        assert tickets <= 1, f"point {fatal}: doubled"
        assert tickets == 1 or not spoken, f"point {fatal}: a protocol was spoken and there is no ticket"
        assert events == tickets, f"point {fatal}: half a ticket"
        assert list(folder.glob("*.bad")) == []
        found.append((spoken, tickets))
        if through:
            break
    assert found[-1] == (True, 1)  # it got through: every point before has been tried
    assert len(found) > 20
    assert (False, 0) in found  # killed before it was on disk
    assert (False, 1) in found  # on disk, not yet spoken: a ticket that nobody was told of is no harm
