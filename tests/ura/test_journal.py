"""The journal: what was acknowledged is there after any crash; what is damaged is put aside and reported."""

import asyncio
import errno
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from ura import journal
from ura.journal import Journal, JournalBroken


def _all(folder: Path) -> list[journal.Record]:
    return [record for path in journal.files(folder) for record in journal.read(path).records]


async def test_what_is_synced_can_be_read_back(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "agi")
    writer.append("call_step", "c1:1", {"keys": "1", "text": "José\nlinha\ud800"})
    await writer.sync()
    [record] = _all(tmp_path)
    assert (record.kind, record.key) == ("call_step", "c1:1")
    assert record.data["keys"] == "1"
    writer.close()


async def test_callers_who_wait_together_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Journal(tmp_path, "agi")
    real, syncs = os.fdatasync, 0

    def counted(fd: int) -> None:
        nonlocal syncs
        syncs += 1
        real(fd)

    monkeypatch.setattr(os, "fdatasync", counted)

    async def one(number: int) -> None:
        writer.append("ticket_opened", str(number), {})
        await writer.sync()

    await asyncio.gather(*(one(number) for number in range(100)))
    assert len(_all(tmp_path)) == 100
    assert syncs <= 2


def test_kill_9_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        writer = Journal(tmp_path, "agi")
        for number in range(500):
            writer.append("call_step", f"c:{number}", {})
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert [record.key for record in _all(tmp_path)] == [f"c:{number}" for number in range(500)]
    assert journal.is_abandoned(journal.files(tmp_path)[0])


def test_a_file_whose_writer_lives_is_not_abandoned(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "agi")
    assert not journal.is_abandoned(writer.path)
    writer.close()
    assert journal.is_abandoned(writer.path)


def test_a_half_line_waits_and_a_damaged_line_is_put_aside(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "agi")
    for number in range(3):
        writer.append("call_step", f"c:{number}", {"n": number})
    writer.close()
    lines = writer.path.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b'"n":1', b'"n":7')
    writer.path.write_bytes(b"\n".join(lines) + b"0000")
    batch = journal.read(writer.path)
    assert [record.key for record in batch.records] == ["c:0", "c:2"]
    assert batch.bad == [lines[1]]
    assert journal.read(writer.path, batch.next_offset) == journal.Batch(next_offset=batch.next_offset)


def _with_a_full_disk(folder: Path) -> None:
    """In a child whose files may not grow past 4 KiB: the half-written line spoils neither neighbour."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    writer = Journal(folder, "agi")
    refused = 0
    for number in range(100):
        try:
            writer.append("call_step", f"c:{number}", {"text": "x" * 50})
        except JournalBroken:
            refused += 1
    assert refused > 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    writer.append("call_step", "after", {})
    os._exit(0)


def test_a_full_disk_is_told_and_later_records_are_whole(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            _with_a_full_disk(tmp_path)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    batch = journal.read(journal.files(tmp_path)[0])
    assert batch.records[-1].key == "after"
    assert len(batch.bad) == 1


async def test_a_failed_sync_is_an_error_for_who_waits_and_a_new_file_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Journal(tmp_path, "agi")
    first = writer.path

    def refuse(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        writer.append("ticket_opened", "t1", {})
        with pytest.raises(JournalBroken):
            await writer.sync()
    writer.append("ticket_opened", "t2", {})
    await writer.sync()
    assert writer.path != first


def _refusal(number: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


@contextmanager
def _refusing(monkeypatch: pytest.MonkeyPatch, number: int, *calls: str) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for call in calls:
            patch.setattr(os, call, _refusal(number))
        yield


NO_NEW_FILE = pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EMFILE], ids=errno.errorcode.get)


@NO_NEW_FILE
async def test_a_disk_that_takes_no_other_file_is_told_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    writer = Journal(tmp_path, "agi")
    writer.append("ticket_opened", "t1", {})
    with _refusing(monkeypatch, number, "fdatasync", "open"):
        for _ in range(2):
            with pytest.raises(JournalBroken):
                await writer.sync()
        with pytest.raises(JournalBroken):
            writer.append("ticket_opened", "t2", {})
    writer.append("ticket_opened", "t3", {})
    await writer.sync()
    # t1 was taken and never made durable: it is in the new file, whatever becomes of the old one.
    assert [record.key for record in journal.read(writer.path).records] == ["t1", "t3"]
    assert list(tmp_path.glob("*.new")) == []
    writer.close()


@NO_NEW_FILE
async def test_no_record_ever_gets_into_a_callers_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A number that is closed is the next connection's."""
    writer = Journal(tmp_path, "agi")
    writer.append("call_opened", "c1", {"caller": "+5511987654321"})
    with _refusing(monkeypatch, number, "fdatasync", "open"):
        with pytest.raises(JournalBroken):
            await writer.sync()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            for line in range(3):
                with pytest.raises(JournalBroken):
                    writer.append("call_step", f"c1:{line}", {})
            for end in (ours, theirs):
                end.setblocking(False)
                with pytest.raises(BlockingIOError):
                    end.recv(100)
    writer.close()


