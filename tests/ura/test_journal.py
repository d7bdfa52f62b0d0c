"""The journal: what was acknowledged is there after any crash; what is damaged is put aside and reported."""

import asyncio
import os
import resource
import signal
from pathlib import Path

import pytest

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


async def test_waiting_counts_what_the_database_does_not_have(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "agi")
    writer.append("call_step", "c:1", {})
    offset = journal.read(writer.path).next_offset
    writer.append("call_step", "c:2", {})
    assert journal.waiting(tmp_path, {}) == 2
    assert journal.waiting(tmp_path, {writer.path.name: offset}) == 1
