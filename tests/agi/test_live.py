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
    writer.close()
    writer.close()
    live.remove("prosa-1.2")
    live.remove("prosa-1.2")
    assert live.find("prosa-1.2") is None
    assert list((tmp_path / "live").iterdir()) == []


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
    live.remove("big")
    (tmp_path / "live").rmdir()
    live.writer("x").save({})
    assert live.find("x") is None