async def test_a_large_file_is_gone_on_with_while_there_can_be_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ROTATE_AT_BYTES", 100)
    writer = Journal(tmp_path, "agi")
    first = writer.path
    with _refusing(monkeypatch, errno.EMFILE, "open"):
        for step in range(3):
            writer.append("call_step", f"c:{step}", {"text": "x" * 100})
            await writer.sync()
    assert writer.path == first
    writer.append("call_step", "c:3", {})
    await writer.sync()
    writer.append("call_step", "c:4", {})
    assert writer.path != first
    assert [record.key for record in _all(tmp_path)] == [f"c:{step}" for step in range(5)]
    writer.close()


@NO_NEW_FILE
async def test_a_journal_begun_on_a_disk_that_refuses_works_as_soon_as_it_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with _refusing(monkeypatch, number, "open"):
        writer = Journal(tmp_path, "agi")
        with pytest.raises(JournalBroken):
            writer.append("call_opened", "c1", {})
        await writer.sync()  # nothing was taken, so nothing is missing
    writer.append("call_opened", "c2", {})
    await writer.sync()
    assert [record.key for record in _all(tmp_path)] == ["c2"]
    writer.close()


async def test_a_file_that_cannot_be_written_any_more_is_left_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Journal(tmp_path, "agi")
    writer.append("call_step", "c:1", {})
    first = writer.path
    with _refusing(monkeypatch, errno.EIO, "write"), pytest.raises(JournalBroken):
        writer.append("call_step", "c:2", {})
    writer.append("call_step", "c:3", {})
    assert writer.path != first
    assert [record.key for record in journal.read(writer.path).records] == ["c:1", "c:3"]
    assert journal.is_abandoned(first)
    writer.close()


async def test_what_the_new_file_has_no_room_for_stays_with_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Journal(tmp_path, "agi")
    writer.append("call_step", "c:1", {})
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _refusal(errno.EIO))
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:5]))
        with pytest.raises(JournalBroken):
            await writer.sync()
    assert list(tmp_path.glob("*.new")) == []
    await writer.sync()
    assert [record.key for record in journal.read(writer.path).records] == ["c:1"]
    writer.close()


async def test_what_the_memory_has_no_room_for_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CARRIED_LINES", 2)
    writer = Journal(tmp_path, "agi")
    for step in range(5):
        writer.append("call_step", f"c:{step}", {})
    refusing = _refusing(monkeypatch, errno.EIO, "fdatasync")
    with structlog.testing.capture_logs() as logs, refusing, pytest.raises(JournalBroken):
        await writer.sync()
    assert [record.key for record in journal.read(writer.path).records] == ["c:3", "c:4"]
    assert [line["records"] for line in logs] == [3]
    writer.close()


async def test_who_does_not_wait_for_a_disk_that_hangs_may_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Journal(tmp_path, "agi")
    real, goes_on = os.fdatasync, threading.Event()

    def hang(fd: int) -> None:
        goes_on.wait(30)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", hang)
    writer.append("call_opened", "c1", {})
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await writer.sync()
        writer.append("call_step", "c1:1", {})
    finally:
        goes_on.set()
    await writer.sync()
    assert [record.key for record in _all(tmp_path)] == ["c1", "c1:1"]
    writer.close()


async def test_waiting_counts_what_the_database_does_not_have(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "agi")
    writer.append("call_step", "c:1", {})
    offset = journal.read(writer.path).next_offset
    writer.append("call_step", "c:2", {})
    assert journal.waiting(tmp_path, {}) == 2
    assert journal.waiting(tmp_path, {writer.path.name: offset}) == 1
