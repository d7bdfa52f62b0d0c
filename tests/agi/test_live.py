"""The position of a call in progress."""

from pathlib import Path

import pytest

from agi.live import SLOT, LivePositions


def test_a_position_is_found_by_another_process_and_gone_after_the_call(tmp_path: Path) -> None:
    live = LivePositions(tmp_path / "live")
    writer = live.writer("prosa-1.2")
    for node in ("welcome", "main", "person"):
        writer.save({"node": node, "nome": "São"})
        assert LivePositions(tmp_path / "live").find("prosa-1.2") == {"node": node, "nome": "São"}
    writer.end()
    writer.close()
    assert live.find("prosa-1.2") is None
    assert [file.stat().st_size for file in (tmp_path / "live").iterdir()] == [0]


def test_the_file_of_an_ended_call_serves_the_next_one_and_tells_nothing_of_the_first(tmp_path: Path) -> None:
    live = LivePositions(tmp_path)
    first = live.writer("first")
    first.save({"node": "a"})
    first.save({"node": "b"})
    (made,) = tmp_path.iterdir()
    inode = made.stat().st_ino
    first.end()
    second = live.writer("second")
    second.save({"node": "c"})
    assert {file.name: file.stat().st_ino for file in tmp_path.iterdir()} == {"second.json": inode}
    assert live.find("first") is None
    assert live.find("second") == {"node": "c"}
    second.close()


def test_files_that_somebody_else_removed_are_made_anew(tmp_path: Path) -> None:
    live = LivePositions(tmp_path)
    first = live.writer("first")
    first.save({"node": "a"})
    (tmp_path / "first.json").unlink()  # the worker heard of the hang-up before us
    first.end()
    assert list(tmp_path.iterdir()) == []
    second = live.writer("second")
    second.save({"node": "b"})
    second.end()
    for spare in tmp_path.iterdir():
        spare.unlink()
    third = live.writer("third")
    third.save({"node": "c"})
    assert live.find("third") == {"node": "c"}
    third.close()


def test_a_call_that_ends_without_a_word_leaves_no_position(tmp_path: Path) -> None:
    live = LivePositions(tmp_path)
    before = live.writer("x")
    before.save({"node": "a"})
    before.close()
    live.writer("x").end()  # another process took it over and had nothing to save
    live.writer("x").end()
    assert list(tmp_path.iterdir()) == []


def test_no_more_files_are_kept_than_calls_may_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agi.live.MOST_SPARE", 1)
    live = LivePositions(tmp_path)
    writers = [live.writer(name) for name in "abc"]
    for writer in writers:
        writer.save({"node": "a"})
    for writer in writers:
        writer.end()
    assert len(list(tmp_path.iterdir())) == 1


def test_who_takes_a_call_over_goes_on_counting(tmp_path: Path) -> None:
    live = LivePositions(tmp_path)
    for node in ("main", "person", "main", "end"):
        writer = live.writer("x")
        writer.save({"node": node})
        writer.close()
        assert live.find("x") == {"node": node}


def test_a_write_that_was_cut_short_leaves_the_one_before(tmp_path: Path) -> None:
    live = LivePositions(tmp_path)
    writer = live.writer("x")
    writer.save({"node": "first"})
    writer.save({"node": "second"})
    file = tmp_path / "x.json"
    data = bytearray(file.read_bytes())
    data[SLOT + 20] ^= 1
    file.write_bytes(data)
    assert live.find("x") == {"node": "first"}
    writer.close()


@pytest.mark.parametrize("damage", ["", '{"half', "[]", "00000000 []", "\0" * 100])
def test_a_damaged_position_is_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "a.json").write_text(damage)
    assert LivePositions(tmp_path).find("a") is None


def test_what_does_not_fit_or_cannot_be_written_costs_the_resumption_only(tmp_path: Path) -> None:
    live = LivePositions(tmp_path / "live")
    big = live.writer("big")
    big.save({"node": "x" * SLOT})
    big.close()
    assert live.find("big") is None
    (tmp_path / "live" / "big.json").unlink()
    (tmp_path / "live").rmdir()
    live.writer("x").save({})
    assert live.find("x") is None
