"""`make run` to its end: it calls itself, tells what was heard and where everything is, and stops when told to."""

import re
import signal
from pathlib import Path

import pytest

from tests.live.conftest import STOP_S, House, start_house, stop_house

pytestmark = [pytest.mark.live, pytest.mark.alone, pytest.mark.timeout(240)]

NUMBERS = "551133330001 landline, 5511933330002 mobile, 551133330003 corporate"
ROOM_S = 30  # ten are promised on a machine with nothing else to do


def told(house: House) -> list[str]:
    """From `ready:` to the line on Ctrl-C, which comes last."""
    house.until("  Ctrl-C", STOP_S)
    first = next(place for place, line in enumerate(house.lines) if line.startswith("ready:"))
    return [line.strip() for line in house.lines[first:]]


def check(house: House, lines: list[str], log_in: str) -> float:
    """The seconds it took, by its own clock."""
    settings = house.settings
    assert lines[1:] == [
        f"numbers   {NUMBERS}",
        f"panel     http://{settings.http_host}:{settings.http_port}/",
        f"log-in    {log_in}",
        f"logs      {settings.logs_dir}",
        "Ctrl-C stops everything, calls in progress first",
    ]
    ready = re.fullmatch(
        rf"ready: sip:{re.escape(settings.sip_host)}:{settings.sip_port} \(UDP, A-law\) after ([\d.]+) s", lines[0]
    )
    assert ready, lines[0]
    return float(ready[1])


def test_it_calls_itself_says_where_everything_is_and_the_second_start_is_quick(tmp_path: Path) -> None:
    house = start_house(tmp_path / "state", options=(), rtp_first_port=46000, rtp_last_port=46199)
    lines = told(house)
    log_in = next(line for line in lines if line.startswith("log-in")).removeprefix("log-in    ")
    assert re.fullmatch(r"admin / [0-9a-f]{4}(-[0-9a-f]{4}){3} \(shown only now\)", log_in)
    check(house, lines, log_in)
    said = "\n".join(house.lines)
    assert "calling 551133330001; what the caller hears:" in said
    assert re.search(r"greeting\.welcome", said)
    assert re.search(r"menu\.main", said)  # the first time all the way to the menu
    stop_house(house)
    again = start_house(tmp_path / "state", options=(), rtp_first_port=46000, rtp_last_port=46199)
    took_s = check(again, told(again), "as before")
    said = "\n".join(again.lines)
    assert re.search(r"greeting\.welcome", said)
    assert "shown only now" not in said
    assert "tables brought up to date" not in said
    assert took_s < ROOM_S
    again.process.send_signal(signal.SIGINT)
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(STOP_S) == 0
    again.until("stopped.", STOP_S)
