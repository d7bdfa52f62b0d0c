"""Protocol numbers: nobody ever hears one that somebody else was given (R43)."""

import multiprocessing
from datetime import date, timedelta
from pathlib import Path

import pytest

from ura.protocol import BLOCK, PAGE, Protocols, ProtocolsUsedUp, is_valid

TODAY = date(2026, 11, 22)


def _draw(folder: Path, node: int, count: int, out: "multiprocessing.Queue[list[str]]") -> None:
    half = count // 2
    first = Protocols(folder, node)
    numbers = [first.next(TODAY) for _ in range(half)]
    again = Protocols(folder, node)  # a restart in the middle: the rest of the block is lost, not repeated
    out.put(numbers + [again.next(TODAY) for _ in range(count - half)])


def test_100_000_numbers_from_8_processes_with_a_restart_are_unique(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    out: multiprocessing.Queue[list[str]] = context.Queue()
    workers = [context.Process(target=_draw, args=(tmp_path, n % 4, 12_500, out)) for n in range(8)]
    for worker in workers:
        worker.start()
    numbers = [number for _ in workers for number in out.get(timeout=60)]
    for worker in workers:
        worker.join()
    assert len(set(numbers)) == len(numbers) == 100_000
    assert all(is_valid(number) for number in numbers)


def test_numbers_are_ordered_by_day_and_by_turn(tmp_path: Path) -> None:
    protocols = Protocols(tmp_path, 3)
    numbers = [protocols.next(TODAY + timedelta(days=day)) for day in (0, 0, 1, 40, 80)]
    assert numbers == sorted(numbers)
    assert numbers[0].startswith("263263")


def test_a_clock_set_back_repeats_nothing(tmp_path: Path) -> None:
    before = Protocols(tmp_path, 0).next(TODAY)
    after = Protocols(tmp_path, 0).next(TODAY - timedelta(days=1))
    assert after > before


def test_the_second_hundred_thousand_of_a_day_has_a_page_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "0.json").write_text(f'{{"day": "{TODAY}", "used": {PAGE}}}'.ljust(64))
    number = Protocols(tmp_path, 0).next(TODAY)
    assert number.startswith("26726000000")
    assert is_valid(number)


def test_past_200_000_the_number_is_refused_rather_than_repeated(tmp_path: Path) -> None:
    (tmp_path / "0.json").write_text(f'{{"day": "{TODAY}", "used": {2 * PAGE - BLOCK + 1}}}'.ljust(64))
    with pytest.raises(ProtocolsUsedUp):
        Protocols(tmp_path, 0).next(TODAY)


@pytest.mark.parametrize("wrong", ["", "26326000001", "263260000018", "26326000001x", "٢٦٣٢٦٠٠٠٠٠١٧"])
def test_a_mistyped_number_is_noticed(wrong: str) -> None:
    assert not is_valid(wrong)
