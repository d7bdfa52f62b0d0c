"""The position of a call in progress."""

from pathlib import Path

from agi.live import LivePositions


def test_a_position_is_found_by_another_process_and_gone_after_the_call(tmp_path: Path) -> None:
    live = LivePositions(tmp_path / "live")
    live.save("prosa-1.2", {"node": "main", "nome": "São"})
    assert LivePositions(tmp_path / "live").find("prosa-1.2") == {"node": "main", "nome": "São"}
    live.remove("prosa-1.2")
    live.remove("prosa-1.2")
    assert live.find("prosa-1.2") is None
    assert list((tmp_path / "live").iterdir()) == []


def test_a_damaged_position_is_none(tmp_path: Path) -> None:
    live = LivePositions(tmp_path)
    (tmp_path / "a.json").write_text('{"half')
    (tmp_path / "b.json").write_text("[]")
    assert live.find("a") is None
    assert live.find("b") is None


def test_a_full_disk_costs_the_resumption_only(tmp_path: Path) -> None:
    live = LivePositions(tmp_path / "live")
    (tmp_path / "live").rmdir()
    live.save("x", {})
    assert live.find("x") is None
