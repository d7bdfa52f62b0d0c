"""SIPp as many callers at once."""

import csv
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCENARIO = Path(__file__).with_name("call.xml")
PAUSES = 6


@dataclass(frozen=True, slots=True)
class LoadResult:
    calls: int
    failed: int
    seconds: float
    answer_p99_ms: float
    most_at_once: int


class Load:
    """A run of SIPp. `command` is how SIPp is started here, e.g. `["sipp"]` or through a private root folder."""

    def __init__(self, command: Sequence[str], folder: Path, target: str) -> None:
        self._command = list(command)
        self._folder = folder
        self._target = target
        self._media_port = 40000 + 4 * (os.getpid() % 2000)  # of its own: SIPp's default would meet another run's

    def start(self, number: str, *, calls: int, per_second: float, at_once: int, call_s: float = 30) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        text = SCENARIO.read_text().replace("[pause]", str(round(1000 * call_s / PAUSES)))
        (self._folder / "call.xml").write_text(text)
        arguments = [
            *self._command, self._target, "-sf", str(self._folder / "call.xml"), "-s", number,
            "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", "0", "-m", str(calls), "-r", str(per_second),
            "-l", str(at_once),
            "-mp", str(self._media_port), "-rtp_echo", "-nostdin",
            "-trace_stat", "-stf", str(self._folder / "stat.csv"), "-fd", "1",
            "-trace_rtt", "-rtt_freq", "1", "-timeout_error", "-recv_timeout", "8000",
        ]  # fmt: skip
        self._log = (self._folder / "sipp.log").open("wb")
        self._process = subprocess.Popen(arguments, cwd=self._folder, stdout=self._log, stderr=subprocess.STDOUT)

    def wait(self, timeout_s: float) -> LoadResult:
        """Raises subprocess.TimeoutExpired when calls hang."""
        self._process.wait(timeout_s)
        self._log.close()
        return self._result()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)
        self._log.close()

    def calls_now(self) -> int:
        """Calls that are up, as SIPp last counted (each second)."""
        rows = self._rows()
        return int(rows[-1]["CurrentCall"]) if rows else 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def _rows(self) -> list[dict[str, str]]:
        file = self._folder / "stat.csv"
        if not file.exists():
            return []
        with file.open(newline="") as lines:
            return [row for row in csv.DictReader(lines, delimiter=";") if row["CurrentCall"]]

    def _result(self) -> LoadResult:
        rows = self._rows()
        last = rows[-1]
        times = sorted(
            float(row.split(";")[1])
            for path in self._folder.glob("*_rtt.csv")
            for row in path.read_text().splitlines()[1:]
            if row.count(";") >= 2
        )
        hours, minutes, seconds = last["ElapsedTime(C)"].split(":")[:3]
        return LoadResult(
            calls=int(last["TotalCallCreated"]),
            failed=int(last["FailedCall(C)"]),
            seconds=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
            answer_p99_ms=times[int(0.99 * len(times))] if times else 0.0,
            most_at_once=max(int(row["CurrentCall"]) for row in rows),
        )
